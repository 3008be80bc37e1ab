"""Are these bytes the file: its length, its MD5, its structure.

The archive's MD5 proves every byte, so a file that has it is right, however sloppy its FITS is. Without one, the
listed length and the structure must do.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalog.sync.plan import Item
from catalog.sync.structure import harm_in, is_packed, look

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Problem:
    """What is wrong with bytes: ``length``, ``structure``, ``digest``; ``untold`` where nobody told the length."""

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
    findings : tuple of str
        What is odd about it, though it was accepted.
    source : str
        Where its last bytes came from; empty where it was here.
    """

    item: Item
    outcome: str
    size: int
    md5: str
    mtime_ns: int
    inode: int
    findings: tuple[str, ...] = ()
    source: str = ""


class Bytes(Protocol):
    """An open file whose MD5 is known."""

    size: int

    def fileno(self) -> int:
        """Return its number, for reading at offsets."""

    def digest(self) -> str:
        """Return the MD5 of its bytes."""


@dataclass(frozen=True)
class Judgement:
    """Whether bytes are the file, and what is odd about them.

    Parameters
    ----------
    problem : Problem or None
        Why they are not; None: they are.
    sound : bool
        Whether they are a whole file of what the name says.
    findings : tuple of str
        What is not as the standard of their format has it.
    """

    problem: Problem | None
    sound: bool = True
    findings: tuple[str, ...] = ()


def judge(item: Item, found: Bytes) -> Judgement:
    """Say whether bytes are an item."""
    right = item.checksum is not None and item.size in (None, found.size) and found.digest() == item.checksum
    odd = [] if _need_not_look(item, found, right) else look(item.filename, found.fileno(), found.size)
    harm = harm_in(odd)
    return Judgement(_problem(item, found, right, harm), harm is None, tuple(one.reason for one in odd))


def _need_not_look(item: Item, found: Bytes, right: bool) -> bool:
    """Whether there is nothing to see, or it costs more than what is known already is worth."""
    name = item.filename.lower()
    told = item.size is not None and item.size == found.size
    return found.size == 0 or (right and is_packed(name)) or (told and name.endswith(".json"))


def _problem(item: Item, found: Bytes, right: bool, harm: str | None) -> Problem | None:
    if item.size is not None and found.size != item.size:
        return Problem("length", f"it has {found.size} bytes, the archive lists {item.size}")
    if found.size == 0 and item.size != 0:
        return Problem("length", "it is empty")
    if right:
        return None
    if harm is not None:
        return Problem("structure", f"it is not a whole file: {harm}")
    if item.checksum is not None:
        return Problem("digest", f"its MD5 is {found.digest()}, the archive lists {item.checksum}")
    return None


class _OnDisk:
    """A finished file, opened for reading; also by a link, as of a shared store."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a named pipe would wait for a writer
        self.stat = os.fstat(self._file)
        self.size = self.stat.st_size
        self._digest = ""
        if not stat.S_ISREG(self.stat.st_mode):
            self.close()
            raise OSError(f"{path} is no regular file")

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
        judgement, status = judge(item, found), found.stat
        problem = judgement.problem or _changed(item, found)
        done = Done(item, "present", found.size, found.digest(), status.st_mtime_ns, status.st_ino, judgement.findings)
        return Found(done, problem, sound=found.size > 0 and judgement.sound)
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
