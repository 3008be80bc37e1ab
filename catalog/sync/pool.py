"""Many files at once: threads that take one item after another, and one thread that receives their results.

Threads are enough, because receiving, hashing and writing all happen outside Python's lock. There are more threads than
requests at a time: writing a file to disk for good takes as long as a small answer, and needs no connection.
"""

from __future__ import annotations

import errno
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

from catalog.errors import MastlakeError, Overloaded, Unreachable
from catalog.sync.plan import Item
from catalog.sync.rate import Halted, Stopped
from catalog.sync.transfer import SharedTransfers, transfer
from catalog.sync.verification import ProvenFile

_GRACE = 5.0
_MORE_THREADS = 2
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class ItemResult:
    """The result of an item. A `BaseException` that the user cannot cause is a bug, and is raised again."""

    item: Item
    done: ProvenFile | None = None
    error: Exception | None = None


class Pool:
    """Runs transfers in threads.

    Parameters
    ----------
    shared : SharedTransfers
        The objects that all transfers share.
    jobs : int
        How many threads may ask the archive at the same time.
    """

    def __init__(self, shared: SharedTransfers, jobs: int) -> None:
        self.shared = shared
        self._threads = _MORE_THREADS * jobs
        shared.slots = threading.BoundedSemaphore(jobs)
        self.bytes = 0
        self._lock = threading.Lock()
        self._second_round: deque[Item] = deque()
        self._had_second_round: set[str] = set()
        self._results: SimpleQueue[ItemResult | None] = SimpleQueue()

    def run(self, items: Iterator[Item], on_result: Callable[[ItemResult], None], tick: Callable[[], None]) -> bool:
        """Transfer all items; return whether it was interrupted.

        Parameters
        ----------
        items : iterator of Item
            Items; a worker takes one when it is free.
        on_result : callable
            Called with each result, in this thread.
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
        self.shared.pace.stop.set()
        self.shared.abort()

    def _listen(self, on_result: Callable[[ItemResult], None], tick: Callable[[], None]) -> None:
        running, patience = self._threads, _GRACE
        while running and patience > 0:
            try:
                result = self._results.get(timeout=0.2)
            except Empty:
                patience -= 0.2 if self.shared.pace.stop.is_set() else 0.0
                tick()
                continue
            if result is None:
                running -= 1
            else:
                on_result(result)
            tick()

    def _work(self, items: Iterator[Item]) -> None:
        try:
            while not self.shared.pace.stop.is_set():
                if (item := self._next(items)) is None:
                    return
                if result := self._one(item):
                    self._results.put(result)
        finally:
            self._results.put(None)

    def _next(self, items: Iterator[Item]) -> Item | None:
        with self._lock:
            item = next(items, None)
            if item is None and self._second_round:
                item = self._second_round.popleft()
        return item

    def _try_later(self, item: Item, error: Exception, times_down: int) -> bool:
        """Put a file behind all others, once, if the archive was down while it failed: the fault may not be the file's.

        Parameters
        ----------
        item : Item
            The file, whose attempts are used up.
        error : Exception
            The error of the last one.
        times_down : int
            `SharedPace.times_down` when the attempts began.
        """
        if not isinstance(error, (Overloaded, Unreachable)) or self.shared.pace.times_down == times_down:
            return False
        if item.path in self._had_second_round:
            return False
        with self._lock:
            self._had_second_round.add(item.path)
            self._second_round.append(item)
        return True

    def _one(self, item: Item) -> ItemResult | None:
        times_down = self.shared.pace.times_down
        try:
            return ItemResult(item, done=transfer(self.shared, item, self._count))
        except Stopped:
            return None
        except (Halted, MastlakeError) as error:
            stopped = self.shared.pace.stop.is_set() and not self.shared.pace.halted
            return None if stopped or self._try_later(item, error, times_down) else ItemResult(item, error=error)
        except OSError as error:
            if error.errno in _FULL:
                self.shared.pace.halt("the disk is full")
            return ItemResult(item, error=error)
        except Exception as error:  # a bug, which the listening thread raises again
            self.shared.pace.stop.set()
            return ItemResult(item, error=error)

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes += size


@contextmanager
def _interruptible(act: Callable[[], None]) -> Iterator[list[int]]:
    """Let the first Ctrl-C stop the sync in order; the second one ends it as usual in Python."""
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
