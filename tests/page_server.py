"""A page over a catalog, on loopback, for as long as a test needs it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from catalog import Catalog
from catalog.page.app import make_app
from catalog.page.guard import Door
from catalog.page.server import listen


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Served:
    """A page on loopback."""

    port: int
    lake: Catalog
    kept: dict[int, http.client.HTTPConnection] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, target: str, method: str = "GET", **headers: str) -> Got:
        """Ask as it stands: nothing of the address is mended or quoted."""
        try:
            return self._ask(target, method, headers)
        except http.client.RemoteDisconnected:  # the server closed what was idle
            self.kept.pop(threading.get_ident()).close()
            return self._ask(target, method, headers)

    def _ask(self, target: str, method: str, headers: dict[str, str]) -> Got:
        mine = self.kept.get(threading.get_ident())
        if mine is None:
            mine = self.kept[threading.get_ident()] = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        mine.putrequest(method, target, skip_host="Host" in named, skip_accept_encoding=True)
        for name, value in named.items():
            mine.putheader(name, value)
        mine.endheaders()
        with mine.getresponse() as answer:
            return Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def follow(self, target: str) -> Got:
        """Ask, and go where the answer sends."""
        got = self.get(target)
        while got.status in (303, 307):
            parts = urlsplit(got.headers["location"])
            got = self.get(parts.path + (f"?{parts.query}" if parts.query else ""))
        return got


@contextmanager
def served(path: Path, door: Door | None = None, seconds: float = 30.0) -> Iterator[Served]:
    """Serve a catalog until the block ends."""
    with Catalog.open(path, wait=20) as lake, listen("127.0.0.1", 0) as listening:
        app = make_app(lake, door, seconds)
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", loop="asyncio", http="h11",
                                h11_max_incomplete_event_size=32_768, timeout_graceful_shutdown=1)  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        page = Served(listening.getsockname()[1], lake)
        try:
            yield page
        finally:
            for one in page.kept.values():
                one.close()
            app.state.endpoints.stop_all()
            server.should_exit = True
            thread.join(20)
