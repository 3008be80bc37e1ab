"""`requests` with the proxies and certificates of `routes`; it reads nothing from ``~/.netrc``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from catalog.errors import Refused
from catalog.network.patience import make_patient
from catalog.network.routes import certificates, proxy_of
from catalog.network.server import Server, keeps_credentials
from catalog.text import harmless


def prepare_session(session: requests.Session, server: Server) -> None:
    """Let a session ask the archive like every other client of this package.

    Parameters
    ----------
    session : requests.Session
        The session of astroquery.
    server : Server
        The archive; the name and password in its address go to this server alone.
    """
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(server))


def session_for(server: Server) -> requests.Session:
    """Make a new session that asks the archive as `prepare_session` says."""
    session = requests.Session()
    prepare_session(session, server)
    return session


class _Adapter(HTTPAdapter):
    """Sends a request through the right proxy, and checks certificates like every client here."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        url = request.url or ""
        proxy = proxy_of(url)
        options["proxies"] = {urlsplit(url).scheme: proxy} if proxy else {}
        self._authorize(request, url)
        response = super().send(request, *args, **options)
        response.proxy = proxy  # type: ignore[attr-defined]
        _keep_post(request, response, self._server)
        _leave_body(response)
        return response

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        make_patient(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        is_made = proxy in self.proxy_manager
        if proxy.startswith("https:"):
            options["proxy_ssl_context"] = certificates()
        manager = super().proxy_manager_for(proxy, **options)
        if not is_made:
            make_patient(manager)
        return manager

    def _authorize(self, request: requests.PreparedRequest, url: str) -> None:
        value = self._server.authorization
        if value and "Authorization" not in request.headers and keeps_credentials(self._server, url):
            request.headers["Authorization"] = value

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https" and verify:
            pool["ssl_context"] = certificates()
        return host, pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the connection's TLS context checks the certificate."""


def _keep_post(request: requests.PreparedRequest, response: requests.Response, server: Server) -> None:
    """Follow a redirect to https, or between MAST's own hosts, with the same question.

    After 301 to 303, `requests` would ask again by GET and without the question, as browsers do; after 308 it would
    not.

    Raises
    ------
    Refused
        If the redirect leads to another host, of which only the user can say whether it is the archive.
    """
    if request.method != "POST" or response.status_code not in (301, 302, 303) or "Location" not in response.headers:
        return
    asked = urlsplit(request.url or "")
    target = urlsplit(urljoin(request.url or "", response.headers["Location"]))
    if target.hostname != asked.hostname and not keeps_credentials(server, target.geturl()):
        origin = harmless(f"{target.scheme}://{target.netloc.rpartition('@')[2]}")
        raise Refused(
            f"{asked.hostname} sends the question on to {origin}; if this is the archive you mean: --server {origin}"
        )
    if response.status_code != 303 and target.scheme == "https":
        response.status_code = 308


def _leave_body(response: requests.Response) -> None:
    """Do not read the body of a redirect; `requests` would read all of it into memory."""
    if "Location" in response.headers and 300 <= response.status_code < 400:
        response.raw.close()
        response._content, response._content_consumed = b"", True
