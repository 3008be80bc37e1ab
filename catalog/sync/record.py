"""What was fetched, written into the catalog in small batches, each its own short transaction."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.errors import CatalogLocked
from catalog.inodes import signed
from catalog.store.database import Database
from catalog.store.history.local_files import UNKNOWN_STATE, note_folders
from catalog.store.history.runs import utc_now
from catalog.store.history.verdicts import keep_verdicts
from catalog.sync.partial import fsync_folder
from catalog.sync.verification import Done

BATCH = 200
SECONDS = 2.0


class Recorder:
    """Collects finished files and commits them when they are many, or some time has passed.

    Parameters
    ----------
    database : Database
        The catalog.
    run : int
        The newest run when the plan was made. It tells later which version of its row a file was fetched by.
    """

    def __init__(self, database: Database, run: int = 0) -> None:
        self._database = database
        self._run = run
        self._waiting: list[Done] = []
        self._since = time.monotonic()

    @property
    def waiting(self) -> int:
        """How many finished files are not committed."""
        return len(self._waiting)

    def add(self, done: Done) -> None:
        """Remember a finished file."""
        self._waiting.append(done)

    def tick(self) -> None:
        """Commit where it is time; a catalog that another process holds is left for the next time."""
        if len(self._waiting) >= BATCH or time.monotonic() - self._since >= SECONDS:
            try:
                self.flush()
            except CatalogLocked:
                self._since = time.monotonic()

    def flush(self) -> None:
        """Commit everything that waits."""
        self._since = time.monotonic()
        if not self._waiting:
            return
        folders = {Path(done.item.path).parent for done in self._waiting}
        for folder in folders:
            with suppress(FileNotFoundError, NotADirectoryError):  # moved away meanwhile; the index finds it
                fsync_folder(folder)
        now = utc_now()
        rows = [
            {
                "path": done.item.path,
                "filename": done.item.filename,
                "size": done.size,
                "mtime_ns": done.mtime_ns,
                "inode": signed(done.inode),
                "checksum": done.md5,
                "data_uri": done.item.data_uri,
                "proven": done.outcome != "present" or done.md5 == done.item.checksum,
                "trusted": done.item.checksum is not None and done.md5 != done.item.checksum,
            }
            for done in self._waiting
        ]
        with self._database.write() as connection:
            connection.register("done_rows", pa.Table.from_pylist(rows, schema=_ROWS))
            for statement in (_SAME_BYTES, _CLOSE, _OPEN):
                values = {"now": now, "run": self._run}
                connection.execute(statement, {name: values[name] for name in values if f"${name}" in statement})
            keep_verdicts(connection, "SELECT file_id FROM local_files SEMI JOIN done_rows USING (path)")
            note_folders(connection, dict.fromkeys(map(str, folders), UNKNOWN_STATE))
            connection.unregister("done_rows")
            self._write_findings(connection)
        self._waiting.clear()

    def _write_findings(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note what is odd about files that were accepted; their index adds its own findings later."""
        rows = [{"path": done.item.path, "reason": reason} for done in self._waiting for reason in done.findings]
        if not rows:
            return
        connection.register("odd_rows", pa.Table.from_pylist(rows, schema=_ODD))
        connection.execute(_FINDINGS)
        connection.unregister("odd_rows")


_ODD = pa.schema([("path", pa.string()), ("reason", pa.string())])

_FINDINGS = """
    INSERT INTO header_finding BY NAME
    SELECT l.file_id, 0 AS hdu, 0 AS byte, o.reason, false AS harm
    FROM odd_rows o JOIN local_file_version l ON l.path = o.path AND l.until_at IS NULL
    WHERE NOT EXISTS (FROM header_finding h WHERE h.file_id = l.file_id AND h.reason = o.reason)
"""

_ROWS = pa.schema(
    [
        ("path", pa.string()),
        ("filename", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("inode", pa.int64()),
        ("checksum", pa.string()),
        ("data_uri", pa.string()),
        ("proven", pa.bool_()),
        ("trusted", pa.bool_()),
    ]
)

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
