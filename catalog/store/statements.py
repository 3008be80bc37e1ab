"""The proof that a statement, a view or a macro reads the catalog and nothing else, by the names in it.

DuckDB's own parser takes the text apart. A function in the place of a table must be on the list of those that stay
within the catalog, and no function may take a text as a statement. The connections reach neither files nor network, but
this proof is needed as well: a few of DuckDB's table functions take addresses in memory, and crash the process when SQL
calls them, or even when DuckDB only plans a statement that names them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import duckdb

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_functions", "duckdb_keywords",
        "duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views", "generate_series",
        "histogram", "histogram_values", "icu_calendar_names", "json_each", "json_tree", "pg_timezone_names",
        "pragma_database_size", "pragma_show", "pragma_storage_info", "pragma_table_info", "pragma_version",
        "query_table", "range", "repeat", "repeat_row", "test_all_types", "unnest",
    }
)  # fmt: skip
"""DuckDB's table functions that read nothing but the catalog. The catalog's own table macros are allowed as well."""

UNPROVEN_FUNCTIONS = frozenset({"json_serialize_plan", "json_execute_serialized_sql", "write_log", "sleep_ms"})
"""Functions that plan or run a text as a statement, write to DuckDB's log, or wait."""


IsTable = Callable[[str], bool]


class NotProven(Exception):
    """A text may do more than read the catalog; the error says which part of it."""


def tree_of(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """Return a statement's tree, as DuckDB's parser writes it.

    Raises
    ------
    NotProven
        If DuckDB cannot write the tree, or the statement is no SELECT.
    duckdb.Error
        If the text cannot be parsed.
    """
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    try:
        tree = json.loads(row[0] if row else "", parse_constant=_no_number)
    except RecursionError:
        raise NotProven("the statement is nested too deeply") from None
    except ValueError:  # DuckDB writes inf, which is not JSON
        raise NotProven("a number of the statement is beyond those of 64 bits; infinity is 'inf'::DOUBLE") from None
    if tree["error"]:
        raise NotProven(f"this kind of statement is not answered here; write it as a SELECT ({tree['error_message']})")
    return tree


def _no_number(word: str) -> None:
    raise ValueError(word)


def prove_statement(tree: Any, is_of_the_catalog: Callable[[str], bool]) -> None:
    """Check every function that a statement names.

    Parameters
    ----------
    tree : object
        The result of `tree_of`.
    is_of_the_catalog : callable
        Says whether a name, in lower case, is a table macro of the catalog; each macro is proven on its own.

    Raises
    ------
    NotProven
        If a function is not known to stay within the catalog.
    """
    for name, gives_table in _functions(tree):
        stays_within = not gives_table or name in TABLE_FUNCTIONS or is_of_the_catalog(name)
        if name in UNPROVEN_FUNCTIONS or not stays_within:
            raise NotProven(f"{name}() is not answered here: a statement reads the catalog and nothing else")


def prove_within_lake(tree: Any, is_table: IsTable | None, computes_names: bool = False) -> None:
    """Check that a statement on a lake names neither the database with its metadata nor a file.

    The metadata are attached as well, and the connection reaches the files with the rows. If DuckDB knows no table of a
    name that has a dot in it, it takes the name for that of a file: ``FROM a.parquet`` is ``FROM 'a.parquet'``.

    Parameters
    ----------
    tree : object
        The result of `tree_of`.
    is_table : callable or None
        Says whether there is a table or view of a name; see `tables_known_to`. None if the connection reaches no file.
    computes_names : bool
        Whether the statement may compute the name of a table, as the macros of a catalog do.

    Raises
    ------
    NotProven
        If a text in the statement may be such a name.
    """
    for node in _nodes(tree):
        if isinstance(node, str) and _METADATA in node.casefold():
            raise NotProven("the metadata of a lake are not read here: a statement reads the catalog and nothing else")
        if isinstance(node, dict):
            _require_table(node, is_table)
            if str(node.get("function_name", "")).lower() in _FAIL_ON_LAKES:
                raise NotProven(f"{node['function_name']}() has no answer for a lake")
        if isinstance(node, dict) and str(node.get("function_name", "")).lower() == "query_table":
            plain = all(argument.get("class") == "CONSTANT" for argument in node.get("children", ()))
            if not plain and not computes_names:
                raise NotProven("query_table() takes the name of a table here, and nothing that is computed")


def tables_known_to(connection: duckdb.DuckDBPyConnection) -> IsTable:
    """Return a function that says whether a connection knows a table or view of this name, in any schema."""

    def is_table(name: str) -> bool:
        asked = """SELECT 1 FROM duckdb_tables() WHERE lower(table_name) = $1
                   UNION ALL SELECT 1 FROM duckdb_views() WHERE lower(view_name) = $1 LIMIT 1"""
        return connection.execute(asked, [name.lower()]).fetchone() is not None

    return is_table


def _require_table(node: dict[str, Any], is_table: IsTable | None) -> None:
    """Check that a table of a statement cannot be a file."""
    if node.get("type") == "BASE_TABLE":
        name = ".".join(filter(None, (str(node.get(f"{part}_name") or "") for part in ("catalog", "schema", "table"))))
        _require_known(name, str(node.get("table_name")), is_table)
    elif str(node.get("function_name", "")).lower() == "query_table":
        for text in (text for text in _nodes(node.get("children")) if isinstance(text, str)):
            _require_known(text, text.rpartition(".")[2].strip('"'), is_table)


def _require_known(name: str, last: str, is_table: IsTable | None) -> None:
    """Check that a name, of which this is the last part, is that of a table."""
    may_be_file = is_table is not None and ("/" in name or "\\" in name or ("." in name and not is_table(last)))
    if may_be_file or "://" in name:
        raise NotProven(
            f"there is no table {name}: a statement reads the catalog and nothing else, no file and no address"
        )


_FAIL_ON_LAKES = frozenset({"txid_current"})
"""Functions that end in an internal error of DuckDB where a table is in a lake."""

_METADATA = "__ducklake_metadata"


def _nodes(tree: Any) -> Iterator[Any]:
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        yield node
        if isinstance(node, dict):
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node


def _functions(tree: Any) -> Iterator[tuple[str, bool]]:
    """Yield the name of each function, and whether it stands in the place of a table."""
    for node in _nodes(tree):
        if isinstance(node, dict):
            if isinstance(name := node.get("function_name"), str):
                yield name.lower(), False
            if node.get("type") == "TABLE_FUNCTION":
                yield str(node["function"]["function_name"]).lower(), True
