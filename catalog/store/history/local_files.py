"""Files on this disk, as the catalog keeps them. No other module writes the state of a file or of its folder.

Every function that writes runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from catalog.store.history.keyword_differences import drop_differences
from catalog.store.history.verdicts import drop_verdicts
from catalog.store.sql import columns_of


def offer_local_files(connection: duckdb.DuckDBPyConnection, where: str = "true") -> None:
    """Make the temporary views that a plan compares with the destination.

    ``local`` has the local files with the verdict on each (``state``, ``reason``, ``archived``; null if it is current).
    ``former`` has the MD5 of every version of a file that the archive listed or a sync proved.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    where : str
        A condition on `local_files` that chooses the files.
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
    """Count the local files that are at a path or below it; 0 if the path is no text, as it then is in no catalog."""
    if any("\ud800" <= character <= "\udfff" for character in path):
        return 0
    row = connection.execute(f"SELECT count(*) FROM local_files WHERE {BELOW}", {"path": path}).fetchone()
    return int(row[0]) if row else 0


BELOW = "(path = $path OR starts_with(path, rtrim($path, '/') || '/'))"
"""A condition: the file is at a path, or below it."""


def close_local_files(connection: duckdb.DuckDBPyConnection, path: str, now: datetime) -> int:
    """Stop expecting the files that are at a path or below it; their history stays.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction that may write.
    path : str
        An absolute path.
    now : datetime
        The time in UTC, without a zone.

    Returns
    -------
    int
        How many files the catalog no longer expects there.
    """
    expected = f"FROM local_file_version WHERE {BELOW} AND (until_at IS NULL OR ended IS DISTINCT FROM 'forgotten')"
    row = connection.execute(f"SELECT count(DISTINCT path) {expected}", {"path": path}).fetchone()
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
    drop_verdicts(connection, "FROM touched")
    drop_differences(connection, "FROM touched")
    return int(row[0]) if row else 0


