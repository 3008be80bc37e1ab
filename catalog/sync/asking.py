"""Ask the archive what it lists for one file at this moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.archive.retry import Patience
from catalog.keywords import FILENAME_COLUMNS, SERVICES
from catalog.store.database import Database
from catalog.sync.transfer import AskCurrent, Current

if TYPE_CHECKING:  # astroquery takes a second to import, and most syncs never ask
    from catalog.archive.client import MastArchive

_COLUMNS = ("fileSize", "checksum")


@contextmanager
def asking(database: Database, server: str, patience: Patience | None = None) -> Iterator[AskCurrent]:
    """Give what `ask_current` returns, with a client of its own that is made at the first question.

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
        from catalog.archive.client import MastArchive

        with lock:
            if not made:
                made.append(MastArchive(server))
        return made[0]

    try:
        yield _asker(database, archive, patience)
    finally:
        for client in made:
            client.close()


def ask_current(database: Database, archive: MastArchive, patience: Patience | None = None) -> AskCurrent:
    """Return a function that asks for a file's current size and checksum, by its name.

    Parameters
    ----------
    database : Database
        Knows whose keyword search has the file.
    archive : MastArchive
        Whom to ask.
    patience : Patience, optional
        How long to go on.

    Returns
    -------
    callable
        Takes a file name; returns `Current`, or None where no keyword search lists the file.
    """
    return _asker(database, lambda: archive, patience)


def _asker(database: Database, archive: Callable[[], MastArchive], patience: Patience | None) -> AskCurrent:
    ask = (patience or Patience(attempts=3)).ask

    def current(filename: str) -> Current | None:
        from catalog.archive.client import Query

        instrument = _instrument(database, filename)
        if instrument is None:
            return None
        name = FILENAME_COLUMNS.get(instrument, "filename")
        query = Query(SERVICES[instrument]).having(name, filename)
        found = ask(lambda: archive().rows(query, (name, *_COLUMNS))).rows.to_pylist()
        return Current(filename, found[0]["fileSize"], found[0]["checksum"]) if found else None

    return current


def _instrument(database: Database, filename: str) -> str | None:
    with database.read() as connection:
        row = connection.execute("SELECT instrument FROM files WHERE filename = ?", [filename]).fetchone()
    return str(row[0]) if row else None
