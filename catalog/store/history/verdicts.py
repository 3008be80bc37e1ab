"""The verdict on each local file: whether it is what the archive has now.

One statement decides, and every command reads its result. A file is `current` unless the table `local_verdict` has
a row for it. A command that changes a local file or a row of the archive judges the files that it touched, in the same
transaction; comparing a million files at the time of the question would take seconds.

The strongest evidence counts:

1. The archive's checksum of its present version, against the MD5 of the bytes here.
2. The record of the sync that fetched the file, against the bytes here. Then the columns that change with processing,
   in the rows of the product and of the file: their values at that time against their present values.
3. CAL_VER, CRDS_CTX and DATE in the header here, against the same columns of the archive.

A file for which there is none of this evidence is `unverified`.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from catalog.store.relations import had_local_files
from catalog.store.sql import columns_of, quoted

STATES = ("stale", "missing", "corrupt", "modified", "unverified", "unknown")
"""Every state but ``current``, in the order in which commands list them."""

_FILE = {
    "checksum": "VARCHAR", "fileSize": "BIGINT", "cal_ver": "VARCHAR", "crds_ctx": "VARCHAR", "date": "TIMESTAMP",
}  # fmt: skip
_PRODUCT = {"productFilename": "VARCHAR", "size": "BIGINT", "prvversion": "VARCHAR"}


def keep_verdicts(connection: duckdb.DuckDBPyConnection, touched: str | None = None) -> None:
    """Judge local files again, and replace the verdicts that were kept about them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in the transaction that changed a file or a row of the archive.
    touched : str, optional
        A query of the ``file_id`` of the files to judge; by default, all files.
    """
    where = f"WHERE file_id IN ({touched})" if touched else ""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE to_judge AS FROM local_files {where}")
    connection.execute(f"DELETE FROM local_verdict {where}")
    connection.execute(f"INSERT INTO local_verdict {verdict_query(connection, 'to_judge')}")
    connection.execute("DROP TABLE to_judge")


def drop_verdicts(connection: duckdb.DuckDBPyConnection, touched: str) -> None:
    """Drop the verdicts on files that are forgotten; ``touched`` is a query of their ``file_id``."""
    connection.execute(f"DELETE FROM local_verdict WHERE file_id IN ({touched})")


def keep_verdicts_of_run(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Judge the local files whose row in the archive was opened or closed by the newest run, or by any run since."""
    if not had_local_files(connection):
        return
    names, uris = [], []
    for table, name, uri in (
        ("file_version", "filename", "dataURI"),
        ("product_version", "productFilename", "data_uri"),
    ):
        have = {column.lower() for column in columns_of(connection, table)}
        moved = f"FROM {table} WHERE since_run >= {int(run)} OR until_run >= {int(run)}"
        names += [f"SELECT {quoted(name)} {moved}"] if name.lower() in have else []
        uris += [f"SELECT {quoted(uri)} {moved}"] if uri.lower() in have else []
    queries = [("filename", query) for query in names] + [("data_uri", query) for query in uris]
    conditions = [f"{column} IN ({query})" for column, query in queries]
    keep_verdicts(connection, f"SELECT file_id FROM local_files WHERE {' OR '.join(conditions) or 'false'}")


def verdict_query(connection: duckdb.DuckDBPyConnection, local: str) -> str:
    """Return the query that judges files: ``file_id``, ``state``, ``reason``, ``archived``; current files have no row.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog, which tells the columns that the archive has sent so far.
    local : str
        A relation with the columns of the view `local_files`.
    """
    return _VERDICTS.format(
        local=local,
        file=_columns(connection, "file_version", _FILE),
        product=_columns(connection, "product_version", _PRODUCT),
        older=f"{_version('here_cal_ver')} < {_version('prvversion')}",
    )


