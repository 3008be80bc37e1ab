"""Read the headers of a compressed FITS file; the unpacked data are not kept.

The formats are those of `astropy.io.fits`: gzip, bzip2, xz, the LZW of compress (.Z), and zip archives of one member.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from catalog.fits.blocks import BLOCK, Finding, Scan

_READ = 1 << 16
_PIECE = 1 << 20
"""The most bytes that are unpacked at once, since a few bytes can stand for a gigabyte of zeros."""
_NOT_READ = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"7z\xbc\xaf\x27\x1c": "7-Zip"}


class _Damage(Exception):
    """The compressed stream is broken or ends too early."""


class _Decompressor(Protocol):
    """The common methods of the decompressors of `bz2` and `lzma`, for one stream."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """A decompressor for gzip with the same methods."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


class Unpacked:
    """The unpacked bytes of a compressed file, read from front to back."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._at = 0
        self._window = bytearray()
        self._done = False
        self.damage: str | None = None

    def read(self, at: int, size: int) -> bytes:
        """Return ``size`` bytes from ``at`` on, or as many as there are."""
        if at < self._at:
            raise ValueError("a compressed file is read from front to back")
        while not self._done and self._at + len(self._window) < at + size:
            self._drop(at)
            self._window += self._more()
        self._drop(at)
        return bytes(self._window[at - self._at : at - self._at + size])

    def ahead(self, at: int) -> tuple[bytes, int]:
        """Return four blocks from ``at`` on, and 0, the position of ``at`` in them."""
        return self.read(at, 4 * BLOCK), 0

    def ends_by(self, at: int) -> bool:
        """Say whether the bytes end at ``at`` or before."""
        if at < self._at + len(self._window):
            return False
        return not self.read(at, 1)

    def length(self) -> int:
        """Return how many bytes there are, after reading all of them."""
        while not self._done:
            self._drop(self._at + len(self._window))
            self._window += self._more()
        return self._at + len(self._window)

    def _drop(self, at: int) -> None:
        gone = min(at - self._at, len(self._window))
        if gone > 0:
            del self._window[:gone]
            self._at += gone

    def _more(self) -> bytes:
        """Unpack another piece; after the last piece, or after damage, note that there are no more."""
        try:
            piece = next(self._pieces, None)
        except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, EOFError, OSError, ValueError, _Damage) as error:
            piece, self.damage = None, str(error) or type(error).__name__
        except (NotImplementedError, RuntimeError) as error:  # a zip archive with another method, or a password
            piece, self.damage = None, str(error)
        self._done = piece is None
        return piece or b""


def _streams(descriptor: int, magic: bytes, start: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Unpack a stream, and the streams after it."""
    stream, at = start(), 0
    while True:
        data = os.pread(descriptor, _READ, at) if stream.needs_input else b""
        if stream.needs_input and not data:
            raise _Damage("it ends too early")
        at += len(data)
        yield stream.decompress(data, _PIECE)
        if stream.eof:
            at -= len(stream.unused_data)
            if os.pread(descriptor, len(magic), at) != magic:
                return
            stream = start()


def _file_pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_READ):
        yield piece


def _lzw(descriptor: int) -> Iterator[bytes]:
    import uncompresspy

    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        yield from _file_pieces(uncompresspy.LZWFile(file, warn_truncation=False, save_checkpoints=False))


def _zipped(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(os.dup(descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise _Damage(f"it has {len(members)} members; a FITS file is one")
        with archive.open(members[0]) as member:
            yield from _file_pieces(member)  # type: ignore[arg-type]


_WAYS: dict[bytes, tuple[str, Callable[[int], Iterator[bytes]]]] = {
    b"\x1f\x8b": ("gzip", lambda descriptor: _streams(descriptor, b"\x1f\x8b", _Gzip)),
    b"BZh": ("bzip2", lambda descriptor: _streams(descriptor, b"BZh", bz2.BZ2Decompressor)),
    b"\xfd7zXZ\0": ("xz", lambda descriptor: _streams(descriptor, b"\xfd7zXZ\0", lzma.LZMADecompressor)),
    b"\x1f\x9d": ("compress", _lzw),
    b"PK\x03\x04": ("zip", _zipped),
}


def unpacked(descriptor: int) -> tuple[str, Unpacked] | None:
    """Return the name of an open file's compression and its unpacked bytes; None if it has none of these formats."""
    head = os.pread(descriptor, 6, 0)
    ways = (way for magic, way in _WAYS.items() if head.startswith(magic))
    return next(((name, Unpacked(unpack(descriptor))) for name, unpack in ways), None)


def scan_compressed(descriptor: int, careful: bool = False) -> Scan | None:
    """Read all headers of an open file to the end of its compressed stream; return None if it is not compressed."""
    from catalog.fits.scan import scan

    if (opened := unpacked(descriptor)) is not None:
        name, source = opened
        scanned = scan(source, careful)
        where = source.length()
        if source.damage:
            hdu = max(len(scanned.headers) - 1, 0)
            scanned.findings.append(Finding(hdu, where, f"the {name} stream is broken: {source.damage}", True))
        return scanned
    head = os.pread(descriptor, 6, 0)
    for magic, name in _NOT_READ.items():
        if head.startswith(magic):
            return Scan([], [Finding(0, 0, f"it is compressed with {name}, which is not read: unpack it first", True)])
    return None
