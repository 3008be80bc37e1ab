"""DESCRIBE with the meaning of each column; DuckDB itself tells only name and type."""

from __future__ import annotations

import re

from catalog.store.sql import literal

_TOLD = ("column_name", "column_type", "null", "key", "default", "extra")
"""The columns of DuckDB's DESCRIBE."""
_DESCRIBE = re.compile(
    r"""(?: \s | --[^\n]*\n | /\*.*?\*/ )* (?:DESCRIBE|DESC|SHOW) \s+ (?:TABLE\s+)?
        (?: (?P<name>\w+) | "(?P<quoted>[^"]+)" )? """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def describe_with_meanings(sql: str, names: list[str]) -> str | None:
    """Return the statement that also tells unit and meaning of each column; None if this is no DESCRIBE.

    Parameters
    ----------
    sql : str
        One statement, without a semicolon at its end.
    names : list of str
        The columns of its answer.
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
            FROM duckdb_columns()
            WHERE NOT internal AND "comment" IS NOT NULL
                AND lower(table_name) IN ({table}, 'files', 'observations', 'products', 'file_version',
                    'observation_version', 'product_version')  -- a lake has no comments on the columns of views
            GROUP BY ALL),
        words AS (SELECT lower(name) AS name, any_value(unit) AS unit, any_value(meaning) AS meaning
            FROM keywords GROUP BY ALL)
        SELECT d.column_name, d.column_type, k.unit, coalesce(t.meaning, k.meaning) AS meaning, d."null", d."key",
            d."default", d.extra
        FROM described d LEFT JOIN told t ON t.name = lower(d.column_name)
            LEFT JOIN words k ON k.name = lower(d.column_name)
        ORDER BY d.position"""
