"""Views of the files on this disk: HDUs, cards, headers, findings.

Where tables are joined, ``filename`` is qualified: in a lake, each table has a hidden column of that name.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.engine import Comment
from catalog.store.relations import ATTACHED_AS, attached, local_files
from catalog.store.schema.drift_views import make_drift_views
from catalog.store.sql import columns_of, quoted

_LOCAL_FILES = f"({local_files()})"


def _cards(named: Callable[[str], str] = str) -> str:
    """Write the query of the view ``cards``."""
    return f"""
        SELECT path, l.filename, hdu, name, position, keyword, kind, text,
               CASE WHEN kind IN ('integer', 'number') THEN TRY_CAST(text AS DOUBLE) END AS number,
               CASE WHEN kind = 'boolean' THEN text = 'T' END AS boolean,
               comment, file_id
        FROM (
            SELECT file_id, hdu, name, unnest(cards) AS card_id, generate_subscripts(cards, 1) - 1 AS position
            FROM {named("hdu_header")}
        )
        JOIN {named("card_value")} USING (card_id) JOIN {named("card_label")} USING (label_id)
        JOIN ({local_files(named)}) l USING (file_id)
    """


_VIEWS = {
    "hdus": f"""
        SELECT path, l.filename, hdu, name, version, type, bitpix, shape, header_at, data_at, data_size,
               len(cards) AS cards, file_id
        FROM hdu_header JOIN {_LOCAL_FILES} l USING (file_id)
    """,
    "cards": _cards(),
    "findings": f"""
        SELECT path, l.filename, hdu, byte, reason, harm, file_id
        FROM header_finding JOIN {_LOCAL_FILES} l USING (file_id)
    """,
    "lineage": f"""
        WITH association AS (
            SELECT a.filename AS via, m.product, m.member, count(DISTINCT m.product) OVER (PARTITION BY a.filename) AS n
            FROM association_member m JOIN {_LOCAL_FILES} a USING (file_id)
        ),
        known AS (
            SELECT filename, regexp_replace(filename, '_[^_]*$', '') AS stem
            FROM (
                SELECT filename FROM {_LOCAL_FILES} UNION SELECT filename FROM file_version WHERE until_run IS NULL
            )
            WHERE filename LIKE '%.fits%'
        ),
        made AS (
            SELECT DISTINCT l.filename, h.asntable AS via
            FROM local_header h JOIN {_LOCAL_FILES} l USING (file_id) WHERE h.asntable IS NOT NULL
        ),
        found AS (
            SELECT a.member AS input, k.filename AS output, a.via
            FROM association a JOIN known k ON k.stem = a.product
            UNION
            SELECT a.member, m.filename, a.via
            FROM association a JOIN made m USING (via) WHERE a.n = 1 OR starts_with(m.filename, a.product)
        )
        SELECT input, output, via FROM found WHERE input <> output
        UNION
        SELECT member, product, via FROM association
        WHERE (via, product) NOT IN (
            SELECT a.via, a.product FROM association a JOIN found f
            ON f.via = a.via AND f.input = a.member AND f.input <> f.output
        )
        UNION
        SELECT via, filename, 'ASNTABLE' FROM made
    """,
}
_COMMENTS = {
    "lineage": "which file went into which, and by which association",
    "hdus": "every HDU of the files on this disk",
    "cards": "every card of every HDU, in order",
    "findings": "what is not as the FITS standard has it, by file, HDU and byte",
    "headers": "one row for each file: its primary and first science keywords, in the spelling and types of files",
}
_TABLE_MACROS = {
    f"header_value(word, {ATTACHED_AS} := '')": f"""
        SELECT path, filename, hdu, name, text, number, boolean, comment, file_id FROM ({_cards(attached)})
        WHERE keyword = upper(word)
    """,
}


def make_local_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the views and macros of local files, over the columns that `local_header` has now."""
    words = ", ".join(quoted(name) for name in columns_of(connection, "local_header") if name != "file_id")
    headers = f"SELECT path, l.filename, {words}, file_id FROM local_header JOIN {_LOCAL_FILES} l USING (file_id)"
    for view, query in {**_VIEWS, "headers": headers}.items():
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        dialect_of(connection).comment(connection, [Comment("VIEW", view, _COMMENTS[view])])
    make_drift_views(connection)
    for macro, query in _TABLE_MACROS.items():
        connection.execute(f"CREATE OR REPLACE MACRO {macro} AS TABLE {query}")