def count_verified(connection: duckdb.DuckDBPyConnection, local: str) -> tuple[int, int]:
    """Count local files with and without a checksum to compare their bytes with: the archive's, or one of a sync.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    local : str
        A relation with a column ``path``.

    Returns
    -------
    tuple of int
        The number of files with such a checksum, and the number without.
    """
    listed = "checksum" in columns_of(connection, "file_version")
    with_checksum = (
        "SELECT filename FROM file_version WHERE until_run IS NULL AND checksum IS NOT NULL" if listed else "SELECT ''"
    )
    row = connection.execute(
        f"""SELECT count(*) FILTER (known), count(*) FILTER (NOT known) FROM (
                SELECT filename IN ({with_checksum}) OR fetched_checksum IS NOT NULL AS known
                FROM local_files SEMI JOIN {local} USING (path))"""
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _version(column: str) -> str:
    """Turn a version of the pipeline, like 1.12.5, into a list of numbers, which compares correctly."""
    return f"list_transform(string_split(regexp_extract({column}, '^[0-9.]+'), '.'), lambda n: TRY_CAST(n AS INTEGER))"


def _columns(connection: duckdb.DuckDBPyConnection, table: str, types: Mapping[str, str]) -> str:
    """Write the columns in the types given; a column that the archive has not sent is null."""
    have = {name.lower(): name for name in columns_of(connection, table)}
    sent = {name: f"TRY_CAST({quoted(have[name.lower()])} AS {types[name]})" for name in types if name.lower() in have}
    return ", ".join(f"{sent.get(name, f'NULL::{kind}')} AS {quoted(name)}" for name, kind in types.items())


_VERDICTS = """
WITH local AS (FROM {local}),
removal AS (SELECT run FROM runs WHERE kind = 'removed'),
file_then AS (
    SELECT filename, since_run, until_run, {file} FROM file_version SEMI JOIN local USING (filename)
),
file AS (SELECT * EXCLUDE (since_run, until_run), since_run AS file_since FROM file_then WHERE until_run IS NULL),
product_then AS (
    SELECT data_uri, since_run, until_run, {product} FROM product_version
),
product_now AS (
    SELECT l.file_id, p.data_uri AS product_uri, p.since_run AS product_since, p.size AS product_size, p.prvversion
    FROM local l JOIN product_then p ON p.data_uri = l.data_uri AND p.until_run IS NULL
        AND coalesce(p."productFilename", regexp_extract(p.data_uri, '[^/]*$')) = l.filename
    UNION ALL
    SELECT l.file_id, min(p.data_uri), arg_min(p.since_run, p.data_uri), arg_min(p.size, p.data_uri),
           arg_min(p.prvversion, p.data_uri)
    FROM local l JOIN product_then p ON p."productFilename" = l.filename AND p.until_run IS NULL
    WHERE l.data_uri IS NULL
       OR NOT EXISTS (SELECT 1 FROM product_then q WHERE q.data_uri = l.data_uri AND q.until_run IS NULL)
    GROUP BY l.file_id
),
-- bytes that the archive once listed, or that a sync once proved
former AS (
    SELECT filename, lower(checksum) AS checksum FROM file_then WHERE checksum IS NOT NULL
    UNION
    SELECT filename, fetched_checksum FROM local_file_version SEMI JOIN local USING (filename)
    WHERE fetched_checksum IS NOT NULL AND trusted IS NOT TRUE
),
gathered AS (
    SELECT l.*, f.filename IS NULL AND p.file_id IS NULL AS unlisted,
           EXISTS (FROM file_then t WHERE t.filename = l.filename) AS listed_once,
           EXISTS (FROM file_then t WHERE t.filename = l.filename AND t.until_run IN (FROM removal))
               OR EXISTS (FROM product_then t WHERE t.data_uri = l.data_uri AND t.until_run IN (FROM removal))
               AS let_go,
           lower(l.checksum) AS ours, lower(f.checksum) AS theirs, f."fileSize" AS file_size,
           f.cal_ver, f.crds_ctx, f.date, f.file_since, p.product_uri, p.product_since, p.product_size, p.prvversion,
           h.cal_ver AS here_cal_ver, h.crds_ctx AS here_crds_ctx, h.date AS here_date,
           l.fetched_checksum IS NOT NULL AS fetched,
           o.filename IS NOT NULL AS archived,
           h.date IS NULL OR f.date IS NULL OR h.date <= f.date AS not_newer
    FROM local l
    LEFT JOIN file f ON f.filename = l.filename
    LEFT JOIN product_now p ON p.file_id = l.file_id
    LEFT JOIN local_header h ON h.file_id = l.file_id
    LEFT JOIN former o ON o.filename = l.filename AND o.checksum = lower(l.checksum)
    WHERE (lower(l.checksum) = lower(f.checksum)) IS NOT TRUE  -- the archive's bytes of now need no other evidence
),
told AS (
    SELECT g.*,
        concat_ws('; ',
            CASE WHEN not_newer AND here_cal_ver <> g.cal_ver
                 THEN format('CAL_VER {{}} -> {{}}', here_cal_ver, g.cal_ver) END,
            CASE WHEN not_newer AND here_crds_ctx <> g.crds_ctx
                 THEN format('CRDS_CTX {{}} -> {{}}', here_crds_ctx, g.crds_ctx) END,
            CASE WHEN here_date < g.date - INTERVAL 1 SECOND
                 THEN format('DATE {{}} -> {{}}', here_date, g.date) END) AS header_older,
        concat_ws('; ',
            CASE WHEN coalesce(g.cal_ver <> t.cal_ver AND here_cal_ver IS DISTINCT FROM g.cal_ver, false)
                 THEN format('CAL_VER {{}} -> {{}}', t.cal_ver, g.cal_ver)
                 WHEN coalesce(g.prvversion <> r.prvversion AND here_cal_ver IS DISTINCT FROM g.prvversion, false)
                 THEN format('version of the pipeline {{}} -> {{}}', r.prvversion, g.prvversion) END,
            CASE WHEN g.crds_ctx <> t.crds_ctx AND here_crds_ctx IS DISTINCT FROM g.crds_ctx
                 THEN format('CRDS_CTX {{}} -> {{}}', t.crds_ctx, g.crds_ctx) END,
            CASE WHEN g.date <> t.date AND here_date IS DISTINCT FROM g.date
                 THEN format('DATE {{}} -> {{}}', t.date, g.date) END,
            CASE WHEN coalesce(g.file_size <> t."fileSize" AND g.file_size <> fetched_size, false)
                 THEN format('size {{}} -> {{}}', t."fileSize", g.file_size)
                 WHEN coalesce(g.product_size <> r.size AND g.product_size <> fetched_size, false)
                 THEN format('size {{}} -> {{}}', r.size, g.product_size) END,
            CASE WHEN g.theirs <> lower(t.checksum) THEN 'its checksum is another' END) AS row_moved
    FROM gathered g
    LEFT JOIN file_then t ON g.fetched AND t.filename = g.filename AND g.file_since > g.fetched_run
        AND t.since_run <= g.fetched_run AND coalesce(t.until_run > g.fetched_run, true)
    LEFT JOIN product_then r ON g.fetched AND r.data_uri = g.product_uri AND g.product_since > g.fetched_run
        AND r.since_run <= g.fetched_run AND coalesce(r.until_run > g.fetched_run, true)
),
judged AS (
    SELECT file_id, coalesce(archived, false) AS archived, CASE
        WHEN problem IS NOT NULL AND NOT archived THEN ['corrupt', problem]
        WHEN unlisted THEN ['unknown', CASE
            WHEN let_go THEN 'no saved search leads to it any more'
            WHEN listed_once OR regexp_extract(data_uri, '[^/]*$') = filename THEN 'the archive lists it no longer'
            WHEN data_uri IS NOT NULL THEN format('fetched from {{}}, and renamed here', data_uri)
            ELSE 'the archive does not list it' END]
        WHEN fetched AND ours <> fetched_checksum AND NOT archived
             AND size = fetched_size AND mtime_ns = fetched_mtime_ns
            THEN ['corrupt', format('its bytes changed on the disk, though its size and time did not: MD5 {{}} -> {{}}',
                                    fetched_checksum, ours)]
        WHEN fetched AND (ours <> fetched_checksum AND NOT archived OR ours IS NULL AND size <> fetched_size)
            THEN ['modified', format('changed here since it was fetched{{}}',
                                     coalesce(': MD5 ' || fetched_checksum || ' -> ' || ours, ''))]
        WHEN fetched AND ours IS NULL AND mtime_ns <> fetched_mtime_ns
            THEN ['unverified', 'touched since it was fetched, and its bytes were not read again']
        WHEN theirs IS NOT NULL AND ours IS NOT NULL THEN CASE
            WHEN trusted AND row_moved = '' THEN ['unverified', format(
                'accepted by its length; its MD5 is {{}}, the archive lists {{}}', ours, theirs)]
            WHEN archived OR header_older <> '' OR trusted THEN ['stale', concat_ws('; ',
                nullif(header_older, ''), format('checksum {{}} -> {{}}', ours, theirs))]
            ELSE ['modified', format('not the archive''s: its MD5 is {{}}, the archive never had that; it has {{}}',
                                     ours, theirs)] END
        WHEN row_moved <> '' THEN ['stale', row_moved]
        WHEN fetched AND trusted IS NOT TRUE AND theirs IS NULL THEN NULL
        WHEN header_older <> '' THEN ['stale', header_older]
        WHEN theirs IS NOT NULL AND file_size <> size
            THEN ['modified', format('not the archive''s: it has {{}} bytes, the archive''s has {{}}', size, file_size)]
        WHEN here_date > date + INTERVAL 1 SECOND
            THEN ['modified', format('not the archive''s: its DATE is {{}}, the archive''s {{}}', here_date, date)]
        WHEN theirs IS NOT NULL
            THEN ['unverified', 'its bytes were never compared with the archive''s checksum: mastlake index --verify']
        WHEN {older}
            THEN ['stale', format('CAL_VER {{}} -> {{}}', here_cal_ver, prvversion)]
        WHEN product_size <> size THEN ['unverified', format(
            'it has {{}} bytes, the archive lists {{}} and no checksum', size, product_size)]
        ELSE ['unverified', 'the archive lists no checksum, and no sync fetched it'] END AS verdict
    FROM told
)
SELECT file_id, verdict[1] AS state, verdict[2] AS reason, archived FROM judged WHERE verdict IS NOT NULL
"""
