"""One catalog, one archive: from which archive a search was harvested, and whether a server is that archive."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import duckdb

from catalog.errors import OtherArchive
from catalog.store.database import Database

_DEFAULT_PORTS = {"http": 80, "https": 443}


def recorded_address(server: str) -> str:
    """Return a server's address without the user's name and password, so that it can be written down.

    Examples
    --------
    >>> recorded_address("https://me:secret@mast.stsci.edu/")
    'https://mast.stsci.edu'
    """
    address = urlsplit(server if "://" in server else f"//{server}")
    host = address.netloc.rpartition("@")[2]
    return urlunsplit((address.scheme, host, address.path.rstrip("/"), "", "")).removeprefix("//")


def identity(server: str) -> str:
    """Return a form of an archive's address that is the same however the address is written.

    Examples
    --------
    >>> identity("HTTPS://MAST.stsci.edu:443/") == identity("https://mast.stsci.edu")
    True
    >>> identity("http://127.0.0.1:8000") == identity("http://127.0.0.1:8001")
    False
    """
    address = urlsplit(server if "://" in server else f"https://{server}")
    try:
        port = address.port
    except ValueError:
        port = None
    host = (address.hostname or "").rstrip(".")
    if port is not None and port != _DEFAULT_PORTS.get(address.scheme.lower()):
        host = f"{host}:{port}"
    return host + address.path.rstrip("/")


def refuse_other_archives(database: Database, searches: Iterable[str], server: str) -> None:
    """Refuse to ask a server for searches that were harvested from another server.

    Parameters
    ----------
    database : Database
        The catalog; it need not exist yet.
    searches : iterable of str
        The names of the searches.
    server : str
        The address of the server to ask.

    Raises
    ------
    OtherArchive
        The error has both addresses; nothing was asked.
    """
    if not database.exists():
        return
    with database.read() as connection:
        refuse_others(connection, searches, server)


def refuse_others(connection: duckdb.DuckDBPyConnection, searches: Iterable[str], server: str) -> None:
    """Refuse as `refuse_other_archives` does, through a connection to the catalog."""
    before = _servers(connection)
    for name in searches:
        former = before.get(name)
        if former is not None and identity(former) != identity(server):
            raise OtherArchive(
                f"search {name!r} was harvested from {former}, not from {recorded_address(server)}; "
                f"if that is the same archive at another address: mastlake harvest {name} --server-moved"
            )


def _servers(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the server from which each search was last harvested."""
    rows = connection.execute("SELECT search, arg_max(server, run) FROM runs GROUP BY search").fetchall()
    return {search: recorded_address(server) for search, server in rows}
