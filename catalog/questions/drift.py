"""The archive against the disk: local files that are not known to be the archive's present version, and why.

The views `file_drift`, `keyword_drift` and `drift` tell the same in SQL, as of the last index or sync; `outdated` also
looks at the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from catalog.questions.disk import Presence, look_at_folders
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.history.verdicts import STATES, verdict_query


@dataclass(frozen=True)
class Drifted:
    """A local file that is not known to be what the archive has.

    Attributes
    ----------
    path : str
        Where the file is on disk, or was.
    filename : str
        The name of the file.
    reason : str
        Why; for a change, the old and the new value.
    """

    path: str
    filename: str
    reason: str


@dataclass(frozen=True)
class Outdated:
    """Local files by what is wrong with them; a file is in one list only.

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


@asks_again
def outdated(database: Database, below: Sequence[str] = ()) -> Outdated:
    """Compare the local files with the disk, and with what the archive lists now.

    Parameters
    ----------
    database : Database
        A catalog; it need not have a harvest.
    below : sequence of str
        Only files at these absolute paths or below them; by default, all files.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    with database.read() as connection:
        presence = look_at_folders(connection)
        _offer_presence(connection, presence)
        rows = connection.execute(f"{_outdated_query(connection, presence)} ORDER BY path").fetchall()
    by_state: dict[str, list[Drifted]] = {state: [] for state in STATES}
    for state, path, filename, reason in rows:
        if not below or any(path == place or path.startswith(place.rstrip("/") + "/") for place in below):
            by_state[state].append(Drifted(path, filename, reason))
    return Outdated(**by_state)


def counts_of_states(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count the local files in each state except current, as `outdated` lists them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for reading.
    """
    presence = look_at_folders(connection)
    _offer_presence(connection, presence)
    query = _outdated_query(connection, presence)
    rows = connection.execute(f"SELECT state, count(*) FROM ({query}) GROUP BY state").fetchall()
    return dict.fromkeys(STATES, 0) | {str(state): int(count) for state, count in rows}


def _offer_presence(connection: duckdb.DuckDBPyConnection, presence: Presence) -> None:
    """Make the temporary tables ``gone_files``, ``moved_files``, ``seen`` and ``changed_files``."""
    for name, files in (("gone_files", presence.gone), ("moved_files", presence.moved)):
        _offer(connection, name, _PATHS, [{"file_id": each, "now": path} for each, path in files.items()])
    _offer(connection, "seen", _SEEN, presence.changed)
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE changed_files AS
            SELECT l.* REPLACE (s.size AS size, s.mtime_ns AS mtime_ns, s.inode AS inode, s.checksum AS checksum,
                                CAST(NULL AS VARCHAR) AS problem)
            FROM local_files l JOIN seen s USING (file_id)"""
    )


def _offer(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, object]],
) -> None:
    """Make a temporary table. It is usually empty, and then Arrow is not imported."""
    listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({listed})")
    if rows:
        import pyarrow as pa

        kinds = {"BIGINT": pa.int64(), "VARCHAR": pa.string()}
        schema = pa.schema([(column, kinds[kind]) for column, kind in columns.items()])
        connection.register("rows", pa.Table.from_pylist(list(rows), schema=schema))
        connection.execute(f"INSERT INTO {name} FROM rows")
        connection.unregister("rows")


_PATHS = {"file_id": "BIGINT", "now": "VARCHAR"}
_SEEN = {"file_id": "BIGINT", "size": "BIGINT", "mtime_ns": "BIGINT", "inode": "BIGINT", "checksum": "VARCHAR"}

_KEPT = """
    SELECT v.state, coalesce(m.now, l.path) AS path, l.filename, v.reason
    FROM local_verdict v JOIN local_files l USING (file_id) LEFT JOIN moved_files m USING (file_id)
    WHERE file_id NOT IN (SELECT file_id FROM gone_files UNION ALL SELECT file_id FROM seen)
"""
_CHANGED = "SELECT c.state, l.path, l.filename, c.reason FROM ({verdicts}) c JOIN local_files l USING (file_id)"
_GONE = """
    SELECT 'missing', l.path, l.filename, format('fetched from {}, and no longer on disk', l.data_uri)
    FROM gone_files JOIN local_files l USING (file_id) WHERE l.data_uri IS NOT NULL
"""
_MISSING = "SELECT state, path, filename, reason FROM file_drift WHERE state = 'missing'"
_ANY_CLOSED = "SELECT 1 FROM local_file_version WHERE until_at IS NOT NULL AND data_uri IS NOT NULL LIMIT 1"


def _outdated_query(connection: duckdb.DuckDBPyConnection, presence: Presence) -> str:
    """Return the query of all files that are not current; parts that find nothing are left out, as they scan tables."""
    parts = [_KEPT]
    if presence.changed:
        parts.append(_CHANGED.format(verdicts=verdict_query(connection, "changed_files")))
    if presence.gone:
        parts.append(_GONE)
    if connection.execute(_ANY_CLOSED).fetchone():
        parts.append(_MISSING)
    return " UNION ALL ".join(parts)
