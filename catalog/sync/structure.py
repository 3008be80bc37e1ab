"""Whether a file is whole, by its own contents: FITS, gzip, JSON.

FITS files are judged by the header index's judge (`catalog.fits`), so both say the same about the same bytes.
"""

from __future__ import annotations

import json
import os

from catalog.fits.blocks import Finding, UncompressedFile
from catalog.fits.compressed import unpacked
from catalog.fits.scan import scan, scan_descriptor
from catalog.fits.whole import is_fits_name, is_packed_fits_name

_LARGEST_JSON = 1 << 24


def has_structure(filename: str) -> bool:
    """Whether files with such a name show in their bytes that they are complete."""
    return is_fits_name(filename) or is_packed(filename) or filename.lower().endswith(".json")


def is_packed(filename: str) -> bool:
    """Whether a file with such a name must be unpacked to see whether it is complete."""
    return is_packed_fits_name(filename) or filename.lower().endswith(".gz")


def check_structure(filename: str, file: int, size: int) -> list[Finding]:
    """Read an open file as far as necessary to see whether it is complete, and return what is odd.

    Parameters
    ----------
    filename : str
        The name, which tells what the file should be.
    file : int
        A file descriptor that can be read at offsets.
    size : int
        The size of the file in bytes.

    Returns
    -------
    list of Finding
        Findings with ``harm`` mean that the file is not whole, or not what its name says.
    """
    if is_fits_name(filename):
        return scan(UncompressedFile(file, size), careful=True).findings
    if is_packed(filename):
        return _packed(filename, file, size)
    if filename.lower().endswith(".json") and size <= _LARGEST_JSON:
        return _json(file, size)
    return []


def harm_in(findings: list[Finding]) -> str | None:
    """Say why a file is not whole; None if it is."""
    return next(
        (
            f"HDU {finding.hdu}: {finding.reason}" if finding.hdu else finding.reason
            for finding in findings
            if finding.harm
        ),
        None,
    )


def _packed(filename: str, file: int, size: int) -> list[Finding]:
    """Unpack a file to its end, where it has its own checksum."""
    unpacked_file = unpacked(file)
    if unpacked_file is None:
        return [Finding(0, 0, "it is not compressed, as its name says", True)]
    if is_packed_fits_name(filename):
        return scan_descriptor(file, size, careful=True).findings
    name, stream = unpacked_file
    length = stream.length()
    return [Finding(0, length, f"the {name} stream is broken: {stream.damage}", True)] if stream.damage else []


def _json(file: int, size: int) -> list[Finding]:
    try:
        json.loads(os.pread(file, size, 0))
    except (ValueError, RecursionError):
        return [Finding(0, 0, "it is not whole JSON", True)]
    return []
