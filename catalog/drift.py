"""The archive against the disk: which local files are not known to be the archive's, and why.

The same can be asked in SQL: the views `file_drift`, `keyword_drift` and `drift`.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.store.database import Database
from catalog.store.verdicts import STATES


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
        The archive has a newer version.
    missing : list of Drifted
        A sync put the file here, and it is no longer on disk.
    corrupt : list of Drifted
        The bytes fail their structure, or changed without a new modification time.
    modified : list of Drifted
        The bytes are a person's own: they were changed after a sync fetched them, or never were the archive's.
    unverified : list of Drifted
        Nothing in the catalog can tell whether the bytes are the archive's.
    unknown : list of Drifted
        The archive does not list the file.
    """

    stale: list[Drifted]
    missing: list[Drifted]
    corrupt: list[Drifted]
    modified: list[Drifted]
    unverified: list[Drifted]
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
    by_state: dict[str, list[Drifted]] = {state: [] for state in STATES}
    for state, path, filename, reason in rows:
        by_state[state].append(Drifted(path, filename, reason))
    return Outdated(**by_state)
