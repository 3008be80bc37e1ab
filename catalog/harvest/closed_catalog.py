"""An archive that is asked only while other processes can write the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from catalog.archive.answer import ArchiveAnswer
from catalog.archive.client import Archive, Query
from catalog.store.between import OpenBetween
from catalog.store.database import Database
from catalog.vocabulary.search import Search


@contextmanager
def open_between(database: Database) -> Iterator[OpenBetween]:
    """Let a catalog stay open from one reading block to the next, until the end of this block at the latest."""
    between = OpenBetween(database)
    try:
        yield between
    finally:
        between.release()


@dataclass(frozen=True)
class AskedBetweenBlocks:
    """An archive that is asked while others can write the catalog; see `catalog.archive.client.Archive`.

    Attributes
    ----------
    archive : Archive
        The archive to ask.
    make_room : callable
        Closes the catalog, if others cannot write it while it is open.
    """

    archive: Archive
    make_room: Callable[[], None]

    def query(self, search: Search) -> Query:
        """Return the query of a search; for an observation search, the archive is asked for it."""
        if search.instrument is None:
            self.make_room()
        return self.archive.query(search)

    def count(self, query: Query) -> int:
        """Return how many rows a query has."""
        self.make_room()
        return self.archive.count(query)

    def rows(self, query: Query, columns: Sequence[str] = ("*",), size: int = 50_000) -> ArchiveAnswer:
        """Return the first page of a query's rows."""
        self.make_room()
        return self.archive.rows(query, columns, size)

    def observations(self, **criteria: Any) -> ArchiveAnswer:
        """Return the CAOM observations that meet the criteria."""
        self.make_room()
        return self.archive.observations(**criteria)

    def products(self, obsids: Sequence[str]) -> ArchiveAnswer:
        """Return the products of some observations."""
        self.make_room()
        return self.archive.products(obsids)
