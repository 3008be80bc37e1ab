"""Which blocks of a published file an older one has too, so that only the others are pulled.

The blocks are those of DuckDB, which follow the file's head of three sectors. So a block of the list differs only where
a block of the database does, and a reader that needs one block of the database asks for one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 3 * 4096
"""The bytes of the head of a DuckDB file, which is a block of its own in the list."""
SMALLEST = 1 << 16
_MOST_BLOCKS = 1 << 14
_MARK_BYTES = 16
_GAP = 1 << 19
"""Ranges that are no more bytes apart are asked for as one: a request costs more than these bytes."""


@dataclass(frozen=True)
class Blocks:
    """The marks of the blocks of a file, in the order of the file.

    Attributes
    ----------
    size : int
        The bytes of each block but the first, which is the head; the last one may be shorter.
    marks : tuple of bytes
        The first 16 bytes of the SHA-256 of each.
    """

    size: int
    marks: tuple[bytes, ...]

    def to_text(self) -> str:
        """Return the marks as text."""
        return base64.b64encode(b"".join(self.marks)).decode()

    def start(self, number: int) -> int:
        """Return the place in the file at which a block begins, or would begin."""
        return 0 if number == 0 else HEAD_BYTES + (number - 1) * self.size

    def number_at(self, place: int) -> int:
        """Return the number of the block that has a byte of the file."""
        return 0 if place < HEAD_BYTES else 1 + (place - HEAD_BYTES) // self.size

    def has(self, number: int, content: bytes) -> bool:
        """Say whether a block has this content."""
        return hashlib.sha256(content).digest()[:_MARK_BYTES] == self.marks[number]


def block_size(file_size: int) -> int:
    """Return the size of the blocks of a file: the manifest must stay small."""
    size = SMALLEST
    while file_size > size * _MOST_BLOCKS:
        size *= 2
    return size


def blocks_of(path: Path, size: int) -> Blocks:
    """Read a file, and return its blocks."""
    marks = []
    with path.open("rb") as file:
        length = HEAD_BYTES
        while block := file.read(length):
            marks.append(hashlib.sha256(block).digest()[:_MARK_BYTES])
            length = size
    return Blocks(size, tuple(marks))


def parse_blocks(text: str, file_size: int) -> Blocks | None:
    """Read marks that somebody else may have written; None if they are not those of a file of this size."""
    size = block_size(file_size)
    if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) or len(text) % 4:
        return None
    marks = base64.b64decode(text)
    if len(marks) != (1 + max(0, -(-(file_size - HEAD_BYTES) // size))) * _MARK_BYTES:
        return None
    return Blocks(size, tuple(marks[at : at + _MARK_BYTES] for at in range(0, len(marks), _MARK_BYTES)))


def stretches(numbers: Iterable[int], size: int, most: int) -> list[tuple[int, int]]:
    """Return the stretches that have all of some blocks: the first block and the one after the last of each.

    Parameters
    ----------
    numbers : iterable of int
        The blocks, in ascending order.
    size : int
        The bytes of a block; stretches that are close together become one.
    most : int
        How many stretches there may be.

    Examples
    --------
    >>> stretches([1, 2, 20, 22], 1 << 18, most=64)
    [(1, 3), (20, 23)]
    """
    wanted, gap = list(numbers), max(1, _GAP // size)
    while len(found := _joined(wanted, gap)) > most:
        gap *= 2
    return found


def _joined(numbers: list[int], gap: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number - found[-1][1] <= gap:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found
