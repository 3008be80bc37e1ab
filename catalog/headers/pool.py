"""Read many files with several processes.

Each process runs `work` with the same Python, and uses its standard input and output to communicate. So it imports
nothing of the calling program, and that program needs no guard around its main part.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from catalog.headers.extract import Extract, extract
from catalog.process.unwanted_imports import leave_out

BATCH = 128
"""How many files are read together."""

_WHOLE_FILES = 16
"""How many files are read together if all their bytes are read, which takes a hundred times as long."""

_ALONE = 16 * BATCH
"""For fewer files, starting processes would take longer than reading."""

_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Settings for glibc, so that it keeps memory from one batch to the next. Arrow takes its memory from glibc too, since
a pool of its own would take 30 MB more in each process."""

Batch = tuple[Sequence[str], Extract]


def available_processes() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def extract_all(
    paths: Sequence[str], keywords: Sequence[str] = (), digest: bool = False, processes: int | None = None
) -> Iterator[Batch]:
    """Read the headers of many files, one batch at a time; batches come in any order.

    Parameters
    ----------
    paths : sequence of str
        FITS files.
    keywords : sequence of str
        The keywords whose values are returned for each file.
    digest : bool
        Also read all bytes of the files, for the MD5.
    processes : int, optional
        How many processes to use; by default, as many as there are processors.
    """
    size = _WHOLE_FILES if digest else BATCH
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    processes = min(processes or available_processes(), len(batches))
    if processes < 2 or (len(paths) <= _ALONE and not digest):
        yield from ((batch, extract(batch, keywords, digest)) for batch in batches)
        return
    with _Farm(batches, (keywords, digest), processes) as farm:
        yield from farm.results()


class _Farm:
    """Some processes, and a thread for each that gives it batches and takes its results."""

    def __init__(self, batches: Sequence[Sequence[str]], order: tuple[Sequence[str], bool], processes: int) -> None:
        self._batches = iter(batches)
        self._order = order
        self._count = len(batches)
        self._turn = threading.Lock()
        self._done: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=8)
        self._stopped = False
        self._workers = [_start() for _ in range(processes)]
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="headers")

    def __enter__(self) -> _Farm:
        for worker in self._workers:
            self._threads.submit(self._serve, worker)
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        for worker in self._workers:
            worker.kill() if any(error) else _pipe(worker.stdin).close()
        while not self._done.empty():
            self._done.get_nowait()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.wait()
            _pipe(worker.stdout).close()
            if any(error):
                _pipe(worker.stdin).close()

    def results(self) -> Iterator[Batch]:
        for _ in range(self._count):
            result = self._done.get()
            if isinstance(result, BaseException):
                raise result
            yield result

    def _next(self) -> Sequence[str] | None:
        with self._turn:
            return None if self._stopped else next(self._batches, None)

    def _serve(self, worker: subprocess.Popen[bytes]) -> None:
        try:
            while (batch := self._next()) is not None:
                pickle.dump((batch, *self._order), _pipe(worker.stdin), pickle.HIGHEST_PROTOCOL)
                _pipe(worker.stdin).flush()
                result = pickle.load(_pipe(worker.stdout))  # noqa: S301
                self._give(result if isinstance(result, BaseException) else (batch, result))
        except (EOFError, BrokenPipeError) as error:
            lost = RuntimeError(f"a process that reads headers ended with code {worker.wait()}")
            lost.__cause__ = error
            self._give(lost)
        except Exception as error:
            self._give(error)

    def _give(self, result: Batch | BaseException) -> None:
        while not self._stopped:
            try:
                self._done.put(result, timeout=0.2)
            except queue.Full:
                continue
            return


def _start() -> subprocess.Popen[bytes]:
    program = f"import sys; sys.path += {sys.path!r}; from catalog.headers.pool import work; work()"
    command = [sys.executable, "-P", "-c", program]  # -P: no file in the current folder can replace a library
    environment = {**_MEMORY, **os.environ}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def work() -> None:
    """Read one batch after another, from standard input to standard output, until there are no more."""
    tasks, results = sys.stdin.buffer, sys.stdout.buffer
    leave_out("pandas")
    gc.disable()  # a batch has a million small objects, without reference cycles
    try:
        while True:
            order = pickle.load(tasks)  # noqa: S301
            result: Extract | Exception
            try:
                result = extract(*order)
            except Exception as error:  # the process that asked for the batch raises it again
                result = error
            pickle.dump(result, results, pickle.HIGHEST_PROTOCOL)
            results.flush()
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        os._exit(0)  # the process that asked is gone, or needs no more
