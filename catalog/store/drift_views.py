"""Views that compare disk and archive: `file_drift` by file, `keyword_drift` by keyword, `drift` both."""

from __future__ import annotations

import duckdb

from catalog.store.database import quoted
from catalog.store.differences import named_columns

_ARCHIVE = {"checksum": "VARCHAR", "cal_ver": "VARCHAR", "crds_ctx": "VARCHAR", "date": "TIMESTAMP"}


def make_drift_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views anew, over the columns that files and headers have now."""
    files, products = named_columns(connection, "file_version"), named_columns(connection, "product_version")
    chosen = [
        f"{quoted(files[name][0]) if name in files else 'NULL'}::{kind} AS {quoted(name)}"
        for name, kind in _ARCHIVE.items()
    ]
    name = quoted(products["productfilename"][0]) if "productfilename" in products else "NULL"
    by_file = _BY_FILE.format(columns=", ".join(chosen), product=f"{name}::VARCHAR")
    views = {"file_drift": by_file, "keyword_drift": _BY_KEYWORD, "drift": _BOTH}
    for view, query in views.items():
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        connection.execute(f"COMMENT ON VIEW {view} IS '{_COMMENTS[view]}'")


_COMMENTS = {
    "file_drift": "local files that are stale, missing, corrupt or unknown, and why",
    "keyword_drift": "keywords whose value in a file is not the one in the archive",
    "drift": "file_drift and keyword_drift (state: differs) together",
}

_BY_KEYWORD = """
SELECT path, filename, keyword, header, archive FROM keyword_difference JOIN local_files USING (file_id)
"""

_BOTH = """
SELECT state, path, filename, reason, NULL AS keyword, NULL AS header, NULL AS archive FROM file_drift
UNION ALL
SELECT 'differs', path, filename, format('{} is {} in the file, {} in the archive', upper(keyword), header, archive),
       keyword, header, archive
FROM keyword_drift
"""

_BY_FILE = """
WITH current AS (SELECT filename, {columns} FROM file_version WHERE until_run IS NULL),
doubtful AS (
    SELECT l.file_id, l.path, l.filename, l.problem, c.filename IS NULL AS unmatched, c.* EXCLUDE (filename, checksum),
           l.checksum AS ours, c.checksum AS theirs, lower(l.checksum) <> lower(c.checksum) AS differs
    FROM local_files l LEFT JOIN current c ON c.filename = l.filename
    WHERE l.problem IS NOT NULL OR (lower(l.checksum) = lower(c.checksum)) IS NOT TRUE
),
compared AS MATERIALIZED (
    SELECT d.path, d.filename, d.problem, d.unmatched, d.ours, d.theirs, d.differs,
           h.date IS NULL OR d.date IS NULL OR h.date <= d.date AS not_newer,
           concat_ws('; ',
               CASE WHEN not_newer AND h.cal_ver <> d.cal_ver
                    THEN format('CAL_VER {{}} -> {{}}', h.cal_ver, d.cal_ver) END,
               CASE WHEN not_newer AND h.crds_ctx <> d.crds_ctx
                    THEN format('CRDS_CTX {{}} -> {{}}', h.crds_ctx, d.crds_ctx) END,
               CASE WHEN h.date < d.date - INTERVAL 1 SECOND
                    THEN format('DATE {{}} -> {{}}', h.date, d.date) END
           ) AS moved
    FROM doubtful d LEFT JOIN local_header h USING (file_id)
    WHERE d.problem IS NOT NULL OR d.unmatched OR d.differs
       OR h.cal_ver <> d.cal_ver OR h.crds_ctx <> d.crds_ctx OR h.date < d.date - INTERVAL 1 SECOND
),
-- few files are left; what else is known is looked up for their names alone
product AS (
    SELECT DISTINCT p.filename FROM (SELECT {product} AS filename FROM product_version WHERE until_run IS NULL) p
    SEMI JOIN (SELECT filename FROM compared WHERE unmatched) u USING (filename)
),
former AS (
    SELECT DISTINCT f.filename, lower(f.checksum) AS checksum
    FROM (SELECT filename, until_run, {columns} FROM file_version WHERE until_run IS NOT NULL) f
    SEMI JOIN compared USING (filename)
),
known AS (
    SELECT k.*, k.unmatched AND product.filename IS NULL AS unlisted,
           EXISTS (SELECT 1 FROM former f WHERE f.filename = k.filename) AS withdrawn,
           EXISTS (SELECT 1 FROM former f WHERE f.filename = k.filename AND f.checksum = lower(k.ours)) AS explained
    FROM compared k LEFT JOIN product USING (filename)
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
    FROM known
),
closed AS MATERIALIZED (
    SELECT path, filename, data_uri, until_at FROM local_file_version
    WHERE data_uri IS NOT NULL AND until_at IS NOT NULL
),
gone AS (
    SELECT path, filename, arg_max(data_uri, until_at) AS data_uri, max(until_at) AS until_at
    FROM closed
    ANTI JOIN (SELECT l.data_uri FROM local_files l SEMI JOIN closed USING (data_uri)) again USING (data_uri)
    ANTI JOIN (SELECT l.path FROM local_files l SEMI JOIN closed USING (path)) taken USING (path)
    GROUP BY path, filename
)
SELECT state, path, filename, reason FROM judged WHERE state IS NOT NULL
UNION ALL
SELECT 'missing', path, filename,
       format('fetched from {{}}, gone since {{}} UTC', data_uri, strftime(until_at, '%Y-%m-%d %H:%M'))
FROM gone
"""
