"""Read the body of an answer within limits of size, time, and slowness.

A body may unpack to gigabytes, never end, or come byte by byte, and so take all memory or time. The time-out of a
socket notices none of this, since each single piece comes in time.
"""

from __future__ import annotations

import time

import requests
import urllib3

from catalog.errors import Garbled, Unreachable

MOST_BYTES = 256 << 20
"""The largest unpacked answer: six times the size of MAST's largest page."""
SLOWEST = 1000.0
"""The least number of bytes per second, on average over the time of the answer."""
PATIENT = 60.0
"""Seconds after which a slow answer is given up."""
_PIECE = 1 << 20


def read_body(response: requests.Response, host: str, until: float, most: int | None = None) -> bytes:
    """Read a body to its end.

    Parameters
    ----------
    response : requests.Response
        The response; its body was not read yet.
    host : str
        The host to name in an error.
    until : float
        When to stop, as a time of `time.monotonic`.
    most : int, optional
        The most bytes; by default `MOST_BYTES`.

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
    """Return the bytes that have come, a mebibyte at most; `requests` would wait for a piece of full size."""
    try:
        return bytes(response.raw.read1(_PIECE, decode_content=True) or b"")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error
