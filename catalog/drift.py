"""The archive against the disk: which local files are stale, missing, corrupt or unknown, and why.

The same can be asked in SQL: the views `file_drift`, `keyword_drift` and `drift`.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.store.database import Database


@dataclass(frozen=True)
class Drifted:
    """A local file that is not what the archive has.

    Attributes
    ----------
    path : str
        Where it is on disk, or was.
    filename : str
        Its name.
    reason : str
        Why, from what to what.
    """

    path: str
    filename: str
    reason: str


@dataclass(frozen=True)
class Outdated:
    """Local files by what is wrong with them; a file stands in one list only.

    Attributes
    ----------
    stale : list of Drifted
        Whose archive version moved on.
    missing : list of Drifted
        Fetched once, and no longer on disk.
    corrupt : list of Drifted
        Whose bytes fail their checksum or structure.
    unknown : list of Drifted
        That the archive does not list.
    """

    stale: list[Drifted]
    missing: list[Drifted]
    corrupt: list[Drifted]
    unknown: list[Drifted]


def outdated(database: Database) -> Outdated:
    """Compare the local files with what the archive lists now.

    Parameters
    ----------
    database : Database
        A catalog; it need not hold a harvest.

    Raises
    ------
    CatalogError
        Where there is none, or it cannot be read.
    """
    with database.read() as connection:
        rows = connection.execute("SELECT state, path, filename, reason FROM file_drift ORDER BY path").fetchall()
    by_state: dict[str, list[Drifted]] = {"stale": [], "missing": [], "corrupt": [], "unknown": []}
    for state, path, filename, reason in rows:
        by_state[state].append(Drifted(path, filename, reason))
    return Outdated(**by_state)
