"""Catalogs of each engine for tests.

A lake is a copy of one that was made once, since that takes a second or more. A test that stands in a module or class
with the mark ``engines`` gets a catalog of each engine in turn from the fixtures ``database`` and ``catalog``.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from catalog.api.catalog import Catalog
from catalog.store import database as store
from catalog.store import proven
from catalog.store.database import Database
from catalog.store.lakes.lake import lake_of

from .bucket_server import KEY, SECRET, TOKEN, Objects
from .postgres_server import PostgresServer

FILE = "file"
POSTGRES = "ducklake:postgres:"
EMBEDDED = ("ducklake:", "ducklake:sqlite:")
BUCKET = "s3"
"""A lake with its metadata in an SQLite file, and its rows in a bucket."""
PREFIXES = (*EMBEDDED, pytest.param(POSTGRES, marks=[pytest.mark.postgres, pytest.mark.long]))


def engines(quick: bool, each: bool) -> Sequence[Any]:
    """Return engines as parameters of a test.

    Parameters
    ----------
    quick : bool
        Whether `make test` runs the test on lakes in files as well.
    each : bool
        Whether `make test-long` runs the test on each engine. Otherwise it leaves out two: a lake with its metadata in
        DuckDB in place of SQLite, and one with its rows in a bucket in place of a folder. `make test-engines` has them.
    """
    long = [pytest.mark.long]
    rest = long if each else [pytest.mark.elsewhere, *long]
    return (
        pytest.param(FILE, id="file"),
        pytest.param(EMBEDDED[0], id="lake", marks=() if quick else rest),
        pytest.param(EMBEDDED[1], id="sqlite", marks=() if quick else long),
        pytest.param(POSTGRES, id="postgres", marks=[*long, pytest.mark.postgres]),
        pytest.param(BUCKET, id="s3", marks=rest),
    )


def catalog_in(folder: Path, engine: str, request: pytest.FixtureRequest, of: Path | None = None) -> Database:
    """Return a catalog of an engine: a copy of a catalog file, or an empty one (as a file, one not there yet)."""
    if engine != FILE:
        return lake_in(folder, engine, request, of)
    path = folder / "catalog.duckdb"
    if of is None:
        return Database(path, wait=5)
    shutil.copyfile(of, path)
    proven.note_proof(path)  # to prove that it is harmless takes a fifth of a second
    return Database(path)


def name_in(folder: Path, prefix: str, request: pytest.FixtureRequest) -> str:
    """Return the name of a lake that is not there yet, whose rows will be in a folder, or in a bucket of its own."""
    if prefix == POSTGRES:
        server: PostgresServer = request.getfixturevalue("postgres")
        return f"{POSTGRES}service=mastlake,schema={server.new_schema()},data={folder / 'catalog.lake.files'}"
    if prefix == BUCKET:
        objects = Objects(request.getfixturevalue("bucket_store"), f"b{uuid.uuid4().hex[:12]}")
        return f"{EMBEDDED[1]}{folder / 'catalog.lake'},data={objects.address}"
    return f"{prefix}{folder / 'catalog.lake'}"


def lake_in(folder: Path, prefix: str, request: pytest.FixtureRequest, of: Path | None = None) -> Database:
    """Return a lake, with its rows in a folder: an empty one, or one with what a catalog file has."""
    if prefix == POSTGRES:
        return _postgres_lake_in(folder, request, of)
    if prefix == BUCKET:
        request.getfixturevalue("bucket_store")
        made = _in_bucket(request.getfixturevalue("bucket_store"), of)
        path, engine = lake_of(f"{EMBEDDED[1]}{folder / 'catalog.lake'}")
        shutil.copyfile(made, path)  # the rows are shared, since each new file has a name of its own
    else:
        made = _embedded(prefix, of)
        path, engine = lake_of(f"{prefix}{folder / 'catalog.lake'}")
        shutil.copyfile(made, path)
        shutil.copytree(f"{made}.kept", folder / "catalog.lake.files")
    proven.note_proof(path, engine)
    return Database(path, wait=5, engine=engine)


def _postgres_lake_in(folder: Path, request: pytest.FixtureRequest, of: Path | None) -> Database:
    path, engine = lake_of(name_in(folder, POSTGRES, request))
    server: PostgresServer = request.getfixturevalue("postgres")
    schema, kept = _in_postgres(server, of)
    server.copy(schema, engine.address.schema, folder / "catalog.lake.files")
    shutil.copytree(kept, folder / "catalog.lake.files")
    return Database(path, wait=5, engine=engine)


def _make(name: str, of: Path | None) -> tuple[Path, Any]:
    path, engine = lake_of(name)
    if of is not None:
        with Catalog.open(of) as file:
            file.copy_to(name)
        return path, engine
    with Database(path, engine=engine).turn():
        store.make(path, engine)
    return path, engine


@cache
def _embedded(prefix: str, of: Path | None) -> Path:
    """Make a lake, and move its rows away, so that those beside a copy are used."""
    path, _ = _make(f"{prefix}{Path(mkdtemp(prefix='mastlake-lake-')) / 'made.lake'}", of)
    Path(f"{path}.files").rename(f"{path}.kept")
    return path


@cache
def _in_postgres(server: PostgresServer, of: Path | None) -> tuple[str, Path]:
    rows = Path(mkdtemp(prefix="mastlake-lake-")) / "rows"
    _, engine = _make(f"{POSTGRES}service=mastlake,schema={server.new_schema()},data={rows}", of)
    return engine.address.schema, rows


@cache
def _in_bucket(store: str, of: Path | None) -> Path:
    data = Objects(store, f"b{uuid.uuid4().hex[:12]}").address
    return _make(f"{EMBEDDED[1]}{Path(mkdtemp(prefix='mastlake-lake-')) / 'made.lake'},data={data}", of)[0]


AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
       "AWS_REGION", "AWS_DEFAULT_REGION")  # fmt: skip


def use_store(address: str, patch: pytest.MonkeyPatch) -> None:
    """Name an object store and its keys in the environment."""
    for name in AWS:
        patch.delenv(name, raising=False)
    for name, value in zip(AWS, (KEY, SECRET, TOKEN, address), strict=False):
        patch.setenv(name, value)
