"""How the views and macros of a catalog name the tables that they read, so that every DuckDB client can use them.

A view reads tables only, and no other view. EXPORT DATABASE writes views in the order of their names, so IMPORT
DATABASE might create a view before the view that it reads (duckdb/duckdb#22512).

DuckDB looks for the tables of a macro in the current database, and not in the database of the macro. So each table
macro has a last argument, ``attached_as``: the name under which its catalog is attached. Its default is an empty text,
since DuckLake does not keep a null.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from catalog.store.sql import literal, rows_of

ATTACHED_AS = "attached_as"


def local_files(named: Callable[[str], str] = str) -> str:
    """Write the query of the view ``local_files``.

    Parameters
    ----------
    named : callable
        Writes the name of a table.
    """
    return f"SELECT * EXCLUDE (until_at, ended) FROM {named('local_file_version')} WHERE until_at IS NULL"


def had_local_files(connection: duckdb.DuckDBPyConnection) -> bool:
    """Say whether any file on disk is in the catalog, or was.

    This reads no column. The view `local_files` names all columns, and a lake asks its metadata once for each column
    of a table that never had a row.
    """
    return rows_of(connection, "local_file_version") > 0


def current(table: str) -> str:
    """Write a relation that has those rows of a table of versions which are true now.

    Examples
    --------
    >>> current("file_version")
    '(FROM file_version WHERE until_run IS NULL)'
    """
    return f"(FROM {table} WHERE until_run IS NULL)"


def attached(table: str) -> str:
    """Write the name of a table for a macro: in the database ``attached_as``, or in the current one if that is empty.

    Examples
    --------
    >>> attached("runs")[:78]
    "query_table(CASE WHEN coalesce(attached_as, '') = '' THEN 'runs' ELSE format('"
    """
    of_attached = literal(f'"{{}}".main.{table}')
    return (
        f"query_table(CASE WHEN coalesce({ATTACHED_AS}, '') = '' THEN {literal(table)} "
        f"ELSE format({of_attached}, {ATTACHED_AS}) END) AS {table}"
    )
