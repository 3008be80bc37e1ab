"""Read the header blocks of one FITS file, and skip its data.

The usual header (mandatory keywords in their order, printable, an END card, whole blocks) is recognised by a few
comparisons of bytes. Any other goes through `catalog.headers.structure`, which follows astropy's own rules, and
what is wrong with it becomes a finding.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

BLOCK = 2880
END = b"END".ljust(80)
HEADER_LIMIT = 1 << 26
"""No header is longer; what looks like one is broken."""

Extent = tuple[int, tuple[int, ...]]
"""Size of the data in bytes, and the length of its axes."""

_FIRST_READ = 16 * BLOCK
_NEXT_READ = 4 * BLOCK
_NAXIS = [b"NAXIS%-3d= " % (number + 1) for number in range(99)]
_BITPIX = {b"BITPIX  = %20d" % bits: abs(bits) // 8 for bits in (8, 16, 32, 64, -32, -64)}
_MOST_EXTENTS = 10_000
_extents: dict[bytes, Extent] = {}
"""Mandatory cards that were met, and what they say; most files are of few shapes."""
_QUESTION = bytes.maketrans(bytes(range(128, 256)), b"?" * 128)  # as astropy replaces what is not ASCII


class Finding(NamedTuple):
    """Something in a file that is not as the standard has it.

    Attributes
    ----------
    hdu : int
        Counted from 0.
    byte : int
        Where in the (uncompressed) file.
    reason : str
        One line.
    harm : bool
        The file's bytes are incomplete or no FITS structure.
    """

    hdu: int
    byte: int
    reason: str
    harm: bool


class Header(NamedTuple):
    """The header of one HDU.

    Attributes
    ----------
    at : int
        Its first byte.
    cards : bytes
        Its cards, 80 bytes each, without END.
    data_at : int
        First byte of the data.
    data_size : int
        Bytes of data, without padding; -1 where it is not known.
    shape : tuple of int
        Length of the axes, the fastest last.
    """

    at: int
    cards: bytes
    data_at: int
    data_size: int
    shape: tuple[int, ...]


@dataclass
class Scan:
    """What was read of one file: headers as far as they go, and findings."""

    headers: list[Header] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Source(Protocol):
    """Bytes that are read from front to back, with leaps."""

    def read(self, at: int, size: int) -> bytes:
        """Return ``size`` bytes from ``at`` on, or as many as there are."""

    def ahead(self, at: int) -> tuple[bytes, int]:
        """Return bytes, and where in them ``at`` is; a block from there on, and whatever more is at hand."""

    def ends_by(self, at: int) -> bool:
        """Tell whether there is nothing at ``at``."""

    def length(self) -> int:
        """Return how many bytes there are, reading to the end if it must be."""


class Plain:
    """An open file; one read brings in the blocks around the place asked for."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._at = 0
        self._window = os.pread(descriptor, _FIRST_READ, 0)

    def read(self, at: int, size: int) -> bytes:
        """Return ``size`` bytes from ``at`` on, or as many as there are."""
        begin = at - self._at
        if begin < 0 or begin + size > len(self._window):
            self._at, begin = at, 0
            self._window = os.pread(self._descriptor, max(size, _NEXT_READ), at)
        return self._window[begin : begin + size]

    def ahead(self, at: int) -> tuple[bytes, int]:
        """Return bytes, and where in them ``at`` is; a block from there on, and whatever more is at hand."""
        begin = at - self._at
        if begin < 0 or begin + BLOCK > len(self._window):
            self._at, begin = at, 0
            self._window = os.pread(self._descriptor, _NEXT_READ, at)
        return self._window, begin

    def ends_by(self, at: int) -> bool:
        """Tell whether there is nothing at ``at``."""
        return at >= self._size

    def length(self) -> int:
        """Return how many bytes there are."""
        return self._size


