"""The definitions in a catalog file are data. They are read and proven before any of them runs.

A catalog can come from somebody else. Its rows do nothing, but a view (also one in the place of a table) or a macro is
a statement that runs when its name is used. So each view and macro must be proven to read nothing but the catalog, and
each table of ours to be a table. This is done once for each state of a file. The user's cache notes that it was done,
and which schema the catalog has. The note holds until anybody but this program changes the file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import duckdb

from catalog.cache import folder
from catalog.errors import CatalogError, NotACatalog
from catalog.process.interrupts import held_back
from catalog.store.duckdb_file import DUCKDB, dialect_of
from catalog.store.engine import Engine
from catalog.store.revision import HEAD
from catalog.store.sql import tables_of
from catalog.store.statements import (
    TABLE_FUNCTIONS,
    NotProven,
    prove_statement,
    prove_within_lake,
    tables_known_to,
    tree_of,
)

_RULE = "2"
"""Counts up when `prove_statement` becomes stricter, so that files which an older rule accepted are proven again."""
OUR_TABLES = frozenset(
    {"searches", "runs", "changes", "pending", "file_version", "observation_version", "product_version"}
)
"""Tables that every revision has, and that commands read before anything else."""


FOLLOWING = "following"
"""The table that only a file of local files beside a published catalog has; see `catalog.store.local_catalog`."""


def prove_definitions(connection: duckdb.DuckDBPyConnection, path: Path | str) -> None:
    """Prove all views and macros of a catalog.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that reaches neither files nor network.
    path : Path or str
        The catalog's name, for the error message.

    Raises
    ------
    NotACatalog
        The error names the definition that may do more than read the catalog.
    """
    tables = tables_of(connection)
    if FOLLOWING not in tables and (missing := sorted(OUR_TABLES - tables)):
        raise NotACatalog(
            f"{path} has no table {missing[0]}, so it is no catalog of mastlake; choose another --catalog"
        )
    views = connection.execute(
        "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal AND database_name = current_database()"
    ).fetchall()
    macros = connection.execute(
        """SELECT function_name, function_type = 'table_macro', macro_definition FROM duckdb_functions()
           WHERE NOT internal AND macro_definition IS NOT NULL AND database_name = current_database()"""
    ).fetchall()
    builtin = _builtin_table_functions(connection)
    of_the_catalog = {str(name).lower() for name, gives_table, _ in macros if gives_table} - builtin
    texts = [(f"the view {name}", _body(str(sql))) for name, sql in views]
    texts += [(f"the macro {name}", str(sql) if gives_table else f"SELECT {sql}") for name, gives_table, sql in macros]
    _prove_texts(connection, path, texts, of_the_catalog)
    # This comes after the proof of the views, because listing the columns binds every view.
    expressions = connection.execute(_EXPRESSIONS).fetchall()
    _prove_texts(connection, path, [(f"{what} {name}", f"SELECT {sql}") for what, name, sql in expressions], set())


_EXPRESSIONS = """
    SELECT 'the column', table_name || '.' || column_name, column_default FROM duckdb_columns()
    WHERE NOT internal AND column_default IS NOT NULL AND database_name = current_database()
    UNION ALL
    SELECT 'a constraint of', table_name, expression FROM duckdb_constraints()
    WHERE expression IS NOT NULL AND database_name = current_database()
    UNION ALL
    SELECT 'the index', index_name, expressions FROM duckdb_indexes() WHERE database_name = current_database()
"""
"""Other expressions that run when rows are read or written."""


def _prove_texts(
    connection: duckdb.DuckDBPyConnection, path: Path | str, texts: list[tuple[str, str]], of_the_catalog: set[str]
) -> None:
    is_table = tables_known_to(connection) if dialect_of(connection).name == "ducklake" else None
    for what, text in texts:
        try:
            tree = tree_of(connection, text)
            prove_statement(tree, of_the_catalog.__contains__)
            prove_within_lake(tree, is_table, computes_names=True)
        except (NotProven, duckdb.Error) as error:
            raise NotACatalog(
                f"in {path}, {what} is not mastlake's, and may do more than read the catalog "
                f"({str(error).splitlines()[0]}); ask whoever made it, or drop it with another DuckDB client"
            ) from error


def _builtin_table_functions(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return DuckDB's table functions that are not proven: a macro with such a name hides which one is called."""
    rows = connection.execute(
        """SELECT DISTINCT function_name FROM duckdb_functions()
           WHERE internal AND function_type IN ('table', 'table_macro')"""
    ).fetchall()
    return {str(name).lower() for (name,) in rows} - TABLE_FUNCTIONS


def _body(view: str) -> str:
    """Return the SELECT of a view, from the statement that creates the view."""
    head, mark, body = view.partition(" AS ")
    while mark and head.count('"') % 2:  # this AS is part of a quoted name
        more, mark, body = body.partition(" AS ")
        head += f" AS {more}"
    return body.rstrip().removesuffix(";")


def is_proof_noted(path: Path, engine: Engine = DUCKDB, schema: str = HEAD) -> bool:
    """Say whether the cache of this user notes that the catalog, as it is now, is proven and has this schema."""
    with suppress(OSError, CatalogError):
        return _note(path).read_bytes() == _stamp(path, engine, schema)
    return False


def note_proof(path: Path, engine: Engine = DUCKDB, schema: str = HEAD) -> None:
    """Note in the cache that the catalog in its present state is proven and has this revision of the schema.

    If the cache cannot be written, nothing is noted.
    """
    with suppress(OSError, CatalogError):
        noted = _note(path)
        noted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = noted.with_name(f"{noted.name}.{os.getpid()}")
        try:
            partial.write_bytes(_stamp(path, engine, schema))
            partial.replace(noted)
        finally:
            with held_back():
                partial.unlink(missing_ok=True)


def _note(path: Path) -> Path:
    cache = folder()
    if not cache.is_absolute():  # the user has no home folder
        raise FileNotFoundError(cache)
    return cache / "proven" / f"{crc32(os.fsencode(path.resolve())):08x}"


def _stamp(path: Path, engine: Engine, schema: str) -> bytes:
    """Return what the note says. It names the kind of engine, as each kind proves something else of a file."""
    return f"{_RULE} {type(engine).__name__} {schema} ".encode() + engine.stamp(path)
