"""A web server on loopback that shows a folder, and counts what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = Callable[["Shown"], None]


class Shown(SimpleHTTPRequestHandler):
    """Answers from the folder, unless a test says otherwise for a name."""

    def __init__(self, *args: Any, site: Site, **options: Any) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.folder), **options)

    def setup(self) -> None:
        self.protocol_version = "HTTP/1.1" if self.site.keeps_connections else "HTTP/1.0"
        self.site.connections += 1
        super().setup()

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.site.asked.append(name)
        self.site.headers.append(dict(self.headers))
        if name in self.site.instead:
            self.site.instead[name](self)
        elif "Range" in self.headers and self.site.gives_ranges:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            path = Path(self.translate_path(self.path))
            with path.open("rb") as file:
                file.seek(first)
                body = file.read(last - first + 1)
            self.site.ranges.append((first, last))
            said = f"bytes {first + self.site.shift}-{last}/{path.stat().st_size}"
            self.send(self.site.part(body), 206, Content_Range=said)
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass

    def send(self, body: bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
        """Send a body, with the right length or another."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Site:
    """A folder that is shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.instead: dict[str, Answer] = {}
        self.connections = 0
        self.keeps_connections = False
        self.gives_ranges = False
        self.ranges: list[tuple[int, int]] = []
        self.part: Callable[[bytes], bytes] = bytes
        self.shift = 0
        self.address = ""


class _Quiet(ThreadingHTTPServer):
    """A server that prints nothing if a client goes away."""

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def showing(folder: Path) -> Iterator[Site]:
    """Show a folder until the block ends."""
    site = Site(folder)
    server = _Quiet(("127.0.0.1", 0), partial(Shown, site=site))
    site.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
