"""Checks before every page: which hosts and methods are answered, who may ask, and what a browser may do with a page.

Any web site can make a browser send requests to this machine. So only names of this machine are answered (another name
that leads here is DNS rebinding), scripts and pictures of other sites get nothing, and no request changes anything.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Door:
    """The address at which the page is served, and the token of those who may use it.

    Attributes
    ----------
    host : str
        The address at which the server listens.
    token : str or None
        The token that a browser must have; None if the server listens on this machine only.
    """

    host: str = "127.0.0.1"
    token: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    def knows(self, host: str) -> bool:
        """Say whether a ``Host`` header names this machine.

        A server that other machines reach also answers to numeric addresses, since no attacker can own such a name.
        """
        name = _name_of(host)
        if name in _LOOPBACK:
            return True
        if self.is_loopback or not name:
            return False
        return name in (self.host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()) or _is_address(name)

    def proof(self) -> str:
        """Return the value of the cookie that stands for the token."""
        return hashlib.sha256(f"mastlake page {self.token}".encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Say whether an address can only be reached from this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """Return the name in a ``Host`` header, without the port."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() else text


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """The middleware that checks every request."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on; in both cases the answer gets the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1 or not self._door.knows(headers["host"]):
            return PlainTextResponse("this address is not one of mastlake's; open the one that serve printed\n", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("a page only reads: GET and HEAD\n", 405, {"allow": "GET, HEAD"})
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("another site asked for this; open it yourself\n", 403)
        return self._asked_for_token(scope, headers) if self._door.token is not None else None

    def _asked_for_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Let in a browser that has the token; one in an address moves to a cookie, so that links do not contain it."""
        token = self._door.token or ""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        for name, value in query:
            if name == "token" and _same(value, token):
                return self._welcome(scope, query)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _same(bearer, token) or any(
            _same(cookie, self._door.proof()) for cookie in _cookies(headers, self._cookie(scope))
        ):
            return None
        return PlainTextResponse("the token is missing or wrong: open the address that serve printed\n", 401)

    def _welcome(self, scope: Scope, query: Iterable[tuple[str, str]]) -> Response:
        others = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + scope["raw_path"].decode("latin-1").lstrip("/\\")
        answer = RedirectResponse(path + (f"?{others}" if others else ""), 303)
        answer.set_cookie(self._cookie(scope), self._door.proof(), httponly=True, samesite="lax")
        return answer

    def _cookie(self, scope: Scope) -> str:
        """Return the name of the cookie; it has the port, since browsers share cookies between all ports of a host."""
        return f"mastlake-{(scope.get('server') or ('', 0))[1]}"


def _same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())


def _cookies(headers: Headers, name: str) -> list[str]:
    try:
        return [SimpleCookie(text)[name].value for text in headers.getlist("cookie") if name in SimpleCookie(text)]
    except CookieError:
        return []
