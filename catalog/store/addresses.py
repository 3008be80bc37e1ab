"""Catalogs with a ``?`` in their path: DuckDB takes such a path for an address with a query, and misplaces its log.

DuckDB puts the ending of its log before the ``?``. The log of ``a?b.duckdb`` is ``a.wal?b.duckdb``, which DuckDB does
not recognize as its own. The log of ``what?/my.duckdb`` is in a folder that does not exist.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")


def odd_logs(path: Path) -> list[Path]:
    """Return the paths of DuckDB's own files beside a catalog with a ``?`` in its path; none for other paths.

    Examples
    --------
    >>> odd_logs(Path("/data/a?b.duckdb"))[0].name, odd_logs(Path("/data/ab.duckdb"))
    ('a.wal?b.duckdb', [])
    """
    before, mark, after = os.path.realpath(path).partition("?")
    return [Path(f"{before}{end}?{after}") for end in _LOGS] if mark else []


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
