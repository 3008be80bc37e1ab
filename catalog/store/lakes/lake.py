"""The engine of a catalog that is a lake: its rows are in Parquet files, its metadata in a database (DuckLake).

Every connection is to a DuckDB in memory, to which the lake is attached. A process that commits holds a lock meanwhile,
which the system takes from a process that dies. The modules `file` and `postgres` beside this one say how the database
with the metadata is found, opened and locked.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from catalog.errors import CatalogUnwritable, UsageError
from catalog.process.interrupts import held_back
from catalog.store.duckdb_file import DUCKDB, quiet
from catalog.store.engine import Keeps
from catalog.store.faults import Locked, explain, interruptible
from catalog.store.lakes.address import LakeAddress, is_bucket, lake_address
from catalog.store.lakes.dialect import LakeDialect
from catalog.store.lakes.extensions import load_extensions
from catalog.store.lakes.group_rights import give_group_rights, give_rights_in
from catalog.store.lakes.server_faults import server_fault
from catalog.store.memory import READING_MB, WRITING_MB
from catalog.store.sql import literal
from catalog.text import harmless

if TYPE_CHECKING:
    from catalog.store.lakes.file import FileLake
    from catalog.store.lakes.postgres import PostgresLake

LAKE = "lake"
DATA = "MASTLAKE_DATA"
"""The variable that says where a new lake keeps its rows."""
_FILE_OF_A_LAKE = re.compile(r"ducklake-[0-9a-f-]{36}(-delete)?\.(parquet|puffin)")
_ROW_GROUP = "64MB"
"""The most bytes of a row group in memory. DuckDB has all of a row group in memory when it writes it. By default it has
122,880 rows, which take more than `catalog.store.memory.WRITING_MB` if there are 206 columns."""
_setting_up = threading.Lock()


@dataclass(frozen=True)
class Lake(LakeDialect):
    """What all lakes have in common; see `catalog.store.engine.Engine`.

    Attributes
    ----------
    address : LakeAddress
        Where it is.
    """

    address: LakeAddress = field(kw_only=True)

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return the names of DuckDB's extensions that open the lake."""
        raise NotImplementedError

    @property
    def readers_make_room(self) -> bool:
        """Return whether nobody can read while another process writes."""
        raise NotImplementedError

    @property
    def waits_for_server(self) -> bool:
        """Return whether a statement may wait for a server, where it does not hear Ctrl-C."""
        return False

    def metadata(self, path: Path, read_only: bool) -> str:
        """Return what follows ``ducklake:`` in the statement that attaches the lake."""
        raise NotImplementedError

    def metadata_options(self) -> list[str]:
        """Return further options of that statement."""
        return []

    @property
    def shares_instance(self) -> bool:
        """Return whether the connections of a process share one DuckDB, as those to one file must."""
        return True

    @property
    def folder_beside(self) -> Path | None:
        """Return the folder for the rows if nobody names one; None if there is none."""
        return None

    def size(self, path: Path) -> int:
        """Return how many bytes the metadata have, or 0 if there is no lake."""
        raise NotImplementedError

    def state(self, path: Path) -> Hashable:
        """Return the number of the newest snapshot."""
        raise NotImplementedError

    def require_turn(self) -> None:
        """Raise an error if this process no longer has the turn that it took; a turn at a file cannot be lost."""

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
        named = f"{self.address.metadata}:{path}|{'read' if read_only else 'write'}|{snapshot}"
        shared = f":memory:{named if self.shares_instance else ''}"
        with _setting_up, interruptible():
            connection = duckdb.connect(shared, config=_settings(path, read_only))
            try:
                self._attach(connection, path, read_only, snapshot)
            except duckdb.Error as error:
                connection.close()
                if "database is locked" in str(error):
                    raise Locked("another process, which writes") from error
                if "No snapshot found" in str(error):
                    raise Locked("an upkeep, which has removed the snapshot that was the newest") from error
                raise (server_fault(error, self.address.name) or explain(error, self.address.name)) from error
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
            load_extensions(connection, self.extensions)
            place = None if self.size(path) else self._place_of_new_data()
            if place and is_bucket(place):
                self._reach_bucket(connection, place)
            options = ["DATA_INLINING_ROW_LIMIT 0", *self.metadata_options()]
            options += ["READ_ONLY"] if read_only else []
            options += [] if snapshot is None else [f"SNAPSHOT_VERSION {snapshot}"]
            if place:
                options.append(f"DATA_PATH {literal(place)}")
            connection.execute("SET GLOBAL ducklake_max_retry_count = 0")  # the lock alone says whose turn it is
            where = literal(f"ducklake:{self.metadata(path, read_only)}")
            try:
                connection.execute(f"ATTACH {where} AS {LAKE} ({', '.join(options)})")
            except duckdb.Error as error:
                if "requires the extension httpfs" not in str(error):
                    raise
                load_extensions(connection, ("httpfs",))  # only the metadata say that the rows are in a bucket
                connection.execute(f"ATTACH {where} AS {LAKE} ({', '.join(options)})")
            data, beside = data_of(connection), self.folder_beside
            if is_bucket(data):
                self._open_bucket(connection, data, place is None)
            elif beside and not Path(data).is_dir() and beside.is_dir():  # both were moved
                options += [f"DATA_PATH {literal(f'{beside}/')}", "OVERRIDE_DATA_PATH true"]
                connection.execute(f"DETACH {LAKE}")
                connection.execute(f"ATTACH {where} AS {LAKE} ({', '.join(options)})")
            self._require_named_data(data_of(connection).rstrip("/"))
            if place:
                limit_row_groups(connection)
            connection.execute("SET GLOBAL TimeZone = 'UTC'")  # the archive's times
            connection.execute(f"SET allowed_directories = [{literal(data_of(connection))}]")
            connection.execute("SET enable_external_access = false")
        connection.execute(f"USE {LAKE}")

    def _reach_bucket(self, connection: duckdb.DuckDBPyConnection, place: str) -> None:
        from catalog.store.lakes.bucket import reach_bucket

        reach_bucket(connection, place)

    def _open_bucket(self, connection: duckdb.DuckDBPyConnection, place: str, exists: bool) -> None:
        """Let a connection reach the rows of a lake that is attached."""
        from catalog.store.lakes.bucket import require_paths_within

        if exists:
            self._reach_bucket(connection, place)
            require_paths_within(connection, self.address.schema if self.address.metadata == "postgres" else "main")

    def _require_named_data(self, data: str) -> None:
        if self.address.data not in (None, data):
            raise UsageError(
                f"the rows of {self.address.place} are in {harmless(data)}; leave out data=, or correct it"
            )

    def _place_of_new_data(self) -> str:
        """Return the prefix or the folder for the rows of a new lake, and make the folder."""
        place = self.address.data or os.environ.get(DATA) or str(self.folder_beside)
        if is_bucket(place):
            from catalog.store.lakes.bucket import bucket_place

            return bucket_place(place)
        if "://" in place:
            raise UsageError(f"the rows of a lake are in a folder or at s3://BUCKET/PREFIX, not at {harmless(place)}")
        folder = Path(place).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogUnwritable(f"cannot make {folder} for the rows of the lake: {error.strerror}") from error
        give_group_rights(folder)
        return f"{folder}/"

    @contextmanager
    def rows_removed_on_failure(self, keeps: Keeps | None) -> Iterator[None]:
        """Remove the rows of a lake that could not be made, if their folder was empty before; no other file goes."""
        place = self.address.data or os.environ.get(DATA) or str(self.folder_beside or "")
        folder = Path(place).absolute()
        existed = folder.is_dir()
        is_ours = bool(place) and "://" not in place and not (existed and any(folder.iterdir()))
        try:
            yield
        except BaseException:
            if is_ours and not (keeps and keeps()):
                with held_back(), suppress(OSError):
                    _remove_rows(folder, itself=not existed)
            raise

    def cursor(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return one more connection to an open lake."""
        cursor = connection.cursor()
        cursor.execute(f"USE {LAKE}")
        return cursor

    def about_to_commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note the newest run with the snapshot, so that each run can be found among the lake's snapshots.

        The rows are in their folders by now, and the group gets its rights; see `catalog.store.lakes.group_rights`.
        """
        self.require_turn()
        data = data_of(connection)
        if not is_bucket(data):
            give_rights_in(Path(data))
        run = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
        connection.execute(f"CALL {LAKE}.set_commit_message('mastlake', ?)", [f"run {run[0]}" if run else ""])

    def seal(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forbid every change of a setting from here on; this cannot be undone."""
        DUCKDB.seal(connection)


def lake_of(text: str | os.PathLike[str]) -> tuple[Path, FileLake | PostgresLake]:
    """Return the path of a lake and the engine that opens it; a lake in PostgreSQL has the path of its temporary files.

    Raises
    ------
    UsageError
        If the name has no path, or says no server in the way that is expected.
    """
    address = lake_address(text)
    if address.metadata == "postgres":
        from catalog.store.lakes.postgres import PostgresLake, scratch_of

        return scratch_of(address), PostgresLake(address=address)
    from catalog.store.lakes.file import FileLake

    return Path(address.place), FileLake(address=address)


def limit_row_groups(connection: duckdb.DuckDBPyConnection) -> None:
    """Let all who write the lake that is attached write row groups that fit into memory; the lake keeps the setting."""
    connection.execute(f"CALL {LAKE}.set_option('parquet_row_group_size_bytes', '{_ROW_GROUP}')")


def data_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the folder with the rows of the lake that is attached, with a slash at its end."""
    row = connection.execute(f"SELECT tags['data_path'] FROM duckdb_databases() WHERE database_name = '{LAKE}'")
    return str((row.fetchone() or ("",))[0])


def is_file_of_a_lake(name: str) -> bool:
    """Say whether DuckLake gives such a name to a file of rows."""
    return bool(_FILE_OF_A_LAKE.fullmatch(name))


def _remove_rows(folder: Path, itself: bool) -> None:
    """Remove the files of rows below a folder, and the folders that are empty then."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in filter(is_file_of_a_lake, names):
            Path(path, name).unlink()
        if itself or not folder.samefile(path):
            with suppress(OSError):  # there is a file that no lake made
                Path(path).rmdir()


def _settings(path: Path, read_only: bool) -> dict[str, Any]:
    return {
        "memory_limit": f"{READING_MB if read_only else WRITING_MB}MB",
        "temp_directory": f"{path}.tmp",
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        # Secrets that the user keeps for other programs are not read. To forbid them would forbid PostgreSQL too.
        "secret_directory": f"{os.devnull}/none",
        "allow_unsigned_extensions": True,  # see `catalog.store.lakes.extensions`
        "python_enable_replacements": False,  # a query sees tables, and not the variables of this program
    }
