"""Files on this disk, as the catalog keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import duckdb
import pyarrow as pa

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
    """Count the local files that are a path, or lie below it; none where the path is no text, as the catalog's are."""
    if any("\ud800" <= character <= "\udfff" for character in path):
        return 0
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


FolderState = tuple[int, int]
"""Modification time (ns) and inode of a folder."""


UNKNOWN_STATE: FolderState = (0, 0)
"""Of a folder in which a file was put, while its other files were not looked at."""


def without_known_folders(
    connection: duckdb.DuckDBPyConnection, states: Mapping[str, FolderState]
) -> dict[str, FolderState]:
    """Return those folders whose state the catalog does not know yet."""
    rows = connection.execute("SELECT path, mtime_ns, inode FROM local_folder").fetchall()
    known = {path: (mtime_ns, inode) for path, mtime_ns, inode in rows}
    return {
        path: state
        for path, state in states.items()
        if known.get(path) != state and not (state == UNKNOWN_STATE and path in known)
    }


def note_folders(connection: duckdb.DuckDBPyConnection, states: Mapping[str, FolderState]) -> None:
    """Remember the state that folders had when their files were looked at.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In a transaction that may write.
    states : mapping
        By path, absolute. A state from before the look is safe: what changes later is seen.
    """
    if not states:
        return
    table = {
        "path": pa.array(list(states)),
        "mtime_ns": pa.array([mtime_ns for mtime_ns, _ in states.values()], pa.int64()),
        "inode": pa.array([inode for _, inode in states.values()], pa.int64()),
    }
    connection.register("folder_rows", pa.table(table))
    connection.execute("DELETE FROM local_folder WHERE path IN (SELECT path FROM folder_rows)")
    connection.execute("INSERT INTO local_folder BY NAME FROM folder_rows")
    connection.unregister("folder_rows")
