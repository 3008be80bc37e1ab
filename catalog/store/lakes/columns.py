"""The column ``filename`` that each table of a lake has beside its own: the path of the Parquet file with the row.

DuckDB finds it wherever a statement names ``filename`` alone. In a join with `files`, the name would be ambiguous on a
lake only; and a table without such a column would answer with a path. A temporary view of the table's own columns
hides it.
"""

from __future__ import annotations

import re

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.sql import quoted, tables_of

_HIDDEN = "filename"


def hide_columns_of_files(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Put a view in front of each table of a lake that a statement may name, if it names ``filename``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection; its temporary views are its own, and go with it.
    sql : str
        The statement.
    """
    if _HIDDEN not in sql.casefold() or dialect_of(connection).name != "ducklake":
        return
    words = set(re.findall(r"\w+", sql.casefold()))
    for table in sorted(tables_of(connection)):
        if table.casefold() in words:
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(table)} AS FROM lake.main.{quoted(table)}")
