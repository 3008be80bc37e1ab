"""Hand shards of files to an executor, and take each shard's result once, whatever happens to the workers.

A shard that is lost, because its worker ended or does not answer, is handed out again, a bounded number of times. Then
its files count as not read. An answer that comes after its shard was given up is dropped, so no shard counts twice.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

from catalog._version import __version__
from catalog.errors import ExecutorError
from catalog.headers.extract import Extract, not_read
from catalog.headers.local_pool import LocalPool
from catalog.headers.shard import Reading, read_shard
from catalog.text import harmless

Batch = tuple[Sequence[str], Extract]

MOST_TIMES = 3
"""How often a shard is handed out at most."""

_LOOK_SECONDS = 0.5
_SOON_SECONDS = 10.0
"""If nothing comes for so long, and for as long as twenty shards took, shards are handed out again."""
_PATIENCE_SECONDS = 120.0
_BYTES_PER_SECOND = 1e6
"""Slower disks are taken for ones that do not answer."""
_FINAL = "KilledWorker"  # the error of Dask after it has tried several workers itself


@dataclass
class Shard:
    """Some files that are read together.

    Attributes
    ----------
    paths : sequence of str
        The files.
    times : int
        How often it was handed out.
    since : float
        When it was handed out last.
    reason : str
        Why it was lost.
    """

    paths: Sequence[str]
    times: int = 0
    since: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Order:
    """What to read of each file: values of these keywords, and whether also all bytes."""

    keywords: Sequence[str]
    digest: bool


class Handout:
    """Shards, and the executor that reads them.

    Parameters
    ----------
    executor : Executor
        Where they are read.
    shards : sequence of sequence of str
        The files of each shard.
    order : Order
        What to read.
    most_out : int
        How many shards are handed out at most; so many results need memory at the same time.
    """

    def __init__(self, executor: Executor, shards: Sequence[Sequence[str]], order: Order, most_out: int) -> None:
        self._executor = executor
        self._waiting = deque(Shard(paths) for paths in shards)
        self._order = order
        self._most_out = most_out
        self._out: dict[Future[Reading], Shard] = {}
        self._slowest = 0.0
        self._cancelled_since: float | None = None
        self._heard_at = time.monotonic()

    def results(self) -> Iterator[Batch]:
        """Yield each shard with its result, in any order.

        Raises
        ------
        ExecutorError
            If the executor itself is of no use any more.
        """
        try:
            while self._waiting or self._out:
                self._hand_out()
                done, _ = wait(self._out, _LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    shard = self._out.pop(future)
                    extract = self._taken(future, shard)
                    del future
                    if extract is not None:
                        yield shard.paths, extract
                if not done:
                    self._ask_for_fault()
                    yield from self._overdue()
        finally:
            for future in self._out:
                future.cancel()

    def _hand_out(self) -> None:
        if self._cancelled_since is not None:
            time.sleep(_LOOK_SECONDS)  # until the executor knows whether its cluster is gone
        while self._waiting and len(self._out) < self._most_out:
            shard = self._waiting.popleft()
            try:
                future = self._executor.submit(read_shard, shard.paths, self._order.keywords, self._order.digest)
            except Exception as error:  # each kind of executor has its own
                self._out.clear()  # there is nobody who could cancel it
                raise ExecutorError(f"the executor takes no more work: {_line(error)}; index again to go on") from error
            shard.times += 1
            shard.since = time.monotonic()
            self._out[future] = shard

    def _taken(self, future: Future[Reading], shard: Shard) -> Extract | None:
        """Return the result of a shard; None if it must be handed out again."""
        self._heard_at = time.monotonic()
        try:
            reading = future.result()
        except (ImportError, AttributeError) as error:
            raise ExecutorError(
                f"a worker cannot run mastlake {__version__} ({_line(error)}); install this version there"
            ) from error
        except BrokenExecutor as error:
            raise ExecutorError(f"the executor is broken: {_line(error)}; index again to go on") from error
        except CancelledError:
            self._cancelled(shard)
            return None
        except Exception as error:
            return self._lost(shard, _line(error), is_final=type(error).__name__ == _FINAL)
        self._cancelled_since = None
        if reading.error is not None:
            raise reading.error
        self._slowest = max(self._slowest, reading.seconds)
        if (blind := self._blindness(reading, shard)) is not None:
            if shard.times == MOST_TIMES:
                raise ExecutorError(blind)
            return self._lost(shard, blind)
        assert reading.extract is not None
        return reading.extract

    def _blindness(self, reading: Reading, shard: Shard) -> str | None:
        """Say what is wrong with a worker that cannot see the files that this process sees.

        Raises
        ------
        ExecutorError
            If it has another version of mastlake.
        """
        if isinstance(self._executor, LocalPool) or reading.extract is None:
            return None
        host = harmless(reading.host)
        if reading.version != __version__:
            raise ExecutorError(
                f"the worker on {host} has mastlake {harmless(reading.version)}, and this is {__version__}; "
                "install the same version on both"
            )
        files = reading.extract.files
        for path, reason in zip(shard.paths, files["unread"].to_pylist(), strict=True):
            if reason is not None and _can_be_read(path):
                return f"the worker on {host} cannot read {path} ({reason}); each worker must see the same folder there"
        path, size, mtime_ns = shard.paths[0], files["size"][0].as_py(), files["mtime_ns"][0].as_py()
        if size is not None and (here := _status(path)) is not None and here != (size, mtime_ns):
            return f"the worker on {host} sees another file at {path}; each worker must see the same folder there"
        return None

    def _cancelled(self, shard: Shard) -> None:
        """Hand a shard out again that the executor cancelled, as Dask does when its scheduler dies; it counts no time.

        Raises
        ------
        ExecutorError
            If the executor is of no use any more, or does nothing but cancel.
        """
        self._ask_for_fault()
        now = time.monotonic()
        if self._cancelled_since is None:
            self._cancelled_since = now
        if now - self._cancelled_since > _PATIENCE_SECONDS:
            raise ExecutorError("the executor cancels all work; index again to go on")
        shard.times -= 1
        self._waiting.append(shard)

    def _lost(self, shard: Shard, reason: str, is_final: bool = False) -> Extract | None:
        shard.reason = reason
        if is_final or shard.times >= MOST_TIMES:
            times = f"given up after {shard.times} times" if shard.times > 1 else "given up"
            return not_read(shard.paths, f"not read: {reason} ({times})", self._order.keywords)
        self._waiting.append(shard)
        return None

    def _ask_for_fault(self) -> None:
        """Raise an error if the executor can tell that no answer will come."""
        ask: Callable[[], str | None] | None = getattr(self._executor, "fault", None)
        if ask is not None and (fault := ask()) is not None:
            self._out.clear()
            raise ExecutorError(fault)

    def _overdue(self) -> Iterator[Batch]:
        """Give up workers that do not answer."""
        now = time.monotonic()
        for future, shard in list(self._out.items()):
            seconds = now - max(shard.since, self._heard_at)
            if seconds < self._patience(shard) or future.done():
                continue
            del self._out[future]
            future.cancel()
            if isinstance(self._executor, LocalPool):
                self._executor.end_process_of(future)
            extract = self._lost(shard, f"a worker did not answer for {seconds:.0f} s")
            if extract is not None:
                yield shard.paths, extract

    def _patience(self, shard: Shard) -> float:
        """Return for how many seconds nothing may come before a shard is lost; the last time, for the longest."""
        if shard.times < MOST_TIMES and self._slowest and not self._order.digest:
            return min(_PATIENCE_SECONDS, max(_SOON_SECONDS, 20 * self._slowest))
        sizes = [status[0] for path in shard.paths if (status := _status(path))] if self._order.digest else []
        return _PATIENCE_SECONDS + sum(sizes) / _BYTES_PER_SECOND


def _can_be_read(path: str) -> bool:
    try:
        with Path(path).open("rb"):
            return True
    except OSError:
        return False


def _status(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _line(error: BaseException) -> str:
    """Return the first line of an error, which may come from another machine."""
    text = str(error).strip().splitlines()
    return harmless(text[0][:200]) if text else type(error).__name__
