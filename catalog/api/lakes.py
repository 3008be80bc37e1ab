"""Move a catalog from one kind to another, and keep up a lake."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase
from catalog.api.places import is_lake, is_published

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.store.copies.whole_copy import CopiedTable
    from catalog.store.database import Database
    from catalog.store.lakes.upkeep import Upkeep

_READING_SECONDS = 86_400.0


class Lakes(CatalogBase):
    """The part of `catalog.api.catalog.Catalog` that copies catalogs and keeps up lakes."""

    def copy_to(
        self,
        place: str | os.PathLike[str],
        *,
        told: Callable[[str], None] | None = None,
        on_rows: Callable[[str, int, int], None] | None = None,
    ) -> list[CopiedTable]:
        """Copy the catalog with all its history to a place where there is none, and prove each table.

        A file becomes a lake in this way, and a lake becomes a file. The copy appears when it is complete. Local files
        beside a published catalog are in the copy too, unless they are those of another catalog.

        Parameters
        ----------
        place : path-like
            A new catalog file, or the name of a new lake.
        told : callable, optional
            Called with the name of each table before it is copied.
        on_rows : callable, optional
            Called with the name of a table, how many of its rows are copied, and how many it has; perhaps from another
            thread.

        Returns
        -------
        list of CopiedTable
            The tables, with the number and the checksum of the rows that both catalogs have.

        Raises
        ------
        UsageError
            If there is a catalog at the place, or others publish there.
        CatalogError
            If the catalog cannot be read, or the copy is not the same.

        Examples
        --------
        >>> from mastlake import Catalog
        >>> copied = catalog.copy_to(folder / "copy.duckdb")
        >>> {table.table: table.rows for table in copied}["searches"]
        1
        """
        from catalog.errors import UsageError
        from catalog.store.copies.whole_copy import copy_catalog
        from catalog.text import without_password

        if is_published(place):
            raise UsageError(f"{without_password(place)} must name a new file, such as mine.duckdb, or a lake")
        source = self._database
        if source.published_in is not None:
            from catalog.publish.with_local_files import WithLocalFiles

            assert isinstance(source, WithLocalFiles)
            source = source.in_one(source.tell)

        def copied(table: str, done: int, rows: int) -> None:
            """Tell the name of a table once, and how many rows are copied each time."""
            if told is not None and not done:
                told(table)
            if on_rows is not None:
                on_rows(table, done, rows)

        return copy_catalog(source, _database(place), copied)

    def upkeep(self, *, reading_seconds: float = _READING_SECONDS) -> Upkeep:
        """Merge the small files of a lake, expire old snapshots, and remove files that nothing needs any more.

        Parameters
        ----------
        reading_seconds : float
            For how long a question may still run that was asked before; only what is older is removed.

        Returns
        -------
        Upkeep
            How many files there were and are, and what was removed.

        Raises
        ------
        UsageError
            If the catalog is one file, which needs no upkeep.
        CatalogError
            If the lake cannot be used.

        Examples
        --------
        >>> catalog.upkeep()  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        catalog.errors.UsageError: ... is no lake, and needs no upkeep
        """
        from catalog.store.lakes.upkeep import keep_up

        return keep_up(self._database, reading_seconds)


def _database(place: str | os.PathLike[str]) -> Database:
    from catalog.store.database import Database

    if is_lake(place):
        from catalog.store.lakes.lake import lake_of

        where, engine = lake_of(place)
        return Database(where, engine=engine)
    return Database(place)
