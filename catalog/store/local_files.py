"""Files on this disk, as the catalog keeps them."""

from __future__ import annotations

from datetime import datetime

import duckdb

from catalog.store.sql import columns_of


def offer_local_files(connection: duckdb.DuckDBPyConnection, where: str = "true") -> None:
    """Make the temporary views that a plan compares with the destination.

    ``local`` has the local files with the verdict on each (``state``, ``reason``, ``archived``; null: current).
    ``former`` has the MD5 of every version of a file that the archive listed or a sync proved.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Of the catalog.
    where : str
        Which local files: a condition on `local_files`.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW local AS
            SELECT l.*, v.state, v.reason, v.archived
            FROM (FROM local_files WHERE {where}) l LEFT JOIN local_verdict v USING (file_id)"""
    )
    listed = (
        "SELECT filename, lower(checksum) AS checksum FROM file_version WHERE checksum IS NOT NULL UNION ALL"
        if "checksum" in columns_of(connection, "file_version")
        else ""
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW former AS {listed}
            SELECT filename, fetched_checksum AS checksum FROM local_file_version WHERE fetched_checksum IS NOT NULL"""
    )


def count_below(connection: duckdb.DuckDBPyConnection, path: str) -> int:
    """Count the local files that are a path, or lie below it."""
    row = connection.execute(f"SELECT count(*) FROM local_files WHERE {BELOW}", {"path": path}).fetchone()
    return int(row[0]) if row else 0


BELOW = "(path = $path OR starts_with(path, rtrim($path, '/') || '/'))"
"""A condition on files: at a path, or below it."""


def forget(connection: duckdb.DuckDBPyConnection, path: str, now: datetime) -> int:
    """Let go of the files that are a path or lie below it; their history stays.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In a transaction that may write.
    path : str
        Absolute.
    now : datetime
        UTC, without zone.

    Returns
    -------
    int
        How many files the catalog no longer expects there.
    """
    chosen = f"FROM local_file_version WHERE {BELOW} AND (until_at IS NULL OR ended IS DISTINCT FROM 'forgotten')"
    row = connection.execute(f"SELECT count(DISTINCT path) {chosen}", {"path": path}).fetchone()
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE touched AS
            SELECT file_id FROM local_file_version WHERE {BELOW} AND until_at IS NULL""",
        {"path": path},
    )
    connection.execute(
        f"""UPDATE local_file_version SET until_at = coalesce(until_at, $now), ended = 'forgotten'
            WHERE {BELOW} AND ended IS DISTINCT FROM 'moved'""",
        {"path": path, "now": now},
    )
    connection.execute("DELETE FROM local_verdict WHERE file_id IN (FROM touched)")
    connection.execute("DELETE FROM keyword_difference WHERE file_id IN (FROM touched)")
    return int(row[0]) if row else 0
