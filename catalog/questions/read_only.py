"""The proof that a statement is a question: one SELECT that reads the catalog and nothing else."""

from __future__ import annotations

import re

import duckdb

from catalog.questions.query_errors import BadQuery, explained
from catalog.store.duckdb_file import dialect_of
from catalog.store.statements import NotProven, prove_statement, prove_within_lake, tables_known_to, tree_of
from catalog.store.value_sizes import refuse_large_values

_EXPLAIN = re.compile(
    r"""(?: \s | --[^\n]*\n | /\*(?:(?!/\*).)*?\*/ )* EXPLAIN \b
        (?: \s | --[^\n]*\n | /\*(?:(?!/\*).)*?\*/ )* (?P<analyze> ANALYZE \b )?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the statement to run, once it is proven to do nothing but read the catalog.

    DuckDB's own parser takes it apart. It must be one SELECT (or an EXPLAIN of one), and a function in the place of a
    table must be on the list of those that stay within the catalog. The connection is sealed and the file is open for
    reading only, but this is needed as well: a few of DuckDB's table functions take addresses in memory and crash the
    process when SQL calls them, and others change settings without SET.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A sealed connection; no part of the statement is run.
    sql : str
        The text that the user typed.

    Raises
    ------
    BadQuery
        The error says what is not allowed.
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
    """Check the statement behind EXPLAIN, and put the statement to run together again."""
    head = _EXPLAIN.match(sql)
    if head is None or _EXPLAIN.match(sql, head.end()):
        raise BadQuery("write it as EXPLAIN SELECT ... or EXPLAIN ANALYZE SELECT ...")
    behind = sql[head.end() :]
    return f"EXPLAIN {head['analyze'] or ''} {checked(connection, behind)}"


def _only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Check every node of the statement's tree."""
    try:
        with explained():
            tree = tree_of(connection, sql)
        refuse_large_values(tree)
        prove_statement(tree, lambda name: _is_of_the_catalog(connection, name))
        if dialect_of(connection).name == "ducklake":
            prove_within_lake(tree, tables_known_to(connection))
    except NotProven as error:
        raise BadQuery(str(error)) from None


def _is_of_the_catalog(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Say whether a name is a macro of the catalog, and not a function of DuckDB."""
    row = connection.execute(
        """SELECT count(*) FILTER (function_type = 'table_macro' AND NOT internal), count(*) FILTER (internal)
           FROM duckdb_functions() WHERE lower(function_name) = ?""",
        [name],
    ).fetchone()
    return row is not None and row[0] > 0 and row[1] == 0
