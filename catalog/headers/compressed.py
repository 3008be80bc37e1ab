"""Read the headers of a gzip-compressed FITS file, without keeping what is skipped."""

from __future__ import annotations

import os
import zlib

from catalog.headers.scan import BLOCK, Finding, Scan, scan

_PIECE = 1 << 16


class _Damage(Exception):
    """The compressed stream is broken or ends too early."""


class Inflated:
    """The bytes behind a gzip file, read from front to back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._inflate = zlib.decompressobj(31)
        self._fed = 0
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
        """Return four blocks from ``at`` on, and 0: where ``at`` is in them."""
        return self.read(at, 4 * BLOCK), 0

    def ends_by(self, at: int) -> bool:
        """Tell whether there is nothing at ``at``."""
        if at < self._at + len(self._window):
            return False
        return not self.read(at, 1)

    def length(self) -> int:
        """Return how many bytes there are, reading all of them."""
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
        """Inflate another piece; at the end of one member go on with the next."""
        piece = os.pread(self._descriptor, _PIECE, self._fed)
        try:
            if not piece:
                raise _Damage("it ends too early") if not self._inflate.eof else _Damage("")
            inflated = self._inflate.decompress(piece)
        except (zlib.error, _Damage) as error:
            self._done, self.damage = True, str(error) or None
            return b""
        rest = self._inflate.unused_data
        self._fed += len(piece) - len(rest)
        if self._inflate.eof:
            self._next_member()
        return inflated

    def _next_member(self) -> None:
        if os.pread(self._descriptor, 2, self._fed) == b"\x1f\x8b":
            self._inflate = zlib.decompressobj(31)
        else:
            self._done = True


def scan_gzip(descriptor: int) -> Scan:
    """Read all headers of an open gzip file."""
    source = Inflated(descriptor)
    found = scan(source)
    if source.damage:
        where = source.length()
        found.findings.append(
            Finding(max(len(found.headers) - 1, 0), where, f"the gzip stream is broken: {source.damage}", True)
        )
    return found
