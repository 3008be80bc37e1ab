"""The page of tables, views and macros, from a catalog that was made a moment ago."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from catalog.store.database import Database

from .markdown import code, plain, table

_COLUMNS = """
    SELECT column_name, data_type, comment FROM duckdb_columns()
    WHERE NOT internal AND table_name = ? ORDER BY column_index
"""
_MACROS = """
    SELECT function_name, list_filter(parameters, one -> one IS NOT NULL), comment FROM duckdb_functions()
    WHERE NOT internal AND function_type = ? ORDER BY function_name
"""


def catalog_format() -> str:
    """Return a section for each view, macro and table of a new catalog, with their comments."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "new.duckdb")
        with database.write() as connection:
            return "\n".join(
                [
                    "## Views\n",
                    *_relations(connection, "view"),
                    "## Macros\n",
                    "Macros that give a value:\n",
                    _macros(connection, "macro"),
                    "Macros that give a table:\n",
                    _macros(connection, "table_macro"),
                    "## Tables\n",
                    *_relations(connection, "table"),
                ]
            )


def _relations(connection: Any, kind: str) -> list[str]:
    rows = connection.execute(
        f"SELECT {kind}_name, comment FROM duckdb_{kind}s() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    return [_relation(connection, name, comment) for name, comment in rows]


def _relation(connection: Any, name: str, comment: str | None) -> str:
    columns = connection.execute(_COLUMNS, [name]).fetchall()
    rows = [[code(column), code(kind), plain(meaning or "")] for column, kind, meaning in columns]
    return f"### {name}\n\n{plain(comment or '')}\n\n{table(['column', 'type', 'meaning'], rows)}"


def _macros(connection: Any, kind: str) -> str:
    found = connection.execute(_MACROS, [kind]).fetchall()
    rows = [[code(f"{name}({', '.join(parameters)})"), plain(comment or "")] for name, parameters, comment in found]
    return table(["macro", "meaning"], rows)
