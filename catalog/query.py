"""Ask the catalog: criteria or read-only SQL in, Arrow out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from catalog.errors import UsageError
from catalog.search import Criterion
from catalog.store.database import Database, quoted

ROWS_AT_ONCE = 10_000

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_functions", "duckdb_keywords",
        "duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views", "generate_series",
        "histogram", "histogram_values", "icu_calendar_names", "json_each", "json_tree", "pg_timezone_names",
        "pragma_database_size", "pragma_show", "pragma_storage_info", "pragma_table_info", "pragma_version",
        "query_table", "range", "repeat", "repeat_row", "test_all_types", "unnest",
    }
)  # fmt: skip
"""DuckDB's table functions that reach nothing but the catalog; the catalog's own table macros come on top."""

_EXPLAIN = re.compile(
    r"""(?: \s | --[^\n]*\n | /\*(?:(?!/\*).)*?\*/ )* EXPLAIN \b
        (?: \s | --[^\n]*\n | /\*(?:(?!/\*).)*?\*/ )* (?P<analyze> ANALYZE \b )?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class BadQuery(UsageError):
    """SQL that is not one read-only statement, or that DuckDB does not understand."""


@contextmanager
def answering(database: Database, sql: str, values: Sequence[object] = ()) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement, and stream its rows.

    Parameters
    ----------
    database : Database
        Opened for reading only, shut off from files, network, extensions and settings.
    sql : str
        One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
    values : sequence
        For the ``?`` marks in it.

    Yields
    ------
    pyarrow.RecordBatchReader
        Valid inside the block.

    Raises
    ------
    BadQuery
        For anything but one statement that reads.
    CatalogError
        If the catalog cannot be read.
    """
    with database.read(sealed=True) as connection:
        sql = checked(connection, sql)
        with explained():
            result = connection.execute(sql, list(values))
            yield result.to_arrow_reader(ROWS_AT_ONCE)


def rows(database: Database, sql: str, values: Sequence[object] = ()) -> pa.Table:
    """Run one read-only statement, and return all its rows.

    Raises
    ------
    BadQuery, CatalogError
        See `answering`.
    """
    with answering(database, sql, values) as reader:
        return reader.read_all()


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the statement to run, once it is proven to be one that only reads the catalog.

    DuckDB's own parser takes it apart: what runs is one SELECT (or an EXPLAIN of one), and each function that stands
    where a table could is on the list of those that stay within the catalog. This comes on top of the connection's own
    seal and of the file being open for reading only, for two reasons: a few of DuckDB's table functions take addresses
    in memory and crash the process when called from SQL, and others change settings without being a SET.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A sealed one; nothing of the statement is run.
    sql : str
        What the user typed.

    Raises
    ------
    BadQuery
        Says what stands in the way.
    """
    if re.search("[\0\ud800-\udfff]", sql):
        raise BadQuery("a statement is UTF-8 text, without NUL characters")
    with explained():
        statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise BadQuery(_not_one(sql, len(statements)))
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        return _checked_explain(connection, sql)
    if kind != duckdb.StatementType.SELECT:
        raise BadQuery(f"the catalog is read only here: {kind.name} is not a question")
    _only_reads(connection, sql)
    return sql


def _not_one(sql: str, count: int) -> str:
    if count == 0:
        return "there is no statement; try SELECT count(*) FROM files"
    if "pivot" in sql.lower():
        return "one statement at a time; a PIVOT must name its values: PIVOT files ON category IN ('COM', 'ERS')"
    return f"one statement at a time, not {count}"


