"""Keywords whose value in a file differs from the archive's value; an index or harvest that changes a value keeps them.

Comparing a million files in two hundred columns takes too long while somebody waits. So index and harvest compare the
files that they touch, in their own transaction, and the view `keyword_drift` only reads the differences.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.relations import had_local_files
from catalog.store.sql import columns_of, literal, quoted

_SAME_NUMBER = 1e-9  # relative difference; less than either side writes
_SAME_TIME_DAYS = 1e-8  # about a millisecond
_GROUP = 40
"""How many keywords one statement compares. Far fewer would need too many joins, far more would make them too large."""
_AT_ONCE = 100_000
"""How many files one statement compares, so that memory stays small."""

Column = tuple[str, str]
"""The name and the type of a column."""
Pair = tuple[Column, Column]
"""The column of a keyword in `local_header`, and its column in `file_version`."""


def compared_columns(connection: duckdb.DuckDBPyConnection) -> list[Pair]:
    """Return the pairs of columns of `local_header` and `file_version` that have the same keyword."""
    files, headers = named_columns(connection, "file_version"), named_columns(connection, "local_header")
    return [
        (headers[name], files[name])
        for name in headers
        if name in files and name != "file_id" and not (name.endswith("_mjd") and name.removesuffix("_mjd") in files)
    ]


def named_columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Column]:
    """Return the columns of a table by their names in lower case."""
    return {name.lower(): (name, kind) for name, kind in columns_of(connection, table).items()}


def keep_differences(connection: duckdb.DuckDBPyConnection, touched: str | None = None) -> None:
    """Compare local files with the archive, and replace the differences that were kept about them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in the transaction that changed the files or the archive's rows.
    touched : str, optional
        A query of the ``file_id`` of the files to compare; by default, all files.
    """
    where = f"WHERE file_id IN ({touched})" if touched else ""
    connection.execute(f"DELETE FROM keyword_difference {where}")
    if connection.execute("SELECT 1 FROM file_version LIMIT 1").fetchone() is None:
        return
    file_row = dialect_of(connection).row("f", "filename")
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE pair AS
            SELECT l.file_id, {file_row} AS file_row, row_number() OVER (ORDER BY {file_row}) AS number
            FROM (SELECT file_id, filename FROM local_files {where}) l
            JOIN file_version f ON f.filename = l.filename AND f.until_run IS NULL
            SEMI JOIN local_header h ON h.file_id = l.file_id"""
    )
    row = connection.execute("SELECT count(*) FROM pair").fetchone()
    columns = compared_columns(connection)
    for start in range(0, int(row[0]) if row else 0, _AT_ONCE):
        for first in range(0, len(columns), _GROUP):
            _keep_group(connection, columns[first : first + _GROUP], start)
    connection.execute("DROP TABLE pair")


def drop_differences(connection: duckdb.DuckDBPyConnection, touched: str) -> None:
    """Drop the differences of files that are forgotten; ``touched`` is a query of their ``file_id``."""
    connection.execute(f"DELETE FROM keyword_difference WHERE file_id IN ({touched})")


def keep_differences_of_run(connection: duckdb.DuckDBPyConnection, compared_before: Collection[Pair], run: int) -> None:
    """Compare headers with the rows that changed since a run; with all rows if a column was compared otherwise before.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in the transaction of the run.
    compared_before : collection of Pair
        The pairs that `compared_columns` returned before the run merged its rows.
    run : int
        The number of the first run whose rows were not compared yet.
    """
    kept = "SELECT file_id FROM keyword_difference LIMIT 1"
    if not had_local_files(connection) and connection.execute(kept).fetchone() is None:
        return
    if not set(compared_before) <= set(compared_columns(connection)):
        keep_differences(connection)
        return
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE touched AS
            SELECT file_id FROM local_files
            WHERE filename IN (SELECT filename FROM file_version WHERE since_run >= $run OR until_run >= $run)""",
        {"run": run},
    )
    keep_differences(connection, "SELECT file_id FROM touched")
    connection.execute("DELETE FROM keyword_difference WHERE file_id NOT IN (SELECT file_id FROM local_files)")


def _keep_group(connection: duckdb.DuckDBPyConnection, group: Sequence[Pair], start: int) -> None:
    shown = ", ".join(_value_text(*pair) for pair in group)
    file_row = dialect_of(connection).row("f", "filename")
    connection.execute(
        f"""INSERT INTO keyword_difference
            SELECT file_id, d.keyword, d.header, d.archive FROM (
                SELECT file_id, unnest(list_filter([{shown}], lambda x: x IS NOT NULL)) AS d
                FROM (SELECT file_id, file_row FROM pair WHERE number > ? AND number <= ?)
                JOIN local_header h USING (file_id) JOIN file_version f ON {file_row} = file_row
                WHERE {" OR ".join(_differs(*pair) for pair in group)})""",
        [start, start + _AT_ONCE],
    )


def _value_text(header: Column, file: Column) -> str:
    ours, theirs = f"h.{quoted(header[0])}", f"f.{quoted(file[0])}"
    shown = f"{{'keyword': {literal(header[0])}, 'header': {ours}::VARCHAR, 'archive': {theirs}::VARCHAR}}"
    return f"CASE WHEN {_differs(header, file)} THEN {shown} END"


def _differs(header: Column, file: Column) -> str:
    ours, theirs = f"h.{quoted(header[0])}", f"f.{quoted(file[0])}"
    if header[1] != file[1]:
        return f"{ours}::VARCHAR <> {theirs}::VARCHAR"
    if header[1] == "DOUBLE":
        slack = f"greatest({_SAME_NUMBER} * greatest(abs({ours}), abs({theirs})), 1e-300)"
        if header[0].endswith("_mjd"):
            slack = str(_SAME_TIME_DAYS)
        return f"abs({ours} - {theirs}) > {slack}"
    if header[1] == "TIMESTAMP":
        return f"abs(epoch_us({ours}) - epoch_us({theirs})) > 1000"
    return f"{ours} <> {theirs}"
