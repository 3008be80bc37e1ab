"""Where bytes come from: one narrow protocol, and MAST behind it over urllib3.

urllib3 rather than httpx, because it was measured: one core moves several times the bytes, and a request costs a
third of the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from catalog._version import __version__
from catalog.archive.retry import retry_after
from catalog.errors import ArchiveError, Garbled, Overloaded, Refused, Unreachable
from catalog.network.faults import brief
from catalog.network.server import Server
from catalog.sync.connections import Connections, Reply, let_go
from catalog.sync.encoding import decoded, encoding_of
from catalog.sync.plan import Item
from catalog.sync.tokens import Token

_AGENT = f"mastlake/{__version__}"
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Denied(Refused):
    """The archive answered 401 or 403: the product is another's, or the token does not hold."""


class TokenNeeded(Denied):
    """The archive does not give a file to everybody, and no token was sent."""


class NotThere(Refused):
    """A source that is asked first has not got the product, as is to be expected of some."""


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
    exclusive : bool
        Whether the catalog knows that a token is needed.
    fresh : bool
        Whether caches on the way are to ask the archive again, since what they sent was wrong.
    size : int or None
        As the archive lists it.
    """

    uri: str
    offset: int = 0
    etag: str | None = None
    exclusive: bool = False
    fresh: bool = False
    size: int | None = None


class Answer(Protocol):
    """An answer whose bytes are still to come."""

    offset: int
    """Where in the file the bytes begin: as asked, or 0."""
    length: int | None
    """Of the whole file."""
    ends: bool
    """Whether the answer itself says where it ends, so that a cut one is seen to be cut."""
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
    failed: str
    """Why it could not prepare for some products; empty where it could."""

    def open(self, ask: Ask) -> Answer:
        """Ask for a product's bytes.

        Raises
        ------
        Denied, Refused, Overloaded, Unreachable, Garbled, Untrusted, ProxyFault
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
        Sent to this server where a product needs it, and to no other.
    connections : int
        How many are kept open.
    timeout : float
        Seconds without a byte.
    """

    name = "mast"
    failed = ""

    def __init__(self, server: str, token: Token | None = None, connections: int = 8, timeout: float = 60.0) -> None:
        self.server = Server(server)
        self._token = token
        self._connections = Connections(connections, timeout)

    def open(self, ask: Ask) -> HttpAnswer:
        """Ask the archive; see `Source`.

        A product that the catalog knows to be public is asked for without the token, so that one that has expired
        keeps nothing away. If the archive then says no, access may have changed: the other way is tried.
        """
        ways = [False] if self._token is None else [ask.exclusive, not ask.exclusive]
        for with_token in ways[:-1]:
            try:
                return self._open(ask, with_token)
            except Denied:
                continue
        return self._open(ask, ways[-1])

    def _open(self, ask: Ask, with_token: bool) -> HttpAnswer:
        reply = self._connections.get(self.server + download_path(ask.uri), _headers(ask), self._secrets(with_token))
        try:
            _require_success(reply, ask, self.server, self._token is not None)
            return HttpAnswer(reply.response, ask)
        except BaseException:
            let_go(reply.response)
            raise

    def _secrets(self, with_token: bool) -> dict[str, str]:
        """Return the headers that nobody but this server may see."""
        basic, token = self.server.authorization, self._token if with_token else None
        if basic:  # there is one Authorization header, and the server itself asks for this one
            return {"Authorization": basic, **({"Cookie": token.cookie} if token else {})}
        return {"Authorization": token.header} if token else {}

    def read(self, path: str) -> bytes:
        """Read a small answer of the archive, given path and query."""
        reply = self._connections.get(self.server + path, {"User-Agent": _AGENT}, self._secrets(with_token=False))
        try:
            _require_success(reply, Ask(""), self.server, has_token=False)
            return reply.response.read(_SMALL)
        except (HTTPError, OSError) as error:
            raise Unreachable(f"{self.server.netloc} gave no whole answer: {brief(error)}") from error
        finally:
            reply.response.release_conn()

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass items on; the archive needs no preparation."""
        return items

    def close(self) -> None:
        """Let go of all connections."""
        self._connections.close()


_SMALL = 1 << 24
"""Bytes of a small answer at most."""


def _headers(ask: Ask) -> dict[str, str]:
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if ask.fresh:
        headers |= {"Cache-Control": "no-cache", "Pragma": "no-cache"}
    if ask.offset:
        headers["Range"] = f"bytes={ask.offset}-"
        if ask.etag:
            headers["If-Range"] = ask.etag
    return headers


