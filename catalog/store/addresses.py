"""Names of catalogs that look like addresses: those of a scheme that no catalog has, and paths with a ``?``.

DuckDB takes a path with a ``?`` for an address with a query, and misplaces its log.

DuckDB puts the ending of its log before the ``?``. The log of ``a?b.duckdb`` is ``a.wal?b.duckdb``, which DuckDB does
not recognize as its own. The log of ``what?/my.duckdb`` is in a folder that does not exist.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from catalog.errors import UsageError
from catalog.text import harmless

_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_KINDS = "name a file, a folder, https://ADDRESS/, s3://BUCKET/PREFIX/ or a lake (ducklake:PATH)"
_OF_POSTGRES = "a lake of PostgreSQL is ducklake:postgres:service=NAME, and a password belongs into ~/.pgpass"
_INSTEAD = {"postgres": _OF_POSTGRES, "postgresql": _OF_POSTGRES, "file": "write the path alone"}


def path_in_full(name: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a catalog that is one file.

    Raises
    ------
    UsageError
        If the name is an address. It may have a password, so it is not repeated. Or if the name is not UTF-8, as DuckDB
        needs it.

    Examples
    --------
    >>> path_in_full("/data/my.duckdb").as_posix()
    '/data/my.duckdb'
    """
    if found := _SCHEME.match(os.fspath(name)):
        scheme = found["scheme"].lower()
        instead = _INSTEAD.get(scheme, _KINDS)
        raise UsageError(f"no catalog has an address with {scheme}://; {instead}")
    path = Path(name).absolute()
    try:
        os.path.realpath(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"a catalog cannot be at {harmless(str(path))}: the name is not UTF-8") from None
    return path


def odd_logs(path: Path) -> list[Path]:
    """Return the paths of DuckDB's own files beside a catalog with a ``?`` in its path; none for other paths.

    Examples
    --------
    >>> odd_logs(Path("/data/a?b.duckdb"))[0].name, odd_logs(Path("/data/ab.duckdb"))
    ('a.wal?b.duckdb', [])
    """
    before, mark, after = os.path.realpath(path).partition("?")
    return [Path(f"{before}{end}?{after}") for end in _LOGS] if mark else []


def log_of(path: Path) -> Path:
    """Return the path of DuckDB's log of what was committed, and is not in the catalog's file yet.

    A writer that closes the catalog removes the log. A writer that was killed leaves it.

    Examples
    --------
    >>> log_of(Path("/data/ab.duckdb")).as_posix(), log_of(Path("/data/a?b.duckdb")).as_posix()
    ('/data/ab.duckdb.wal', '/data/a.wal?b.duckdb')
    """
    odd = odd_logs(path)
    return odd[0] if odd else Path(f"{os.path.realpath(path)}{_LOGS[0]}")


def make_room(path: Path) -> None:
    """Make the folders in which DuckDB will write its logs.

    Raises
    ------
    OSError
        If a folder cannot be made.
    """
    for log in odd_logs(path):
        log.parent.mkdir(parents=True, exist_ok=True)


def tidy(path: Path) -> None:
    """Remove the folders that `make_room` made, if they are empty."""
    for log in odd_logs(path):
        folder = log.parent
        while not path.is_relative_to(folder):
            with suppress(OSError):
                folder.rmdir()
            folder = folder.parent
