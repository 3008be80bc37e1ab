"""A file in the cache that has some blocks of a published catalog, and asks for the others when they are read.

No list says which blocks are there. A block is used if it has the mark that the manifest gives, so a block that was
half written, or that another program changed, is asked for again. Blocks that are not there take no room on the disk.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import count, takewhile
from pathlib import Path

from catalog.errors import DiskError, Garbled, Overloaded, Unreachable
from catalog.publish.blocks import Blocks

Fetch = Callable[[int, int], Iterator[bytes]]
"""Returns so many bytes of the published file from a place on, in pieces."""
_AHEAD = 2
"""How many blocks are asked for at most beyond those that are read, while blocks are read one after another."""


_LOOK_SECONDS = 0.2


class BlockFile:
    """A published catalog of which some blocks are in the cache. Several threads and processes can use it.

    Parameters
    ----------
    path : Path
        The file in the cache; it is made if it does not exist.
    size : int
        The size of the published file.
    blocks : Blocks
        Its marks.
    fetch : callable
        Asks for a part of it.
    name : str
        Its name, for messages.
    """

    def __init__(self, path: Path, size: int, blocks: Blocks, fetch: Fetch, name: str) -> None:
        self.path, self.size, self.blocks = path, size, blocks
        self._fault: BaseException | None = None
        self._is_stopped = False
        self._fetch, self._name = fetch, name
        self._changed = threading.Condition()
        self._here = bytearray(len(blocks.marks))
        self._coming: set[int] = set()
        self._fetched: set[int] = set()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._handle)
        if os.fstat(self._handle).st_size != size:
            os.truncate(self._handle, size)

    @property
    def share(self) -> float:
        """The share of the file that takes room on the disk."""
        return os.fstat(self._handle).st_blocks * 512 / self.size

    def read(self, start: int, length: int) -> bytes:
        """Return bytes of the published file; blocks that are not there are asked for and compared first.

        Raises
        ------
        ArchiveError
            If the host does not give them, or gives others. DuckDB passes on the text only; `take_fault` the error.
        DiskError
            If the cache has no room for them.
        """
        stop = min(start + length, self.size)
        if stop <= start:
            return b""
        try:
            self.require(self.blocks.number_at(start), self.blocks.number_at(stop - 1) + 1)
            return os.pread(self._handle, stop - start, start)
        except BaseException as error:
            self._fault = self._fault or error
            raise

    def take_fault(self) -> BaseException | None:
        """Return the first error since the last call."""
        fault, self._fault = self._fault, None
        return fault

    def absent(self) -> list[int]:
        """Return the numbers of all blocks that are not there."""
        with self._changed:
            return [number for number in range(len(self.blocks.marks)) if not self._is_here(number)]

    def require(self, first: int, after: int) -> None:
        """Get the blocks from one number to before another one, as far as they are not there; see `read`."""
        while (stretch := self._next(first, after)) is not None:
            # The thread that reads waits, so that it hears of Ctrl-C; the network may be silent for a minute.
            failed: list[BaseException] = []
            threading.Thread(target=self._bring, args=(stretch, failed), daemon=True, name="mastlake-blocks").start()
            with self._changed:
                while self._coming.intersection(range(*stretch)):
                    self._pause()
            if failed:
                raise failed[0]

    def stop(self) -> None:
        """Let all reads that wait for the network end; the next call of `go_on` allows others."""
        self._is_stopped = True

    def go_on(self) -> None:
        """Allow reads again, and forget errors of earlier ones."""
        self._is_stopped, self._fault = False, None

    def _pause(self) -> None:
        if self._is_stopped:
            raise KeyboardInterrupt
        self._changed.wait(_LOOK_SECONDS)

    def _bring(self, stretch: tuple[int, int], failed: list[BaseException]) -> None:
        try:
            self._get(*stretch)
        except BaseException as error:
            failed.append(error)
        finally:
            with self._changed:
                self._coming -= set(range(*stretch))
                self._changed.notify_all()

    def pull(self, first: int, after: int) -> None:
        """Get all blocks of a stretch in one request, also those that are there; see `read`."""
        self._get(first, after)

    def take(self, older: Path, blocks: Blocks) -> None:
        """Copy the blocks that an older published file has too.

        Parameters
        ----------
        older : Path
            The older file, of which blocks can be absent.
        blocks : Blocks
            Its marks.
        """
        places = {mark: number for number, mark in enumerate(blocks.marks)}
        with older.open("rb") as file:
            for number in self.absent():
                place = places.get(self.blocks.marks[number])
                if place is None:
                    continue
                file.seek(blocks.start(place))
                content = file.read(self._end(number) - self.blocks.start(number))
                if self.blocks.has(number, content):
                    self._keep(number, content)

    def synced(self) -> None:
        """Let all bytes reach the disk."""
        os.fsync(self._handle)

    def _next(self, first: int, after: int) -> tuple[int, int] | None:
        """Take on the next stretch to ask for; wait if other threads ask for all that is not there."""
        with self._changed:
            while True:
                absent = [number for number in range(first, after) if not self._is_here(number)]
                if not absent:
                    return None
                mine = [number for number in absent if number not in self._coming]
                if mine:
                    begin, end = mine[0], mine[0] + 1
                    while self._is_wanted(end) and (end < after or end - after < self._ahead(begin)):
                        end += 1
                    self._coming |= set(range(begin, end))
                    return begin, end
                self._pause()

    def _is_wanted(self, number: int) -> bool:
        return number < len(self._here) and number not in self._coming and not self._is_here(number)

    def _ahead(self, number: int) -> int:
        """Return how many more blocks to ask for: as many as were asked for just before this one."""
        before = takewhile(lambda back: number - back in self._fetched, count(1))
        return sum(1 for _ in zip(range(_AHEAD), before, strict=False))

    def _is_here(self, number: int) -> bool:
        if not self._here[number]:
            start = self.blocks.start(number)
            self._here[number] = self.blocks.has(number, os.pread(self._handle, self._end(number) - start, start))
        return bool(self._here[number])

    def _end(self, number: int) -> int:
        return min(self.blocks.start(number + 1), self.size)

    def _get(self, first: int, after: int) -> None:
        """Ask for a stretch; after a fault of the network, once more."""
        try:
            self._ask(first, after)
        except (Unreachable, Overloaded):
            with self._changed:
                first = next((number for number in range(first, after) if not self._here[number]), after)
            if first < after:
                self._ask(first, after)

    def _ask(self, first: int, after: int) -> None:
        start = self.blocks.start(first)
        content, number = bytearray(), first
        for piece in self._fetch(start, self._end(after - 1) - start):
            content += piece
            while number < after and len(content) >= (size := self._end(number) - self.blocks.start(number)):
                block = bytes(content[:size])
                if not self.blocks.has(number, block):
                    raise Garbled(f"{self._name} is not what its manifest says (SHA-256); it is not used")
                self._keep(number, block)
                del content[:size]
                number += 1
        if number < after:
            raise Unreachable(f"{self._name} came only in part; try again")

    def _keep(self, number: int, content: bytes) -> None:
        try:
            os.pwrite(self._handle, content, self.blocks.start(number))
        except OSError as error:
            raise DiskError(
                f"cannot write {self.path}: {error.strerror or error}; free some space, or set XDG_CACHE_HOME"
            ) from error
        with self._changed:
            self._here[number] = True
            self._fetched.add(number)
