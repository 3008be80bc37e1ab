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


def prove_no_metadata(tree: Any, computes_names: bool = False) -> None:
    """Check that a statement on a lake does not name the database with its metadata, which is attached as well.

    Parameters
    ----------
    tree : object
        The result of `tree_of`.
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
        if isinstance(node, dict) and _names_address(node):
            raise NotProven("an address is no table: a statement reads the catalog and nothing else")
        if isinstance(node, dict) and str(node.get("function_name", "")).lower() == "query_table":
            plain = all(argument.get("class") == "CONSTANT" for argument in node.get("children", ()))
            if not plain and not computes_names:
                raise NotProven("query_table() takes the name of a table here, and nothing that is computed")


def _names_address(node: dict[str, Any]) -> bool:
    """Say whether a table of a statement has an address as its name; DuckDB would read the file at the address."""
    if node.get("type") == "BASE_TABLE":
        return any("://" in str(node.get(part, "")) for part in ("catalog_name", "schema_name", "table_name"))
    return str(node.get("function_name", "")).lower() == "query_table" and any("://" in str(n) for n in _nodes(node))


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
