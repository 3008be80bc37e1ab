"""A lake whose metadata are in a file: its process takes a turn in the queue beside the file, as at other catalogs.

Readers of a lake with metadata in SQLite see the newest snapshot of when they opened it, whatever is committed
meanwhile. If the metadata are in a DuckDB file, readers and writers take turns, as at a catalog that is one file.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from catalog.errors import NotACatalog
from catalog.store.duckdb_file import filled_beside, queue_at, size_of, stamp_of
from catalog.store.engine import Keeps
from catalog.store.faults import Locked
from catalog.store.lakes.group_rights import give_group_rights
from catalog.store.lakes.lake import Lake
from catalog.store.turns import LockWait, held


@dataclass(frozen=True)
class FileLake(Lake):
    """A lake whose metadata are in a DuckDB file or an SQLite file; see `catalog.store.engine.Engine`."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return the names of DuckDB's extensions that open the lake."""
        return ("ducklake", "sqlite_scanner") if self.address.metadata == "sqlite" else ("ducklake",)

    @property
    def readers_make_room(self) -> bool:
        """Return whether nobody can read while another process writes."""
        return self.address.metadata == "duckdb"

    def metadata(self, path: Path, read_only: bool) -> str:
        """Return the path, after the kind of the file."""
        return f"{'sqlite:' if self.address.metadata == 'sqlite' else ''}{path}"

    @property
    def folder_beside(self) -> Path:
        """Return the folder for the rows if nobody names one."""
        return Path(f"{self.address.place}.files")

    def size(self, path: Path) -> int:
        """Return how many bytes the metadata have, or 0 if there is no lake.

        Raises
        ------
        NotACatalog
            If the path is a folder, a pipe or a device.
        OSError
            If the folder cannot be entered.
        """
        return size_of(path)

    def identity(self, path: Path) -> Hashable:
        """Return the number of the inode of the file with the metadata."""
        return path.stat().st_ino

    def state(self, path: Path) -> Hashable:
        """Return the number of the newest snapshot in SQLite; for a DuckDB file, which no writer shares, the inode."""
        return path.stat().st_ino if self.readers_make_room else newest_in_sqlite(path)

    def stamp(self, path: Path) -> bytes:
        """Return what changes with the file."""
        return stamp_of(path)

    def make(self, path: Path, fill: Callable[[duckdb.DuckDBPyConnection], None], keeps: Keeps | None = None) -> None:
        """Make the metadata beside their place, and move them there when all is complete."""
        with self.rows_removed_on_failure(keeps):
            filled_beside(self, path, fill, keeps)
        give_group_rights(path)

    def lock(self, path: Path, waiting: LockWait, holder: str, reads: bool = False) -> AbstractContextManager[None]:
        """Wait for the turn and keep it; see `catalog.store.queue`."""
        return queue_at(path).turn(waiting, reads)

    def harvest_lock(self, path: Path, waiting: LockWait, holder: str) -> AbstractContextManager[None]:
        """Keep other harvests away until the end of the block, by a file beside the metadata."""
        return held(path.with_name(f"{path.name}.harvest"), waiting, holder)

    def is_locked(self, path: Path) -> bool:
        """Say whether any process writes or waits to write, and readers must make room."""
        return self.readers_make_room and queue_at(path).has_writer()


def newest_in_sqlite(path: Path) -> int:
    """Return the number of the newest snapshot of a lake; this also ends a commit that was cut off.

    Raises
    ------
    NotACatalog
        If the file has no lake.
    Locked
        If another process is in the middle of a commit.
    """
    import sqlite3

    try:
        with closing(sqlite3.connect(path, timeout=5)) as metadata:
            row = metadata.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise Locked("another process, which writes") from error
        raise NotACatalog(f"{path} has no lake ({error}); choose another --catalog") from error
    except sqlite3.DatabaseError as error:
        raise NotACatalog(f"{path} is not the SQLite file of a lake ({error}); choose another --catalog") from error
    return int(row[0])
