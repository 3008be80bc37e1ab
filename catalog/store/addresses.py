"""Paths that DuckDB takes for addresses: it reads what follows a ``?`` as a query, and puts its log's name before it.

So the log of ``a?b.duckdb`` is ``a.wal?b.duckdb``, which DuckDB does not know for its own, and the log of
``what?/my.duckdb`` lies in a folder that there is not.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LOGS = (".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")


def odd_logs(path: Path) -> list[Path]:
    """Return where DuckDB's own files lie beside a catalog with a ``?`` in its path; none for any other.

    Examples
    --------
    >>> odd_logs(Path("/data/a?b.duckdb"))[0].name, odd_logs(Path("/data/ab.duckdb"))
    ('a.wal?b.duckdb', [])
    """
    before, mark, after = os.path.realpath(path).partition("?")
    return [Path(f"{before}{end}?{after}") for end in _LOGS] if mark else []


def make_room(path: Path) -> None:
    """Make the folders that the logs are to lie in.

    Raises
    ------
    OSError
        If they cannot be made.
    """
    for log in odd_logs(path):
        log.parent.mkdir(parents=True, exist_ok=True)


def tidy(path: Path) -> None:
    """Remove those folders again, where they are empty."""
    for log in odd_logs(path):
        folder = log.parent
        while not path.is_relative_to(folder):
            with suppress(OSError):
                folder.rmdir()
            folder = folder.parent
