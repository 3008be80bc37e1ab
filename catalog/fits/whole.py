"""Whether an open file is whole FITS. Transfers ask this; the header index uses the same judge."""

from __future__ import annotations

import re

from catalog.fits.blocks import UncompressedFile
from catalog.fits.scan import scan, scan_descriptor

_PLAIN_NAME = re.compile(r"\.(fits?|fts)(\.fz)?\Z", re.IGNORECASE)
_PACKED_NAME = re.compile(r"\.(fits?|fts)\.(gz|bz2|xz|z|zip)\Z", re.IGNORECASE)


def is_fits_name(filename: str) -> bool:
    """Whether a file with this name should be an uncompressed FITS file.

    Examples
    --------
    >>> is_fits_name("a.FITS"), is_fits_name("a.fits.fz"), is_fits_name("a.fits.gz")
    (True, True, False)
    """
    return _PLAIN_NAME.search(filename) is not None


def is_packed_fits_name(filename: str) -> bool:
    """Whether a file with this name should be a compressed FITS file.

    Examples
    --------
    >>> is_packed_fits_name("a.fits.gz"), is_packed_fits_name("a.FITS.Z"), is_packed_fits_name("a.fits")
    (True, True, False)
    """
    return _PACKED_NAME.search(filename) is not None


def fits_problem(file: int, size: int, packed: bool = False) -> str | None:
    """Read the headers of an open file, and say what harm its structure has; None if it has none.

    Harmless faults (`catalog.fits.mandatory`) are no problem.

    Parameters
    ----------
    file : int
        A file descriptor that can be read at offsets.
    size : int
        The size of the file in bytes.
    packed : bool
        Whether the file should be compressed; then its stream is read to the end, and proven by its own checksum.
    """
    scanned = scan_descriptor(file, size, careful=True) if packed else scan(UncompressedFile(file, size), careful=True)
    harm = next((finding for finding in scanned.findings if finding.harm), None)
    return f"HDU {harm.hdu}, byte {harm.byte}: {harm.reason}" if harm else None
