"""Write fetched files into the catalog in small batches, each in a short transaction of its own."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.errors import CatalogLocked
from catalog.inodes import signed
from catalog.store.database import Database
from catalog.store.history.header_rows import add_findings
from catalog.store.history.local_files import UNKNOWN_STATE, keep_fetched, note_folders
from catalog.store.history.runs import utc_now
from catalog.store.history.verdicts import keep_verdicts
from catalog.sync.partial import fsync_folder
from catalog.sync.verification import ProvenFile

BATCH = 200
SECONDS = 2.0


class Recorder:
    """Collects finished files, and commits them when there are many or after some time.

    Parameters
    ----------
    database : Database
        The catalog.
    run : int
        The newest run when the plan was made; it tells later by which version of its row a file was fetched.
    """

    def __init__(self, database: Database, run: int = 0) -> None:
        self._database = database
        self._run = run
        self._waiting: list[ProvenFile] = []
        self._since = time.monotonic()

    @property
    def waiting(self) -> int:
        """How many finished files are not committed yet."""
        return len(self._waiting)

    def add(self, done: ProvenFile) -> None:
        """Remember a finished file."""
        self._waiting.append(done)

    def tick(self) -> None:
        """Commit if it is time; if another process has the catalog, leave it for the next time."""
        if len(self._waiting) >= BATCH or time.monotonic() - self._since >= SECONDS:
            try:
                self.flush()
            except CatalogLocked:
                self._since = time.monotonic()

    def flush(self) -> None:
        """Commit all files that wait."""
        self._since = time.monotonic()
        if not self._waiting:
            return
        folders = {Path(done.item.path).parent for done in self._waiting}
        for folder in folders:
            with suppress(FileNotFoundError, NotADirectoryError):  # the file was moved; an index will find it
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
        with self._database.write_local() as connection:
            keep_fetched(connection, pa.Table.from_pylist(rows, schema=_ROWS), now, self._run)
            keep_verdicts(connection, "SELECT file_id FROM touched")
            note_folders(connection, dict.fromkeys(map(str, folders), UNKNOWN_STATE))
            self._write_findings(connection)
        self._waiting.clear()

    def _write_findings(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note what is odd about files that were accepted; an index adds its own findings later."""
        rows = [{"path": done.item.path, "reason": reason} for done in self._waiting for reason in done.findings]
        if rows:
            add_findings(connection, pa.Table.from_pylist(rows, schema=_ODD))


_ODD = pa.schema([("path", pa.string()), ("reason", pa.string())])

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
