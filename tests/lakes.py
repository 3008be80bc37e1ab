"""Lakes for tests: each is a copy of an empty one that the migrations made, which takes a second."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from catalog.store import database as store
from catalog.store.database import Database
from catalog.store.lake import FileLake, lake_of

PREFIXES = ("ducklake:", "ducklake:sqlite:")


def lake_in(folder: Path, prefix: str) -> Database:
    """Return an empty lake in a folder."""
    path, engine = lake_of(f"{prefix}{folder / 'catalog.lake'}")
    empty = _empty(prefix)
    shutil.copyfile(empty, path)
    shutil.copytree(f"{empty}.kept", f"{path}.files")
    return Database(path, wait=5, engine=engine)


@cache
def _empty(prefix: str) -> Path:
    """Make a lake, and move its rows away, so that those beside a copy are used."""
    path, engine = lake_of(f"{prefix}{Path(mkdtemp(prefix='mastlake-lake-')) / 'empty.lake'}")
    assert isinstance(engine, FileLake)
    store.make(path, engine)
    Path(f"{path}.files").rename(f"{path}.kept")
    return path
