"""How long an answer may take: the same limit for every client, also through proxies.

The time-out of a socket counts from one piece to the next. A server that sends its headers byte by byte is never silent
for that long, and could hold a connection for ever. Here the time-out counts for all headers together, and for each
later read as a whole. In addition, a thread can say when the answer that it waits for must be complete.
"""

from __future__ import annotations

import io
import math
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPResponse
from typing import Any

import urllib3

_thread = threading.local()


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Limit the answers that this thread waits for to so many seconds, from the first header to the last byte.

    A read that is cut off raises the error of a time-out.
    """
    before = _over()
    _thread.over = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _thread.over = before


def _over() -> float:
    return float(getattr(_thread, "over", math.inf))


class PatientSocket(ssl.SSLSocket):
    """A TLS connection to a proxy with another TLS connection inside: one time-out for all that a step reads.

    urllib3's `SSLTransport` makes a handshake inside a handshake; it reads with `recv` until it has enough. A step
    begins when the time-out is set. Outside of such a tunnel, nothing reads with `recv`.
    """

    _until = math.inf

    def settimeout(self, value: float | None) -> None:
        """Set the time-out, and begin a step."""
        super().settimeout(value)
        self._until = math.inf if value is None else time.monotonic() + value

    def recv(self, *sizes: int) -> bytes:
        """Read what has come; raise `TimeoutError` if it is too late."""
        if self._until == math.inf:
            return super().recv(*sizes)
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        before = self.gettimeout()
        super().settimeout(left)
        try:
            return super().recv(*sizes)
        finally:
            super().settimeout(before)


class _Reader(io.RawIOBase):
    """The bytes of a connection; reading them can have a deadline.

    Parameters
    ----------
    raw : io.RawIOBase
        Reads from the socket.
    socket : socket or alike
        The socket; its time-out is that of one read.
    """

    def __init__(self, raw: io.RawIOBase, socket: Any) -> None:
        self._raw = raw
        self._socket = socket
        self._patience: float | None = socket.gettimeout()
        self.until = math.inf

    def begin(self) -> None:
        """Let the time-out count for everything that is read until `rest`."""
        if self._patience is not None:
            self.until = time.monotonic() + self._patience

    def rest(self) -> None:
        """Let the time-out count for each piece again."""
        self.until = math.inf

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._raw.fileno()

    def readinto(self, room: Any) -> int | None:
        """Read what has come; raise `TimeoutError` if it is too late."""
        until = min(self.until, _over())
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        patience = math.inf if self._patience is None else self._patience
        self._socket.settimeout(None if left == patience == math.inf else min(left, patience))
        try:
            return self._raw.readinto(room)
        finally:
            self._socket.settimeout(self._patience)

    def close(self) -> None:
        """Close the socket's stream."""
        if not self.closed:
            self._raw.close()
        super().close()


class PatientResponse(HTTPResponse):
    """An answer whose headers, and each later piece, take no longer than the time-out of its connection."""

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        assert isinstance(self.fp, io.BufferedReader)
        self._reader = _Reader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._reader)
        self._reader.begin()  # a proxy's answer to CONNECT is read without a call of `begin`

    def begin(self) -> None:
        """Read the headers."""
        super().begin()
        self._reader.rest()

    def read(self, amt: int | None = None) -> bytes:
        """Read so many bytes, or all."""
        self._reader.begin()
        try:
            return super().read(amt)
        finally:
            self._reader.rest()

    def read1(self, n: int = -1) -> Any:
        """Read what a single read gives; for a body in chunks, these are several reads."""
        self._reader.begin()
        try:
            return super().read1(n)
        finally:
            self._reader.rest()


def make_patient(manager: urllib3.PoolManager, response: type[PatientResponse] = PatientResponse) -> None:
    """Let all future connections of a manager give answers of a class.

    Parameters
    ----------
    manager : urllib3.PoolManager
        A manager of direct connections, or of connections through a proxy.
    response : type
        The class of the answers.
    """
    classes: Any = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _pool(pool, response) for scheme, pool in classes.items()}


@cache
def _pool(pool: type[urllib3.HTTPConnectionPool], response: type[PatientResponse]) -> type[urllib3.HTTPConnectionPool]:
    """Return a class of pools like the given one, whose connections give answers of a class."""
    connection = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"response_class": response})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
