"""Read a batch of files into columns for the catalog; this runs in the worker processes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from catalog.fits.blocks import CARD_SIZE, LARGEST, Finding, Header, Scan
from catalog.fits.cards import read_card
from catalog.fits.scan import scan_file
from catalog.headers.batch import Cards, read_cards, repeated_mandatory, scans_of, unreadable_findings
from catalog.inodes import signed

_OF_HDU = ("XTENSION", "EXTNAME", "EXTVER", "BITPIX", "ZIMAGE", "GROUPS")
_SCIENCE = "SCI"
_NOT_SCIENCE = "ASDF"
_TRIED = 8
"""How many files are timed to see how fast the disk is."""
_SLOW_SECONDS = 0.002
"""If waiting for one file takes longer than this, the disk is a spinning disk or on the network."""
_AT_ONCE = 16


@dataclass(frozen=True)
class KeywordTexts:
    """The values of some keywords in a batch of files.

    Attributes
    ----------
    names : list of str
        FITS keywords that at least one of the files has.
    texts : pyarrow.StringArray, length names x files
        The values, keyword by keyword. It is one array, since Arrow sends a slice with the whole array.
    """

    names: list[str]
    texts: pa.StringArray

    def table(self, files: int) -> pa.Table:
        """Return one row for each file: a text column for each keyword, and ``file``, its number in the batch."""
        columns = {name: self.texts.slice(n * files, files) for n, name in enumerate(self.names)}
        return pa.table({"file": pa.array(np.arange(files)), **columns})


@dataclass(frozen=True)
class Extract:
    """The contents of the headers of a batch of files.

    Attributes
    ----------
    files : pyarrow.Table
        One row for each file, in the order of the request: size, mtime_ns, inode, checksum, problem, unread (why it
        could not be opened; null if it could).
    findings : pyarrow.Table
        File (number in the batch), hdu, byte, reason, harm.
    hdus : pyarrow.Table
        File, hdu, header_at, data_at, data_size, shape, and the text of a few keywords.
    cards : Cards
        All cards; `cards.first` has one entry for each row of ``hdus``.
    keywords : KeywordTexts
        The keywords of each file.
    """

    files: pa.Table
    findings: pa.Table
    hdus: pa.Table
    cards: Cards
    keywords: KeywordTexts


@dataclass
class _File:
    scan: Scan
    status: os.stat_result | None
    checksum: str | None = None
    unread: str | None = None


def extract(paths: Sequence[str], keywords: Sequence[str] = (), digest: bool = False) -> Extract:
    """Read the headers of many files.

    Parameters
    ----------
    paths : sequence of str
        FITS files, plain or gzip-compressed.
    keywords : sequence of str
        The keywords whose values are returned for each file.
    digest : bool
        Also read all bytes of the files, for the MD5.
    """
    return _columns(paths, _read_all(paths, digest), keywords)


def not_read(paths: Sequence[str], reason: str, keywords: Sequence[str] = ()) -> Extract:
    """Return what there is of files that could not be read: the reason.

    Parameters
    ----------
    paths : sequence of str
        The files.
    reason : str
        Why none of them was read.
    keywords : sequence of str
        As for `extract`.
    """
    return _columns(paths, [_File(Scan(), None, unread=reason) for _ in paths], keywords)


def _columns(paths: Sequence[str], files: list[_File], keywords: Sequence[str]) -> Extract:
    headers, file, hdu = scans_of([file_read.scan for file_read in files])
    cards = read_cards(headers)
    suspects = {file[n] for n in repeated_mandatory(cards).tolist()}
    if suspects:
        for n in suspects:
            files[n].scan = scan_file(paths[n], careful=True)[0]
        headers, file, hdu = scans_of([file_read.scan for file_read in files])
        cards = read_cards(headers)
    for n, findings in unreadable_findings(cards, headers, hdu).items():
        files[file[n]].scan.findings.extend(findings)
    texts = _first_texts(cards, len(headers))
    science = _science(texts["EXTNAME"], file, hdu)
    return Extract(
        _file_rows(files),
        _finding_rows(files),
        _hdu_rows(headers, file, hdu, texts),
        cards,
        _keyword_columns(cards, keywords, np.array(file, np.int64), (science, np.array(hdu) == 0), len(paths)),
    )


def _read_all(paths: Sequence[str], digest: bool) -> list[_File]:
    """Read one file after another; if the disk makes the processor wait, read many at the same time."""
    began, worked = time.monotonic(), time.thread_time()
    files = [_read(path, digest) for path in paths[:_TRIED]]
    waited = time.monotonic() - began - (time.thread_time() - worked)
    if len(paths) <= _TRIED or waited < _SLOW_SECONDS * _TRIED:
        return files + [_read(path, digest) for path in paths[_TRIED:]]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="slow-disk") as threads:
        return files + list(threads.map(_read, paths[_TRIED:], [digest] * len(paths[_TRIED:])))


def _read(path: str, digest: bool) -> _File:
    try:
        scan, status = scan_file(path)
        return _File(scan, status, md5_of(path) if digest else None)
    except OSError as error:
        return _File(Scan(), None, unread=error.strerror or str(error))


def md5_of(path: str) -> str:
    """Return the MD5 of a file's bytes."""
    with open(path, "rb") as file:  # noqa: PTH123  # the walk gives paths as text
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _file_rows(files: Sequence[_File]) -> pa.Table:
    status = [file.status for file in files]
    return pa.table(
        {
            "size": pa.array([s and s.st_size for s in status], pa.int64()),
            "mtime_ns": pa.array([s and s.st_mtime_ns for s in status], pa.int64()),
            "inode": pa.array([s and signed(s.st_ino) for s in status], pa.int64()),
            "checksum": pa.array([file.checksum for file in files], pa.string()),
            "problem": pa.array([_problem(file) for file in files], pa.string()),
            "unread": pa.array([file.unread for file in files], pa.string()),
        }
    )


