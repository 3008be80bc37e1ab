"""Which tables, views, macros and columns a catalog has, and which words its SQL can have."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from catalog.questions.describe import comments_with
from catalog.store.database import Database

TABLES_SQL = """
    SELECT name, kind, any_value(comment) AS comment FROM (
        SELECT view_name AS name, 'view' AS kind, comment FROM duckdb_views() WHERE NOT internal
        UNION ALL
        SELECT table_name, 'table', comment FROM duckdb_tables() WHERE NOT internal
        UNION ALL
        SELECT DISTINCT function_name || '(' || array_to_string(parameters, ', ') || ')', 'macro',
               coalesce(comment, description) FROM duckdb_functions() WHERE NOT internal
    ) GROUP BY ALL ORDER BY kind DESC, name
"""
"""A published catalog and the local files beside it both have the tables of local files; each is listed once."""
_COLUMNS_SQL = """
    SELECT c.column_name AS name, c.data_type AS type, k.unit, coalesce(m.comment, k.meaning) AS meaning
    FROM duckdb_columns() c LEFT JOIN (
        SELECT table_name, column_name, any_value("comment") AS comment FROM ({comments}) GROUP BY ALL
    ) m USING (table_name, column_name) LEFT JOIN (
        SELECT lower(name) AS name, any_value(unit) AS unit, any_value(meaning) AS meaning FROM keywords GROUP BY ALL
    ) k ON k.name = lower(c.column_name)
    WHERE NOT c.internal AND lower(c.table_name) = lower($1)
        AND (c.database_name = current_database() OR NOT EXISTS (
            FROM duckdb_columns() d WHERE d.database_name = current_database() AND lower(d.table_name) = lower($1)))
    ORDER BY c.column_index
"""


def columns_sql(database: Database) -> str:
    """Return the statement for name, type, unit and meaning of the columns of a table or view."""
    from catalog.store.schema.comments import unkept_comments

    with database.read() as connection:
        return _COLUMNS_SQL.format(comments=comments_with(unkept_comments(connection)))


@dataclass
class SqlNames:
    """The words that can stand in SQL over a catalog.

    Attributes
    ----------
    columns : dict of str to list of str
        The columns of each table and view.
    keywords : list of str
        SQL's own words, in capitals.
    functions : list of str
        DuckDB's functions, and the catalog's macros.
    """

    columns: dict[str, list[str]] = field(default_factory=dict)
    keywords: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)


def sql_names(database: Database) -> SqlNames:
    """Read the words that can stand in SQL over a catalog.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    names = SqlNames()
    with database.read() as connection:
        for table, column in connection.execute(
            """SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal
               GROUP BY ALL ORDER BY min(column_index)"""
        ).fetchall():
            names.columns.setdefault(str(table), []).append(str(column))
        keywords = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
        names.keywords = [str(keyword).upper() for (keyword,) in keywords]
        functions = connection.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()
        names.functions = [str(name) for (name,) in functions if re.fullmatch(r"[a-z]\w+", str(name))]
    return names
