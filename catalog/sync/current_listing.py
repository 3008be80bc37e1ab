"""Ask the archive what it lists for one file now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.retry import Patience
from catalog.missions import JWST
from catalog.store.database import Database, columns_of
from catalog.sync.transfer import AskCurrent, Current

if TYPE_CHECKING:  # astroquery takes a second to import, and most syncs never ask
    from catalog.archive.client import MastArchive

_COLUMNS = ("fileSize", "checksum")


@contextmanager
def listing_asker(database: Database, server: str, patience: Patience | None = None) -> Iterator[AskCurrent]:
    """Yield the function that `ask_current` returns, with a client of its own; the first question makes the client.

    Parameters
    ----------
    database, patience
        See `ask_current`.
    server : str
        The archive's address.
    """
    made: list[MastArchive] = []
    lock = threading.Lock()

    def archive() -> MastArchive:
        with lock:  # also during the import: astropy is incomplete while another thread imports it
            from catalog.archive.client import MastArchive

            if not made:
                made.append(MastArchive(server))
        return made[0]

    try:
        yield _asker(database, archive, patience)
    finally:
        for client in made:
            client.close()


def ask_current(database: Database, archive: MastArchive, patience: Patience | None = None) -> AskCurrent:
    """Return a function that asks for the present size and checksum of a file, by its name.

    Parameters
    ----------
    database : Database
        The catalog, which knows whose keyword search has the file.
    archive : MastArchive
        The archive to ask.
    patience : Patience, optional
        How long to ask again.

    Returns
    -------
    callable
        It takes the name of a file, and returns `Current`, or None if no keyword search lists the file.
    """
    return _asker(database, lambda: archive, patience)


def _asker(database: Database, archive: Callable[[], MastArchive], patience: Patience | None) -> AskCurrent:
    return _Asker(database, archive, (patience or Patience(attempts=3)).ask).current


class _Asker:
    """Asks for rows of files, and for rows of products that no keyword search has."""

    def __init__(self, database: Database, archive: Callable[[], MastArchive], ask: Callable[..., Any]) -> None:
        self._database = database
        self._archive = archive
        self._ask = ask
        self._products: dict[str, dict[str, int | None]] = {}
        self._lock = threading.Lock()

    def current(self, filename: str) -> Current | None:
        """Return the row that the archive has now for a file."""
        instrument = _instrument(self._database, filename)
        if instrument is None:
            return self._product(filename)
        archive = self._archive()
        from catalog.archive.client import Query

        name = JWST.filename_column(instrument)
        query = Query(JWST.services[instrument]).having(name, filename)
        rows = self._ask(lambda: archive.rows(query, (name, *_COLUMNS))).rows.to_pylist()
        return Current(filename, rows[0].get("fileSize"), rows[0].get("checksum")) if rows else None

    def _product(self, filename: str) -> Current | None:
        """Ask for all products of the product's observation, once."""
        obsid = _obsid(self._database, filename)
        if obsid is None:
            return None
        archive = self._archive()
        with self._lock:
            if obsid not in self._products:
                rows = self._ask(lambda: archive.products([obsid])).rows
                self._products[obsid] = _sizes(rows) if {"productFilename", "size"} <= set(rows.column_names) else {}
        sizes = self._products[obsid]
        return Current(filename, sizes[filename], None) if filename in sizes else None


def _sizes(rows: pa.Table) -> dict[str, int | None]:
    """Return the listed size of each product, by name."""
    sizes = pc.cast(rows["size"], pa.int64(), safe=False) if pa.types.is_floating(rows["size"].type) else rows["size"]
    pairs = zip(rows["productFilename"].to_pylist(), sizes.to_pylist(), strict=True)
    return {name: size if isinstance(size, int) and 0 <= size < 1 << 63 else None for name, size in pairs}


def _instrument(database: Database, filename: str) -> str | None:
    with database.read() as connection:
        row = connection.execute("SELECT instrument FROM files WHERE filename = ?", [filename]).fetchone()
    return str(row[0]) if row else None


def _obsid(database: Database, filename: str) -> str | None:
    """Return the archive's number of an observation that lists a product with this name."""
    with database.read() as connection:
        if "productFilename" not in columns_of(connection, "products"):
            return None
        if "obsid" not in columns_of(connection, "observations"):
            return None
        row = connection.execute(
            """SELECT o.obsid FROM products p JOIN observation_products l USING (data_uri)
               JOIN observations o ON o.obs_id = l.obs_id
               WHERE p."productFilename" = ? AND o.obsid IS NOT NULL LIMIT 1""",
            [filename],
        ).fetchone()
    return str(row[0]) if row else None
