"""What another program changed of a catalog's own tables, views and macros.

A catalog is a DuckDB file, so its owner may add tables, views, types and macros to it. Where one of mastlake's own is
changed, statements of this program fail in ways that would look like bugs. Then this module compares the catalog with a
new one, which takes too long to do each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from catalog.errors import CatalogError, NotACatalog
from catalog.store.duckdb_file import DUCKDB
from catalog.store.engine import Engine
from catalog.store.sql import quoted

_KINDS = """
    SELECT table_name, 'table' FROM duckdb_tables()
        WHERE database_name IN (current_database(), 'published') AND schema_name = 'main' AND NOT internal
    UNION ALL SELECT view_name, 'view' FROM duckdb_views()
        WHERE database_name IN (current_database(), 'published') AND schema_name = 'main' AND NOT internal
    UNION ALL SELECT DISTINCT function_name, 'macro' FROM duckdb_functions()
        WHERE database_name IN (current_database(), 'published') AND schema_name = 'main' AND NOT internal
          AND macro_definition IS NOT NULL
"""
"""Local files beside a published catalog are opened with that one attached, which has the other tables."""


@contextmanager
def alterations_told(path: Path, engine: Engine) -> Iterator[None]:
    """Say in one line that a catalog was altered, where a statement fails because of that.

    Parameters
    ----------
    path : Path
        The catalog; the block opens and closes it.
    engine : Engine
        That opens it.

    Raises
    ------
    NotACatalog
        Names what was altered. An error that has another cause stays as it is.
    """
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, _OF_DEFINITIONS) and (told := alteration(path, engine)):
            named = engine.named(path)
            raise NotACatalog(
                f"another program altered {named}: {told}; take it from a backup, or harvest into a new one"
            ) from error
        raise


_OF_DEFINITIONS = (duckdb.BinderException, duckdb.CatalogException, duckdb.ConstraintException)


def alteration(path: Path, engine: Engine) -> str | None:
    """Say which table, view or macro of a catalog is not as this program makes it.

    Parameters
    ----------
    path : Path
        A catalog at the newest schema, which no connection of this process has open for writing.
    engine : Engine
        That opens it.

    Returns
    -------
    str or None
        Names the first one and what is wrong with it; None if all are as they should be, or the file cannot be opened.
    """
    import tempfile

    from catalog.store.database import make

    try:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder) / "new.duckdb")
            with closing(DUCKDB.open(Path(folder) / "new.duckdb", read_only=True)) as connection:
                expected = {key: _columns(connection, *key) for key in _objects(connection)}
        with closing(engine.open(path, read_only=True)) as connection:
            present = _objects(connection)
            for (name, kind), columns in sorted(expected.items()):
                if (name, kind) not in present:
                    return f"there is no {kind} {name}"
                present_columns = _columns(connection, name, kind)
                if missing := sorted((columns or set()) - (present_columns or set())):
                    return f"the {kind} {name} has no column {missing[0]}"
    except (duckdb.Error, OSError, CatalogError):
        return None
    return None


def _objects(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    return {(str(name), str(kind)) for name, kind in connection.execute(_KINDS).fetchall()}


def _columns(connection: duckdb.DuckDBPyConnection, name: str, kind: str) -> set[str] | None:
    """Return the columns of a table or view; None for a macro, and for a view that can no longer be read."""
    if kind == "macro":
        return None
    try:
        described = connection.execute(f"SELECT * FROM {quoted(name)} LIMIT 0").description
    except duckdb.Error:
        return None
    return {str(column[0]) for column in described or ()}
