"""The revision of a catalog's schema, which is read only from a catalog that is proven harmless."""

from __future__ import annotations

from pathlib import Path

import duckdb

from catalog.errors import CatalogTooNew, NotACatalog
from catalog.store.duckdb_file import DUCKDB
from catalog.store.engine import Engine
from catalog.store.faults import reading
from catalog.store.sql import tables_of

HEAD = "0012"
"""The newest schema revision that this code knows: the last one in `migrations/versions`."""
_FIRST = "0001"


def revision_through(connection: duckdb.DuckDBPyConnection, path: Path, engine: Engine = DUCKDB) -> str | None:
    """Return the revision of the schema after the catalog was proven harmless.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    path : Path
        The catalog's path.
    engine : Engine
        That opened it.

    Returns
    -------
    str or None
        The revision; None if the catalog has no tables.

    Raises
    ------
    NotACatalog
        If it is another database, or may do more than answer questions.
    CatalogTooNew
        If a newer mastlake wrote it.
    """
    from catalog.store.proven import is_proof_noted, note_proof, prove_definitions

    named = engine.named(path)
    with reading(named):
        if is_proof_noted(path, engine):
            return HEAD
        tables = tables_of(connection)
        if not tables:
            return None
        _require_catalog(tables, named)
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        revision = str(row[0]) if row else None
        if revision is not None:
            _require_known(revision, named)
        if revision is None or not is_proof_noted(path, engine, revision):
            prove_definitions(connection, named)
            if revision is not None:
                note_proof(path, engine, revision)
        return revision


def _require_catalog(tables: set[str], path: str) -> None:
    from catalog.store.proven import FOLLOWING

    if FOLLOWING in tables:
        raise NotACatalog(
            f"{path} has the local files of somebody who reads a published catalog; name that one: "
            "--catalog DIR/ --local-catalog FILE"
        )
    if "ducklake_metadata" in tables:
        raise NotACatalog(f"{path} has the metadata of a lake; name it: --catalog ducklake:PATH")
    if "alembic_version" not in tables:
        raise NotACatalog(f"{path} is a DuckDB database, but not a mastlake catalog; choose another --catalog")


def _require_known(revision: str, path: str) -> None:
    if revision > HEAD:
        raise CatalogTooNew(
            f"{path} was written by a newer mastlake (schema {revision}, this one knows {HEAD}); upgrade it"
        )
    if revision < _FIRST:
        raise NotACatalog(
            f"{path} has the schema {revision}, which no mastlake had; keep it, and harvest into a new one"
        )
