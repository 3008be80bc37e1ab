"""The form of a list of shared files, and what is accepted of one that somebody else wrote.

A list is one JSON text a line. The first line has the folder that is shared, and who shares it. Each further line has
a file in that folder. Whoever may write there can write anything, so every line is judged when it is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

import msgspec

from catalog.errors import DiskError
from catalog.text import harmless

FOLDER = "shared"
MOST_LISTS = 10_000
MOST_BYTES = 1 << 28
"""The size up to which a list is read."""
_FORM = 1
_LARGEST = 1 << 50


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a list."""

    form: int
    folder: str
    by: str
    host: str
    at: str


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """A file: its path below the folder, its size, and its MD5 if that is known."""

    path: str
    size: int
    md5: str | None = None


@dataclass(frozen=True)
class SharedList:
    """A list that was read, and accepted."""

    head: Head
    rows: list[Row]


class Lists(Protocol):
    """Where lists lie: a folder, a bucket, or an address."""

    @property
    def name(self) -> str:
        """The place as it is told to the user."""

    @property
    def is_on_disk(self) -> bool:
        """Whether all readers have the disk on which the shared files lie."""

    def require_writable(self) -> None:
        """Raise a UsageError if nobody can add a list here."""

    def put(self, head: Head, rows: list[Row]) -> None:
        """Write a list in place of the older list of the same person and folder; without rows, take that one back."""

    def read(self) -> tuple[list[SharedList], list[str]]:
        """Return the newest list of each person and folder, and a line for each list that was left out."""


def new_head(folder: str, by: str, host: str, at: str) -> Head:
    """Return the first line of a list in the present form."""
    return Head(_FORM, folder, by, host, at)


def mark_of(*texts: str) -> str:
    """Return the part of a list's name that tells the lists of persons and folders apart."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def content_of(head: Head, rows: Iterable[Row], most: int) -> bytes:
    """Return a list as it is written.

    Raises
    ------
    DiskError
        If it is so long that nobody would read it.
    """
    encoder = msgspec.json.Encoder()
    content = b"\n".join(encoder.encode(each) for each in (head, *rows)) + b"\n"
    if len(content) > most:
        raise DiskError(f"{harmless(head.folder)} has too many files for one list; share the folders in it one by one")
    return content


def parse_list(content: bytes) -> SharedList:
    """Return a list that somebody wrote.

    Raises
    ------
    ValueError
        If it is none, or names something outside its folder.
    """
    lines = content.splitlines()
    head = msgspec.json.decode(lines[0] if lines else b"", type=Head)
    if head.form != _FORM or not os.path.isabs(head.folder):  # noqa: PTH117
        raise ValueError("it has another form; upgrade mastlake")
    decoder = msgspec.json.Decoder(Row)
    return SharedList(head, list(_judged(decoder.decode(line) for line in lines[1:])))


def _judged(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        parts = PurePosixPath(row.path).parts
        if not parts or row.path.startswith("/") or ".." in parts or "\0" in row.path or not 0 <= row.size <= _LARGEST:
            raise ValueError("a path in it leads out of its folder, or a size is none that a file can have")
        yield row