def scan_file(path: str, careful: bool = False) -> tuple[Scan, os.stat_result]:
    """Read all headers of one file.

    Parameters
    ----------
    path : str
        Plain or gzip-compressed.
    careful : bool
        Follow astropy's rules for every header, however usual it looks.

    Returns
    -------
    scan : Scan
        Headers and findings.
    status : os.stat_result
        Of the file that was read.

    Raises
    ------
    OSError
        Where the file cannot be opened or read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        source = Plain(descriptor, status.st_size)
        if source.read(0, 2) == b"\x1f\x8b":
            from catalog.headers.compressed import scan_gzip

            return scan_gzip(descriptor), status
        return scan(source, careful), status
    finally:
        os.close(descriptor)


def scan(source: Source, careful: bool = False) -> Scan:
    """Read all headers of an open file."""
    found = Scan()
    at = 0
    while not careful and not source.ends_by(at):
        header = _usual(source, at)
        if header is None:
            break
        found.headers.append(header)
        at = header.data_at + padded(header.data_size)
    if at == 0 or not source.ends_by(at):
        from catalog.headers.structure import scan_on

        scan_on(source, at, found)
    note_end(found, source.length())
    return found


def padded(size: int) -> int:
    """Round up to whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def note_end(found: Scan, size: int) -> None:
    """Note data that the file ends before, and padding that is not there."""
    if not found.headers or found.headers[-1].data_size < 0:
        return
    last, hdu = found.headers[-1], len(found.headers) - 1
    data_end = last.data_at + last.data_size
    if size < data_end:
        missing = f"truncated: {data_end - size} of {last.data_size} bytes of data are missing"
        found.findings.append(Finding(hdu, size, missing, True))
    elif size < last.data_at + padded(last.data_size):
        found.findings.append(Finding(hdu, size, "the last block is not padded to 2880 bytes", False))


def _usual(source: Source, at: int) -> Header | None:
    """Read one header that is as the standard wants it, or return None."""
    ahead, begin = source.ahead(at)
    end = find_end(ahead, begin)
    while end < 0 and len(ahead) - begin < HEADER_LIMIT:
        longer = source.read(at, 4 * (len(ahead) - begin))
        if len(longer) <= len(ahead) - begin:
            return None
        ahead, begin = longer, 0
        end = find_end(ahead)
    size = (end - begin + BLOCK) // BLOCK * BLOCK
    cards = ahead[begin:end]
    if end < 0 or begin + size > len(ahead) or not (cards.isascii() and ahead[end : begin + size].isascii()):
        return None
    extent = _data_extent(cards, at == 0)
    return None if extent is None else Header(at, cards, at + size, *extent)


def find_end(ahead: bytes, begin: int = 0) -> int:
    """Return where the END card of a header stands that begins at ``begin``, or -1."""
    end = ahead.find(END, begin)
    while end >= 0 and (end - begin) % 80:
        end = ahead.find(END, end + 1)
    return end


def _data_extent(cards: bytes, primary: bool) -> Extent | None:
    """Return size and shape of the data, or None where the header is not as the standard wants it."""
    naxis = cards[189] - 48 if len(cards) > 189 else 0
    mandatory = cards[: 240 + 80 * naxis + (0 if primary else 160)]
    known = _extents.get(mandatory)
    if known is None:
        known = _parse_extent(cards, primary)
        if known is None:
            return None
        if len(known[1]) == naxis and len(_extents) < _MOST_EXTENTS:
            _extents[mandatory] = known
    # In a primary header PCOUNT, GCOUNT and GROUPS may stand anywhere.
    if primary and known[1] and (b"PCOUNT  =" in cards or b"GCOUNT  =" in cards or b"GROUPS  =" in cards):
        return None
    return known


def _parse_extent(cards: bytes, primary: bool) -> Extent | None:
    """Read size and shape of the data from mandatory keywords in their order."""
    if not cards.startswith(b"SIMPLE  =                    T " if primary else b"XTENSION= '"):
        return None
    width = _BITPIX.get(cards[80:111].rstrip(b" /"))
    naxis = _count(cards, 160, b"NAXIS   = ")
    if width is None or naxis is None or naxis > 99:
        return None
    axes = []
    for number in range(naxis):
        length = _count(cards, 240 + 80 * number, _NAXIS[number])
        if length is None:
            return None
        axes.append(length)
    rest = 240 + 80 * naxis
    pcount = 0 if primary else _count(cards, rest, b"PCOUNT  = ")
    gcount = 1 if primary else _count(cards, rest + 80, b"GCOUNT  = ")
    if pcount is None or gcount is None:
        return None
    elements = 1
    for length in axes:
        elements *= length
    axes.reverse()
    return width * gcount * (pcount + elements) if axes else 0, tuple(axes)


def _count(cards: bytes, at: int, head: bytes) -> int | None:
    """Return the whole number of a card in fixed format, or None."""
    if not cards.startswith(head, at):
        return None
    digits = cards[at + 10 : at + 30].lstrip()
    return int(digits) if digits.isdigit() and cards[at + 30 : at + 31] in (b" ", b"/") else None


def as_ascii(block: bytes) -> bytes:
    """Return the block with a question mark for every byte that is not ASCII, as astropy reads it."""
    return block if block.isascii() else block.translate(_QUESTION)
