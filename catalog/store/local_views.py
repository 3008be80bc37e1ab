"""Views of what lies on this disk: HDUs, cards, headers, findings."""

from __future__ import annotations

import duckdb

from catalog.store.database import quoted

_VIEWS = {
    "hdus": """
        SELECT path, filename, hdu, name, version, type, bitpix, shape, header_at, data_at, data_size,
               len(cards) AS cards, file_id
        FROM hdu_header JOIN local_files USING (file_id)
    """,
    "cards": """
        SELECT path, filename, hdu, name, position, keyword, kind, text,
               CASE WHEN kind IN ('integer', 'number') THEN TRY_CAST(text AS DOUBLE) END AS number,
               CASE WHEN kind = 'boolean' THEN text = 'T' END AS boolean,
               comment, file_id
        FROM (
            SELECT file_id, hdu, name, unnest(cards) AS card_id, generate_subscripts(cards, 1) - 1 AS position
            FROM hdu_header
        )
        JOIN card_value USING (card_id) JOIN card_label USING (label_id) JOIN local_files USING (file_id)
    """,
    "findings": """
        SELECT path, filename, hdu, byte, reason, harm, file_id
        FROM header_finding JOIN local_files USING (file_id)
    """,
}
_COMMENTS = {
    "hdus": "every HDU of the files on this disk",
    "cards": "every card of every HDU, in order",
    "findings": "what is not as the FITS standard has it, by file, HDU and byte",
    "headers": "one row a file: its primary and first science keywords, in the spelling and types of files",
}
_TABLE_MACROS = {
    "header_value(word)": """
        SELECT path, filename, hdu, name, text, number, boolean, comment, file_id FROM cards
        WHERE keyword = upper(word)
    """,
}


def make_local_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views and macros of local files anew, over the columns that `local_header` has now."""
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = 'local_header' ORDER BY column_index"
    ).fetchall()
    words = ", ".join(quoted(str(name)) for (name,) in rows if name != "file_id")
    headers = f"SELECT path, filename, {words}, file_id FROM local_header JOIN local_files USING (file_id)"
    for view, query in {**_VIEWS, "headers": headers}.items():
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
        connection.execute(f"COMMENT ON VIEW {view} IS '{_COMMENTS[view]}'")
    for macro, query in _TABLE_MACROS.items():
        connection.execute(f"CREATE OR REPLACE MACRO {macro} AS TABLE {query}")
