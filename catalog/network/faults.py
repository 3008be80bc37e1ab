"""The message for each failure of a request; it is the same whichever client failed."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from catalog.errors import ArchiveError, ProxyFault, Unreachable, Untrusted
from catalog.network.routes import without_credentials

_HANDSHAKE = (
    "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "NO_SHARED_CIPHER",
    "TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_UNKNOWN_CA", "DH_KEY_TOO_SMALL",
    "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE",
)  # fmt: skip
"""OpenSSL's names of failures that will not pass; a handshake that was cut off is not among them."""


_CUT = ("IncompleteRead", "InvalidChunkLength")


def fault(error: BaseException, url: str, proxy: str | None = None, named_in: str = "--server") -> ArchiveError:
    """Return the error, in one line, for an error of `urllib3`, `requests` or the system.

    Parameters
    ----------
    error : BaseException
        The error that was raised.
    url : str
        The address that was asked.
    proxy : str, optional
        The proxy that was used.
    named_in : str
        The option or variable in which the user names the host.

    Returns
    -------
    ArchiveError
        `Untrusted` and `ProxyFault` are not worth another attempt; `Unreachable` is.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    chain = list(_chain(error))
    if proxy and any(type(error_in_chain).__name__ == "ProxyError" for error_in_chain in chain):
        return ProxyFault(
            f"the proxy {_proxy_name(proxy)} {_of_proxy(chain)}; see HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
        )
    for error_in_chain in chain:
        if isinstance(error_in_chain, ssl.SSLCertVerificationError):
            return Untrusted(f"{host}: certificate verify failed: {_reason(error_in_chain)}; {_BUNDLE}")
        if isinstance(error_in_chain, ssl.SSLError) and error_in_chain.reason in _HANDSHAKE:
            return Untrusted(f"{host} does not speak TLS as it should: {_reason(error_in_chain)}; is it https?")
    return Unreachable(_unreachable(host, chain, named_in))


_BUNDLE = "where your network has a certificate authority of its own, name its bundle in REQUESTS_CA_BUNDLE"


def _of_proxy(chain: list[BaseException]) -> str:
    text = next((str(error) for error in chain if "Tunnel connection failed" in str(error)), "")
    if "407" in text:
        return "asks for a name and a password"
    if text:
        return f"refuses: {text.rpartition('failed: ')[2].split(chr(39))[0]}"
    if any(isinstance(error, ssl.SSLError) for error in chain):
        return f"cannot be trusted: {_reason(next(error for error in chain if isinstance(error, ssl.SSLError)))}"
    return f"gave no answer: {_innermost_reason(chain)}"


def _unreachable(host: str, chain: list[BaseException], named_in: str) -> str:
    if any(isinstance(error, socket.gaierror) for error in chain):
        return f"there is no host {host.rpartition(':')[0] or host} here; check the network and {named_in}"
    if any(isinstance(error, TimeoutError) or "Timeout" in type(error).__name__ for error in chain):
        return f"{host} did not answer in time"
    return f"{host} gave no answer: {_innermost_reason(chain)}; check the network and {named_in}"


def _innermost_reason(chain: list[BaseException]) -> str:
    """Return the innermost reason, without addresses and without Python's names."""
    for error in chain:
        if isinstance(error, socket.gaierror):
            return "there is no such host"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        if type(error).__name__ in _CUT:
            return "its answer ended too early, or has no right form"
    return brief(chain[-1])


def brief(error: BaseException) -> str:
    """Return an error's own text on one line, without the names of classes and objects in it."""
    text = str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error)
    text = re.sub(r"^.*?HTTPS?Connection\w*\(.*?\):\s*", "", text)
    text = re.sub(r"<[^<>]*object at 0x[0-9a-f]+>:?\s*", "", text).partition(": IncompleteRead")[0]
    return " ".join(text.split())[:160] or "the connection failed"


def _reason(error: ssl.SSLError) -> str:
    return str(getattr(error, "verify_message", "") or error.reason or "").replace("_", " ").lower() or brief(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and every error that caused it."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        error_in_chain = waiting.pop(0)
        if isinstance(error_in_chain, BaseException) and id(error_in_chain) not in seen:
            seen.add(id(error_in_chain))
            yield error_in_chain
            waiting += [
                getattr(error_in_chain, "reason", None),
                error_in_chain.__cause__,
                error_in_chain.__context__,
                *error_in_chain.args,
            ]


def _proxy_name(proxy: str) -> str:
    return urlsplit(without_credentials(proxy)).netloc