def _problem(file: _File) -> str | None:
    harm = [
        f"HDU {finding.hdu}, byte {finding.byte}: {finding.reason}" for finding in file.scan.findings if finding.harm
    ]
    return "; ".join(harm) or None


def _finding_rows(files: Sequence[_File]) -> pa.Table:
    rows: list[tuple[int, Finding]] = [
        (n, finding) for n, read_file in enumerate(files) for finding in read_file.scan.findings
    ]
    return pa.table(
        {
            "file": pa.array([n for n, _ in rows], pa.int64()),
            "hdu": pa.array([finding.hdu for _, finding in rows], pa.int32()),
            "byte": pa.array([finding.byte for _, finding in rows], pa.int64()),
            "reason": pa.array([finding.reason for _, finding in rows], pa.string()),
            "harm": pa.array([finding.harm for _, finding in rows], pa.bool_()),
        }
    )


def _first_texts(cards: Cards, hdus: int) -> dict[str, pa.StringArray]:
    """Return the text of the first card of each keyword that the rows of HDUs need."""
    numbers = {keyword: n for n, keyword in enumerate(_OF_HDU)}
    of_card = _of_cards(cards, numbers)
    places = np.flatnonzero(of_card >= 0)[::-1]  # from the last to the first, so that the first card wins
    hdu = np.searchsorted(cards.first, places, side="right") - 1
    codes = np.full((len(_OF_HDU), hdus), -1, np.int32)
    codes[of_card[places], hdu] = cards.code[places]
    return {keyword: _taken(cards.text, codes[n]) for keyword, n in numbers.items()}


def _of_cards(cards: Cards, numbers: dict[str, int]) -> NDArray[np.int32]:
    """Return the number of each card's keyword; -1 if the card has none of the keywords, or no value."""
    of_label = np.array(
        [-1 if kind in ("commentary", "unreadable") else numbers.get(word, -1) for word, kind, _ in cards.labels],
        np.int32,
    )
    numbers_of_cards: NDArray[np.int32] = of_label[cards.label][cards.code]
    return numbers_of_cards


def _taken(text: pa.StringArray, codes: NDArray[np.int32]) -> pa.StringArray:
    return text.take(pa.array(codes, mask=codes < 0))


def _hdu_rows(
    headers: Sequence[Header], file: Sequence[int], hdu: Sequence[int], texts: dict[str, pa.StringArray]
) -> pa.Table:
    compressed = [n for n, flag in enumerate(texts["ZIMAGE"].to_pylist()) if flag == "T"]
    shapes = [header.shape for header in headers]
    for n in compressed:
        shapes[n] = _image_shape(headers[n].cards) or shapes[n]
    return pa.table(
        {
            "file": pa.array(file, pa.int64()),
            "hdu": pa.array(hdu, pa.int32()),
            "header_at": pa.array([header.at for header in headers], pa.int64()),
            "data_at": pa.array([header.data_at for header in headers], pa.int64()),
            "data_size": pa.array([None if h.data_size < 0 else h.data_size for h in headers], pa.int64()),
            "shape": pa.array(shapes, pa.list_(pa.int64())),
            **texts,
        }
    )


def _image_shape(cards: bytes) -> tuple[int, ...] | None:
    """Return the shape of an image that is compressed into a table."""
    lengths: dict[str, int] = {}
    for start in range(0, len(cards), CARD_SIZE):
        image = cards[start : start + CARD_SIZE]
        if image.startswith(b"ZNAXIS") and (card := read_card(image)).kind == "integer":
            lengths.setdefault(card.keyword, int(card.text or 0))
    try:
        shape = tuple(lengths[f"ZNAXIS{n}"] for n in range(lengths["ZNAXIS"], 0, -1))
    except KeyError:
        return None
    return shape if all(abs(length) <= LARGEST for length in shape) else None


def _science(names: pa.StringArray, file: Sequence[int], hdu: Sequence[int]) -> NDArray[np.bool_]:
    """Mark each file's first science HDU: the first one called SCI, or else the first extension with data."""
    science_hdus: dict[int, int] = {}
    named: set[int] = set()
    for n, name in enumerate(names.to_pylist()):
        owner = file[n]
        if hdu[n] == 0 or owner in named:
            continue
        if (name or "").upper() == _SCIENCE:
            science_hdus[owner] = n
            named.add(owner)
        elif hdu[n] == 1 and name != _NOT_SCIENCE:
            science_hdus[owner] = n
    marks = np.zeros(len(hdu), bool)
    marks[list(science_hdus.values())] = True
    return marks


def _keyword_columns(
    cards: Cards, keywords: Sequence[str], file: NDArray[np.int64], told_by: tuple[NDArray[np.bool_], ...], files: int
) -> KeywordTexts:
    """Return the text of each keyword's first card in the marked HDUs; a later mark wins over an earlier one."""
    of_card = _of_cards(cards, {keyword: n for n, keyword in enumerate(keywords)})
    places = np.flatnonzero(of_card >= 0)[::-1]  # from the last to the first, so that the first card wins
    hdu = np.searchsorted(cards.first, places, side="right") - 1
    codes = np.full((len(keywords), files), -1, np.int32)
    for marked in told_by if len(places) else ():
        of_marked = marked[hdu]
        codes[of_card[places[of_marked]], file[hdu[of_marked]]] = cards.code[places[of_marked]]
    present = np.flatnonzero((codes >= 0).any(axis=1))
    return KeywordTexts([keywords[n] for n in present.tolist()], _taken(cards.text, codes[present].ravel()))
