"""Write a file beside its place, and move it there when it is whole; a full disk leaves the older file as it was."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from catalog.errors import DiskError
from catalog.process.interrupts import held_back

READABLE, EXECUTABLE = 0o666, 0o777
"""The permissions of a new file, as far as the user's umask allows them."""
_SETTINGS = "mastlake.toml"
_unfinished: set[Path] = set()
_LOOKS, _LOOK_SECONDS = 40, 0.05
"""How many times, and at which interval, to look for a reader of a pipe."""


@contextmanager
def put_in_place(path: Path, mode: int = READABLE) -> Iterator[IO[bytes]]:
    """Open a file for writing; when the block ends well, it takes the place of whatever is at the path.

    A link is replaced, and its target not written. Something that is no file, like a pipe or a device, is written as it
    is, and so are ``/dev/stdout`` and the like, whatever they lead to. A pipe without a reader is not waited for.


    Parameters
    ----------
    path : Path
        The path of the file.
    mode : int
        `READABLE`, or `EXECUTABLE` for scripts. An older file keeps its permissions.

    Yields
    ------
    binary file
        A file that is closed at the end of the block.

    Raises
    ------
    DiskError
        If the file cannot be written; then whatever was there stays as it was.
    """
    with _disk_errors(path):
        older = _permissions(path)
        if older is None:
            with os.fdopen(_opened_as_it_is(path), "wb", buffering=1 << 16) as sink:
                yield sink
            return
        partial = path.with_name(f".mastlake-{secrets.token_hex(6)}.part")
        _unfinished.add(partial)
        try:
            handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            with os.fdopen(handle, "w+b") as sink:
                yield sink
            if older:
                partial.chmod(older | (mode & 0o111 & older >> 2))
            partial.replace(path)
        finally:
            with held_back(), suppress(OSError):
                partial.unlink(missing_ok=True)
            _unfinished.discard(partial)


def remove_unfinished() -> None:
    """Remove unfinished files, before the process ends without finishing its blocks."""
    for partial in list(_unfinished):
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _permissions(path: Path) -> int | None:
    """Return the permissions of the file at a path; 0 if there is none, and None if it is no file."""
    if _is_of_the_system(path):
        return None
    if path.name.lower() == _SETTINGS:
        raise DiskError(f"{path} is the name of the settings; choose another name for the output")
    try:
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            return None if path.exists() and not path.is_file() and not path.is_dir() else 0
    except FileNotFoundError:
        return 0
    if stat.S_ISREG(about.st_mode):
        _refuse_catalog(path)
        return stat.S_IMODE(about.st_mode) & 0o777
    return 0 if stat.S_ISDIR(about.st_mode) else None


def _refuse_catalog(path: Path) -> None:
    """Refuse to replace a DuckDB file: an answer should never take the place of a catalog.

    Raises
    ------
    DiskError
        Names the file.
    """
    with suppress(OSError), path.open("rb") as older:
        is_database = older.read(12)[8:] == b"DUCK"
        if is_database:
            raise DiskError(f"{path} is a catalog or another DuckDB file; choose another name for the output")


def _is_of_the_system(path: Path) -> bool:
    """Say whether a path is a device or an open file of a process, like ``/dev/fd/1``."""
    folder = os.path.realpath(path.parent)
    return folder in ("/dev", "/dev/fd") or folder.startswith("/proc/")


def _opened_as_it_is(path: Path) -> int:
    """Open something that is no regular file: nothing of it is cut off, and a pipe must get a reader within seconds."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    for _ in range(_LOOKS):
        try:
            handle = os.open(path, flags)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            os.set_blocking(handle, True)
            return handle
    raise DiskError(f"cannot write {path}: nobody reads from it")


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from error
