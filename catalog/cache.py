"""What takes long to read, kept in the user's cache folder from one process to the next."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

_FORM = 1
"""To be raised when what is kept means something else."""


def cached(name: str, sources: Iterable[Path], read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was read from files, from the cache where these are the same.

    Parameters
    ----------
    name : str
        What it is called in the cache.
    sources : iterable of Path
        The files; their paths, sizes and times say whether they are the same.
    read : callable
        Reads them. What it returns can be written as JSON.
    """
    stamp = [[str(path), one.st_size, one.st_mtime_ns] for path in sources for one in [path.stat()]]
    file = folder() / f"{name}.json"
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        found = json.loads(file.read_bytes())
        if found["form"] == _FORM and found["sources"] == stamp and isinstance(found["value"], dict):
            return dict(found["value"])
    value = read()
    with suppress(OSError, TypeError):
        _write(file, json.dumps({"form": _FORM, "sources": stamp, "value": value}).encode())
    return value


def folder() -> Path:
    """Return the user's cache folder for mastlake, as the XDG Base Directory Specification and macOS have it."""
    return _folder("XDG_CACHE_HOME", ".cache", "Caches")


def config_folder() -> Path:
    """Return the folder of the user's own settings and tokens, as the same have it; it need not be there."""
    return _folder("XDG_CONFIG_HOME", ".config", "Application Support")


def _folder(variable: str, usual: str, of_macos: str) -> Path:
    """Return a folder of the user's, as platformdirs does, whose import every command would wait for."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (an unknown home stays as it is written)
    given = os.environ.get(variable, "")
    if given.startswith("/"):
        return Path(given) / "mastlake"
    return (home / "Library" / of_macos if sys.platform == "darwin" else home / usual) / "mastlake"


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; another process may read it, or write it too."""
    if not file.is_absolute():
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
