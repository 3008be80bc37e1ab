"""Identifiers and values in the text of SQL. Names and values get between quotes only through this module.

A statement binds its values wherever DuckDB allows it. But names of tables and columns cannot be bound, and neither can
anything in a view, a macro, a comment or a setting. A test searches the source for statements that quote by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import duckdb

Record = TypeVar("Record")


def quoted(name: str) -> str:
    """Quote a table or column name for SQL.

    Raises
    ------
    ValueError
        If the name has a null character, which SQL cannot hold; the catalog's spelling of a name never has one.

    Examples
    --------
    >>> quoted('the "best" column')
    '"the ""best"" column"'
    """
    if "\0" in name:
        raise ValueError("a name in SQL holds no null character")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write text as a literal of SQL, for statements that take no bound values.

    Examples
    --------
    >>> literal("Barnard's star")
    "'Barnard''s star'"
    """
    pieces = ["'" + piece.replace("'", "''") + "'" for piece in text.split("\0")]
    return pieces[0] if len(pieces) == 1 else "(" + " || chr(0) || ".join(pieces) + ")"


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Return names and DuckDB types of the columns of a table or view, in order; empty if it does not exist.

    `duckdb_columns` would bind every view first, which takes a new connection longer than most questions.
    """
    try:
        rows = connection.execute(f"DESCRIBE {quoted(table)}").fetchall()
    except duckdb.CatalogException:
        return {}
    return {str(name): str(kind) for name, kind, *_ in rows}


def rows_of(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Return how many rows a table or view has."""
    row = connection.execute(f"SELECT count(*) FROM {quoted(relation)}").fetchone()
    return int(row[0]) if row else 0


def tables_of(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of the catalog's tables."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()")
    return {str(name) for (name,) in rows.fetchall()}


def objects_of_rows(kind: Callable[..., Record], answered: duckdb.DuckDBPyConnection) -> list[Record]:
    """Make one object of each row of an answer; the names of the columns are the names of the fields.

    Parameters
    ----------
    kind : callable
        A class that has these fields.
    answered : duckdb.DuckDBPyConnection
        The connection after ``execute``.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> class Place(NamedTuple):
    ...     ra: float
    ...     dec: float
    >>> objects_of_rows(Place, duckdb.connect().execute("SELECT -5 AS dec, 120 AS ra"))
    [Place(ra=120, dec=-5)]
    """
    names = [column[0] for column in answered.description or ()]
    return [kind(**dict(zip(names, row, strict=True))) for row in answered.fetchall()]
