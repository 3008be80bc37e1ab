"""Ask the archive to whom a token belongs.

The token is sent to one address only: no redirect is followed.
"""

from __future__ import annotations

import math
from urllib.parse import urljoin, urlsplit

import msgspec

from catalog.archive.body import read_body
from catalog.errors import Garbled, Refused
from catalog.network.server import Server
from catalog.network.session import session_for

_MOST_BYTES = 1 << 20
_NO = (401, 403)


def whoami(server: str, token: str, timeouts: tuple[float, float]) -> str:
    """Check a token, and return the name of its bearer.

    Parameters
    ----------
    server : str
        The archive's address.
    token : str
        A text that a header can hold; see `catalog.sync.tokens.cleaned`.
    timeouts : tuple of float
        Seconds to make a connection, and between two pieces of the answer.

    Raises
    ------
    Refused
        If the archive does not accept the token, or redirects to another address.
    Garbled
        If the answer is neither yes nor no.
    requests.RequestException
        If there is no answer.
    """
    address = f"{server}/whoami"
    with (
        session_for(Server(server)) as session,
        session.get(
            address,
            headers={"Accept": "application/json", "Cookie": f"mast_token={token}"},
            allow_redirects=False,
            stream=True,
            timeout=timeouts,
        ) as response,
    ):
        if response.is_redirect or response.is_permanent_redirect:
            raise Refused(_sent_elsewhere(address, response.headers.get("Location", "")))
        if response.status_code in _NO:
            raise Refused("MAST does not accept this token; make a new one at https://auth.mast.stsci.edu")
        response.raise_for_status()
        host = urlsplit(server).hostname or server
        return _bearer(read_body(response, host, math.inf, _MOST_BYTES), host)


def _sent_elsewhere(address: str, location: str) -> str:
    target = urlsplit(urljoin(address, location))
    where = "".join(
        character if character.isprintable() else "?" for character in f"{target.scheme}://{target.hostname or ''}"
    )
    return (
        f"{urlsplit(address).hostname} sends a login on to {where}; the token was not sent there. "
        "If that is where you mean to log in, name it with --server"
    )


def _bearer(body: bytes, host: str) -> str:
    try:
        bearer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        bearer = None
    if not isinstance(bearer, dict) or not isinstance(bearer.get("anon"), bool):
        raise Garbled(f"{host} does not answer a login as MAST does; check --server")
    if bearer["anon"]:
        raise Refused("MAST does not accept this token; make a new one at https://auth.mast.stsci.edu")
    attributes = bearer.get("attrib")
    name = attributes.get("display_name") if isinstance(attributes, dict) else None
    shown = name if isinstance(name, str) and name.strip() else "an unnamed bearer"
    return "".join(character if character.isprintable() else "?" for character in shown)[:200]
