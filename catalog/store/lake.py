"""The engine of a catalog that is a lake: its rows are in Parquet files, its metadata in a database (DuckLake).

Every connection is to a DuckDB in memory, to which the lake is attached. Who commits holds a lock meanwhile, which the
system takes from a process that dies. Readers of a lake with metadata in SQLite see the newest snapshot of when they
opened it, whatever is committed meanwhile. If the metadata is a DuckDB file, readers and who writes take turns, as at
a catalog that is one file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from catalog.errors import CatalogUnwritable, NotACatalog, UsageError
from catalog.store.duckdb_file import DUCKDB, made_beside, queue_at, quiet, size_of
from catalog.store.faults import Locked, explain
from catalog.store.lake_address import LakeAddress, lake_address
from catalog.store.lake_dialect import LakeDialect
from catalog.store.lake_extensions import load_extensions
from catalog.store.memory import READING_MB, WRITING_MB
from catalog.store.sql import literal
from catalog.store.turns import LockWait
from catalog.text import harmless

LAKE = "lake"
DATA = "MASTLAKE_DATA"
"""The variable that says where a new lake keeps its rows."""
_setting_up = threading.Lock()
_EXTENSIONS = {"duckdb": ("ducklake",), "sqlite": ("ducklake", "sqlite_scanner")}


@dataclass(frozen=True)
class FileLake(LakeDialect):
    """A lake whose metadata is a DuckDB file or an SQLite file; see `catalog.store.engine.Engine`.

    Attributes
    ----------
    address : LakeAddress
        Where it is.
    """

    address: LakeAddress = field(kw_only=True)

    @property
    def readers_make_room(self) -> bool:
        """Whether nobody can read while another process writes."""
        return self.address.metadata == "duckdb"

    def named(self, path: Path) -> str:
        """Return the lake's address."""
        return self.address.name

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open a lake once, without waiting.

        Raises
        ------
        Locked
            If another connection has it.
        CatalogError
            If it cannot be opened at all.
        """
        snapshot = self.state(path) if read_only and not self.readers_make_room else None
        # All connections of a process with this name share one DuckDB, as those to one file do.
        shared = f":memory:{self.address.metadata}:{path}|{'read' if read_only else 'write'}|{snapshot}"
        with _setting_up:
            connection = duckdb.connect(shared, config=_settings(path, read_only))
            try:
                self._attach(connection, path, read_only, snapshot)
            except duckdb.Error as error:
                connection.close()
                if "database is locked" in str(error):
                    raise Locked("another process, which writes") from error
                raise explain(error, path) from error
            except BaseException:
                connection.close()
                raise
        return connection

    def _attach(
        self, connection: duckdb.DuckDBPyConnection, path: Path, read_only: bool, snapshot: Hashable | None
    ) -> None:
        """Attach the lake, and let the connection reach nothing but its data; another thread may have done so."""
        quiet(connection)
        if connection.execute("SELECT current_setting('enable_external_access')").fetchone() == (True,):
            load_extensions(connection, _EXTENSIONS[self.address.metadata])
            options = ["DATA_INLINING_ROW_LIMIT 0"]
            options += ["READ_ONLY"] if read_only else []
            options += [] if snapshot is None else [f"SNAPSHOT_VERSION {snapshot}"]
            if not path.exists():
                options.append(f"DATA_PATH {literal(self._place_of_new_data())}")
            where = literal(f"ducklake:{'sqlite:' if self.address.metadata == 'sqlite' else ''}{path}")
            connection.execute(f"ATTACH {where} AS {LAKE} ({', '.join(options)})")
            beside = Path(f"{self.address.place}.files")
            if not Path(data_of(connection)).is_dir() and beside.is_dir():  # both were moved
                options += [f"DATA_PATH {literal(f'{beside}/')}", "OVERRIDE_DATA_PATH true"]
                connection.execute(f"DETACH {LAKE}")
                connection.execute(f"ATTACH {where} AS {LAKE} ({', '.join(options)})")
            self._require_named_data(data_of(connection).rstrip("/"))
            connection.execute("SET GLOBAL TimeZone = 'UTC'")  # the archive's times
            connection.execute(f"SET allowed_directories = [{literal(data_of(connection))}]")
            connection.execute("SET enable_external_access = false")
        connection.execute(f"USE {LAKE}")

    def _require_named_data(self, data: str) -> None:
        if self.address.data not in (None, data):
            raise UsageError(
                f"the rows of {self.address.place} are in {harmless(data)}; leave out data=, or correct it"
            )

    def _place_of_new_data(self) -> str:
        """Return the folder for the rows of a new lake, and make it."""
        place = self.address.data or os.environ.get(DATA) or f"{self.address.place}.files"
        if "://" in place:
            raise UsageError(f"the rows of a lake are in a folder, and not at {harmless(place)}")
        folder = Path(place).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogUnwritable(f"cannot make {folder} for the rows of the lake: {error.strerror}") from error
        return f"{folder}/"

    def cursor(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return one more connection to an open lake."""
        cursor = connection.cursor()
        cursor.execute(f"USE {LAKE}")
        return cursor

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

    def make(self, path: Path, fill: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        """Make the metadata beside their place, and move them there when all is complete."""

        def made(partial: Path) -> None:
            with closing(self.open(partial, read_only=False)) as connection:
                fill(connection)

        made_beside(path, made)

    def about_to_commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note the newest run with the snapshot, so that each run can be found among the lake's snapshots."""
        run = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
        connection.execute(f"CALL {LAKE}.set_commit_message('mastlake', ?)", [f"run {run[0]}" if run else ""])

    def lock(self, path: Path, waiting: LockWait, holder: str, reads: bool = False) -> AbstractContextManager[None]:
        """Wait for the turn and keep it; see `catalog.store.queue`."""
        return queue_at(path).turn(waiting, reads)

    def is_locked(self, path: Path) -> bool:
        """Say whether any process writes or waits to write, and readers must make room."""
        return self.readers_make_room and queue_at(path).has_writer()

    def seal(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forbid every change of a setting from here on; this cannot be undone."""
        DUCKDB.seal(connection)


def lake_of(text: str | os.PathLike[str]) -> tuple[Path, FileLake]:
    """Return the path of a lake's metadata and the engine that opens it.

    Raises
    ------
    UsageError
        If the name has no path, or the metadata are in PostgreSQL.
    """
    address = lake_address(text)
    if address.metadata == "postgres":
        raise UsageError(f"{address.name}: metadata in PostgreSQL are not supported; use ducklake:sqlite:PATH")
    return Path(address.place), FileLake(address=address)


def data_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the folder with the rows of the lake that is attached, with a slash at its end."""
    row = connection.execute(f"SELECT tags['data_path'] FROM duckdb_databases() WHERE database_name = '{LAKE}'")
    return str((row.fetchone() or ("",))[0])


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


def _settings(path: Path, read_only: bool) -> dict[str, Any]:
    return {
        "memory_limit": f"{READING_MB if read_only else WRITING_MB}MB",
        "temp_directory": f"{path}.tmp",
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_unsigned_extensions": True,  # see `catalog.store.lake_extensions`
        "python_enable_replacements": False,  # a query sees tables, and not the variables of this program
    }