def keep_fetched(connection: duckdb.DuckDBPyConnection, done: pa.Table, now: datetime, run: int) -> None:
    """Keep the files that a sync fetched or found. This leaves the temporary table ``touched`` with their ``file_id``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    done : pyarrow.Table
        One row for each file: path, filename, size, mtime_ns, inode, checksum, data_uri, proven and trusted.
    now : datetime
        The time in UTC, without a zone.
    run : int
        The newest run at the time when the sync was planned.
    """
    connection.register("done_rows", done)
    for statement in (_SAME_BYTES, _CLOSE, _OPEN):
        values = {"now": now, "run": run}
        connection.execute(statement, {name: values[name] for name in values if f"${name}" in statement})
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE touched AS
            SELECT file_id FROM local_file_version SEMI JOIN done_rows USING (path) WHERE until_at IS NULL"""
    )
    connection.unregister("done_rows")


def keep_read(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[str], files: pa.Table, now: datetime
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Keep the state of files that were read. This leaves the temporary table ``touched`` with their ``file_id``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    paths : sequence of str
        Absolute paths.
    files : pyarrow.Table
        One row for each path: size, mtime_ns, inode, checksum, problem and unread.
    now : datetime
        The time in UTC, without a zone.

    Returns
    -------
    tuple of numpy.ndarray
        The id of each file, and whether the file's headers must be stored with it.
    """
    _stage(connection, paths, files)
    connection.execute(
        """
        UPDATE local_file_version v SET until_at = ?, ended = 'changed' FROM staged s
        WHERE v.file_id = s.known AND v.until_at IS NULL AND NOT s.same AND v.path = s.path
        """,
        [now],
    )
    connection.execute("""
        UPDATE local_file_version v
        SET indexed = s.unread IS NULL, problem = coalesce(s.unread, s.problem),
            checksum = coalesce(s.checksum, v.checksum)
        FROM staged s WHERE v.file_id = s.known AND v.until_at IS NULL AND s.same
    """)
    connection.execute(
        """
        INSERT INTO local_file_version BY NAME
        SELECT file_id, path, parse_filename(path) AS filename, coalesce(size, 0) AS size,
               coalesce(mtime_ns, 0) AS mtime_ns, coalesce(inode, 0) AS inode, checksum, data_uri,
               unread IS NULL AS indexed, coalesce(unread, problem) AS problem, CAST(? AS TIMESTAMP) AS since_at,
               fetched_checksum, fetched_size, fetched_mtime_ns, fetched_at, fetched_run, trusted
        FROM staged WHERE NOT same
        """,
        [now],
    )
    rows = connection.execute("SELECT file_id, unread IS NULL AND NOT (same AND indexed) FROM staged ORDER BY file")
    columns = rows.fetchnumpy()
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE touched AS
        SELECT file_id FROM staged UNION SELECT known FROM staged WHERE known IS NOT NULL
    """)
    connection.execute("DROP TABLE staged")
    return np.asarray(columns["file_id"]), np.asarray(list(columns.values())[1], bool)


def _stage(connection: duckdb.DuckDBPyConnection, paths: Sequence[str], files: pa.Table) -> None:
    """Make the temporary table ``staged``: the files that were read, beside what the catalog has about them."""
    read = files.append_column("path", pa.array(paths, pa.string()))
    connection.register("read", read.append_column("file", pa.array(np.arange(len(paths)))))
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE staged AS
        SELECT r.*, l.file_id AS known, l.data_uri, coalesce(l.indexed, false) AS indexed,
               l.fetched_checksum, l.fetched_size, l.fetched_mtime_ns, l.fetched_at, l.fetched_run, l.trusted,
               l.file_id IS NOT NULL
                   AND (r.size IS NULL OR (r.size, r.mtime_ns, r.inode) = (l.size, l.mtime_ns, l.inode)) AS same,
               CASE WHEN same THEN l.file_id
                    ELSE (SELECT coalesce(max(file_id), 0) FROM local_file_version) + r.file + 1 END AS file_id
        FROM read r LEFT JOIN local_files l USING (path)
        """
    )
    connection.unregister("read")


def keep_moves(connection: duckdb.DuckDBPyConnection, moved: pa.Table, gone: Sequence[int], now: datetime) -> None:
    """Close the state of files that are gone, and give files that moved a state at their new path.

    This leaves the temporary table ``touched`` with the ``file_id`` of each file.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    moved : pyarrow.Table
        One row for each file: file_id, and its present path, mtime_ns and inode.
    gone : sequence of int
        The ``file_id`` of files that are gone.
    now : datetime
        The time in UTC, without a zone.
    """
    connection.register("moves", moved)
    connection.register("gone", pa.table({"file_id": pa.array([*gone], pa.int64())}))
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE arrived AS
        SELECT v.* REPLACE (m.path AS path, parse_filename(m.path) AS filename, m.mtime_ns AS mtime_ns,
                            m.inode AS inode, CAST(? AS TIMESTAMP) AS since_at, CAST(NULL AS VARCHAR) AS ended)
        FROM local_file_version v JOIN moves m USING (file_id) WHERE v.until_at IS NULL
        """,
        [now],
    )
    connection.execute(
        """
        UPDATE local_file_version SET until_at = ?,
            ended = CASE WHEN file_id IN (SELECT file_id FROM moves) THEN 'moved' ELSE 'gone' END
        WHERE until_at IS NULL AND file_id IN (SELECT file_id FROM moves UNION ALL SELECT file_id FROM gone)
        """,
        [now],
    )
    connection.execute("INSERT INTO local_file_version SELECT * FROM arrived")
    connection.execute("DROP TABLE arrived")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS SELECT file_id FROM moves UNION ALL SELECT file_id FROM gone"
    )
    connection.unregister("moves")
    connection.unregister("gone")


FolderState = tuple[int, int]
"""Modification time (ns) and inode of a folder."""


UNKNOWN_STATE: FolderState = (0, 0)
"""The state of a folder in which a file was put, while its other files were not looked at."""


def without_known_folders(
    connection: duckdb.DuckDBPyConnection, states: Mapping[str, FolderState]
) -> dict[str, FolderState]:
    """Return the folders whose state is not the one that the catalog has noted."""
    rows = connection.execute("SELECT path, mtime_ns, inode FROM local_folder").fetchall()
    noted = {path: (mtime_ns, inode) for path, mtime_ns, inode in rows}
    return {
        path: state
        for path, state in states.items()
        if noted.get(path) != state and not (state == UNKNOWN_STATE and path in noted)
    }


def note_folders(connection: duckdb.DuckDBPyConnection, states: Mapping[str, FolderState]) -> None:
    """Note the state that folders had when their files were looked at.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction that may write.
    states : mapping
        States by absolute path. They may be from before the files were looked at: a later change is then noticed.
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


