"""Whether bytes are the file that is wanted: its length, its MD5, its structure.

The archive's MD5 proves every byte, so a file that has it is right, even if its FITS has faults. Without an MD5, the
listed length and the structure must be enough.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalog.sync.plan import Item
from catalog.sync.structure import check_structure, harm_in, is_packed

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Problem:
    """A fault of bytes: ``length``, ``structure`` or ``digest``; ``untold`` if nothing told the length."""

    kind: str
    text: str


@dataclass(frozen=True)
class ProvenFile:
    """A proven file with its final name.

    Parameters
    ----------
    item : Item
        The item as the archive lists it; with its present row, if that was asked for.
    outcome : str
        ``present``, ``fetched``, ``resumed`` or ``replaced``.
    size, md5, mtime_ns, inode : int, str, int, int
        Values of the file on disk.
    findings : tuple of str
        The oddities of the file, although it was accepted.
    source : str
        The source of its last bytes; empty if it was on disk already.
    """

    item: Item
    outcome: str
    size: int
    md5: str
    mtime_ns: int
    inode: int
    findings: tuple[str, ...] = ()
    source: str = ""


class HashedFile(Protocol):
    """An open file whose MD5 is known."""

    size: int

    def fileno(self) -> int:
        """Return its descriptor, for reading at offsets."""

    def digest(self) -> str:
        """Return the MD5 of its bytes."""


@dataclass(frozen=True)
class Judgement:
    """Whether bytes are the wanted file, and what is odd about them.

    Parameters
    ----------
    problem : Problem or None
        Why they are not; None if they are.
    sound : bool
        Whether they are a whole file of the kind that the name says.
    findings : tuple of str
        Where they do not follow the standard of their format.
    """

    problem: Problem | None
    sound: bool = True
    findings: tuple[str, ...] = ()


def judge(item: Item, file: HashedFile) -> Judgement:
    """Say whether the bytes of a file are those of an item."""
    right = item.checksum is not None and item.size in (None, file.size) and file.digest() == item.checksum
    odd = [] if _need_not_look(item, file, right) else check_structure(item.filename, file.fileno(), file.size)
    harm = harm_in(odd)
    return Judgement(_problem(item, file, right, harm), harm is None, tuple(finding.reason for finding in odd))


def _need_not_look(item: Item, file: HashedFile, right: bool) -> bool:
    """Whether the structure need not be read: it shows nothing, or reading it costs more than it is worth."""
    name = item.filename.lower()
    has_listed_size = item.size is not None and item.size == file.size
    return file.size == 0 or (right and is_packed(name)) or (has_listed_size and name.endswith(".json"))


def _problem(item: Item, file: HashedFile, right: bool, harm: str | None) -> Problem | None:
    if item.size is not None and file.size != item.size:
        return Problem("length", f"it has {file.size} bytes, the archive lists {item.size}")
    if file.size == 0 and item.size != 0:
        return Problem("length", "it is empty")
    if right:
        return None
    if harm is not None:
        return Problem("structure", f"it is not a whole file: {harm}")
    if item.checksum is not None:
        return Problem("digest", f"its MD5 is {file.digest()}, the archive lists {item.checksum}")
    return None


class _OnDisk:
    """A finished file, opened for reading; it may be a link, as into a shared store."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # else a named pipe waits for a writer
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
class ExaminedFile:
    """The result of reading a file on disk.

    Parameters
    ----------
    done : ProvenFile or None
        Its size, MD5 and time; None if it cannot be read.
    problem : Problem or None
        How it differs from the item; None if it does not.
    sound : bool
        Whether its structure is whole; then it may be a person's own.
    """

    done: ProvenFile | None
    problem: Problem | None
    sound: bool

    @property
    def reason(self) -> str:
        """The difference in words."""
        return self.problem.text if self.problem else "it cannot be read"


def examine(item: Item) -> ExaminedFile:
    """Read a file that is on disk, and compare it with an item."""
    try:
        on_disk = _OnDisk(Path(item.path))
    except OSError:
        return ExaminedFile(None, None, sound=False)
    try:
        judgement, status = judge(item, on_disk), on_disk.stat
        problem = judgement.problem or _changed_since_proof(item, on_disk)
        done = ProvenFile(
            item, "present", on_disk.size, on_disk.digest(), status.st_mtime_ns, status.st_ino, judgement.findings
        )
        return ExaminedFile(done, problem, sound=on_disk.size > 0 and judgement.sound)
    finally:
        on_disk.close()


def _changed_since_proof(item: Item, file: HashedFile) -> Problem | None:
    """Say whether bytes without a listed checksum differ from every version that a sync proved."""
    if item.checksum is not None or not item.former or file.digest() in item.former:
        return None
    return Problem("digest", f"its MD5 is {file.digest()}, and it was fetched with {item.former[-1]}")


def prove_file(item: Item) -> ProvenFile | None:
    """Read a file that is on disk; return None if it is not what the archive lists, or cannot be read."""
    examined = examine(item)
    return examined.done if examined.problem is None else None