def _checked_explain(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Check the statement behind EXPLAIN, and put together anew what runs."""
    head = _EXPLAIN.match(sql)
    if head is None or _EXPLAIN.match(sql, head.end()):
        raise BadQuery("write it as EXPLAIN SELECT ... or EXPLAIN ANALYZE SELECT ...")
    behind = sql[head.end() :]
    return f"EXPLAIN {head['analyze'] or ''} {checked(connection, behind)}"


def _only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Look at every node of the statement's tree."""
    with explained():
        row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    try:
        tree = msgspec.json.decode(row[0] if row else b"")
    except RecursionError:
        raise BadQuery("the statement is nested too deeply") from None
    if tree["error"]:
        raise BadQuery(f"this kind of statement is not answered here; write it as a SELECT ({tree['error_message']})")
    for name in _table_functions(tree):
        if name not in TABLE_FUNCTIONS and not _is_of_the_catalog(connection, name):
            raise BadQuery(f"{name}() is not answered here: a statement reads the catalog and nothing else")


def _table_functions(tree: Any) -> set[str]:
    found, nodes = set(), [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION":
                found.add(str(node["function"]["function_name"]).lower())
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return found


def _is_of_the_catalog(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    row = connection.execute(
        """SELECT count(*) FROM duckdb_functions()
           WHERE function_name = ? AND function_type = 'table_macro' AND NOT internal""",
        [name],
    ).fetchone()
    return row is not None and row[0] > 0


@contextmanager
def explained() -> Iterator[None]:
    """Turn DuckDB's words about a statement into one line."""
    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        kept = [line for line in lines if not line.startswith(("LINE ", "^", "CREATE "))]
        raise BadQuery(" ".join(kept[:3])) from error


@dataclass(frozen=True)
class Condition:
    """A piece of a WHERE clause.

    Attributes
    ----------
    sql : str
        With ``?`` marks.
    values : tuple
        For these.
    """

    sql: str
    values: tuple[object, ...] = ()


def condition(criterion: Criterion) -> Condition:
    """Write a criterion as SQL over `files`, with MAST's own meaning: no regard to case, closed ranges.

    Examples
    --------
    >>> condition(Criterion("exp_type", ("NIS_SOSS",))).sql
    '(lower(CAST("exp_type" AS VARCHAR)) IN (?))'
    """
    column = quoted(criterion.keyword)
    parts: list[str] = []
    values: list[object] = []
    flags = [value for value in criterion.values if isinstance(value, bool) or value in ("t", "f")]
    if criterion.values and len(flags) == len(criterion.values):
        parts.append(f"{column} IN ({_marks(flags)})")
        values += [value in (True, "t") for value in flags]
    elif criterion.values:
        parts.append(f"lower(CAST({column} AS VARCHAR)) IN ({_marks(criterion.values)})")
        values += [str(value).lower() for value in criterion.values]
    for one in criterion.ranges:
        ends = [(">=", one.low), ("<=", one.high)]
        bounded = [(sign, end) for sign, end in ends if math.isfinite(end)]
        parts.append("(" + " AND ".join(f"{column} {sign} ?" for sign, _ in bounded) + ")")
        values += [end for _, end in bounded]
    if criterion.pattern is not None:
        parts.append(f"CAST({column} AS VARCHAR) ILIKE ?")
        values.append(criterion.pattern)
    return Condition("(" + " OR ".join(parts) + ")", tuple(values))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


def cone(ra: float, dec: float, radius: float) -> Condition:
    """Return the condition that a file's target lies within a circle on the sky.

    Parameters
    ----------
    ra, dec : float
        Degrees, ICRS.
    radius : float
        Degrees.

    Notes
    -----
    The haversine formula (R. W. Sinnott, Sky and Telescope 68, 159, 1984), which is exact enough at small angles,
    after a cut in declination, which lets DuckDB skip most rows.
    """
    return Condition(
        """(targ_dec BETWEEN ? AND ? AND pow(sin(radians(targ_dec - ?) / 2), 2)
            + cos(radians(targ_dec)) * cos(radians(?)) * pow(sin(radians(targ_ra - ?) / 2), 2)
            <= pow(sin(radians(?) / 2), 2))""",
        (dec - radius, dec + radius, dec, dec, ra, min(radius, 180.0)),
    )


def written_out(sql: str, values: Sequence[object]) -> str:
    """Put values into a statement's ``?`` marks, for people to read and copy.

    Examples
    --------
    >>> written_out("SELECT ? + ?", [1, "it's"])
    "SELECT 1 + 'it''s'"
    """
    parts = sql.split("?")
    shown = [
        "'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v).upper() if isinstance(v, bool) else repr(v)
        for v in values
    ]
    return "".join(part + value for part, value in zip(parts, [*shown, ""], strict=True))
