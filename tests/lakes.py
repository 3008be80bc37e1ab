"""Lakes for tests: each is a copy of an empty one that the migrations made, which takes a second."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from catalog.store import database as store
from catalog.store.database import Database
from catalog.store.lakes.lake import lake_of

from .postgres_server import PostgresServer

POSTGRES = "ducklake:postgres:"
EMBEDDED = ("ducklake:", "ducklake:sqlite:")
PREFIXES = (*EMBEDDED, pytest.param(POSTGRES, marks=[pytest.mark.postgres, pytest.mark.long]))


def name_in(folder: Path, prefix: str, request: pytest.FixtureRequest) -> str:
    """Return the name of a lake that is not there yet, whose rows will be in a folder."""
    if prefix != POSTGRES:
        return f"{prefix}{folder / 'catalog.lake'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return f"{POSTGRES}service=mastlake,schema={server.new_schema()},data={folder / 'catalog.lake.files'}"


def lake_in(folder: Path, prefix: str, request: pytest.FixtureRequest) -> Database:
    """Return an empty lake, with its rows in a folder."""
    path, engine = lake_of(name_in(folder, prefix, request))
    rows = folder / "catalog.lake.files"
    if prefix == POSTGRES:
        server: PostgresServer = request.getfixturevalue("postgres")
        empty, kept = _empty_of_postgres(server)
        server.copy(empty, engine.address.schema, rows)
    else:
        made = _empty(prefix)
        shutil.copyfile(made, path)
        kept = Path(f"{made}.kept")
    shutil.copytree(kept, rows)
    return Database(path, wait=5, engine=engine)


@cache
def _empty(prefix: str) -> Path:
    """Make a lake, and move its rows away, so that those beside a copy are used."""
    path, engine = lake_of(f"{prefix}{Path(mkdtemp(prefix='mastlake-lake-')) / 'empty.lake'}")
    store.make(path, engine)
    Path(f"{path}.files").rename(f"{path}.kept")
    return path


@cache
def _empty_of_postgres(server: PostgresServer) -> tuple[str, Path]:
    rows = Path(mkdtemp(prefix="mastlake-lake-")) / "rows"
    path, engine = lake_of(f"{POSTGRES}service=mastlake,schema={server.new_schema()},data={rows}")
    with Database(path, engine=engine).turn():
        store.make(path, engine)
    return engine.address.schema, rows
