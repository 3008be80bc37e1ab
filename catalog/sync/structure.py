"""Is a file whole FITS: blocks, END in every header, and data as long as each header says.

FITS 4.0, section 3 (blocks) and section 4.4.1 (mandatory keywords, and the size of the data that follows).
"""

from __future__ import annotations

import os
import re

BLOCK = 2880
_END = b"END" + b" " * 77
_KEYWORD = re.compile(rb"(SIMPLE|XTENSION|BITPIX|NAXIS\d{0,3}|PCOUNT|GCOUNT|GROUPS) *= *([^/ ]+)")


def is_fits_name(filename: str) -> bool:
    """Whether a name promises an uncompressed FITS file."""
    return filename.lower().endswith((".fits", ".fit", ".fts"))


def fits_problem(file: int, size: int) -> str | None:
    """Walk an open file and say what is wrong with its structure; None: nothing.

    Parameters
    ----------
    file : int
        A file descriptor that can be read at offsets.
    size : int
        How many bytes it has.
    """
    if size % BLOCK:
        return f"{size} bytes are not whole FITS blocks of {BLOCK}"
    offset, hdu = 0, 0
    while offset < size:
        cards, offset = _header(file, offset, size)
        if cards is None:
            return f"the header of HDU {hdu} has no END"
        length, problem = _data_length(cards, primary=hdu == 0)
        if problem:
            return f"HDU {hdu}: {problem}"
        offset += -(-length // BLOCK) * BLOCK
        if offset > size:
            return f"the data of HDU {hdu} are cut: {offset - size} bytes are missing"
        hdu += 1
    return None if hdu else "it is empty"


def _header(file: int, offset: int, size: int) -> tuple[bytes | None, int]:
    """Read blocks up to the one with END; return the first cards and the offset behind it."""
    first = b""
    while offset < size:
        blocks = os.pread(file, min(8 * BLOCK, size - offset), offset)
        if not blocks:
            break
        first = first or blocks
        at = _end_card(blocks)
        if at is not None:
            return first, offset + (at // BLOCK + 1) * BLOCK
        offset += len(blocks)
    return None, offset


def _end_card(blocks: bytes) -> int | None:
    at = blocks.find(_END)
    while at >= 0:
        if at % 80 == 0:
            return at
        at = blocks.find(_END, at + 1)
    return None


def _data_length(cards: bytes, primary: bool) -> tuple[int, str | None]:
    """Bytes of data after a header, before padding, by the standard's formula."""
    values: dict[str, str] = {}
    for at in range(0, len(cards), 80):
        card = cards[at : at + 80]
        if card == _END:
            break
        found = _KEYWORD.match(card)
        if found:
            values.setdefault(found[1].decode(), found[2].decode("ascii", "replace"))
    if ("SIMPLE" if primary else "XTENSION") not in values or not cards.startswith((b"SIMPLE", b"XTENSION")):
        return 0, "it does not begin as FITS does"
    try:
        axes = [int(values[f"NAXIS{n}"]) for n in range(1, int(values["NAXIS"]) + 1)]
        bits, groups = abs(int(values["BITPIX"])), int(values.get("GCOUNT", "1"))
        extra = int(values.get("PCOUNT", "0"))
    except (KeyError, ValueError):
        return 0, "a mandatory keyword is missing or malformed"
    if min([bits, groups, extra, *axes]) < 0:
        return 0, "a mandatory keyword is negative"
    if primary and values.get("GROUPS") == "T" and axes and axes[0] == 0:
        axes = axes[1:]
    elements = 1
    for axis in axes:
        elements *= axis
    return (bits // 8 * groups * (extra + elements) if axes else 0), None
