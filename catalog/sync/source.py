"""Where bytes come from: one narrow protocol, and MAST behind it over urllib3.

urllib3 rather than httpx, because it was measured: one core moves several times the bytes, and a request costs a
third of the time. Redirects to another host lose the token; nothing else is retried here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.util import Retry, Timeout

from catalog._version import __version__
from catalog.archive.retry import retry_after
from catalog.errors import Garbled, Overloaded, Refused, Unreachable, UsageError
from catalog.sync.plan import Item
from catalog.sync.reuse import ReusingPools
from catalog.sync.tokens import Token

_DRAIN = 1 << 16
_AGENT = f"mastlake/{__version__}"
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Denied(Refused):
    """The archive answered 401 or 403: the product is another's, or the token does not hold."""


@dataclass(frozen=True)
class Ask:
    """What to ask a source for.

    Parameters
    ----------
    uri : str
        The ``data_uri``.
    offset : int
        How many bytes are here already.
    etag : str or None
        The version those bytes are of; the source sends everything where it has another by now.
    """

    uri: str
    offset: int = 0
    etag: str | None = None


class Answer(Protocol):
    """An answer whose bytes are still to come."""

    offset: int
    """Where in the file the bytes begin: as asked, or 0."""
    length: int | None
    """Of the whole file."""
    etag: str | None
    """A strong validator, where there is one."""
    html: bool
    """Whether it calls itself a web page."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connection."""

    def chunks(self, most: int) -> Iterator[bytes | memoryview]:
        """Iterate over the bytes as they come, at most so many at once; a view holds until the next."""

    def abort(self) -> None:
        """Make a read that waits in another thread end."""


class Source(Protocol):
    """Somewhere that products can be had from."""

    name: str

    def open(self, ask: Ask) -> Answer:
        """Ask for a product's bytes.

        Raises
        ------
        Denied, Refused, Overloaded, Unreachable, Garbled
            As the words say.
        """

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on the items that will be asked for, and prepare for them."""

    def close(self) -> None:
        """Let go of all connections."""


class Mast:
    """The archive's download service.

    Parameters
    ----------
    server : str
        Its address, without a path.
    token : Token, optional
        Sent with every request to this server, and to no other.
    connections : int
        How many are kept open.
    timeout : float
        Seconds without a byte.
    """

    name = "mast"

    def __init__(self, server: str, token: Token | None = None, connections: int = 8, timeout: float = 60.0) -> None:
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--server {server} is not an http or https address")
        self.server = server.rstrip("/")
        self._token = token
        self._pool = ReusingPools(
            num_pools=4,
            maxsize=connections,
            timeout=Timeout(connect=min(timeout, 15.0), read=timeout),
            retries=Retry(5, connect=0, read=0, redirect=5, status=0, other=0, respect_retry_after_header=False),
        )

    def open(self, ask: Ask) -> Answer:
        """Ask the archive; see `Source`."""
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = self._token.header
        if ask.offset:
            headers["Range"] = f"bytes={ask.offset}-"
            if ask.etag:
                headers["If-Range"] = ask.etag
        try:
            response = self._pool.request(
                "GET", self.server + download_path(ask.uri), headers=headers, preload_content=False
            )
        except (HTTPError, ValueError) as error:
            raise Unreachable(f"{urlsplit(self.server).netloc} gave no answer: {_brief(error)}") from error
        try:
            _require_success(response, has_token=self._token is not None)
            return HttpAnswer(response, ask)
        except BaseException:
            _let_go(response)
            raise

    def read(self, path: str) -> bytes:
        """Read a small answer of the server, without the token.

        Raises
        ------
        Unreachable, Refused
            As the words say.
        """
        try:
            response = self._pool.request("GET", self.server + path, headers={"User-Agent": _AGENT})
        except (HTTPError, ValueError) as error:
            raise Unreachable(f"{urlsplit(self.server).netloc} gave no answer: {_brief(error)}") from error
        if response.status != 200:
            raise Refused(f"HTTP {response.status}")
        return response.data

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on the items; there is nothing to prepare."""
        return items

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def download_path(uri: str) -> str:
    """Where a server offers a product for download."""
    return f"/api/v0.1/Download/file?uri={quote(uri, safe=':/', errors='replace')}"


class HttpAnswer:
    """An HTTP answer of status 200 or 206.

    Raises
    ------
    Garbled
        Where a 206 is not of the bytes that were asked for.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, ask: Ask) -> None:
        self._response = response
        self.html = response.headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml"))
        etag = response.headers.get("ETag", "")
        self.etag = etag if re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', etag) else None
        self.offset = 0
        self.length = _whole_number(response.headers.get("Content-Length"))
        if response.status == 206:
            self._read_range(ask)

    def _read_range(self, ask: Ask) -> None:
        found = _CONTENT_RANGE.fullmatch(self._response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != ask.offset or int(found[2]) != int(found[3]) - 1:
            raise Garbled("the archive sent other bytes than were asked for")
        if ask.etag and self.etag and self.etag != ask.etag:
            raise Garbled("the archive sent part of another version")
        self.offset, self.length = int(found[1]), int(found[3])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _let_go(self._response)

    def chunks(self, most: int) -> Iterator[bytes | memoryview]:
        """Iterate over the bytes as they come; a connection that drops raises `Unreachable`."""
        try:
            while chunk := self._response.read1(most, decode_content=False):
                yield chunk
        except (HTTPError, OSError) as error:
            raise Unreachable(f"the connection dropped: {_brief(error)}") from error

    def abort(self) -> None:
        """Shut the reading side of the connection."""
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError, AttributeError):
            return


def _require_success(response: urllib3.BaseHTTPResponse, has_token: bool) -> None:
    status = response.status
    if status in (200, 206):
        return
    if status in (401, 403):
        advice = "the token does not give access to it" if has_token else "a token is needed"
        raise Denied(f"HTTP {status}, {advice}")
    if status == 416:
        raise Garbled("the archive has fewer bytes than are here")
    if status in (408, 425, 429) or status >= 500:
        pause = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
        raise Overloaded(f"HTTP {status}", pause)
    raise Refused(f"HTTP {status}")


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,18}", text.strip()) else None


def _brief(error: BaseException) -> str:
    """The innermost reason, without the address and without Python's names."""
    while isinstance(reason := getattr(error, "reason", None), BaseException):
        error = reason
    text = str(error.args[0] if isinstance(error, ProtocolError) and error.args else error)
    text = re.sub(r"^.*?HTTPS?Connection\w*\(.*?\):\s*", "", text).partition(": IncompleteRead")[0]
    return " ".join(text.split())[:160] or type(error).__name__


def _let_go(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back where little is left to read; close it otherwise."""
    left = _whole_number(response.headers.get("Content-Length"))
    if response.status >= 300 and left is not None and left <= _DRAIN:
        response.drain_conn()
        response.release_conn()
        return
    response.close() if _unread(response) else response.release_conn()


def _unread(response: urllib3.BaseHTTPResponse) -> bool:
    return bool(getattr(response, "length_remaining", 1)) or not getattr(response, "closed", False)
