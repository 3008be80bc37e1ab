"""The protocol of an engine that keeps the tables of a catalog.

Statements are written in DuckDB's SQL, and every engine is used through a DuckDB connection. Engines differ in how they
open, lock and seal a catalog, how they widen a column, which comments they keep, and which types they have. One object
holds these differences, so that no statement has to ask which engine runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import duckdb

from catalog.store.turns import LockWait

Keeps = Callable[[], bool]
"""Says whether an unfinished catalog is of use; see `Engine.make`."""


class Comment(NamedTuple):
    """A comment in the catalog.

    Attributes
    ----------
    kind : str
        The kind of thing that has the comment: TABLE, VIEW, COLUMN, MACRO or MACRO TABLE.
    name : str
        Its name in SQL, quoted if necessary.
    text : str
        The comment itself.
    """

    kind: str
    name: str
    text: str


class Dialect(Protocol):
    """What an engine does otherwise with the statements on its connections."""

    @property
    def name(self) -> str:
        """Return the name that ``duckdb_databases()`` gives to this type of database."""

    @property
    def types(self) -> frozenset[str]:
        """Return the types that a column of the archive can have. Values of other types are kept as text."""

    @property
    def commented(self) -> frozenset[str]:
        """Return the kinds of things that can have a comment."""

    @property
    def numbers_rows(self) -> bool:
        """Return whether ``rowid`` tells each row of a table from all others."""

    @property
    def row_type(self) -> str:
        """Return the type of what `row` writes."""

    def row(self, relation: str, key: str) -> str:
        """Write what tells a row of a table of versions from all others, within one transaction.

        Parameters
        ----------
        relation : str
            The name of the table in the statement.
        key : str
            The column with the key; a key has one version for each run.
        """

    def widen(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str) -> None:
        """Give a column a type that holds each of its values exactly."""

    def comment(self, connection: duckdb.DuckDBPyConnection, comments: Iterable[Comment]) -> None:
        """Write comments; leave out those that the engine cannot keep."""


class Engine(Dialect, Protocol):
    """An engine that keeps the tables of a catalog."""

    @property
    def readers_make_room(self) -> bool:
        """Return whether nobody can read a catalog while another process opens it to write and writes it."""

    @property
    def waits_for_server(self) -> bool:
        """Return whether a statement may wait for a server, where it does not hear Ctrl-C."""

    def named(self, path: Path) -> str:
        """Return the name of a catalog, as a user may write it."""

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open a catalog once, without waiting. The connection reaches no other file, and no network.

        Raises
        ------
        catalog.store.faults.Locked
            If another connection has it.
        CatalogError
            If it cannot be opened at all.
        """

    def cursor(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return one more connection to an open catalog, for another thread."""

    def size(self, path: Path) -> int:
        """Return how many bytes a catalog has, or 0 if it does not exist.

        Raises
        ------
        NotACatalog
            If there is something else at the place; it is never opened.
        OSError
            If the place cannot be looked at.
        """

    def identity(self, path: Path) -> Hashable:
        """Return what tells a catalog from another one that was put at its place."""

    def state(self, path: Path) -> Hashable:
        """Return what changes when a connection that reads a catalog does not see its newest rows."""

    def stamp(self, path: Path) -> bytes:
        """Return what changes whenever anybody changes a catalog, its views or its macros.

        Raises
        ------
        OSError, CatalogError
            If there is no catalog, or it cannot be looked at.
        """

    def make(self, path: Path, fill: Callable[[duckdb.DuckDBPyConnection], None], keeps: Keeps | None = None) -> None:
        """Make a catalog that appears at its place when it is complete.

        Parameters
        ----------
        path : Path
            The place.
        fill : callable
            Makes the tables through a connection, and closes it.
        keeps : callable, optional
            With it, `fill` goes on with an unfinished catalog that was left when it was killed. When `fill` fails, this
            is asked whether the unfinished catalog is of use to the next attempt; otherwise nothing is left. If `fill`
            raises `NotACatalog` about what was left, it is removed, and `fill` begins with an empty catalog.
        """

    def about_to_commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Do what must be done at the end of a transaction."""

    def lock(self, path: Path, waiting: LockWait, holder: str, reads: bool = False) -> AbstractContextManager[None]:
        """Wait for the turn at a catalog, behind all that came earlier, and keep it until the end of the block.

        Parameters
        ----------
        path : Path
            The catalog.
        waiting : LockWait
            How long to wait.
        holder : str
            The name of whoever has the turn, where the engine cannot tell.
        reads : bool
            Whether the turn is one to read, for which only those who write are waited for.

        Raises
        ------
        catalog.store.turns.StillHeld
            If those who came earlier do not give up their turns in time; its text names the first of them.
        OSError
            If a lock cannot be made at this place.
        """

    def harvest_lock(self, path: Path, waiting: LockWait, holder: str) -> AbstractContextManager[None]:
        """Keep other harvests of a catalog away until the end of the block; readers and others who write may go on.

        The parameters and the errors are those of `lock`.
        """

    def is_locked(self, path: Path) -> bool:
        """Say whether any process writes, or waits to write; this makes no file and does not wait."""

    def seal(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forbid every change of a setting from here on; this cannot be undone."""