_SAME_BYTES = """
    UPDATE local_file_version AS l
    SET checksum = d.checksum, data_uri = CASE WHEN d.proven THEN d.data_uri ELSE l.data_uri END,
        problem = CASE WHEN d.proven THEN NULL ELSE l.problem END,
        fetched_checksum = CASE WHEN d.proven THEN d.checksum ELSE l.fetched_checksum END,
        fetched_size = CASE WHEN d.proven THEN d.size ELSE l.fetched_size END,
        fetched_mtime_ns = CASE WHEN d.proven THEN d.mtime_ns ELSE l.fetched_mtime_ns END,
        fetched_at = CASE WHEN d.proven THEN CAST($now AS TIMESTAMP) ELSE l.fetched_at END,
        fetched_run = CASE WHEN d.proven THEN CAST($run AS INTEGER) ELSE l.fetched_run END,
        trusted = CASE WHEN d.proven THEN d.trusted ELSE l.trusted END
    FROM done_rows d
    WHERE l.until_at IS NULL AND l.path = d.path AND l.size = d.size AND l.mtime_ns = d.mtime_ns AND l.inode = d.inode
"""

_CLOSE = """
    UPDATE local_file_version AS l SET until_at = $now, ended = 'changed'
    FROM done_rows d
    WHERE l.until_at IS NULL AND l.path = d.path
        AND NOT (l.size = d.size AND l.mtime_ns = d.mtime_ns AND l.inode = d.inode)
"""

_OPEN = """
    INSERT INTO local_file_version BY NAME
    SELECT (SELECT coalesce(max(file_id), 0) FROM local_file_version) + row_number() OVER () AS file_id, d.path,
        d.filename, d.size, d.mtime_ns, d.inode, d.checksum,
        CASE WHEN d.proven THEN d.data_uri ELSE e.data_uri END AS data_uri, false AS indexed,
        CAST($now AS TIMESTAMP) AS since_at,
        CASE WHEN d.proven THEN d.checksum ELSE e.fetched_checksum END AS fetched_checksum,
        CASE WHEN d.proven THEN d.size ELSE e.fetched_size END AS fetched_size,
        CASE WHEN d.proven THEN d.mtime_ns ELSE e.fetched_mtime_ns END AS fetched_mtime_ns,
        CASE WHEN d.proven THEN CAST($now AS TIMESTAMP) ELSE e.fetched_at END AS fetched_at,
        CASE WHEN d.proven THEN CAST($run AS INTEGER) ELSE e.fetched_run END AS fetched_run,
        CASE WHEN d.proven THEN d.trusted ELSE e.trusted END AS trusted
    FROM done_rows d
    LEFT JOIN (FROM local_file_version WHERE until_at = $now AND ended = 'changed') e ON e.path = d.path
    ANTI JOIN (SELECT path FROM local_file_version WHERE until_at IS NULL) l ON l.path = d.path
"""
