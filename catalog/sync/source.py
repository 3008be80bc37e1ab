"""Sources of bytes: a small protocol, and its implementation for MAST over urllib3.

urllib3 was chosen over httpx after measuring: one core moves several times as many bytes, and a request costs a third
of the time.
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
from catalog.sync.encoding import encoding_of, unpacked_pieces
from catalog.sync.plan import Item
from catalog.sync.tokens import Token

_AGENT = f"mastlake/{__version__}"
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Denied(Refused):
    """The archive answered 401 or 403: the product belongs to others, or the token is not valid."""


class TokenNeeded(Denied):
    """The archive does not give a file to everybody, and no token was sent."""


class NotInSource(Refused):
    """A source that is asked first does not have the product, which is normal for some products."""


@dataclass(frozen=True)
class Ask:
    """A request to a source.

    Parameters
    ----------
    uri : str
        The ``data_uri``.
    offset : int
        How many bytes are here already.
    etag : str or None
        The version of these bytes; a source that has another version by now sends everything.
    exclusive : bool
        Whether a token is needed, as far as the catalog knows.
    fresh : bool
        Whether caches on the way must ask the archive again, because their bytes were wrong.
    size : int or None
        The size that the archive lists.
    """

    uri: str
    offset: int = 0
    etag: str | None = None
    exclusive: bool = False
    fresh: bool = False
    size: int | None = None


class Download(Protocol):
    """An answer whose bytes are still to come."""

    offset: int
    """The position of the first byte in the file: the offset asked for, or 0."""
    length: int | None
    """The length of the whole file."""
    ends: bool
    """Whether the answer tells where it ends, so that a cut is noticed."""
    etag: str | None
    """A strong validator, if there is one."""
    html: bool
    """Whether the answer calls itself a web page."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""

    def chunks(self, most: int) -> Iterator[bytes | memoryview]:
        """Iterate over the bytes as they come, at most so many at once; a view is valid until the next one."""

    def abort(self) -> None:
        """End a read that is waiting in another thread."""


class ProductSource(Protocol):
    """A source of products."""

    name: str
    failed: str
    """Why the source could not prepare for some products; empty if it could."""

    def open(self, ask: Ask) -> Download:
        """Ask for a product's bytes.

        Raises
        ------
        Denied, Refused, Overloaded, Unreachable, Garbled, Untrusted, ProxyFault
            As their names say.
        """

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass on the items that will be asked for, and prepare for them."""

    def close(self) -> None:
        """Close all connections."""


class Mast:
    """The archive's download service.

    Parameters
    ----------
    server : str
        The archive's address, without a path.
    token : Token, optional
        Sent to this server if a product needs it, and never to another server.
    connections : int
        How many connections are kept open.
    timeout : float
        How many seconds may pass without a byte.
    """

    name = "mast"
    failed = ""

    def __init__(self, server: str, token: Token | None = None, connections: int = 8, timeout: float = 60.0) -> None:
        self.server = Server(server)
        self._token = token
        self._connections = Connections(connections, timeout)

    def open(self, ask: Ask) -> HttpDownload:
        """Ask the archive; see `ProductSource`.

        If the catalog calls a product public, it is asked for without the token, so that an expired token does no harm.
        If the archive then refuses, access may have changed, and the product is asked for in the other way.
        """
        ways = [False] if self._token is None else [ask.exclusive, not ask.exclusive]
        for with_token in ways[:-1]:
            try:
                return self._open(ask, with_token)
            except Denied:
                continue
        return self._open(ask, ways[-1])

    def _open(self, ask: Ask, with_token: bool) -> HttpDownload:
        reply = self._connections.get(self.server + download_path(ask.uri), _headers(ask), self._secrets(with_token))
        try:
            _require_success(reply, ask, self.server, self._token is not None)
            return HttpDownload(reply.response, ask)
        except BaseException:
            let_go(reply.response)
            raise

    def _secrets(self, with_token: bool) -> dict[str, str]:
        """Return the headers that only this server may see."""
        basic, token = self.server.authorization, self._token if with_token else None
        if basic:  # a request has one Authorization header, and the server itself needs it for this
            return {"Authorization": basic, **({"Cookie": token.cookie} if token else {})}
        return {"Authorization": token.header} if token else {}

    def read(self, path: str) -> bytes:
        """Read a small answer of the archive for a path and query."""
        reply = self._connections.get(self.server + path, {"User-Agent": _AGENT}, self._secrets(with_token=False))
        try:
            _require_success(reply, Ask(""), self.server, has_token=False)
            return reply.response.read(_SMALL)
        except (HTTPError, OSError) as error:
            raise Unreachable(f"{self.server.netloc} gave no whole answer: {brief(error)}") from error
        finally:
            reply.response.release_conn()

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Pass the items on; the archive needs no preparation."""
        return items

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()


_SMALL = 1 << 24
"""The most bytes of a small answer."""


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
    """Return the path, below the archive's address, at which it serves a ``data_uri``."""
    return f"/api/v0.1/Download/file?uri={quote(uri, safe=':/')}"


class HttpDownload:
    """An HTTP answer; see `Download`."""

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
            self.etag = self.length = None  # both would be those of the encoded bytes

    def _read_range(self, ask: Ask) -> None:
        content_range = _CONTENT_RANGE.fullmatch(self._response.headers.get("Content-Range", ""))
        if (
            not content_range
            or int(content_range[1]) != ask.offset
            or int(content_range[2]) != int(content_range[3]) - 1
            or self._encoding
        ):
            raise Garbled("the archive sent other bytes than were asked for")
        if ask.etag and self.etag and self.etag != ask.etag:
            raise Garbled("the archive sent part of another version")
        if self.length is not None and self.length != int(content_range[3]) - ask.offset:
            raise Garbled("the archive sent a range of another length than it says")
        self.offset, self.length = int(content_range[1]), int(content_range[3])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        let_go(self._response)

    def chunks(self, most: int) -> Iterator[bytes | memoryview]:
        """Iterate over the bytes as they come; a dropped connection raises `Unreachable`."""
        sent = self._sent(most)
        return unpacked_pieces(sent, self._encoding, most) if self._encoding else sent

    def _sent(self, most: int) -> Iterator[bytes | memoryview]:
        try:
            while chunk := self._response.read1(most, decode_content=False):
                yield chunk
        except (HTTPError, OSError) as error:
            raise Unreachable(f"the connection dropped: {brief(_innermost(error))}") from error

    def abort(self) -> None:
        """Shut down the reading side of the connection."""
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
    """Return the error that says who refused, and whether a token matters."""
    status = reply.response.status
    if urlsplit(reply.url).netloc != server.netloc:  # a store, whose address MAST makes anew for each request
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
    """Read a length. If it is repeated, all must agree; otherwise there is none."""
    numbers = {part.strip() for part in (text or "").split(",")}
    number = numbers.pop()
    return int(number) if not numbers and re.fullmatch(r"[0-9]{1,18}", number) else None


def _innermost(error: BaseException) -> BaseException:
    while isinstance(reason := getattr(error, "reason", None), BaseException):
        error = reason
    return error
