"""Turn the headers of many files into columns: distinct cards, references to them, and typed keywords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalog.fits.blocks import CARD_SIZE, Finding, Header, Scan
from catalog.fits.cards import CONTINUE, Card, read_card
from catalog.headers import automaton

Label = tuple[str, str, str]
"""A card without its value: keyword, kind, comment."""

_MANDATORY = (
    "SIMPLE",
    "XTENSION",
    "BITPIX",
    "NAXIS",
    "PCOUNT",
    "GCOUNT",
    "GROUPS",
    "TFIELDS",
    *(f"NAXIS{n}" for n in range(1, 10)),
)
_CONTINUE = np.frombuffer(CONTINUE, np.uint64)[0]
_LEFT = 255  # the automaton's mark for a card that it leaves to `read_card`


@dataclass(frozen=True)
class Cards:
    """The cards of a batch of files.

    Attributes
    ----------
    labels : list of tuple
        Keyword, kind and comment.
    label : ndarray of int32, shape (distinct,)
        For each distinct card, an index into ``labels``.
    text : pyarrow.StringArray, length distinct
        The value of each distinct card.
    code : ndarray of int32, shape (cards,)
        For each card in order, the number of its distinct card.
    first : ndarray of int64, shape (HDUs + 1,)
        For each HDU, where its cards begin in ``code``.
    """

    labels: list[Label]
    label: NDArray[np.int32]
    text: pa.StringArray
    code: NDArray[np.int32]
    first: NDArray[np.int64]


@dataclass(frozen=True)
class _Rows:
    """The 80-byte rows of all headers, and the rows in which a card begins."""

    bytes_: bytes
    matrix: NDArray[np.uint8]
    first: NDArray[np.int64]
    opens: NDArray[np.bool_]


def read_cards(headers: Sequence[Header]) -> Cards:
    """Read the cards of many headers; equal cards are read once."""
    rows = _rows(headers)
    opening = np.flatnonzero(rows.opens)
    codes, distinct = _distinct_rows(rows)
    code = codes[opening]
    groups = _groups(rows, opening)
    alone = np.ones(len(opening), bool)
    alone[list(groups)] = False
    used = np.zeros(len(distinct), bool)  # rows that only continue other cards are not used
    used[code[alone]] = True
    code = (np.cumsum(used, dtype=np.int32) - 1)[code]
    images = dict.fromkeys(groups.values())
    numbers = {image: int(used.sum()) + n for n, image in enumerate(images)}
    code[list(groups)] = [numbers[image] for image in groups.values()]
    labels, label, text = _read_distinct(distinct[used], [read_card(image) for image in images])
    return Cards(labels, label, text, code, np.searchsorted(opening, rows.first))


def _rows(headers: Sequence[Header]) -> _Rows:
    joined = b"".join([header.cards for header in headers])
    first = np.zeros(len(headers) + 1, np.int64)
    np.cumsum([len(header.cards) // CARD_SIZE for header in headers], out=first[1:])
    matrix = np.frombuffer(joined, np.uint8).reshape(-1, CARD_SIZE)
    heads = np.ascontiguousarray(matrix[:, :8]).view(np.uint64).ravel()
    opens = heads != _CONTINUE
    opens[first[:-1][first[:-1] < first[1:]]] = True
    return _Rows(joined, matrix, first, opens)


def _distinct_rows(rows: _Rows) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    count = len(rows.matrix)
    images = pa.FixedSizeBinaryArray.from_buffers(pa.binary(CARD_SIZE), count, [None, pa.py_buffer(rows.bytes_)])
    encoded = images.dictionary_encode()
    dictionary = encoded.dictionary
    matrix = np.frombuffer(dictionary.buffers()[1], np.uint8, len(dictionary) * CARD_SIZE).reshape(-1, CARD_SIZE)
    return encoded.indices.to_numpy(zero_copy_only=False), matrix


def _groups(rows: _Rows, opening: NDArray[np.intp]) -> dict[int, bytes]:
    """Return the bytes of each continued card, by its position among the cards."""
    stops = np.append(opening[1:], len(rows.matrix))
    long = np.flatnonzero(stops - opening > 1)
    return {int(n): rows.bytes_[int(opening[n]) * CARD_SIZE : int(stops[n]) * CARD_SIZE] for n in long}


def _read_distinct(
    distinct: NDArray[np.uint8], long_cards: list[Card]
) -> tuple[list[Label], NDArray[np.int32], pa.StringArray]:
    """Read the distinct cards, and append the long ones."""
    readings = automaton.read(distinct)
    left = np.flatnonzero(readings.kind == _LEFT)
    slow = [read_card(distinct[n].tobytes()) for n in left]
    labels, label = _label(distinct, readings)
    numbers = {each: n for n, each in enumerate(labels)}
    label[left] = [_number(card, labels, numbers) for card in slow]
    text = readings.text
    if slow:
        at = np.zeros(len(distinct), np.int32)
        at[left] = np.arange(1, len(slow) + 1, dtype=np.int32)
        text = pc.choose(pa.array(np.minimum(at, 1)), text, _take_or_null([card.text for card in slow], at))
    added = np.array([_number(card, labels, numbers) for card in long_cards], np.int32)
    text = pa.concat_arrays([text, pa.array([card.text for card in long_cards], pa.string())])
    return labels, np.concatenate([label, added]), text


def _take_or_null(texts: list[str | None], at: NDArray[np.int32]) -> pa.StringArray:
    return pa.array([None, *texts], pa.string()).take(pa.array(at))


def _number(card: Card, labels: list[Label], numbers: dict[Label, int]) -> int:
    label = (card.keyword, card.kind, card.comment)
    number = numbers.setdefault(label, len(labels))
    if number == len(labels):
        labels.append(label)
    return number


def _label(distinct: NDArray[np.uint8], readings: automaton.Readings) -> tuple[list[Label], NDArray[np.int32]]:
    """Find the distinct labels: cards without values, with the kind in the place of the equals sign."""
    bare = distinct.copy()
    columns = np.arange(CARD_SIZE, dtype=np.uint8)
    bare[(columns >= 8) & (columns < readings.comment_at[:, None])] = ord(" ")
    bare[:, 8] = readings.kind
    bare[readings.kind == _LEFT] = _LEFT
    images = pa.FixedSizeBinaryArray.from_buffers(pa.binary(CARD_SIZE), len(bare), [None, pa.py_buffer(bare)])
    encoded = images.dictionary_encode()
    labels: list[Label] = []
    numbers: dict[Label, int] = {}
    translated = [_number(_bare_card(image), labels, numbers) for image in encoded.dictionary.to_pylist()]
    return labels, np.array(translated, np.int32)[encoded.indices.to_numpy(zero_copy_only=False)]


def _bare_card(image: bytes) -> Card:
    if image[8] == _LEFT:
        return Card("", "unreadable", None, "")
    comment = image[9:].decode().strip().removeprefix("/").strip(" ")
    return Card(image[:8].decode().rstrip(), automaton.KINDS[image[8]], None, comment)


def repeated_mandatory(cards: Cards) -> NDArray[np.intp]:
    """Return the HDUs in which a keyword that tells the size of the data is repeated."""
    numbers = {keyword: n + 1 for n, keyword in enumerate(_MANDATORY)}
    of_label = np.array([numbers.get(keyword, 0) for keyword, _, _ in cards.labels], np.int64)
    of_card = of_label[cards.label][cards.code]
    places = np.flatnonzero(of_card)
    hdu = np.searchsorted(cards.first, places, side="right") - 1
    counts = np.bincount(hdu * (len(numbers) + 1) + of_card[places])
    return np.unique(np.flatnonzero(counts > 1) // (len(numbers) + 1))


def unreadable_findings(
    cards: Cards, headers: Sequence[Header], hdu_numbers: Sequence[int]
) -> dict[int, list[Finding]]:
    """Return findings for cards that astropy cannot read, by the position of the HDU in the batch."""
    broken = np.array([kind == "unreadable" for _, kind, _ in cards.labels], bool)[cards.label]
    findings: dict[int, list[Finding]] = {}
    if not broken.any():
        return findings
    for place in np.flatnonzero(broken[cards.code]):
        hdu = int(np.searchsorted(cards.first, place, side="right")) - 1
        keyword = cards.labels[cards.label[cards.code[place]]][0]
        byte = headers[hdu].at + _row_of(headers[hdu].cards, int(place - cards.first[hdu])) * CARD_SIZE
        finding = Finding(hdu_numbers[hdu], byte, f"the card {keyword!r} cannot be read", False)
        findings.setdefault(hdu, []).append(finding)
    return findings


def _row_of(cards: bytes, position: int) -> int:
    """Return the number of the 80-byte row in which a card begins, after the CONTINUE rows of the cards before it."""
    opening = -1
    for row in range(len(cards) // CARD_SIZE):
        opening += row == 0 or cards[row * CARD_SIZE : row * CARD_SIZE + 8] != CONTINUE
        if opening == position:
            return row
    return 0


def scans_of(scans: Sequence[Scan]) -> tuple[list[Header], list[int], list[int]]:
    """Return all headers of a batch in order, with the number of the file and of the HDU of each."""
    headers = [header for scan in scans for header in scan.headers]
    files = [n for n, scan in enumerate(scans) for _ in scan.headers]
    hdus = [hdu for scan in scans for hdu in range(len(scan.headers))]
    return headers, files, hdus
