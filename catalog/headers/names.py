"""Which files the index reads, by their names in upper or lower case."""

from __future__ import annotations

_PACKINGS = ("", ".gz", ".bz2", ".xz", ".z", ".zip")
FITS_ENDINGS = (*(kind + packing for kind in (".fits", ".fit", ".fts") for packing in _PACKINGS), ".fits.fz")
ASSOCIATION_ENDING = "_asn.json"
INDEXED_ENDINGS = (*FITS_ENDINGS, ASSOCIATION_ENDING)
_RESOURCE_FORK = "._"


def is_association(path: str) -> bool:
    """Say whether a path is that of an association file; all other files that the index reads are FITS.

    Examples
    --------
    >>> is_association("/data/jw01_ASN.json"), is_association("/data/a.fits")
    (True, False)
    """
    return path.lower().endswith(ASSOCIATION_ENDING)


def is_resource_fork(name: str, path: str) -> bool:
    """Say whether a file is one that macOS puts beside a file on foreign disks (AppleDouble, ``._a.fits``).

    A FITS file with such a name, plain or compressed, is not such a file.
    """
    if not name.startswith(_RESOURCE_FORK):
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # the walk gives paths as text
            head = file.read(6)
    except OSError:
        return True
    return not head.startswith((b"SIMPLE", b"\x1f\x8b", b"\x1f\x9d", b"BZh", b"\xfd7zXZ", b"PK\x03\x04", b"{"))
