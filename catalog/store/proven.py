"""The definitions in a catalog file are data: they are read and proven before anything of them runs.

A catalog can come from elsewhere. Its tables hold rows, and rows do nothing; but a view in a table's place, or a macro,
is a statement that runs when it is named. So each view and macro is proven to read the catalog and nothing else, and
each table of ours to be one. This is done once for a file as it is; that it was done is noted in the user's cache, and
holds until the file changes by another hand than ours.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import duckdb

from catalog.cache import folder
from catalog.errors import NotACatalog
from catalog.store.statements import TABLE_FUNCTIONS, NotProven, prove, tree_of

_RULE = "1"
"""Counts up with `prove`, so that what an older rule let pass is looked at again."""
OUR_TABLES = frozenset(
    {"searches", "runs", "changes", "pending", "file_version", "observation_version", "product_version"}
)
"""Tables that every revision has, and commands read before anything else."""


def prove_definitions(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Prove all views and macros of a catalog.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        One that reaches neither files nor network.
    path : Path
        The file, for the message.

    Raises
    ------
    NotACatalog
        Names the definition that may do more than read the catalog.
    """
    tables = {str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if missing := sorted(OUR_TABLES - tables):
        raise NotACatalog(
            f"{path} has no table {missing[0]}, so it is no catalog of mastlake; choose another --catalog"
        )
    views = connection.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal").fetchall()
    macros = connection.execute(
        """SELECT function_name, function_type = 'table_macro', macro_definition FROM duckdb_functions()
           WHERE NOT internal AND macro_definition IS NOT NULL"""
    ).fetchall()
    builtin = _builtin_table_functions(connection)
    of_the_catalog = {str(name).lower() for name, gives_table, _ in macros if gives_table} - builtin
    texts = [(f"the view {name}", _body(str(sql))) for name, sql in views]
    texts += [(f"the macro {name}", str(sql) if gives_table else f"SELECT {sql}") for name, gives_table, sql in macros]
    _prove_texts(connection, path, texts, of_the_catalog)
    # Only now: the list of columns binds every view.
    expressions = connection.execute(_EXPRESSIONS).fetchall()
    _prove_texts(connection, path, [(f"{what} {name}", f"SELECT {sql}") for what, name, sql in expressions], set())


_EXPRESSIONS = """
    SELECT 'the column', table_name || '.' || column_name, column_default FROM duckdb_columns()
    WHERE NOT internal AND column_default IS NOT NULL
    UNION ALL
    SELECT 'a constraint of', table_name, expression FROM duckdb_constraints() WHERE expression IS NOT NULL
    UNION ALL
    SELECT 'the index', index_name, expressions FROM duckdb_indexes()
"""
"""What is worked out when rows are read or written, besides views and macros."""


def _prove_texts(
    connection: duckdb.DuckDBPyConnection, path: Path, texts: list[tuple[str, str]], of_the_catalog: set[str]
) -> None:
    for what, text in texts:
        try:
            prove(tree_of(connection, text), of_the_catalog.__contains__)
        except (NotProven, duckdb.Error) as error:
            raise NotACatalog(
                f"in {path}, {what} is not mastlake's, and may do more than read the catalog "
                f"({str(error).splitlines()[0]}); ask whoever made it, or drop it with another DuckDB client"
            ) from error


def _builtin_table_functions(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return DuckDB's own table functions that are not proven: a macro of that name may not be what is called."""
    rows = connection.execute(
        """SELECT DISTINCT function_name FROM duckdb_functions()
           WHERE internal AND function_type IN ('table', 'table_macro')"""
    ).fetchall()
    return {str(name).lower() for (name,) in rows} - TABLE_FUNCTIONS


def _body(view: str) -> str:
    """Return what a view selects, from the statement that would make it."""
    head, mark, body = view.partition(" AS ")
    while mark and head.count('"') % 2:  # a name with AS in it
        more, mark, body = body.partition(" AS ")
        head += f" AS {more}"
    return body.rstrip().removesuffix(";")


def is_noted(path: Path) -> bool:
    """Say whether this user has proven the file as it is."""
    with suppress(OSError):
        return _note(path).read_bytes() == _stamp(path)
    return False


def note(path: Path) -> None:
    """Note that the file as it is has been proven; where that cannot be written, it will be proven again."""
    with suppress(OSError):
        noted = _note(path)
        noted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = noted.with_name(f"{noted.name}.{os.getpid()}")
        partial.write_bytes(_stamp(path))
        partial.replace(noted)


def _note(path: Path) -> Path:
    kept = folder()
    if not kept.is_absolute():  # nobody's home
        raise FileNotFoundError(kept)
    return kept / "proven" / f"{crc32(os.fsencode(path.resolve())):08x}"


def _stamp(path: Path) -> bytes:
    """Tell one state of a file from another, and from every other file, whose note may have the same name.

    Nobody can set the time of a change of the inode.
    """
    about = path.stat()
    state = f"{_RULE} {about.st_dev} {about.st_ino} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} "
    return state.encode() + os.fsencode(path.resolve())
