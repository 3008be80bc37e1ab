"""Serve the page: listen, tell the address, and end at once after Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from urllib.parse import quote

import uvicorn

from catalog.api.catalog import Catalog
from catalog.errors import MastlakeError, UsageError
from catalog.page.app import Endpoints, make_app
from catalog.page.guard import Door

_LEAST_TOKEN = 8
_ADDRESS_BYTES = 32_768


class NoPort(MastlakeError):
    """The server cannot use this port or address."""


@dataclass(frozen=True)
class Served:
    """The address of a page.

    Attributes
    ----------
    address : str
        The address without the token.
    opened : str
        The address for a browser.
    """

    address: str
    opened: str


class _Server(uvicorn.Server):
    """Ends the current questions at the first Ctrl-C."""

    def __init__(self, config: uvicorn.Config, endpoints: Endpoints, heard: list[int]) -> None:
        super().__init__(config)
        self._endpoints = endpoints
        self._heard = heard

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, unless Ctrl-C came before uvicorn listened for it."""
        await super().startup(sockets=sockets)
        self.should_exit = self.should_exit or bool(self._heard)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self._endpoints.stop_all()
        super().handle_exit(sig, frame)


@contextmanager
def _interrupts_noted() -> Iterator[list[int]]:
    """Note a Ctrl-C that comes while the event loop is made or closed, and raise it at the end of the block.

    Raised in the middle of that, it leaves a half-made loop, which Python reports as an error of its own.
    """
    heard: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def checked_door(host: str, token: str | None) -> Door:
    """Return who may ask.

    Raises
    ------
    UsageError
        If other machines reach the address and there is no token, or if the token could be guessed.
    """
    door = Door(host, token)
    if not door.is_loopback and token is None:
        raise UsageError(f"--host {host} lets other machines in: give a --token that they must know")
    if token is not None and (
        len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise UsageError(f"--token: {_LEAST_TOKEN} or more printable characters without blanks")
    return door


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    NoPort
        If another program has the port, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise NoPort(f"port {port} cannot be used: {error.strerror}; give another port, or none") from error
        raise NoPort(f"cannot listen at {host}: {error.strerror or error}") from error
    return made


def serve(lake: Catalog, door: Door, port: int, seconds: float, ready: Callable[[Served], None]) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    lake : Catalog
        The catalog, which is only read.
    door : Door
        Where to listen, and who may ask.
    port : int
        The port; 0 for any free port.
    seconds : float
        How long one answer may take.
    ready : callable
        Called when the page can be opened.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C.
    """
    with listen(door.host, port) as listening:
        app = make_app(lake, door, seconds)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False,
            h11_max_incomplete_event_size=_ADDRESS_BYTES, http="h11", ws="none", loop="asyncio",
            timeout_graceful_shutdown=1, limit_concurrency=200, timeout_keep_alive=15,
        )  # fmt: skip
        name = f"[{door.host}]" if ":" in door.host else door.host
        address = f"http://{name}:{listening.getsockname()[1]}"
        ready(Served(address, f"{address}/?token={quote(door.token)}" if door.token else address))
        with _interrupts_noted() as heard:
            _Server(config, app.state.endpoints, heard).run(sockets=[listening])


def open_browser(address: str) -> None:
    """Open the user's browser, if there is one."""
    import webbrowser

    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.uname().sysname == "Darwin":
        webbrowser.open(address)
