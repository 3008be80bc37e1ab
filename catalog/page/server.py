"""Serve the page: listen, say where, and end at once with Ctrl-C."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
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
    """The port or address cannot be had."""


@dataclass(frozen=True)
class Served:
    """Where a page is.

    Attributes
    ----------
    address : str
        Without the token.
    opened : str
        What a browser opens.
    """

    address: str
    opened: str


class _Server(uvicorn.Server):
    """Ends the questions under way with the first Ctrl-C."""

    def __init__(self, config: uvicorn.Config, endpoints: Endpoints) -> None:
        super().__init__(config)
        self._endpoints = endpoints

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear a signal."""
        self._endpoints.stop_all()
        super().handle_exit(sig, frame)


def checked_door(host: str, token: str | None) -> Door:
    """Return who may ask.

    Raises
    ------
    UsageError
        For an address that other machines reach, without a token; and for a token that one could guess.
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
            raise NoPort(f"port {port} cannot be had: {error.strerror}; give another, or none") from error
        raise NoPort(f"cannot listen at {host}: {error.strerror or error}") from error
    return made


def serve(lake: Catalog, door: Door, port: int, seconds: float, ready: Callable[[Served], None]) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    lake : Catalog
        The catalog; it is only read.
    door : Door
        Where to listen, and who may ask.
    port : int
        0: any that is free.
    seconds : float
        How long one answer may take.
    ready : callable
        Called once the page can be asked.

    Raises
    ------
    KeyboardInterrupt
        When it was interrupted.
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
        _Server(config, app.state.endpoints).run(sockets=[listening])


def open_browser(address: str) -> None:
    """Open the user's browser, where there is one."""
    import webbrowser

    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.uname().sysname == "Darwin":
        webbrowser.open(address)
