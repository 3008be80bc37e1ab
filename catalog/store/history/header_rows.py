"""Rows that were read from files on this disk: headers, members of associations, and findings.

Every function runs in the caller's transaction. No other module writes these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import duckdb
import pyarrow as pa

from catalog.store.sql import columns_of, quoted

HeaderTable = Literal["association_member", "card_label", "card_value", "hdu_header", "header_finding", "local_header"]


def add_rows(connection: duckdb.DuckDBPyConnection, table: HeaderTable, rows: pa.Table, select: str = "*") -> None:
    """Add rows to a table; columns are matched by name.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    table : str
        The table.
    rows : pyarrow.Table
        The rows to add.
    select : str
        The expressions to select from the rows, if not all columns as they are.
    """
    connection.register("rows", rows)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT {select} FROM rows")
    connection.unregister("rows")


def add_findings(connection: duckdb.DuckDBPyConnection, odd: pa.Table) -> None:
    """Note what is odd about files that a sync accepted, unless it is noted already.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    odd : pyarrow.Table
        A table with the columns ``path`` and ``reason``.
    """
    connection.register("odd_rows", odd)
    connection.execute(_FINDINGS)
    connection.unregister("odd_rows")


def add_keywords(connection: duckdb.DuckDBPyConnection, missing: Mapping[str, str]) -> None:
    """Give `local_header` more columns; the caller must then make the views again.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    missing : mapping
        Types of the new columns, by their names.
    """
    if connection.execute("SELECT 1 FROM local_header LIMIT 1").fetchone():
        for name, kind in missing.items():
            connection.execute(f"ALTER TABLE local_header ADD COLUMN {quoted(name)} {kind}")
    else:  # adding hundreds of columns one by one takes seconds
        present = columns_of(connection, "local_header")
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in {**present, **missing}.items())
        connection.execute(f"CREATE OR REPLACE TABLE local_header ({columns})")


_FINDINGS = """
    INSERT INTO header_finding BY NAME
    SELECT l.file_id, 0 AS hdu, 0 AS byte, o.reason, false AS harm
    FROM odd_rows o JOIN local_file_version l ON l.path = o.path AND l.until_at IS NULL
    WHERE NOT EXISTS (FROM header_finding h WHERE h.file_id = l.file_id AND h.reason = o.reason)
"""
