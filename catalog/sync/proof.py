"""Are these bytes the file: its length, its structure, its MD5."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalog.sync.plan import Item
from catalog.sync.structure import fits_problem, is_fits_name

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Problem:
    """What is wrong with some bytes: their ``length``, ``structure`` or ``digest``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Done:
    """A proven file under its final name.

    Parameters
    ----------
    item : Item
        As the archive lists it; its current row, where that was asked for.
    outcome : str
        ``present``, ``fetched``, ``resumed`` or ``replaced``.
    size, md5, mtime_ns, inode : int, str, int, int
        Of what is on disk.
    """

    item: Item
    outcome: str
    size: int
    md5: str
    mtime_ns: int
    inode: int


class Bytes(Protocol):
    """An open file whose MD5 is known."""

    size: int

    def fileno(self) -> int:
        """Return its number, for reading at offsets."""

    def digest(self) -> str:
        """Return the MD5 of its bytes."""


def judge(item: Item, found: Bytes) -> Problem | None:
    """Say what is wrong with bytes that should be an item; None: nothing."""
    if item.size is not None and found.size != item.size:
        return Problem("length", f"it has {found.size} bytes, the archive lists {item.size}")
    if found.size == 0 and item.size != 0:
        return Problem("length", "it is empty")
    if is_fits_name(item.filename) and (reason := fits_problem(found.fileno(), found.size)):
        return Problem("structure", f"it is not a whole FITS file: {reason}")
    if item.checksum is not None and found.digest() != item.checksum:
        return Problem("digest", f"its MD5 is {found.digest()}, the archive lists {item.checksum}")
    return None


class _OnDisk:
    """A finished file, opened for reading."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        self.stat = os.fstat(self._file)
        self.size = self.stat.st_size
        self._digest = ""

    def fileno(self) -> int:
        return self._file

    def digest(self) -> str:
        if not self._digest:
            md5, offset = hashlib.md5(usedforsecurity=False), 0
            while chunk := os.pread(self._file, _CHUNK, offset):
                md5.update(chunk)
                offset += len(chunk)
            self._digest = md5.hexdigest()
        return self._digest

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True)
class Found:
    """What a file on disk is.

    Parameters
    ----------
    done : Done or None
        Its size, MD5 and time; None where it cannot be read.
    problem : Problem or None
        In what it differs from the item; None: it does not.
    sound : bool
        Whether its structure is whole: it may be a person's own.
    """

    done: Done | None
    problem: Problem | None
    sound: bool

    @property
    def reason(self) -> str:
        """In what it differs, in words."""
        return self.problem.text if self.problem else "it cannot be read"


def examine(item: Item) -> Found:
    """Read a file that is on disk already, and compare it with an item."""
    try:
        found = _OnDisk(Path(item.path))
    except OSError:
        return Found(None, None, sound=False)
    try:
        problem = judge(item, found) or _changed(item, found)
        structure = fits_problem(found.fileno(), found.size) if is_fits_name(item.filename) else None
        done = Done(item, "present", found.size, found.digest(), found.stat.st_mtime_ns, found.stat.st_ino)
        return Found(done, problem, sound=found.size > 0 and structure is None)
    finally:
        found.close()


def _changed(item: Item, found: Bytes) -> Problem | None:
    """Say whether bytes without a listed checksum differ from every version that a sync proved."""
    if item.checksum is not None or not item.former or found.digest() in item.former:
        return None
    return Problem("digest", f"its MD5 is {found.digest()}, and it was fetched with {item.former[-1]}")


def prove(item: Item) -> Done | None:
    """Read a file that is on disk already; None where it is not what the archive lists, or cannot be read."""
    found = examine(item)
    return found.done if found.problem is None else None
