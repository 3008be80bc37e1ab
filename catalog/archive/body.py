"""Read the body of an answer within bounds: of size, of time, and of slowness.

A body that unpacks to gigabytes, one without an end, and one that comes a byte a second each would take all memory or
all time; a socket's time-out sees none of them, since every single piece comes in time.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from catalog.errors import Garbled, Unreachable

MOST_BYTES = 256 << 20
"""Of an unpacked answer: six times what MAST's largest page has."""
SLOWEST = 1000.0
"""Bytes per second, on average over the time that an answer has taken."""
PATIENT = 60.0
"""Seconds before slowness counts."""
_PIECE = 1 << 20


def read_body(response: requests.Response, host: str, until: float) -> bytes:
    """Read a body to its end.

    Parameters
    ----------
    response : requests.Response
        Whose body was not read yet.
    host : str
        Who is to be named if it is not within bounds.
    until : float
        When to stop altogether, by `time.monotonic`.

    Raises
    ------
    Garbled
        If it is too large.
    Unreachable
        If it comes too slowly, or not in time.
    """
    pieces: list[bytes] = []
    size, began = 0, time.monotonic()
    while piece := _next_piece(response):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            response.close()
            raise Garbled(f"an answer of {host} has more than {MOST_BYTES >> 20} MB")
        now = time.monotonic()
        if now > until:
            response.close()
            raise Unreachable(f"{host} did not send its whole answer in time")
        if now - began > PATIENT and size < SLOWEST * (now - began):
            response.close()
            raise Unreachable(f"{host} sends less than {SLOWEST:,.0f} bytes a second; try again later")
    return b"".join(pieces)


def _next_piece(response: requests.Response) -> bytes:
    """Return what has come, a mebibyte at most: `requests` would wait for a piece of full size."""
    try:
        return bytes(response.raw.read1(_PIECE, decode_content=True) or b"")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


@dataclass
class Sockets:
    """The connections of one session, which can be cut from outside when their time is over.

    Nothing else ends a server that sends its headers a byte at a time.
    """

    _open: list[socket.socket] = field(default_factory=list)

    def watch(self, session: requests.Session) -> None:
        """Learn of each connection that a session makes from now on."""
        noted = self

        class _Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                noted.add(self.sock)

        class _Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                noted.add(self.sock)

        class _PlainPool(HTTPConnectionPool):
            ConnectionCls = _Plain

        class _SecurePool(HTTPSConnectionPool):
            ConnectionCls = _Secure

        for adapter in session.adapters.values():
            manager: Any = getattr(adapter, "poolmanager", None)
            if manager is not None:
                manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def add(self, connection: Any) -> None:
        """Note a connection."""
        self._open = [one for one in self._open if one.fileno() >= 0]
        if connection is not None:
            self._open.append(connection)

    def cut(self) -> None:
        """End all connections; whoever reads from one finds its end."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def no_longer_than(self, seconds: float, host: str) -> Iterator[None]:
        """Cut all connections if the block takes longer.

        Raises
        ------
        Unreachable
            Then.
        """
        over = threading.Event()

        def end() -> None:
            over.set()
            self.cut()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (requests.RequestException, OSError) as error:
            if over.is_set():
                raise Unreachable(f"{host} did not answer in time") from error
            raise
        finally:
            timer.cancel()
        if over.is_set():  # a body without a length seems to end where its connection was cut
            raise Unreachable(f"{host} did not answer in time")
