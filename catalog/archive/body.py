"""Read the body of an answer within bounds: of size, of time, and of slowness.

A body that unpacks to gigabytes, one without an end, and one that comes a byte a second each would take all memory or
all time; a socket's time-out sees none of them, since every single piece comes in time.
"""

from __future__ import annotations

import time

import requests
import urllib3

from catalog.errors import Garbled, Unreachable

MOST_BYTES = 256 << 20
"""Of an unpacked answer: six times what MAST's largest page has."""
SLOWEST = 1000.0
"""Bytes per second, on average over the time that an answer has taken."""
PATIENT = 60.0
"""Seconds before slowness counts."""
_PIECE = 1 << 20


def read_body(response: requests.Response, host: str, until: float, most: int | None = None) -> bytes:
    """Read a body to its end.

    Parameters
    ----------
    response : requests.Response
        Whose body was not read yet.
    host : str
        Who is to be named if it is not within bounds.
    until : float
        When to stop altogether, by `time.monotonic`.
    most : int, optional
        Bytes; `MOST_BYTES` unless given.

    Raises
    ------
    Garbled
        If it is too large.
    Unreachable
        If it comes too slowly, or not in time.
    """
    pieces: list[bytes] = []
    size, began, most = 0, time.monotonic(), most or MOST_BYTES
    while piece := _next_piece(response):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            response.close()
            raise Garbled(f"an answer of {host} has more than {most >> 20} MB")
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
