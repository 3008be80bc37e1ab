"""A server of files for the tests: ranges, validators, faults on order, and a count of what was sent."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "test-token-1234567890"


def fits(size_blocks: int = 4, seed: str = "a") -> bytes:
    """A valid FITS file of a header block and so many data blocks."""
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    1"]
    cards += [f"NAXIS1  = {size_blocks * 2880:20d}", f"SEED    = '{seed[:40]:8}'", "END"]
    header = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    block = hashlib.sha256(seed.encode()).digest() * 90
    return header + block * size_blocks


def md5(content: bytes) -> str:
    """The MD5 of bytes, as hex."""
    return hashlib.md5(content).hexdigest()


@dataclass
class Files:
    """What a server has, and how it behaves."""

    content: dict[str, bytes] = field(default_factory=dict)
    exclusive: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    stats: Counter[str] = field(default_factory=Counter)
    asked: list[dict[str, str]] = field(default_factory=list)
    json: dict[str, Any] = field(default_factory=dict)
    bucket: dict[str, bytes] = field(default_factory=dict)
    etag: bool = True
    delay: float = 0.0
    act: Callable[[BaseHTTPRequestHandler, str, bytes], bool] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    address: str = ""

    def take(self, fault: str) -> bool:
        with self.lock:
            if self.faults[fault] <= 0:
                return False
            self.faults[fault] -= 1
            return True

    def count(self, what: str, by: int = 1) -> None:
        with self.lock:
            self.stats[what] += by


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    files: Files

    def log_message(self, *args: Any) -> None:
        return

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:  # noqa: PLR0911 - one line a habit
        files, url = self.files, urllib.parse.urlsplit(self.path)
        uri = urllib.parse.parse_qs(url.query).get("uri", [""])[0]
        if url.path in files.json:
            return self.answer(200, json.dumps(files.json[url.path]).encode())
        if url.path.startswith("/stpubdata/"):
            return self.send_object(urllib.parse.unquote(url.path.removeprefix("/stpubdata/")))
        files.count("get")
        files.asked.append({**dict(self.headers.items()), "uri": uri})
        time.sleep(files.delay)
        body = files.content.get(uri)
        if files.take("503"):
            return self.answer(503, b"busy", Retry_After="0")
        if body is None:
            return self.answer(404, b"Not Found")
        if uri in files.exclusive and self.headers.get("Authorization") != f"token {TOKEN}":
            return self.answer(401, b"no")
        if files.act and files.act(self, uri, body):
            return None
        if files.take("html"):
            return self.answer(200, b"<html>Maintenance</html>", Content_Type="text/html")
        if files.take("empty"):
            return self.answer(200, b"")
        return self.send_bytes(body)

    def send_object(self, key: str) -> None:
        """Answer as an object store of S3's protocol does."""
        files = self.files
        files.count("object")
        files.asked.append({**dict(self.headers.items()), "key": key})
        body = files.bucket.get(key)
        if body is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")
        tag = f'"{md5(body)}"'
        if self.headers.get("If-Match", tag) != tag:
            return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>", Content_Type="application/xml")
        more = {"ETag": tag, "Last_Modified": "Wed, 01 Feb 2023 00:00:00 GMT", "Accept_Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked:
            more["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if files.take("object cut"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            for name, value in more.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        return self.answer(206 if asked else 200, body[start:], **more)

    def send_bytes(self, body: bytes) -> None:
        files, tag = self.files, f'"{md5(body)[:12]}"'
        start, status = 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and self.headers.get("If-Range", tag) == tag:
            start, status = int(wanted[1]), 206
        if start and start >= len(body):
            return self.answer(416, b"")
        if files.take("corrupt"):
            body = body[:-7] + bytes([body[-7] ^ 1]) + body[-6:]
        part = body[start:]
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        if files.etag:
            self.send_header("ETag", tag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if files.take("cut"):
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        try:
            self.wfile.write(part)
            self.wfile.flush()
        finally:
            files.count("bytes", len(part))
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


@contextmanager
def serving(files: Files, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve files on loopback, through TLS where it is given; gives the address."""
    server = _Server(("127.0.0.1", 0), type("FilesHandler", (Handler,), {"files": files}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    files.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    try:
        yield files.address
    finally:
        server.shutdown()
        server.server_close()
