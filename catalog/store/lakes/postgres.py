"""A lake whose metadata are in a schema of a PostgreSQL database, so that several machines can harvest into it.

Readers see the newest snapshot of when they opened the lake, whatever is committed meanwhile. Writers take turns by an
advisory lock, see `catalog.store.lakes.server`. DuckDB sees this one schema of the database, and no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import duckdb

from catalog.cache import folder
from catalog.errors import CatalogError, NotACatalog, UsageError
from catalog.process.interrupts import held_back
from catalog.store.duckdb_file import opened_to_fill
from catalog.store.engine import Keeps
from catalog.store.lakes.address import LakeAddress
from catalog.store.lakes.lake import DATA, Lake
from catalog.store.lakes.server import LakeServer
from catalog.store.sql import literal, quoted
from catalog.store.turns import LockWait
from catalog.store.work import ending

_READS = "options='-c default_transaction_read_only=on'"
_SIZE = """
    SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'r' HAVING bool_or(c.relname = 'ducklake_snapshot')
"""
_IDENTITY = "SELECT n.oid, d.oid FROM pg_namespace n, pg_database d WHERE nspname = $1 AND datname = current_database()"


@dataclass(frozen=True)
class PostgresLake(Lake):
    """A lake whose metadata are in PostgreSQL; see `catalog.store.engine.Engine`. Its path is that of `scratch_of`."""

    server: LakeServer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "server", LakeServer(self.address.name, self.address.server))

    @property
    def extensions(self) -> tuple[str, ...]:
        """Return the names of DuckDB's extensions that open the lake."""
        return ("ducklake", "postgres_scanner")

    @property
    def readers_make_room(self) -> bool:
        """Return that readers can read while another process writes."""
        return False

    @property
    def waits_for_server(self) -> bool:
        """Return that a statement may wait for the server."""
        return True

    @property
    def shares_instance(self) -> bool:
        """Return that each connection has a DuckDB of its own: one that lost the server may never end."""
        return False

    def metadata(self, path: Path, read_only: bool) -> str:
        """Return how libpq reaches the server; connections of readers cannot write there."""
        return f"postgres:{self.server.connection_string}{f' {_READS}' if read_only else ''}"

    def metadata_options(self) -> list[str]:
        """Return the schema, for DuckLake and for what DuckDB sees of the database."""
        schema = literal(self.address.schema)
        return [f"METADATA_SCHEMA {schema}", f"META_SCHEMA {schema}"]

    def size(self, path: Path) -> int:
        """Return how many bytes the metadata have, or 0 if there is no lake.

        Raises
        ------
        CatalogError
            If the server cannot be reached, or refuses.
        """
        rows = self.server.ask(_SIZE, self.address.schema)
        return int(rows[0][0] or 0) if rows else 0

    def identity(self, path: Path) -> Hashable:
        """Return the numbers of the database and of the schema."""
        return tuple(self.server.ask(_IDENTITY, self.address.schema))

    def state(self, path: Path) -> Hashable:
        """Return the number of the newest snapshot."""
        rows = self.server.ask(f"SELECT max(snapshot_id) FROM {self._table('snapshot')}")
        if rows[0][0] is None:
            raise NotACatalog(f"{self.address.name} has no lake; choose another --catalog")
        return int(rows[0][0])

    def stamp(self, path: Path) -> bytes:
        """Return what changes with each snapshot, and whenever anybody changes a view or a macro."""
        texts = {"view": "view_name, sql", "macro_impl": "macro_id, sql", "column": "column_id, default_value"}
        sums = ", ".join(
            f"(SELECT md5(string_agg(md5(concat_ws(' ', {of})), '' ORDER BY md5(concat_ws(' ', {of})))) "
            f"FROM {self._table(table)})"
            for table, of in texts.items()
        )
        return repr((self.identity(path), self.state(path), self.server.ask(f"SELECT {sums}"))).encode()

    def make(self, path: Path, fill: Callable[[duckdb.DuckDBPyConnection], None], keeps: Keeps | None = None) -> None:
        """Make the lake in a schema of another name, and rename it when all is complete."""
        partial = PostgresLake(address=self.address.in_schema(f"{self.address.schema}_new"))
        self._require_place(partial)
        made = quoted(partial.address.schema)
        gone = f"DROP SCHEMA IF EXISTS {made} CASCADE"
        was_there = keeps is not None and partial.size(path) > 0
        if not was_there:
            self.server.ask(f"{gone}; CREATE SCHEMA {made}")
        with self.rows_removed_on_failure(keeps):
            self._make(partial, fill, was_there, keeps)

    def _make(
        self,
        partial: PostgresLake,
        fill: Callable[[duckdb.DuckDBPyConnection], None],
        was_there: bool,
        keeps: Keeps | None,
    ) -> None:
        made, name = quoted(partial.address.schema), quoted(self.address.schema)
        gone = f"DROP SCHEMA IF EXISTS {made} CASCADE"
        try:
            try:
                partial._fill(fill, was_there)
            except NotACatalog:
                if not was_there:
                    raise
                self.server.ask(f"{gone}; CREATE SCHEMA {made}")
                partial._fill(fill)
            self.require_turn()
            self.server.ask(f"DROP SCHEMA IF EXISTS {name}; ALTER SCHEMA {made} RENAME TO {name}")
        except BaseException:
            if not (keeps and keeps()):
                with held_back(), suppress(CatalogError):
                    self.server.ask(gone)
            raise

    def _fill(self, fill: Callable[[duckdb.DuckDBPyConnection], None], was_there: bool = False) -> None:
        with ending(opened_to_fill(self, scratch_of(self.address), was_there)) as connection:
            fill(connection)

    def lock(self, path: Path, waiting: LockWait, holder: str, reads: bool = False) -> AbstractContextManager[None]:
        """Wait for the turn and keep it; see `catalog.store.lakes.server`. Nobody takes a turn to read."""
        return self.server.turn(f"commit {self.address.schema}", waiting)

    def harvest_lock(self, path: Path, waiting: LockWait, holder: str) -> AbstractContextManager[None]:
        """Keep other harvests away until the end of the block, on other machines too."""
        return self.server.turn(f"harvest {self.address.schema}", waiting, is_of_writer=False)

    def is_locked(self, path: Path) -> bool:
        """Say that nobody needs to make room."""
        return False

    def require_turn(self) -> None:
        """Raise an error if the server freed the lock, as it does when it restarts."""
        self.server.require_turn()

    def _table(self, name: str) -> str:
        return f"{quoted(self.address.schema)}.{quoted(f'ducklake_{name}')}"

    def _require_place(self, partial: PostgresLake) -> None:
        """Raise an error if nobody says where the rows go, or if something else is there: upkeep would remove it."""
        place = self.address.data or os.environ.get(DATA)
        if not place:
            raise UsageError(
                f"there is no lake at {self.address.name} yet; say in which folder its rows go: "
                f"--catalog {self.address.name},data=FOLDER"
            )
        folder_of_rows = Path(place).absolute()
        is_used = "://" not in place and folder_of_rows.is_dir() and any(folder_of_rows.iterdir())
        if is_used and partial.data() != f"{folder_of_rows}/":  # else an attempt that was cut off left it
            raise UsageError(f"{place} is not empty; name a new folder for the rows of {self.address.name}")

    def data(self) -> str | None:
        """Return the place of the rows, as the metadata say it; None if there are no metadata."""
        if not self.size(Path()):
            return None
        return self.server.ask(f"SELECT value FROM {self._table('metadata')} WHERE key = 'data_path'")[0][0]


def scratch_of(address: LakeAddress) -> Path:
    """Return the path of what a process keeps on its own machine while it uses a lake: rows that wait, pictures."""
    scratch = folder() / "lakes" / quote(replace(address, data=None).name.partition(":")[2], safe="=,@")
    return scratch.absolute()
