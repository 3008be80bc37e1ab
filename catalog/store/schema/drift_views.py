"""Views that compare disk and archive: `file_drift` by file, `keyword_drift` by keyword, and `drift` by both."""

from __future__ import annotations

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.engine import Comment
from catalog.store.relations import local_files

_LOCAL_FILES = f"({local_files()})"


def make_drift_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the views."""
    views = {"file_drift": _BY_FILE, "keyword_drift": _BY_KEYWORD, "drift": _BOTH}
    for view, query in views.items():
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        dialect_of(connection).comment(connection, [Comment("VIEW", view, _COMMENTS[view])])


_COMMENTS = {
    "file_drift": "local files that are stale, missing, corrupt, modified, unverified or unknown, and why",
    "keyword_drift": "keywords whose value in a file is not the one in the archive",
    "drift": "file_drift and keyword_drift (state: differs) together",
}

_BY_KEYWORD = f"""
SELECT path, l.filename, keyword, header, archive FROM keyword_difference JOIN {_LOCAL_FILES} l USING (file_id)
"""

_BY_FILE = f"""
WITH closed AS MATERIALIZED (
    SELECT path, filename, data_uri, until_at FROM local_file_version
    WHERE data_uri IS NOT NULL AND until_at IS NOT NULL AND coalesce(ended, 'gone') = 'gone'
),
gone AS (
    SELECT path, filename, arg_max(data_uri, until_at) AS data_uri, max(until_at) AS until_at
    FROM closed
    ANTI JOIN (SELECT l.data_uri FROM {_LOCAL_FILES} l SEMI JOIN closed USING (data_uri)) again USING (data_uri)
    ANTI JOIN (SELECT l.path FROM {_LOCAL_FILES} l SEMI JOIN closed USING (path)) taken USING (path)
    GROUP BY path, filename
)
SELECT state, path, l.filename, reason FROM local_verdict JOIN {_LOCAL_FILES} l USING (file_id)
UNION ALL
SELECT 'missing', path, filename,
       format('fetched from {{}}, gone since {{}} UTC', data_uri, strftime(until_at, '%Y-%m-%d %H:%M'))
FROM gone
"""
"""The verdicts on files that are on disk, and the files that a sync once fetched and that are no longer on disk."""

_BOTH = f"""
SELECT state, path, filename, reason, NULL AS keyword, NULL AS header, NULL AS archive FROM ({_BY_FILE})
UNION ALL
SELECT 'differs', path, filename,
       format('{{}} is {{}} in the file, {{}} in the archive', upper(keyword), header, archive),
       keyword, header, archive
FROM ({_BY_KEYWORD})
"""
