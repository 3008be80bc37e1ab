"""What the catalog asks of the engine that keeps its tables.

Statements are written in DuckDB's SQL, and every engine is reached through a DuckDB connection. Engines differ in how a
catalog is opened, locked and sealed, in how a column becomes wider, in which comments they keep, and in their types.
All of that is in one object, so that no statement asks which engine it runs on.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import duckdb

from catalog.store.turns import Waiting


class Comment(NamedTuple):
    """A comment in the catalog.

    Attributes
    ----------
    kind : str
        What it is on: TABLE, VIEW, COLUMN, MACRO or MACRO TABLE.
    name : str
        As SQL names it, quoted where it has to be.
    text : str
        In plain words.
    """

    kind: str
    name: str
    text: str


class Engine(Protocol):
    """Where the tables of a catalog live."""

    @property
    def name(self) -> str:
        """Return what ``duckdb_databases()`` calls this type of database."""

    @property
    def types(self) -> frozenset[str]:
        """Return the types that a column of the archive can have. Values of any other type are kept as text."""

    @property
    def commented(self) -> frozenset[str]:
        """Return the kinds of things that can have a comment."""

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open a catalog once, without waiting; it reaches no other file, nor the network.

        Raises
        ------
        catalog.store.faults.Locked
            Where another connection has it.
        CatalogError
            Where it cannot be opened at all.
        """

    def lock(self, path: Path, waiting: Waiting, holder: str) -> AbstractContextManager[None]:
        """Hold the turn to write a catalog; its readers let go of it meanwhile.

        Raises
        ------
        catalog.store.turns.StillHeld
            If another does not let go of the turn in time.
        OSError
            If the turn cannot be taken here.
        """

    def is_locked(self, path: Path) -> bool:
        """Say whether anybody holds the turn to write; nothing is made or waited for."""

    def seal(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let no statement change a setting from here on; it cannot be undone."""

    def widen(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str) -> None:
        """Give a column a type that holds each of its values exactly."""

    def comment(self, connection: duckdb.DuckDBPyConnection, comments: Iterable[Comment]) -> None:
        """Write comments; those that the engine cannot keep are left out."""
