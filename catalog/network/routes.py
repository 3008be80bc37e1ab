"""Which proxy a request uses, and which certificates are trusted; every client here uses these rules.

The variables are those of curl, of requests and of OpenSSL. `requests`, `urllib3`, the bash script and the object store
all follow this module, so a network that lets one of them through lets the others through as well.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from catalog.errors import UsageError

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Environment variables that name certificates. If several are set, all of them are trusted."""
_PEM = b"-----BEGIN"
_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def proxy_of(url: str) -> str | None:
    """Return the proxy for an address, or None if it is asked directly.

    ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` count in upper and in lower case, and so do the
    proxies in the settings of macOS and Windows.

    Parameters
    ----------
    url : str
        The address to ask.

    Raises
    ------
    UsageError
        If the proxy is no address, or a package for its kind is not installed.
    """
    if os.name == "posix" and not _environment_names_proxy() and not _has_system_settings():
        return None
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url))
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_address(proxy):
        raise UsageError(f"the proxy for {urlsplit(url).netloc} is no address: {proxy.rpartition('@')[2]}")
    if proxy.startswith("socks") and find_spec("socks") is None:
        raise UsageError("a SOCKS proxy needs one more package: pip install pysocks")
    return proxy


def _is_address(proxy: str) -> bool:
    """Whether a text is the address of a proxy that all clients here can use."""
    try:
        parts = urlsplit(proxy)
        well_formed = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return well_formed and proxy.isprintable() and " " not in proxy and parts.scheme in _PROXY_SCHEMES


def _environment_names_proxy() -> bool:
    """Whether the environment names a proxy; usually it does not, and then `requests` need not be imported."""
    return any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES)


def _has_system_settings() -> bool:
    return os.uname().sysname == "Darwin"


def without_credentials(address: str) -> str:
    """Return an address without name and password, so that it can be shown."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def credentials_of(address: str) -> str | None:
    """Return ``NAME:PASSWORD`` from a proxy's address, decoded; None if it has none."""
    parts = urlsplit(address)
    if parts.username is None:
        return None
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}"


def certificates() -> ssl.SSLContext:
    """Return the trusted certificates for TLS: the bundles that the user names, or else those of the system.

    Raises
    ------
    UsageError
        If a bundle that the environment names cannot be read.
    """
    return _context(tuple(_bundles()))


def named_certificates() -> bytes:
    """Return the certificates that the user names, as PEM, for a client that cannot use our TLS context.

    Raises
    ------
    UsageError
        If a bundle that the environment names cannot be read.
    """
    certificates()
    texts = []
    for name, path in _bundles():
        files = sorted(Path(path).iterdir()) if Path(path).is_dir() else [Path(path)]
        try:
            texts += [file.read_bytes() for file in files if file.is_file()]
        except OSError as error:
            raise UsageError(f"{name} names {path}, which cannot be read: {error.strerror}") from None
    return b"\n".join(text for text in texts if _PEM in text)


def _bundles() -> Iterator[tuple[str, str]]:
    for name in BUNDLES:
        path = os.environ.get(name)
        if not path:
            continue
        folders = (
            [folder for folder in path.split(os.pathsep) if Path(folder).is_dir()] if name == "SSL_CERT_DIR" else []
        )
        yield from ((name, folder) for folder in folders or [path])


@cache
def _context(bundles: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    from catalog.network.patience import PatientSocket

    context = create_urllib3_context()
    context.sslsocket_class = PatientSocket
    for name, path in bundles:
        _trust(context, name, path)
    if not bundles:
        import certifi

        context.load_default_certs()
        context.load_verify_locations(certifi.where())  # some Pythons find none of the system's
    return context


def _trust(context: ssl.SSLContext, name: str, path: str) -> None:
    folder = Path(path).is_dir()
    if Path(path).is_fifo():
        raise UsageError(f"{name} names {path}, which is no file")
    try:
        context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "it holds no certificate"
        raise UsageError(f"{name} names {path}, whose certificates cannot be read: {reason}") from None
