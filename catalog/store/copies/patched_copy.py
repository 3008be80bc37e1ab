"""Bring an older copy of a catalog up to date, so that most of its blocks stay as they are.

A new copy lays all rows down anew, and almost every block of the file differs from the older copy's. Where only a few
rows differ, it is quicker to delete and insert these, and whoever has the older copy needs few of the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import duckdb

from catalog.store.sql import quoted

MOST_CHANGED = 0.05
"""The share of rows up to which a copy is brought up to date; deleted rows leave holes."""
_ALWAYS = 1000
_DEFINITIONS = """
    SELECT 'table', table_name, sql, comment FROM duckdb_tables() WHERE database_name = $db
    UNION ALL SELECT 'view', view_name, sql, comment FROM duckdb_views() WHERE database_name = $db AND NOT internal
    UNION ALL SELECT 'column', table_name || '.' || column_name, concat(data_type, ' ', column_default), comment
        FROM duckdb_columns() WHERE database_name = $db AND NOT internal
    UNION ALL SELECT 'macro', function_name, parameters::VARCHAR || ' ' || macro_definition, comment
        FROM duckdb_functions() WHERE database_name = $db AND macro_definition IS NOT NULL
    UNION ALL SELECT 'other', index_name, sql, comment FROM duckdb_indexes() WHERE database_name = $db
    UNION ALL SELECT 'other', sequence_name, sql, comment FROM duckdb_sequences() WHERE database_name = $db
    UNION ALL SELECT 'other', type_name, labels::VARCHAR, comment FROM duckdb_types()
        WHERE database_name = $db AND NOT internal
"""


def patch(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> bool:
    """Let the tables of the attached file ``copy`` have the rows of those in ``origin``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection with both files attached.
    tables : iterable of str
        The tables; all others must be empty in the copy, as they are in every copy.

    Returns
    -------
    bool
        False if the copy has other definitions, or too many rows differ; then a new copy is to be made.
    """
    if _definitions(connection, "origin") != _definitions(connection, "copy"):
        return False
    for table in tables:
        gone, new = _differences(connection, table)
        (rows,) = connection.execute(f"SELECT count(*) FROM origin.{quoted(table)}").fetchone() or (0,)
        if gone + new > _ALWAYS + MOST_CHANGED * rows:
            return False
        if gone:
            connection.execute(f"DELETE FROM copy.{quoted(table)} WHERE rowid IN (FROM rows_gone)")
        if new:
            connection.execute(
                f"INSERT INTO copy.{quoted(table)} FROM origin.{quoted(table)} WHERE rowid IN (FROM rows_new)"
            )
    return True


def _definitions(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """Return all that an attached file defines. DuckDB tells the columns after EXCLUDE in no fixed order."""

    def in_order(found: re.Match[str]) -> str:
        return f"EXCLUDE ({', '.join(sorted(found[1].split(', ')))})"

    rows = connection.execute(_DEFINITIONS, {"db": name}).fetchall()
    return sorted(re.sub(r"EXCLUDE \(([^()]*)\)", in_order, str(row)) for row in rows)


def _differences(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    """Note which rows of the copy are not in the catalog, and the other way round; return how many they are."""
    for name in ("origin", "copy"):
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE {name}_rows AS
                SELECT rowid AS place, hash(row_of) AS mark FROM {name}.{quoted(table)} AS row_of"""
        )
    counts = []
    for result, one, other in (("rows_gone", "copy_rows", "origin_rows"), ("rows_new", "origin_rows", "copy_rows")):
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE {result} AS
                SELECT place FROM {one} WHERE NOT EXISTS (FROM {other} WHERE {other}.mark = {one}.mark)"""
        )
        (count,) = connection.execute(f"SELECT count(*) FROM {result}").fetchone() or (0,)
        counts.append(int(count))
    return counts[0], counts[1]
