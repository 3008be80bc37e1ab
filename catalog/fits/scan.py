"""Read the header blocks of one FITS file, skip its data, and find faults of its structure.

A few comparisons of bytes recognise the usual header: mandatory keywords in their order, printable, with an END card,
in whole blocks. Other headers are read by `catalog.fits.patient` as astropy does, and checked by
`catalog.fits.mandatory` against the standard. Each fault becomes a finding.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISREG

from catalog.fits.blocks import (
    BLOCK,
    HEADER_LIMIT,
    LARGEST,
    ByteSource,
    Finding,
    Header,
    Scan,
    UncompressedFile,
    find_end,
    padded,
)

Extent = tuple[int, tuple[int, ...]]
"""The size of the data in bytes, and the lengths of its axes."""

_NAXIS = [b"NAXIS%-3d= " % (number + 1) for number in range(9)]
_BITPIX = {b"BITPIX  = %20d" % bits: abs(bits) // 8 for bits in (8, 16, 32, 64, -32, -64)}
_MOST_EXTENTS = 10_000
_extents: dict[bytes, Extent] = {}
"""Mandatory cards that were seen before, and what they say; most files have one of a few shapes."""
_IMAGE, _TABLES = b"IMAGE   '", (b"BINTABLE'", b"TABLE   '", b"A3DTABLE'")
_FIELDS_AT = 560
"""The position of TFIELDS in the header of a table: after seven other cards."""


def scan_file(path: str, careful: bool = False) -> tuple[Scan, os.stat_result]:
    """Read all headers of one file.

    Parameters
    ----------
    path : str
        A plain file, or one in a format of `catalog.fits.compressed`.
    careful : bool
        Follow astropy's rules for every header, even if it looks usual.

    Returns
    -------
    scan : Scan
        The headers and findings.
    status : os.stat_result
        The status of the file that was read.

    Raises
    ------
    OSError
        If the file cannot be opened or read, or is no regular file.
    """
    # Without O_NONBLOCK, opening a named pipe would wait until somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return scan_descriptor(descriptor, status.st_size, careful), status
    finally:
        os.close(descriptor)


def scan_descriptor(descriptor: int, size: int, careful: bool = False) -> Scan:
    """Read all headers of an open file of a given size, plain or compressed; see `scan_file`."""
    source = UncompressedFile(descriptor, size)
    if not source.read(0, 6).startswith(b"SIMPLE"):
        from catalog.fits.compressed import scan_compressed

        if (unpacked := scan_compressed(descriptor, careful)) is not None:
            return unpacked
    return scan(source, careful)


def scan(source: ByteSource, careful: bool = False) -> Scan:
    """Read all headers of an open file."""
    scanned = Scan()
    at = 0
    while not careful and not source.ends_by(at):
        header = _usual(source, at)
        if header is None:
            break
        scanned.headers.append(header)
        at = header.data_at + padded(header.data_size)
    if at == 0 or not source.ends_by(at):
        from catalog.fits.patient import scan_on

        scan_on(source, at, scanned)
    note_end(scanned, source.length())
    return scanned


def note_end(scanned: Scan, size: int) -> None:
    """Note data that is cut by the end of the file, and padding that is missing."""
    if not scanned.headers or scanned.headers[-1].data_size < 0:
        return
    last, hdu = scanned.headers[-1], len(scanned.headers) - 1
    data_end = last.data_at + last.data_size
    if last.data_size and size < data_end:
        missing = min(data_end - size, last.data_size)  # the header itself may be cut
        reason = f"truncated: {missing} of {last.data_size} bytes of data are missing"
        scanned.findings.append(Finding(hdu, size, reason, True))
    elif last.data_at <= size < last.data_at + padded(last.data_size):
        scanned.findings.append(Finding(hdu, size, "the last block is not padded to 2880 bytes", False))


def _usual(source: ByteSource, at: int) -> Header | None:
    """Read one header that follows the standard; return None for any other."""
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


def _data_extent(cards: bytes, primary: bool) -> Extent | None:
    """Return size and shape of the data; None if the header does not follow the standard."""
    naxis = cards[189] - 48 if len(cards) > 189 else 0
    mandatory = cards[: 240 + 80 * naxis + (0 if primary else 160)]
    extent = _extents.get(mandatory)
    if extent is None:
        extent = _parse_extent(cards, primary)
        if extent is None:
            return None
        if len(extent[1]) == naxis and len(_extents) < _MOST_EXTENTS:
            _extents[mandatory] = extent
    if not primary:
        return extent if cards.startswith(_IMAGE, 11) or _has_fields(cards) else None
    # In a primary header, PCOUNT, GCOUNT and GROUPS may be anywhere.
    if extent[1] and (b"PCOUNT  =" in cards or b"GCOUNT  =" in cards or b"GROUPS  =" in cards):
        return None
    return extent


def _has_fields(cards: bytes) -> bool:
    """Say whether the header of a table tells how many fields there are, and their formats."""
    fields = _count(cards, _FIELDS_AT, b"TFIELDS = ")
    return fields is not None and cards.count(b"TFORM", _FIELDS_AT) == fields


def _parse_extent(cards: bytes, primary: bool) -> Extent | None:
    """Read size and shape of the data from mandatory keywords in the required order."""
    if not cards.startswith(b"SIMPLE  =                    T" if primary else b"XTENSION= '"):
        return None
    width = _BITPIX.get(cards[80:110])
    if not (_is_comment(cards[30 if primary else 20 : 80]) and _is_comment(cards[110:160])):
        return None
    naxis = _count(cards, 160, b"NAXIS   = ")
    if width is None or naxis is None or naxis > len(_NAXIS):
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
    if pcount is None or gcount != 1 or not (primary or _is_usual_extension(cards, width, naxis, pcount)):
        return None
    elements = 1
    for length in axes:
        elements *= length
    axes.reverse()
    size = width * (pcount + elements) if axes else 0
    return None if max(size + 2 * BLOCK, *axes, 0) > LARGEST >> 1 else (size, tuple(axes))


def _is_usual_extension(cards: bytes, width: int, naxis: int, pcount: int) -> bool:
    kind = cards[11:20]
    return (kind == _IMAGE and not pcount) or (kind in _TABLES and width == 1 and naxis == 2)


def _count(cards: bytes, at: int, head: bytes) -> int | None:
    """Return the whole number of a card in fixed format; None if there is none."""
    if not cards.startswith(head, at):
        return None
    digits = cards[at + 10 : at + 30].lstrip()
    return int(digits) if digits.isdigit() and _is_comment(cards[at + 30 : at + 80]) else None


def _is_comment(rest: bytes) -> bool:
    """Say whether the rest of a card, after its value, is blank or a comment."""
    return rest.lstrip(b" ")[:1] in (b"", b"/")
