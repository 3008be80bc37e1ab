"""Read headers that do not follow the standard, by the rules that astropy follows.

The faults of their mandatory keywords are found by `catalog.fits.mandatory`.

astropy first tries a quick reading: whole blocks of ASCII up to an exact END card; of equal keywords, the last one
counts. If this fails, it reads again. Then bytes that are not ASCII become question marks, a card that begins with END
and has no longer keyword ends the header, and of equal keywords the first one counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from catalog.fits.blocks import (
    BLOCK,
    CARD_SIZE,
    HEADER_LIMIT,
    LARGEST,
    ByteSource,
    Finding,
    Header,
    Scan,
    as_ascii,
    find_end,
    padded,
)  # fmt: skip
from catalog.fits.cards import CONTINUE
from catalog.fits.mandatory import MOST_AXES, NumberedCard, Value, faults

_KEYWORD_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_SIGNATURE = b"SIMPLE"
_INDICATOR = b"= "
_MANDATORY = ("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "GROUPS", "TFIELDS", "TFORM")


class _Blocks(NamedTuple):
    """A header: its cards, where it stops, and whether astropy's quick reading accepts it."""

    cards: bytes
    stop: int
    quick: bool


class _Broken(Exception):
    """The header's mandatory keywords make no sense."""


def scan_on(source: ByteSource, at: int, scanned: Scan) -> None:
    """Read headers from ``at`` to the end of the file; add them and their faults to ``scanned``."""
    if at == 0 and not _has_signature(source.read(0, CARD_SIZE)):
        start = source.read(0, BLOCK)
        scanned.findings.append(Finding(0, 0, f"not a FITS file: {_what_else(start)}", True))
        if _find_blocks(source, 0) is None:  # nothing follows that could be a header
            return
    while not source.ends_by(at):
        blocks = _find_blocks(source, at)
        if blocks is None:
            _note_rest(source, at, scanned)
            return
        header = _header(source, at, blocks, scanned)
        scanned.headers.append(header)
        following = header.data_at + padded(header.data_size)
        if following <= at or header.data_size < 0:
            return
        at = following


def _has_signature(card: bytes) -> bool:
    return card.startswith(_SIGNATURE) and card[len(_SIGNATURE) :].lstrip()[:1] == b"="


def _what_else(start: bytes) -> str:
    """Say what a file is that does not begin as FITS does."""
    if not start:
        return "it is empty"
    if not start.strip(b"\0"):
        return "it begins with zeros"
    if start[:256].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, which a server may send instead of a file; fetch the file again"
    if start[: len(_SIGNATURE)].upper() == _SIGNATURE:
        return "SIMPLE is not in capitals, or has no ="
    return "it does not begin with SIMPLE"


def _why_without_end(source: ByteSource, at: int) -> str:
    if at == 0 and b"\n" in source.read(0, BLOCK):
        return "the header has line ends, so the file was transferred or saved as text; fetch it again"
    return "the header has no END card"


