"""Identifiers and values in SQL text: the only way in which a name or a value gets between quotes.

A statement binds its values wherever DuckDB lets it. Names of tables and columns cannot be bound, nor can anything in a
view, a macro, a comment or a setting. A test reads the source and finds statements that quote by themselves.
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
        For a null character, which no name in SQL can hold; the catalog's spelling of a name never has one.

    Examples
    --------
    >>> quoted('the "best" column')
    '"the ""best"" column"'
    """
    if "\0" in name:
        raise ValueError("a name in SQL holds no null character")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write text as SQL, for statements that take no bound values.

    Examples
    --------
    >>> literal("Barnard's star")
    "'Barnard''s star'"
    """
    pieces = ["'" + piece.replace("'", "''") + "'" for piece in text.split("\0")]
    return pieces[0] if len(pieces) == 1 else "(" + " || chr(0) || ".join(pieces) + ")"


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Return the columns of a table or view and their DuckDB types, in order; none where it is absent.

    `duckdb_columns` would first bind every view, which takes a new connection longer than most questions.
    """
    try:
        rows = connection.execute(f"DESCRIBE {quoted(table)}").fetchall()
    except duckdb.CatalogException:
        return {}
    return {str(name): str(kind) for name, kind, *_ in rows}


def records(kind: Callable[..., Record], answered: duckdb.DuckDBPyConnection) -> list[Record]:
    """Make one object of each row of an answer, its fields filled by the names of the columns.

    Parameters
    ----------
    kind : callable
        A class whose fields are named as the columns.
    answered : duckdb.DuckDBPyConnection
        What ``execute`` returned.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> class Place(NamedTuple):
    ...     ra: float
    ...     dec: float
    >>> records(Place, duckdb.connect().execute("SELECT -5 AS dec, 120 AS ra"))
    [Place(ra=120, dec=-5)]
    """
    names = [column[0] for column in answered.description or ()]
    return [kind(**dict(zip(names, row, strict=True))) for row in answered.fetchall()]
