"""Processes of this machine, as an executor that survives the end of any of them.

The executors of the standard library and of loky end as a whole when one process ends, and give up all work that was
handed out. Here a call whose process ends fails alone, and another process takes the place. Each process uses its
standard input and output to communicate. So it imports nothing of the calling program, that program needs no guard
around its main part, and a process whose parent was killed ends.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import IO, Any, ParamSpec, TypeVar

from catalog.process.unwanted_imports import leave_out

P = ParamSpec("P")
T = TypeVar("T")

_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Settings for glibc, so that it keeps memory from one batch to the next. Arrow takes its memory from glibc too, since
a pool of its own would take 30 MB more in each process."""

_END_SECONDS = 2.0
_Call = tuple[Future[Any], bytes]


class ProcessEnded(RuntimeError):
    """The process that worked on a call ended."""


class LocalPool(Executor):
    """Some processes of this machine, each with a thread that gives it calls and takes its results.

    Parameters
    ----------
    processes : int
        How many; they start with the first call.
    """

    def __init__(self, processes: int) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._workers = [_Worker(self._calls) for _ in range(processes)]
        self._is_shut = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand out a call; the function must be importable."""
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        self._calls.put((future, pickle.dumps((fn, args, kwargs), pickle.HIGHEST_PROTOCOL)))
        for worker in self._workers:
            worker.begin()
        return future

    def end_process_of(self, future: Future[Any]) -> None:
        """Kill the process that works on a call."""
        for worker in self._workers:
            worker.end(future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: after their current calls, or at once if calls are to be cancelled."""
        self._is_shut = True
        if cancel_futures:
            with suppress(queue.Empty):
                while True:
                    call = self._calls.get_nowait()
                    if call is not None:
                        call[0].cancel()
        for worker in self._workers:
            self._calls.put(None)
            if cancel_futures:
                worker.kill()
        if wait:
            for worker in self._workers:
                worker.join(_END_SECONDS if cancel_futures else None)


class _Worker:
    """One process and its thread. A process that ends is replaced when the next call comes."""

    def __init__(self, calls: queue.SimpleQueue[_Call | None]) -> None:
        self._calls = calls
        self._thread = threading.Thread(target=self._serve, daemon=True, name="headers")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._future: Future[Any] | None = None
        self._is_killed = False

    def begin(self) -> None:
        if not self._thread.ident:
            self._thread.start()

    def end(self, future: Future[Any]) -> None:
        with self._lock:
            if self._future is future and self._process is not None:
                self._process.kill()

    def kill(self) -> None:
        with self._lock:
            self._is_killed = True
            if self._process is not None:
                self._process.kill()

    def join(self, seconds: float | None) -> None:
        if self._thread.ident:
            self._thread.join(seconds)

    def _serve(self) -> None:
        try:
            while (call := self._calls.get()) is not None:
                future, task = call
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(self._result_of(future, task))
                except BaseException as error:
                    future.set_exception(error)
                del call, future
        finally:
            self._reap()

    def _result_of(self, future: Future[Any], task: bytes) -> Any:
        process = self._started(future)
        try:
            _pipe(process.stdin).write(task)
            _pipe(process.stdin).flush()
            return pickle.load(_pipe(process.stdout))  # noqa: S301
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self._reap(at_once=True)
            raise ProcessEnded(f"a process that reads headers ended with code {code}") from error
        finally:
            with self._lock:
                self._future = None

    def _started(self, future: Future[Any]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_killed:
                raise ProcessEnded("the processes are ended")
            if self._process is None:
                self._process = _start()
            self._future = future
            return self._process

    def _reap(self, at_once: bool = False) -> int:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return 0
        if at_once:
            process.kill()
        with suppress(OSError):
            _pipe(process.stdin).close()
        code = process.wait()
        _pipe(process.stdout).close()
        return code


def _start() -> subprocess.Popen[bytes]:
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "  # the parent hears Ctrl-C, and kills
        f"sys.path += {sys.path!r}; from catalog.headers.local_pool import work; work()"
    )
    command = [sys.executable, "-P", "-c", program]  # -P: no file in the current folder can replace a library
    environment = {**_MEMORY, **os.environ}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def work() -> None:
    """Run one call after another, from standard input to standard output, until there are no more."""
    calls, results = sys.stdin.buffer, sys.stdout.buffer
    leave_out("pandas")
    gc.disable()  # a batch has a million small objects, without reference cycles
    try:
        while True:
            function, arguments, named = pickle.load(calls)  # noqa: S301
            pickle.dump(function(*arguments, **named), results, pickle.HIGHEST_PROTOCOL)
            results.flush()
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        os._exit(0)  # the process that asked is gone, or needs no more
