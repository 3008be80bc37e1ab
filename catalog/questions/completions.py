"""Names and values of a catalog that a shell can offer after the tab key."""

from __future__ import annotations

import duckdb

from catalog.errors import MastlakeError
from catalog.store.database import Database
from catalog.store.sql import literal, quoted

MOST = 200
"""The most candidates of one kind."""
_FILES_OF = "format('{:,} files', count(*))"
_SQL = {
    "searches": "SELECT name, coalesce(instrument, 'observations') FROM searches ORDER BY name",
    "targets": f"""SELECT targname, {_FILES_OF} FROM files WHERE targname <> ''
                   GROUP BY targname ORDER BY targname""",
    "local files": """SELECT filename, path FROM local_files WHERE starts_with(filename, ?)
                      AND filename LIKE '%.fits' ORDER BY filename""",
    "previews": """SELECT DISTINCT obs_id, '' FROM products WHERE upper("productType") = 'PREVIEW'
                   AND starts_with(obs_id, ?) ORDER BY obs_id""",
}


def completions(database: Database, what: str, begun: str = "") -> dict[str, str]:
    """Return names of one kind, each with a short explanation.

    Parameters
    ----------
    database : Database
        A catalog that does not wait for a lock, since a shell waits for the answer.
    what : str
        ``searches``, ``targets``, ``local files`` or ``previews``.
    begun : str
        The beginning of ``local files`` or ``previews``.

    Returns
    -------
    dict
        Empty if the catalog cannot be read at once, or has no such column.
    """
    return _rows_or_nothing(database, _SQL[what], [begun] if "?" in _SQL[what] else [])


def value_counts(database: Database, column: str, view: str = "files") -> dict[str, str]:
    """Return the values of a column, the most frequent first, each with the number of rows that have it.

    Parameters
    ----------
    database : Database
        A catalog, as for `completions`.
    column, view : str
        ``files`` or ``products``, and a column of it.
    """
    name, count_text = quoted(column), literal("{:,} " + view)
    sql = f"""SELECT CAST({name} AS VARCHAR) AS value, format({count_text}, count(*)) FROM {quoted(view)}
              WHERE value IS NOT NULL AND value <> '' GROUP BY value ORDER BY count(*) DESC, value"""
    return _rows_or_nothing(database, sql, [])


def _rows_or_nothing(database: Database, sql: str, values: list[str]) -> dict[str, str]:
    if not database.exists():
        return {}
    try:
        with database.read() as connection:
            return dict(connection.execute(f"{sql} LIMIT {MOST}", values).fetchall())
    except (MastlakeError, duckdb.Error):
        return {}
