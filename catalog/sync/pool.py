"""Many files at once: threads that take items in turn, and one that listens to them.

Threads, because receiving, hashing and writing all happen outside Python's lock. There are more of them than
requests at a time, since syncing a file to disk takes as long as a small answer, and needs no connection.
"""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

from catalog.errors import MastlakeError
from catalog.sync.plan import Item
from catalog.sync.rate import Halted, Stopped
from catalog.sync.transfer import Line, transfer
from catalog.sync.verification import Done

_GRACE = 5.0
_MORE_THREADS = 2
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Result:
    """What became of an item; a `BaseException` that is no user's matter is a bug and is raised again."""

    item: Item
    done: Done | None = None
    error: Exception | None = None


class Pool:
    """Runs transfers.

    Parameters
    ----------
    line : Line
        Shared by them.
    jobs : int
        How many ask the archive at once.
    """

    def __init__(self, line: Line, jobs: int) -> None:
        self.line = line
        self._threads = _MORE_THREADS * jobs
        line.slots = threading.BoundedSemaphore(jobs)
        self.bytes = 0
        self._lock = threading.Lock()
        self._results: SimpleQueue[Result | None] = SimpleQueue()

    def run(self, items: Iterator[Item], on_result: Callable[[Result], None], tick: Callable[[], None]) -> bool:
        """Transfer all items; return whether it was interrupted.

        Parameters
        ----------
        items : iterator of Item
            Taken as workers become free.
        on_result : callable
            Gets each result, in this thread.
        tick : callable
            Called in this thread several times a second.
        """
        workers = [threading.Thread(target=self._work, args=(items,), daemon=True) for _ in range(self._threads)]
        with _interruptible(self._interrupt) as interrupted:
            for worker in workers:
                worker.start()
            self._listen(on_result, tick)
        return bool(interrupted)

    def _interrupt(self) -> None:
        self.line.pace.stop.set()
        self.line.abort()

    def _listen(self, on_result: Callable[[Result], None], tick: Callable[[], None]) -> None:
        running, patience = self._threads, _GRACE
        while running and patience > 0:
            try:
                result = self._results.get(timeout=0.2)
            except Empty:
                patience -= 0.2 if self.line.pace.stop.is_set() else 0.0
                tick()
                continue
            if result is None:
                running -= 1
            else:
                on_result(result)
            tick()

    def _work(self, items: Iterator[Item]) -> None:
        try:
            while not self.line.pace.stop.is_set():
                with self._lock:
                    item = next(items, None)
                if item is None:
                    return
                if result := self._one(item):
                    self._results.put(result)
        finally:
            self._results.put(None)

    def _one(self, item: Item) -> Result | None:
        try:
            return Result(item, done=transfer(self.line, item, self._count))
        except Stopped:
            return None
        except (Halted, MastlakeError) as error:
            if self.line.pace.stop.is_set() and not self.line.pace.halted:
                return None
            return Result(item, error=error)
        except OSError as error:
            if error.errno in _FULL:
                self.line.pace.halt("the disk is full")
            return Result(item, error=error)
        except Exception as error:  # a bug: handed to the listening thread, which raises it
            self.line.pace.stop.set()
            return Result(item, error=error)

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes += size


@contextmanager
def _interruptible(act: Callable[[], None]) -> Iterator[list[int]]:
    """Turn the first Ctrl-C into an orderly stop; the second one is Python's own again."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def first(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.signal(signal.SIGINT, before)
        act()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
