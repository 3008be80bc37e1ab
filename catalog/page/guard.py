"""What stands before every page: which hosts and methods are answered, who may ask, and what a browser may do with it.

A page of any web site can send requests to this machine. So only names of this machine are answered (a foreign name
that leads here is DNS rebinding), other sites' scripts and pictures get nothing, and nothing is changed by any request.
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
    """Who may ask.

    Attributes
    ----------
    host : str
        The address that the server listens at.
    token : str or None
        What a browser must know; None where only this machine is listened to.
    """

    host: str = "127.0.0.1"
    token: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    def knows(self, host: str) -> bool:
        """Say whether a ``Host`` header names this machine.

        Beyond loopback, addresses are answered as well: no name that an attacker owns can lead to one.
        """
        name = _name_of(host)
        if name in _LOOPBACK:
            return True
        if self.is_loopback or not name:
            return False
        return name in (self.host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()) or _is_address(name)

    def proof(self) -> str:
        """Return what the cookie holds in the token's place."""
        return hashlib.sha256(f"mastlake page {self.token}".encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Say whether an address is one that only this machine reaches."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """Return the name in a ``Host`` header, without its port."""
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
    """The middleware that holds the door."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let pass; either way the answer gets its headers."""
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
        """Let pass who has the token; from an address it moves into a cookie, so that it is not mailed with a link."""
        token = self._door.token or ""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        for name, value in query:
            if name == "token" and _same(value, token):
                return self._welcome(scope, query)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _same(bearer, token) or any(
            _same(one, self._door.proof()) for one in _cookies(headers, self._cookie(scope))
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
        """Browsers share the cookies of all ports of a host."""
        return f"mastlake-{(scope.get('server') or ('', 0))[1]}"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _cookies(headers: Headers, name: str) -> list[str]:
    try:
        return [SimpleCookie(text)[name].value for text in headers.getlist("cookie") if name in SimpleCookie(text)]
    except CookieError:
        return []
