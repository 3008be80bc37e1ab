"""The archive against the disk: which local files are stale, missing, corrupt or unknown, and why."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from catalog.store.database import Database, quoted
from catalog.store.schema import columns_of


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
        rows = connection.execute(f"{_drift(connection)} ORDER BY path").fetchall()
    by_state: dict[str, list[Drifted]] = {"stale": [], "missing": [], "corrupt": [], "unknown": []}
    for state, path, filename, reason in rows:
        by_state[state].append(Drifted(path, filename, reason))
    return Outdated(**by_state)


_ARCHIVE_COLUMNS = {
    "checksum": "VARCHAR",
    "cal_ver": "VARCHAR",
    "crds_ctx": "VARCHAR",
    "date": "TIMESTAMP",
}


def _drift(connection: duckdb.DuckDBPyConnection) -> str:
    """The question, over those of the archive's columns that this catalog has seen."""
    seen = {column.lower(): column for column in columns_of(connection, "file_version")}
    chosen = [
        f"{quoted(seen[name])}::{kind} AS {quoted(name)}" if name in seen else f"NULL::{kind} AS {quoted(name)}"
        for name, kind in _ARCHIVE_COLUMNS.items()
    ]
    products = {column.lower(): column for column in columns_of(connection, "product_version")}
    named = [quoted(products[name]) for name in ("productfilename",) if name in products]
    listed = f"SELECT {named[0]} AS filename FROM product_version WHERE until_run IS NULL UNION ALL " if named else ""
    return _QUESTION.format(columns=", ".join(chosen), listed=listed)


_QUESTION = """
WITH archive AS (
    SELECT filename, until_run, {columns} FROM file_version
),
current AS (
    SELECT filename, any_value(checksum) AS checksum, any_value(cal_ver) AS cal_ver,
           any_value(crds_ctx) AS crds_ctx, any_value(date) AS date
    FROM archive WHERE until_run IS NULL GROUP BY filename
),
former AS (SELECT DISTINCT filename, lower(checksum) AS checksum FROM archive WHERE until_run IS NOT NULL),
withdrawn AS (SELECT DISTINCT filename FROM former),
listed AS (SELECT DISTINCT filename FROM ({listed}SELECT filename FROM current)),
compared AS (
    SELECT l.path, l.filename, l.problem, listed.filename IS NULL AS unlisted,
           l.checksum AS ours, c.checksum AS theirs, lower(l.checksum) <> lower(c.checksum) AS differs,
           former.filename IS NOT NULL AS explained, withdrawn.filename IS NOT NULL AS withdrawn,
           concat_ws('; ',
               CASE WHEN h.cal_ver <> c.cal_ver
                    AND (h.date IS NULL OR c.date IS NULL OR h.date <= c.date)
                    THEN format('CAL_VER {{}} -> {{}}', h.cal_ver, c.cal_ver) END,
               CASE WHEN h.crds_ctx <> c.crds_ctx
                    AND (h.date IS NULL OR c.date IS NULL OR h.date <= c.date)
                    THEN format('CRDS_CTX {{}} -> {{}}', h.crds_ctx, c.crds_ctx) END,
               CASE WHEN h.date < c.date - INTERVAL 1 SECOND
                    THEN format('DATE {{}} -> {{}}', h.date, c.date) END
           ) AS moved
    FROM local_files l
    LEFT JOIN listed USING (filename)
    LEFT JOIN current c USING (filename)
    LEFT JOIN local_header h USING (file_id)
    LEFT JOIN withdrawn USING (filename)
    LEFT JOIN former ON former.filename = l.filename AND former.checksum = lower(l.checksum)
),
judged AS (
    SELECT CASE WHEN problem IS NOT NULL THEN 'corrupt'
                WHEN unlisted THEN 'unknown'
                WHEN differs AND (explained OR moved <> '') THEN 'stale'
                WHEN differs THEN 'corrupt'
                WHEN differs IS NULL AND moved <> '' THEN 'stale' END AS state,
           path, filename,
           CASE WHEN problem IS NOT NULL THEN problem
                WHEN unlisted AND withdrawn THEN 'the archive lists it no longer'
                WHEN unlisted THEN 'the archive does not list it'
                WHEN differs AND (explained OR moved <> '')
                    THEN concat_ws('; ', nullif(moved, ''), format('checksum {{}} -> {{}}', ours, theirs))
                WHEN differs THEN format('its MD5 is {{}}, the archive never had that; it has {{}}', ours, theirs)
                ELSE moved END AS reason
    FROM compared
),
gone AS (
    SELECT DISTINCT ON (path) path, filename, data_uri, until_at
    FROM local_file_version v
    WHERE data_uri IS NOT NULL AND until_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM local_files l WHERE l.data_uri = v.data_uri OR l.path = v.path)
    ORDER BY path, until_at DESC
)
SELECT state, path, filename, reason FROM judged WHERE state IS NOT NULL
UNION ALL
SELECT 'missing', path, filename, 
       format('fetched from {{}}, gone since {{}} UTC', data_uri, strftime(until_at, '%Y-%m-%d %H:%M'))
FROM gone
"""
