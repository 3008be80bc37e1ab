"""The archive's address, and the hosts that may see credentials."""

from __future__ import annotations

import base64
import os
import re
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from catalog.errors import UsageError
from catalog.text import without_password

MAST_HOSTS = frozenset({"mast.stsci.edu", "archive.stsci.edu", "auth.mast.stsci.edu"})
"""The hosts that MAST itself names. A redirect between them, over https only, keeps the token."""
NETRC = "MASTLAKE_NETRC"
"""The environment variable with which a user allows reading ``~/.netrc``, or the file that the variable names."""
_LOOPBACK = re.compile(r"(.*@)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/].*)?", re.IGNORECASE)


class Server(str):
    """The address of an archive, without the name and the password that it may contain.

    It is a text, so whatever shows or stores it has the address alone. The credentials go into the header of requests
    to this server and nowhere else.

    Parameters
    ----------
    text : str
        The address as a user writes it. Without a scheme, it is https, or http for this machine itself.

    Raises
    ------
    UsageError
        If it is no http or https address.

    Examples
    --------
    >>> Server("mast.stsci.edu/"), Server("localhost:8000")
    ('https://mast.stsci.edu', 'http://localhost:8000')
    >>> server = Server("https://bob:secret@mirror.example.org")
    >>> str(server), server.authorization is None
    ('https://mirror.example.org', False)
    """

    _authorization: str | None

    def __new__(cls, text: str) -> Server:
        """Read an address."""
        if isinstance(text, cls):
            return text
        parts = _parts(text.strip())
        host = parts.netloc.rpartition("@")[2]
        made = super().__new__(cls, f"{parts.scheme}://{host}{parts.path}".rstrip("/"))
        made._authorization = None
        if parts.username is not None:
            made._authorization = _basic(unquote(parts.username), unquote(parts.password or ""))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the credentials out of every copy."""
        return (Server, (str(self),))

    @property
    def authorization(self) -> str | None:
        """The value of the Authorization header, from the address, or from ``~/.netrc`` if the user allows that."""
        return self._authorization or _from_netrc(urlsplit(self).hostname or "")

    @property
    def netloc(self) -> str:
        """The host and the port, for messages."""
        return urlsplit(self).netloc


def _parts(text: str) -> SplitResult:
    named = text if "://" in text else f"{'http' if _LOOPBACK.fullmatch(text) else 'https'}://{text}"
    try:
        parts = urlsplit(named)
        well_formed = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        raise UsageError(f"--server {without_password(text)!r} is not an address") from None
    if parts.scheme not in ("http", "https") or not well_formed or not _is_plain(parts):
        raise UsageError(f"--server {without_password(text)} is not an http or https address")
    return parts


def _is_plain(parts: SplitResult) -> bool:
    text = parts.netloc.rpartition("@")[2] + parts.path
    return text.isascii() and text.isprintable() and " " not in text and not parts.query and not parts.fragment


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _from_netrc(host: str) -> str | None:
    """Look a host up in ``~/.netrc``, if the user allows that."""
    asked = os.environ.get(NETRC, "").strip()
    if asked.lower() in ("", "0", "no", "false"):
        return None
    import netrc

    path = None if asked.lower() in ("1", "yes", "true") else asked
    try:
        entry = netrc.netrc(path).authenticators(host)
    except (OSError, netrc.NetrcParseError) as error:
        raise UsageError(f"{NETRC} is set, but the file cannot be read: {error}") from None
    return _basic(entry[0] or "", entry[2] or "") if entry else None


def keeps_credentials(sender: str, receiver: str) -> bool:
    """Whether credentials for one address may follow a redirect to another address.

    They may on the same host, also from http to https, and between `MAST_HOSTS`; never from https to http.

    Examples
    --------
    >>> keeps_credentials("https://mast.stsci.edu/a", "https://mast.stsci.edu/b")
    True
    >>> keeps_credentials("https://mast.stsci.edu/a", "https://stpubdata.s3.amazonaws.com/b")
    False
    """
    before, after = urlsplit(sender), urlsplit(receiver)
    if before.hostname == after.hostname:
        upgraded = (before.scheme, after.scheme, _port(before), _port(after)) == ("http", "https", 80, 443)
        return upgraded or (before.scheme, _port(before)) == (after.scheme, _port(after))
    both = {before.hostname, after.hostname} <= MAST_HOSTS
    return both and before.scheme == after.scheme == "https" and _port(before) == _port(after) == 443


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)
