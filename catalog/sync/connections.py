"""GET over urllib3, with the user's proxies and certificates; redirects never pass a secret on to another host."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout, make_headers

from catalog.errors import Garbled, ProxyFault
from catalog.network.faults import fault
from catalog.network.patience import make_patient
from catalog.network.routes import certificates, credentials_of, proxy_of, without_credentials
from catalog.network.server import keeps_credentials
from catalog.sync.buffered_http import ReusingResponse

_REDIRECTS = 5
_NUM_POOLS = 4


@dataclass(frozen=True)
class Reply:
    """An answer whose body is still to come, and the way it came.

    Parameters
    ----------
    response : urllib3.BaseHTTPResponse
        The answer from urllib3.
    url : str
        The address that was asked last, after redirects.
    proxy : str or None
        The proxy that was used, without credentials.
    """

    response: urllib3.BaseHTTPResponse
    url: str
    proxy: str | None

    @property
    def host(self) -> str:
        """The host and port that answered."""
        return urlsplit(self.url).netloc


class Connections:
    """Connections to the archive, and to the hosts to which it redirects.

    Parameters
    ----------
    most : int
        How many connections to one host are kept open.
    timeout : float
        How many seconds may pass without a byte.
    """

    def __init__(self, most: int = 8, timeout: float = 60.0) -> None:
        self._options: dict[str, Any] = {
            "num_pools": _NUM_POOLS,
            "maxsize": most,
            "timeout": Timeout(connect=min(timeout, 15.0), read=timeout),
            "retries": False,
        }
        self._managers: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def get(self, url: str, headers: Mapping[str, str], secrets: Mapping[str, str]) -> Reply:
        """Ask for an address, and follow its redirects.

        Parameters
        ----------
        url : str
            The address.
        headers : mapping
            Headers that are sent with every request.
        secrets : mapping
            Headers that are sent to this server alone; see `catalog.network.server.keeps_credentials`.

        Raises
        ------
        Unreachable, Untrusted, ProxyFault, Garbled
            If there is no answer.
        """
        sent_secrets = dict(secrets)
        for _ in range(_REDIRECTS + 1):
            reply = self._one(url, {**headers, **sent_secrets})
            where = reply.response.headers.get("Location")
            if reply.response.status not in (301, 302, 303, 307, 308) or not where:
                return reply
            let_go(reply.response)
            target = _target(url, where)
            sent_secrets = sent_secrets if keeps_credentials(url, target) else {}
            url = target
        raise Garbled("the archive redirects without end")

    def _one(self, url: str, headers: Mapping[str, str]) -> Reply:
        proxy = proxy_of(url)
        try:
            response = self._manager(proxy, url).request(
                "GET", url, headers=headers, preload_content=False, redirect=False
            )
        except (HTTPError, ValueError, OSError) as error:
            raise fault(error, url, proxy) from error
        if response.status == 407:
            let_go(response)
            raise ProxyFault("the proxy asks for a name and a password: HTTP_PROXY=http://NAME:PASSWORD@HOST:PORT")
        return Reply(response, url, without_credentials(proxy) if proxy else None)

    def _manager(self, proxy: str | None, url: str) -> urllib3.PoolManager:
        key = (proxy, url.startswith("https:"))
        with self._lock:
            if key not in self._managers:
                options = {**self._options, **({"ssl_context": certificates()} if key[1] else {})}
                manager = _through(proxy, options) if proxy else urllib3.PoolManager(**options)
                make_patient(manager, ReusingResponse)
                self._managers[key] = manager
            return self._managers[key]

    def close(self) -> None:
        """Close all connections."""
        for manager in self._managers.values():
            manager.clear()


def _through(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    if proxy.startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy, **options)
    credentials = credentials_of(proxy)
    headers = make_headers(proxy_basic_auth=credentials) if credentials else None
    tls: dict[str, Any] = {"proxy_ssl_context": certificates()} if proxy.startswith("https:") else {}
    return urllib3.ProxyManager(without_credentials(proxy), proxy_headers=headers, **tls, **options)


def _target(url: str, where: str) -> str:
    try:
        target = urlsplit(urljoin(url, where))
        if target.scheme in ("http", "https") and target.hostname and target.port != 0:
            return urlunsplit(target._replace(netloc=target.netloc.rpartition("@")[2], fragment=""))
    except ValueError:
        pass
    raise Garbled("the archive redirects to something that is no address")


_DRAIN = 1 << 16


def let_go(response: urllib3.BaseHTTPResponse) -> None:
    """Return the connection to its pool if little is left to read; close it otherwise."""
    left = response.headers.get("Content-Length", "")
    if response.status >= 300 and left.isdecimal() and int(left) <= _DRAIN:
        response.drain_conn()
        response.release_conn()
        return
    response.close() if _unread(response) else response.release_conn()


def _unread(response: urllib3.BaseHTTPResponse) -> bool:
    return bool(getattr(response, "length_remaining", 1)) or not getattr(response, "closed", False)
