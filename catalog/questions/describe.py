"""DESCRIBE with the meaning of each column; DuckDB itself tells only name and type."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from catalog.store.sql import literal

Unkept = Sequence[tuple[str, str, str]]
"""Relation, column and meaning of columns without a comment in the catalog."""
_TOLD = ("column_name", "column_type", "null", "key", "default", "extra")
"""The columns of DuckDB's DESCRIBE."""
_DESCRIBE = re.compile(
    r"""(?: \s | --[^\n]*\n | /\*.*?\*/ )* (?:DESCRIBE|DESC|SHOW) \s+ (?:TABLE\s+)?
        (?: (?P<name>\w+) | "(?P<quoted>[^"]+)" )? """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def describe_with_meanings(sql: str, names: list[str], unkept: Callable[[], Unkept] = list) -> str | None:
    """Return the statement that also tells unit and meaning of each column; None if this is no DESCRIBE.

    Parameters
    ----------
    sql : str
        One statement, without a semicolon at its end.
    names : list of str
        The columns of its answer.
    unkept : callable, optional
        Returns relation, column and meaning of the columns whose comments the catalog cannot keep.
    """
    described = _DESCRIBE.match(sql)
    if described is None or tuple(names) != _TOLD:
        return None
    table = literal((described["name"] or described["quoted"] or "").lower())
    return f"""
        WITH described AS (SELECT row_number() OVER () AS position, * FROM (
            {sql}
        )),
        told AS (SELECT lower(column_name) AS name, arg_min("comment", lower(table_name) <> {table}) AS meaning
            FROM ({comments_with(unkept())})
            WHERE lower(table_name) IN ({table}, 'files', 'observations', 'products', 'file_version',
                'observation_version', 'product_version')
            GROUP BY ALL),
        words AS (SELECT lower(name) AS name, any_value(unit) AS unit, any_value(meaning) AS meaning
            FROM keywords GROUP BY ALL)
        SELECT d.column_name, d.column_type, k.unit, coalesce(t.meaning, k.meaning) AS meaning, d."null", d."key",
            d."default", d.extra
        FROM described d LEFT JOIN told t ON t.name = lower(d.column_name)
            LEFT JOIN words k ON k.name = lower(d.column_name)
        ORDER BY d.position"""


def comments_with(unkept: Unkept) -> str:
    """Return the statement for the comments on all columns, with those that the catalog cannot keep."""
    kept = """SELECT table_name, column_name, "comment" FROM duckdb_columns()
        WHERE NOT internal AND "comment" IS NOT NULL"""
    if not unkept:
        return kept
    rows = ", ".join(f"({', '.join(map(literal, row))})" for row in unkept)
    return f"""{kept} UNION ALL FROM (VALUES {rows})"""
