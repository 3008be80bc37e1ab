"""Which blocks of a published file an older one has too, so that only the others are pulled."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SMALLEST = 1 << 18
_MOST_BLOCKS = 1 << 14
_MARK_BYTES = 16
_GAP = 2
"""Ranges that are no more blocks apart are asked for as one: a request costs more than a block."""


@dataclass(frozen=True)
class Blocks:
    """The marks of the blocks of a file, in the order of the file.

    Attributes
    ----------
    size : int
        The bytes of each block; the last one may be shorter.
    marks : tuple of bytes
        The first 16 bytes of the SHA-256 of each.
    """

    size: int
    marks: tuple[bytes, ...]

    def to_text(self) -> str:
        """Return the marks as text."""
        return base64.b64encode(b"".join(self.marks)).decode()


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
        while block := file.read(size):
            marks.append(hashlib.sha256(block).digest()[:_MARK_BYTES])
    return Blocks(size, tuple(marks))


def parse_blocks(text: str, file_size: int) -> Blocks | None:
    """Read marks that somebody else may have written; None if they are not those of a file of this size."""
    size = block_size(file_size)
    if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text) or len(text) % 4:
        return None
    marks = base64.b64decode(text)
    if len(marks) != -(-file_size // size) * _MARK_BYTES:
        return None
    return Blocks(size, tuple(marks[at : at + _MARK_BYTES] for at in range(0, len(marks), _MARK_BYTES)))


def missing(wanted: Blocks, have: Blocks) -> list[tuple[int, int]]:
    """Return which stretches of blocks an older file does not have: the first and the one after the last of each."""
    known = set(have.marks)
    stretches: list[tuple[int, int]] = []
    for number, mark in enumerate(wanted.marks):
        if mark in known:
            continue
        if stretches and number - stretches[-1][1] <= _GAP:
            stretches[-1] = (stretches[-1][0], number + 1)
        else:
            stretches.append((number, number + 1))
    return stretches


def kept(wanted: Blocks, have: Blocks, stretches: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield, for each block that is not pulled, its number in the new file and in the older one."""
    places = {mark: number for number, mark in enumerate(have.marks)}
    pulled = {number for first, after in stretches for number in range(first, after)}
    for number, mark in enumerate(wanted.marks):
        if number not in pulled:
            yield number, places[mark]
