"""Results that take long to read, kept in the user's cache folder for later processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from catalog.process.interrupts import held_back

_FORM = 1
"""The version of the format; raise it when the kept results change their meaning."""


def cached(name: str, sources: Iterable[Path], read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was read from files; it comes from the cache if the files are the same.

    Parameters
    ----------
    name : str
        The name in the cache.
    sources : iterable of Path
        The files; paths, sizes and times tell whether they are the same.
    read : callable
        Reads the files. Its result must fit into JSON.
    """
    stamp = [[str(path), status.st_size, status.st_mtime_ns] for path in sources for status in [path.stat()]]
    file = folder() / f"{name}.json"
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        entry = json.loads(file.read_bytes())
        if entry["form"] == _FORM and entry["sources"] == stamp and isinstance(entry["value"], dict):
            return dict(entry["value"])
    value = read()
    with suppress(OSError, TypeError):
        _write(file, json.dumps({"form": _FORM, "sources": stamp, "value": value}).encode())
    return value


def folder() -> Path:
    """Return the user's cache folder for mastlake, by the XDG Base Directory Specification and macOS's rules."""
    return _folder("XDG_CACHE_HOME", ".cache", "Caches")


def config_folder() -> Path:
    """Return the folder of the user's own settings and tokens, by the same rules; it need not exist."""
    return _folder("XDG_CONFIG_HOME", ".config", "Application Support")


def _folder(variable: str, usual: str, of_macos: str) -> Path:
    """Return one of the user's folders, as platformdirs does; importing that would delay every command."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (without a home folder, the ~ stays)
    given = os.environ.get(variable, "")
    if given.startswith("/"):
        return Path(given) / "mastlake"
    return (home / "Library" / of_macos if sys.platform == "darwin" else home / usual) / "mastlake"


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, since other processes may read or write it as well."""
    if not file.is_absolute():
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        with held_back():
            beside.unlink(missing_ok=True)
