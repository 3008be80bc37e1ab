"""Is a file whole, by what it is itself: FITS, gzip, JSON.

The judge of FITS is the one of the header index (`catalog.fits`), so that both say the same of the same bytes.
"""

from __future__ import annotations

import json
import os

from catalog.fits.blocks import Finding, Plain
from catalog.fits.compressed import unpacked
from catalog.fits.scan import scan, scan_descriptor
from catalog.fits.whole import is_fits_name, is_packed_fits_name

_LARGEST_JSON = 1 << 24


def has_structure(filename: str) -> bool:
    """Whether a name promises a file whose completeness shows in its bytes."""
    return is_fits_name(filename) or is_packed(filename) or filename.lower().endswith(".json")


def is_packed(filename: str) -> bool:
    """Whether a name promises a file that must be unpacked to see whether it is whole."""
    return is_packed_fits_name(filename) or filename.lower().endswith(".gz")


def look(filename: str, file: int, size: int) -> list[Finding]:
    """Read an open file as far as its completeness needs it, and say what is odd.

    Parameters
    ----------
    filename : str
        Says what it should be.
    file : int
        A file descriptor that can be read at offsets.
    size : int
        How many bytes it has.

    Returns
    -------
    list of Finding
        Those with ``harm`` say that the file is not whole, or not what its name says.
    """
    if is_fits_name(filename):
        return scan(Plain(file, size), careful=True).findings
    if is_packed(filename):
        return _packed(filename, file, size)
    if filename.lower().endswith(".json") and size <= _LARGEST_JSON:
        return _json(file, size)
    return []


def harm_in(findings: list[Finding]) -> str | None:
    """Say why a file is not whole; None: it is."""
    return next((f"HDU {one.hdu}: {one.reason}" if one.hdu else one.reason for one in findings if one.harm), None)


def _packed(filename: str, file: int, size: int) -> list[Finding]:
    """Unpack a file to its end, where its own checksum stands."""
    found = unpacked(file)
    if found is None:
        return [Finding(0, 0, "it is not compressed, as its name says", True)]
    if is_packed_fits_name(filename):
        return scan_descriptor(file, size, careful=True).findings
    name, stream = found
    length = stream.length()
    return [Finding(0, length, f"the {name} stream is broken: {stream.damage}", True)] if stream.damage else []


def _json(file: int, size: int) -> list[Finding]:
    try:
        json.loads(os.pread(file, size, 0))
    except (ValueError, RecursionError):
        return [Finding(0, 0, "it is not whole JSON", True)]
    return []
