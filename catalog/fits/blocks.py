"""Blocks of FITS files: the results of a scan, and the sources of its bytes.

FITS standard 4.0, section 3 (blocks) and section 4.1 (cards).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

BLOCK = 2880
CARD_SIZE = 80
END = b"END".ljust(CARD_SIZE)
HEADER_LIMIT = 1 << 26
"""The largest size of a header; anything longer is broken."""
LARGEST = (1 << 63) - 1
"""The largest size, length or position that a file, or a row of the catalog, can have."""

_FIRST_READ = 16 * BLOCK
_NEXT_READ = 4 * BLOCK
_QUESTION = bytes.maketrans(bytes(range(128, 256)), b"?" * 128)  # as astropy replaces what is not ASCII


class Finding(NamedTuple):
    """Something in a file that does not follow the standard.

    Attributes
    ----------
    hdu : int
        The number of the HDU, from 0.
    byte : int
        The position in the (uncompressed) file.
    reason : str
        The reason in one line.
    harm : bool
        Whether the file is incomplete or has no FITS structure.
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
        The position of its first byte.
    cards : bytes
        The cards, 80 bytes each, without END.
    data_at : int
        The position of the first byte of the data.
    data_size : int
        The size of the data in bytes, without padding; -1 if it is not known.
    shape : tuple of int
        The lengths of the axes, the fastest axis last.
    """

    at: int
    cards: bytes
    data_at: int
    data_size: int
    shape: tuple[int, ...]


@dataclass
class Scan:
    """The headers of one file, as far as they could be read, and findings."""

    headers: list[Header] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class ByteSource(Protocol):
    """Bytes that are read from front to back, with gaps."""

    def read(self, at: int, size: int) -> bytes:
        """Return ``size`` bytes from ``at`` on, or as many as there are."""

    def ahead(self, at: int) -> tuple[bytes, int]:
        """Return bytes and the position of ``at`` in them: at least a block from there, and more if it is at hand."""

    def ends_by(self, at: int) -> bool:
        """Say whether the bytes end at ``at`` or before."""

    def length(self) -> int:
        """Return how many bytes there are; if necessary, read to the end."""


class UncompressedFile:
    """An open file; one read brings the blocks around a position into memory."""

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
        """Return bytes and the position of ``at`` in them: at least a block from there, and more if it is at hand."""
        begin = at - self._at
        if begin < 0 or begin + BLOCK > len(self._window):
            self._at, begin = at, 0
            self._window = os.pread(self._descriptor, _NEXT_READ, at)
        return self._window, begin

    def ends_by(self, at: int) -> bool:
        """Say whether the bytes end at ``at`` or before."""
        return at >= self._size

    def length(self) -> int:
        """Return how many bytes there are."""
        return self._size


def padded(size: int) -> int:
    """Round a size up to whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def find_end(ahead: bytes, begin: int = 0) -> int:
    """Return the position of the END card of the header that begins at ``begin``, or -1."""
    end = ahead.find(END, begin)
    while end >= 0 and (end - begin) % 80:
        end = ahead.find(END, end + 1)
    return end


def as_ascii(block: bytes) -> bytes:
    """Return the block with a question mark for every byte that is not ASCII, as astropy reads it."""
    return block if block.isascii() else block.translate(_QUESTION)
