"""The history of one file: the versions of its row in the archive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.history.versions import FILES

_OWN = {*FILES.own, "odd_cells", FILES.key}


@dataclass(frozen=True)
class FileVersion:
    """One state of a file's row in the archive.

    Attributes
    ----------
    since_run, until_run : int or None
        The run from which on the row was like this, and the run that found it changed; None if it still is.
    since_at : datetime or None
        When the first of these runs ended, UTC.
    changed : dict
        The differences from the version before: the old and the new value of each column.
    """

    since_run: int
    until_run: int | None
    since_at: datetime | None
    changed: dict[str, tuple[Any, Any]]


@asks_again
def versions(database: Database, filename: str) -> list[FileVersion]:
    """Return the versions of a file, the oldest first, each with what changed since the one before.

    Parameters
    ----------
    database : Database
        A catalog.
    filename : str
        The name of the file.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    with database.read(sealed=True) as connection:
        answered = connection.execute(
            f"""SELECT v.*, r.ended_at AS version_at FROM {FILES.table} v LEFT JOIN runs r ON r.run = v.since_run
                WHERE v.filename = ? ORDER BY v.since_run""",
            [filename],
        )
        names = [str(name) for name, *_ in answered.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in answered.fetchall()]
    file_versions: list[FileVersion] = []
    before: dict[str, Any] | None = None
    for row in rows:
        own = {name: row[name] for name in names if name not in _OWN and name != "version_at"}
        changed = {} if before is None else {n: (before[n], own[n]) for n in own if before[n] != own[n]}
        file_versions.append(FileVersion(row["since_run"], row["until_run"], row["version_at"], changed))
        before = own
    return file_versions
