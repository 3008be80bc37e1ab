"""Content-Encoding: bytes that a server packed for transport although nobody asked for it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from catalog.errors import Garbled, Refused

if TYPE_CHECKING:
    from catalog.sync.source import Ask

_PLAIN = ("", "identity", "none", "aws-chunked", "binary", "utf-8")
"""Names by which servers and object stores say that nothing is encoded."""
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_GZIP_MAGIC = b"\x1f\x8b"
_COMPRESSED_NAMES = (".gz", ".tgz")


def encoding_of(header: str, ask: Ask, length: int | None) -> str:
    """Return how the bytes of an answer must be unpacked; empty if they are the file as it is.

    Parameters
    ----------
    header : str
        The value of Content-Encoding.
    ask : Ask
        The request. For a ``.gz`` file, servers claim the encoding gzip, although the bytes are the file itself.
    length : int or None
        The value of Content-Length. If it is the size of the file, nothing was packed.

    Raises
    ------
    Refused
        If the encoding cannot be unpacked.
    """
    words = [word for part in header.lower().split(",") if (word := part.strip()) not in _PLAIN]
    if not words or ask.uri.lower().endswith(_COMPRESSED_NAMES) or (length is not None and length == ask.size):
        return ""
    if len(words) > 1 or words[0] not in _PACKED:
        raise Refused(f"the archive sent it {header.strip()[:40]}-encoded, which nobody asked for")
    return words[0]


def unpacked_pieces(chunks: Iterable[bytes | memoryview], encoding: str, most: int) -> Iterator[bytes]:
    """Unpack bytes as they come, into pieces of at most so many bytes.

    For bytes that unpack to nothing it yields one empty piece, so that the reader sees that time passes.

    Raises
    ------
    Garbled
        If the bytes are not what the answer says, or end too early.
    """
    unpack = _Unpacking(encoding, most)
    for chunk in chunks:
        yield b""
        yield from unpack.feed(bytes(chunk))
    if not unpack.complete:
        raise Garbled(f"the archive sent {encoding}-encoded bytes that end too early")


def _begins_zlib(data: bytes) -> bool:
    """Whether bytes begin as RFC 1950 says; with a single byte, the checksum of both is not tested."""
    return data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)


class _Unpacking:
    """One packed stream; a gzip stream may have several members."""

    def __init__(self, encoding: str, most: int) -> None:
        self._encoding = encoding
        self._most = most
        self._inflate = zlib.decompressobj(_PACKED[encoding])
        self._begun = False
        self._as_is = False

    @property
    def complete(self) -> bool:
        return self._as_is or self._inflate.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._begun and data:
            self._begun = True
            if self._encoding == "deflate" and not _begins_zlib(data):  # many servers leave zlib's frame out
                self._inflate = zlib.decompressobj(-15)
            self._as_is = _PACKED[self._encoding] == 31 and not data.startswith(_GZIP_MAGIC[: len(data)])
        if self._as_is:  # the header was wrong; what the bytes are is proven later
            yield data
            return
        while data:
            if self._inflate.eof:
                self._next(data)
            try:
                piece = self._inflate.decompress(data, self._most)
            except zlib.error as error:
                raise Garbled(f"the archive sent {self._encoding}-encoded bytes that cannot be read") from error
            if piece:
                yield piece
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _next(self, data: bytes) -> None:
        if _PACKED[self._encoding] != 31 or not data.startswith(_GZIP_MAGIC[: len(data)]):
            raise Garbled(f"the archive sent bytes behind the {self._encoding}-encoded ones")
        self._inflate = zlib.decompressobj(31)