def _find_blocks(source: ByteSource, at: int) -> _Blocks | None:
    """Find the END of the header that begins at ``at``; return None if there is none."""
    size = 4 * BLOCK
    while True:
        ahead = source.read(at, size)
        end = find_end(ahead)
        stop = (end // BLOCK + 1) * BLOCK
        if end >= 0 and stop <= len(ahead):
            if ahead[:stop].isascii():
                return _Blocks(ahead[:end], at + stop, True)
            break
        if len(ahead) < size or size >= HEADER_LIMIT:
            break
        size *= 4
    end = _loose_end(ahead)
    if end < 0:
        return None
    return _Blocks(as_ascii(ahead[:end]), at + (end // BLOCK + 1) * BLOCK, False)


def _loose_end(ahead: bytes) -> int:
    """Return the position of a card that begins with END and has no longer keyword, or -1."""
    end = ahead.find(b"END")
    while end >= 0:
        if end % CARD_SIZE == 0 and (end + 3 == len(ahead) or ahead[end + 3] not in _KEYWORD_BYTES):
            return end
        end = ahead.find(b"END", end + 1)
    return -1


def _header(source: ByteSource, at: int, blocks: _Blocks, scanned: Scan) -> Header:
    hdu = len(scanned.headers)
    if not blocks.quick:
        scanned.findings.append(Finding(hdu, at, _why_not_quick(source, at, blocks), source.ends_by(blocks.stop - 1)))
    rows = _rows(blocks)
    findings = [
        Finding(hdu, at + CARD_SIZE * fault.row, fault.reason, fault.harm) for fault in faults(rows, primary=not at)
    ]
    scanned.findings += findings
    values = _values(rows, last=blocks.quick)
    try:
        shape = _shape(values)
        data_size = _data_size(values, shape, source, blocks.stop)
    except _Broken as broken:
        if not any(fault.harm for fault in findings):
            scanned.findings.append(Finding(hdu, at, f"the size of its data is not known: {broken}", True))
        return Header(at, blocks.cards, blocks.stop, -1, ())
    return Header(at, blocks.cards, blocks.stop, max(data_size, 0), shape)  # a negative size counts as no data


def _why_not_quick(source: ByteSource, at: int, blocks: _Blocks) -> str:
    if source.ends_by(blocks.stop - 1):
        return "the header's last block is cut short"
    if not source.read(at, blocks.stop - at).isascii():
        return "the header has bytes that are not ASCII"
    return "the END card is not blank behind END"


def _rows(blocks: _Blocks) -> list[NumberedCard]:
    """Return the cards that may be mandatory, with the numbers of their rows."""
    return [
        NumberedCard(number, keyword, image)
        for number, (keyword, image) in enumerate(_images(blocks))
        if keyword.startswith(_MANDATORY) or not number
    ]


def _values(rows: list[NumberedCard], last: bool) -> dict[str, Value]:
    """Return the values by keyword; of equal keywords, the one that astropy takes, which is the last or the first."""
    ordered = rows if last else rows[::-1]
    return {card.keyword: card.value for card in ordered}


def _images(blocks: _Blocks) -> Iterator[tuple[str, bytes]]:
    keyword_of = _quick_keyword if blocks.quick else _patient_keyword
    for start in range(0, len(blocks.cards), CARD_SIZE):
        image = blocks.cards[start : start + CARD_SIZE]
        yield keyword_of(image).upper(), image


def _quick_keyword(image: bytes) -> str:
    """Return the keyword as the quick reading does; it keeps blanks before a keyword that is shorter than its place."""
    if image[8:10] == _INDICATOR:
        return image[:8].decode("latin1").strip()
    return image[: max(image.find(_INDICATOR, 0, 8), 0)].decode("latin1")


def _patient_keyword(image: bytes) -> str:
    """Return the keyword as the second reading does; it treats HIERARCH cards like the others."""
    first = image[:8].decode("latin1").strip()
    if first.upper() == "HIERARCH" and image[8:9] == b" " and b"=" in image:
        return image[9 : image.index(b"=")].decode("latin1").strip()
    return first[: max(image.find(_INDICATOR, 0, 10), 0)].strip()


def _whole_number(values: dict[str, Value], keyword: str, default: int | None = None) -> int:
    value = values.get(keyword, default)
    if not isinstance(value, int):
        raise _Broken(f"{keyword} is not a whole number")
    if abs(value) > LARGEST:
        raise _Broken(f"{keyword} is beyond 64 bits")
    return int(value)


def _shape(values: dict[str, Value]) -> tuple[int, ...]:
    naxis = _whole_number(values, "NAXIS", 0)
    if naxis > MOST_AXES:
        raise _Broken(f"NAXIS is {naxis}")
    return tuple(_whole_number(values, f"NAXIS{number}") for number in range(naxis, 0, -1))


def _data_size(values: dict[str, Value], shape: tuple[int, ...], source: ByteSource, data_at: int) -> int:
    if values.get("SIMPLE", True) is False:
        return source.length() - data_at  # the header says that it is of another format, so all the rest is data
    axes = shape[:-1] if values.get("GROUPS") is True and "SIMPLE" in values else shape
    if not axes:
        return 0
    elements = 1
    for length in axes:
        elements *= length
    groups, parameters = _whole_number(values, "GCOUNT", 1), _whole_number(values, "PCOUNT", 0)
    size = abs(_whole_number(values, "BITPIX")) * groups * (parameters + elements) // 8
    if padded(size) < 0:
        raise _Broken("it would be negative")
    if data_at + padded(size) > LARGEST:
        raise _Broken("it is beyond 64 bits")
    return size


def _note_rest(source: ByteSource, at: int, scanned: Scan) -> None:
    """Note what is there instead of a header, and keep the cards of a header without END."""
    hdu = len(scanned.headers)
    block = source.read(at, BLOCK)
    cards = _cards_so_far(source, at)
    if cards or (at == 0 and block.startswith(_SIGNATURE)):
        if cards:
            scanned.headers.append(Header(at, cards, at + padded(len(cards)), -1, ()))
        scanned.findings.append(Finding(hdu, at, _why_without_end(source, at), True))
        return
    rest = source.length() - at
    empty = not block.strip(b"\0")
    what = "zeros" if empty else "no header"
    scanned.findings.append(Finding(hdu, at, f"{rest} bytes after the last HDU are {what}", not empty))


def _cards_so_far(source: ByteSource, at: int) -> bytes:
    """Return the cards of a header without END, up to the first 80 bytes that cannot be a card."""
    block = source.read(at, BLOCK)
    if not block.startswith((_SIGNATURE, b"XTENSION")):
        return b""
    ahead = source.read(at, 64 * BLOCK)
    stop = 0
    while stop + CARD_SIZE <= len(ahead) and _is_card(ahead[stop : stop + CARD_SIZE]):
        stop += CARD_SIZE
    return ahead[:stop].rstrip(b" ") + b" " * (-len(ahead[:stop].rstrip(b" ")) % CARD_SIZE)


def _is_card(image: bytes) -> bool:
    keyword = image[:8].rstrip(b" ")
    printable = image.isascii() and image.decode().isprintable()
    return printable and not keyword.strip(_KEYWORD_BYTES) and (image[8:10] in (b"= ", b"  ") or keyword == CONTINUE)