def download_path(uri: str) -> str:
    """Return where the archive serves a ``data_uri``, below its address."""
    return f"/api/v0.1/Download/file?uri={quote(uri, safe=':/')}"


class HttpAnswer:
    """An HTTP answer; see `Answer`."""

    def __init__(self, response: urllib3.BaseHTTPResponse, ask: Ask) -> None:
        self._response = response
        self.html = response.headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml"))
        etag = response.headers.get("ETag", "")
        self.etag = etag if re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', etag) else None
        self.offset = 0
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        self.length = None if chunked else _one_number(response.headers.get("Content-Length"))
        self.ends = chunked or self.length is not None
        self._encoding = encoding_of(response.headers.get("Content-Encoding", ""), ask, self.length)
        if response.status == 206:
            self._read_range(ask)
        if self._encoding:
            self.etag = self.length = None  # both are of the encoded bytes

    def _read_range(self, ask: Ask) -> None:
        found = _CONTENT_RANGE.fullmatch(self._response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != ask.offset or int(found[2]) != int(found[3]) - 1 or self._encoding:
            raise Garbled("the archive sent other bytes than were asked for")
        if ask.etag and self.etag and self.etag != ask.etag:
            raise Garbled("the archive sent part of another version")
        if self.length is not None and self.length != int(found[3]) - ask.offset:
            raise Garbled("the archive sent a range of another length than it says")
        self.offset, self.length = int(found[1]), int(found[3])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        let_go(self._response)

    def chunks(self, most: int) -> Iterator[bytes | memoryview]:
        """Iterate over the bytes as they come; a connection that drops raises `Unreachable`."""
        sent = self._sent(most)
        return decoded(sent, self._encoding, most) if self._encoding else sent

    def _sent(self, most: int) -> Iterator[bytes | memoryview]:
        try:
            while chunk := self._response.read1(most, decode_content=False):
                yield chunk
        except (HTTPError, OSError) as error:
            raise Unreachable(f"the connection dropped: {brief(_innermost(error))}") from error

    def abort(self) -> None:
        """Shut the reading side of the connection."""
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError, AttributeError):
            return


def _require_success(reply: Reply, ask: Ask, server: Server, has_token: bool) -> None:
    status = reply.response.status
    if status in (200, 206):
        return
    if status in (401, 403):
        raise _denial(reply, ask, server, has_token)
    if status == 416:
        raise Garbled("the archive has fewer bytes than are here")
    if status in (408, 425, 429) or status >= 500:
        headers = reply.response.headers
        raise Overloaded(f"HTTP {status}", retry_after(headers.get("Retry-After"), headers.get("Date")))
    raise Refused(f"HTTP {status}")


def _denial(reply: Reply, ask: Ask, server: Server, has_token: bool) -> ArchiveError:
    """Say who refused, and whether a token has to do with it."""
    status = reply.response.status
    if urlsplit(reply.url).netloc != server.netloc:  # storage, at an address that MAST makes anew for each request
        return Overloaded(f"HTTP {status} from {reply.host}, where the archive keeps it")
    if _is_storage(reply.response):
        return Refused(f"HTTP {status}: the storage behind {reply.host} refuses it; a token has nothing to do with it")
    if reply.proxy and reply.url.startswith("http:") and (status == 403 or not ask.exclusive):
        proxy = urlsplit(reply.proxy).netloc
        return Refused(f"HTTP {status} by way of the proxy {proxy}, which may be what refuses it")
    if has_token:
        return Denied(f"HTTP {status}, the token does not give access to it, or has expired: mastlake login")
    if status == 401 or ask.exclusive:
        return TokenNeeded(f"HTTP {status}, a token is needed")
    return Denied(f"HTTP {status}: {reply.host} refuses it, though the catalog has it as public")


def _is_storage(response: urllib3.BaseHTTPResponse) -> bool:
    return "x-amz-request-id" in response.headers or response.headers.get("Server", "").startswith("AmazonS3")


def _one_number(text: str | None) -> int | None:
    """Read a length; several that agree are one, and several that differ none."""
    numbers = {part.strip() for part in (text or "").split(",")}
    number = numbers.pop()
    return int(number) if not numbers and re.fullmatch(r"[0-9]{1,18}", number) else None


def _innermost(error: BaseException) -> BaseException:
    while isinstance(reason := getattr(error, "reason", None), BaseException):
        error = reason
    return error
