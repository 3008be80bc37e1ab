"""Read what is published at an address, over https or from a bucket.

Whatever answers is not trusted: it sends no more bytes than were allowed, is never slower than a limit, and is not
followed to another address.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from catalog.errors import Garbled, Overloaded, Refused, Unreachable, UsageError
from catalog.network.buckets import require_https
from catalog.network.server import Server

if TYPE_CHECKING:
    import requests

_CONNECT, _SILENCE = 10.0, 60.0
_PATIENT, _SLOWEST = 60.0, 1000.0
_PIECE = 1 << 20
_MOST_OF_ANSWER = 1 << 16
_OF_RUN = re.compile(r"run-\d{6,9}\..*")
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")


class NoRanges(Refused):
    """The host does not give a part of a file; the whole file is to be asked for."""


class Source(Protocol):
    """An address at which files are published.

    Attributes
    ----------
    named_in : str
        The option or variable in which the user names the host.
    """

    named_in: str

    @property
    def name(self) -> str:
        """The address as it is told to the user, with a slash at the end, and without credentials."""

    @property
    def mark(self) -> str:
        """A text that tells this place from all others; it has no credentials."""

    @property
    def server(self) -> Server:
        """The host that is asked, and the credentials for it, if the user's address has them."""

    @property
    def sessions(self) -> Sessions:
        """The connections to the host."""

    def url(self, name: str, method: str = "GET") -> str:
        """Return the address of a file; it may contain a signature, so that it is never told."""

    def advice(self, status: int, code: str) -> str | None:
        """Return what a refusal means here; None if nothing more is known."""


class Sessions:
    """Connections to a host that stay open from one request to the next: to open one takes longer than most answers.

    Parameters
    ----------
    server : Server
        The host.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._free: list[requests.Session] = []  # `requests` does not say that several threads may share a session

    @contextmanager
    def one(self) -> Iterator[requests.Session]:
        """Lend a session that nobody else uses until the end of the block."""
        from catalog.network.session import session_for

        try:
            session = self._free.pop()
        except IndexError:
            session = session_for(self._server)
        try:
            yield session
        finally:
            self._free.append(session)


class WebAddress:
    """A folder that a web server shows.

    Parameters
    ----------
    address : str
        https://HOST/PREFIX/, or http on this machine.
    """

    named_in = "--catalog"

    def __init__(self, address: str) -> None:
        try:
            self.server = Server(address)
        except UsageError as error:
            raise UsageError(str(error).replace("--server", "--catalog", 1)) from None
        require_https(self.server, f"--catalog {self.server}/")
        self.name = self.mark = f"{self.server}/"
        self.sessions = Sessions(self.server)

    def url(self, name: str, method: str = "GET") -> str:
        """Return the address of a file."""
        return f"{self.server}/{name}"

    def advice(self, status: int, code: str) -> str | None:
        """Say that a missing file means that nothing is published."""
        return f"no catalog is published at {self.name} (HTTP 404)" if status == 404 else None


def pieces(source: Source, name: str, most: int, start: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file of the publisher's, so many at most.

    Parameters
    ----------
    source : Source
        Where it is published.
    name : str
        The file.
    most : int
        How many bytes it may have.
    start : int, optional
        Where in the file to begin. Then exactly `most` bytes are asked for.

    Raises
    ------
    NoRanges
        If the host does not give a part of a file.
    Garbled
        If there are more, or they are packed.
    Refused
        If the host says no, or sends the question elsewhere.
    Unreachable
        If it does not answer, or too slowly.
    """
    shown = f"{source.name}{name}"
    part = None if start is None else f"bytes {start}-{start + most - 1}/"
    with sent(source, "GET", name, headers={"Range": part.replace(" ", "=").rstrip("/")} if part else None) as response:
        if response.status_code == 404 and _OF_RUN.fullmatch(name):
            raise Refused(f"{shown} is gone (HTTP 404); ask again, or ask whoever publishes there")
        refuse_status(source, response, shown, (200, 206) if part else (200,))
        if part and not (response.status_code == 206 and response.headers.get("Content-Range", "").startswith(part)):
            raise NoRanges(f"{source.server.netloc} does not give the part of {shown} that was asked for; try again")
        yield from received(source, response, shown, most)


def received(source: Source, response: requests.Response, shown: str, most: int) -> Iterator[bytes]:
    """Yield the bytes of an answer, so many at most; see `pieces`."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Garbled(f"{shown} comes packed although that was not asked for; it is not used")
    size, began = 0, time.monotonic()
    while piece := bytes(response.raw.read1(_PIECE, decode_content=False) or b""):
        size += len(piece)
        if size > most:
            raise Garbled(f"{shown} has more bytes than it may have; it is not used")
        took = time.monotonic() - began
        if took > _PATIENT and size < _SLOWEST * took:
            raise Unreachable(f"{source.server.netloc} sends less than {_SLOWEST:,.0f} bytes a second")
        yield piece


def sent(
    source: Source, method: str, name: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> AbstractContextManager[requests.Response]:
    """Send one request for a file; see `sent_to`."""
    return sent_to(source, method, source.url(name, method), headers, body)


@contextmanager
def sent_to(
    source: Source, method: str, url: str, headers: Mapping[str, str] | None = None, body: Any = None
) -> Iterator[requests.Response]:
    """Send one request to the host; every fault of the network is one clear line, and no redirect is followed."""
    import requests
    import urllib3

    from catalog.network.faults import fault
    from catalog.network.routes import proxy_of

    given = {"Accept-Encoding": "identity", "Cache-Control": "no-cache", **(headers or {})}
    options: Any = {"data": body, "stream": True, "timeout": (_CONNECT, _SILENCE), "allow_redirects": False}
    try:
        with (
            source.sessions.one() as session,
            session.request(method, url, headers=given, **options) as response,
        ):
            yield response
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise fault(error, url.partition("?")[0], proxy_of(url), source.named_in) from error


def refuse_status(source: Source, response: requests.Response, shown: str, right: tuple[int, ...] = (200,)) -> None:
    """Raise the error that a status means, unless it is a right one.

    Raises
    ------
    Overloaded
        If the host cannot answer now.
    Refused
        If it says no, or sends the question elsewhere.
    """
    status, host = response.status_code, source.server.netloc
    if status in right:
        return
    code = error_code(response)
    if advice := source.advice(status, code):
        raise Refused(advice)
    if status in (429, 500, 502, 503, 504):
        raise Overloaded(f"{host} cannot answer now (HTTP {status})")
    if 300 <= status < 400:
        raise Refused(f"{shown} is somewhere else now (HTTP {status}); ask for the new address, and name it")
    raise Refused(f"{host} refuses {shown} (HTTP {status}{code and ' '}{code})")


def error_code(response: requests.Response) -> str:
    """Return the code in the answer of an object store, such as ``NoSuchBucket``; empty if there is none."""
    import requests
    import urllib3

    try:
        text = bytes(response.raw.read(_MOST_OF_ANSWER, decode_content=False) or b"")
    except (OSError, requests.RequestException, urllib3.exceptions.HTTPError):
        return ""
    code = _CODE.search(text)
    return code[1].decode() if code else ""
