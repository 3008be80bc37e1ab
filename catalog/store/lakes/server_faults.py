"""Errors of a PostgreSQL server that has the metadata of a lake, as DuckDB tells them: long texts with statements."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from catalog.errors import CatalogError, CatalogLocked, CatalogUnwritable
from catalog.text import harmless

_OF_A_SERVER = re.compile(r"Failed to (?:execute query|prepare|fetch|copy) |Unable to connect to Postgres|DuckLake")
_LOST = re.compile(
    r"server closed the connection|Unable to connect to Postgres|no connection to the server|terminating connection"
    r"|could not (?:receive|send) data|connection has been closed|connection not open|Connection (?:reset|timed out)"
    r"|the database system is|Failed to execute query \"(?:ROLLBACK|COMMIT)[^\"]*\": *$",
    re.MULTILINE,
)
_REFUSED = re.compile(r"(?:ERROR|FATAL|PANIC): +(?P<reason>[^\n]+)")


def server_fault(error: BaseException, named: Path | str, writes: bool = False) -> CatalogError | None:
    """Return the error that says in one line what happened at the server; None for errors of other kinds.

    Parameters
    ----------
    error : BaseException
        What DuckDB raised.
    named : Path or str
        The catalog, for the message.
    writes : bool
        Whether a transaction writes.
    """
    text = str(error)
    if not isinstance(error, duckdb.Error) or not _OF_A_SERVER.search(text):
        return None
    if "ducklake_snapshot_pkey" in text:
        return CatalogLocked(f"another process wrote {named} meanwhile; nothing was changed, run again")
    kind = CatalogUnwritable if writes else CatalogError
    if _LOST.search(text):
        return kind(f"lost the PostgreSQL server of {named}{_ends(text, writes)}")
    refused = _REFUSED.search(text)
    return kind(f"the PostgreSQL server of {named} refuses: {harmless(refused['reason'])[:300]}") if refused else None


def _ends(text: str, writes: bool) -> str:
    if writes and "Failed to commit" in text:
        return " at the end of a commit, which it did as a whole or not at all; run again"
    return "; nothing was changed, run again" if writes else "; ask again"
