"""Downloads: whole files and ranges of them, with the faults that were ordered."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from catalog.simulator.state import ServedFile

if TYPE_CHECKING:
    from catalog.simulator.server import Handler

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def send_file(handler: Handler, uri: str) -> None:
    """Answer HEAD or GET of ``/api/v0.1/Download/file``."""
    service = handler.service
    service.stats.add("file_" + handler.command.lower())
    for code in (429, 503):
        if service.faults.take(f"file_{code}"):
            handler.busy(code)
            return
    served = service.state.find_file(uri)
    if served is None:
        handler.reply(b"Not Found", 404, "text/plain")
    elif served.exclusive and not handler.has_token():
        handler.reply(b"You are not authorized to access this product", 401, "text/plain")
    elif service.faults.take("file_redirect"):
        handler.reply(b"", 307, "text/plain", {"Location": handler.path})
    elif handler.command == "GET" and service.faults.take("file_html"):
        handler.reply(b"<html><body>Down for maintenance</body></html>", 200, "text/html")
    elif handler.command == "GET" and service.faults.take("file_empty"):
        handler.reply(b"", 200, "application/octet-stream", {"Accept-Ranges": "bytes"})
    else:
        _send_version(handler, served)


def _send_version(handler: Handler, served: ServedFile) -> None:
    body, etag = served.body, f'"{served.tag}"'
    asked = handler.headers.get("Range")
    unchanged = handler.headers.get("If-Range", etag) == etag
    if asked and handler.command == "GET" and handler.service.faults.take("file_wrong_range"):
        body, unchanged = handler.service.state.another_version(served), True
    span = _span(asked, body.size) if asked and unchanged else None
    tags = {"Accept-Ranges": "bytes", "ETag": etag}
    if span is not None and span[0] >= span[1]:
        handler.reply(b"", 416, "text/plain", {**tags, "Content-Range": f"bytes */{body.size}"})
        return
    start, stop = span or (0, body.size)
    if span is not None:
        tags["Content-Range"] = f"bytes {start}-{stop - 1}/{body.size}"
    handler.begin(stop - start, 206 if span else 200, "application/octet-stream", tags)
    if handler.command == "GET":
        _send_bytes(handler, body.read(start, stop), stop - start)


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last; empty if out of reach, None if this is no range."""
    match = _RANGE.fullmatch(asked.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    stop = min(size, int(match[2]) + 1) if match[2] else size
    return int(match[1]), stop


def _send_bytes(handler: Handler, chunks: Iterator[bytes], length: int) -> None:
    faults, stats = handler.service.faults, handler.service.stats
    left = length // 2 if faults.take("file_cut") else length
    flip = max(0, length - 7) if faults.take("file_corrupt") else -1
    slow = faults.take("file_slow")
    cut, at = left < length, 0
    for whole in chunks:
        chunk = whole[: left - at]
        if at <= flip < at + len(chunk):
            place = flip - at
            chunk = chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1 :]
        _write(handler, chunk, slow)
        stats.add("bytes", len(chunk))
        at += len(chunk)
        if at >= left:
            break
    if cut:
        handler.drop()


def _write(handler: Handler, chunk: bytes, slow: bool) -> None:
    if not slow:
        handler.wfile.write(chunk)
        return
    for at in range(0, len(chunk), 1000):
        handler.wfile.write(chunk[at : at + 1000])
        handler.wfile.flush()
        time.sleep(0.05)
