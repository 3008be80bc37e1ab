"""Waits for another process, and lock files that one process holds alone."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from catalog.errors import UsageError
from catalog.process.interrupts import held_back

_POLL_SECONDS = 0.02
_WAIT = "MASTLAKE_WAIT"


class StillHeld(Exception):
    """Another process or thread kept the lock too long. The text names it."""


class LockWait:
    """A wait with an end; after its first second, the user is told once.

    Parameters
    ----------
    seconds : float
        How long to wait.
    tell : callable, optional
        Called with the name of the holder.
    """

    def __init__(self, seconds: float, tell: Callable[[str], None] | None = None) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._tell = tell

    def pause(self, holder: str) -> bool:
        """Sleep a moment and return True; return False if the time is over."""
        waited = time.monotonic() - self._began
        if waited >= self._seconds:
            return False
        if waited >= 1 and self._tell is not None:
            self._tell(holder)
            self._tell = None
        time.sleep(min(_POLL_SECONDS, self._seconds - waited))
        return True


def seconds_to_wait() -> float:
    """Return how long to wait for another process if nobody says so: ``MASTLAKE_WAIT`` seconds, or a minute.

    Raises
    ------
    UsageError
        If the variable is no number of seconds.
    """
    text = os.environ.get(_WAIT, "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not (math.isfinite(seconds) and seconds >= 0):
        raise UsageError(f"{_WAIT} must be a number of seconds, not {text!r}")
    return seconds


@contextmanager
def held(path: Path, waiting: LockWait, holder: str) -> Iterator[None]:
    """Hold a lock file alone, and remove it at the end.

    Parameters
    ----------
    path : Path
        The lock file; it is created if it does not exist.
    waiting : LockWait
        How long to wait for it.
    holder : str
        The name of whoever may have the lock, for messages.

    Raises
    ------
    StillHeld
        If another process or thread does not give up the lock in time.
    OSError
        If the file cannot be made.
    """
    handle: int | None = None
    try:
        while True:
            with held_back():
                handle = _locked(path)
            if handle is not None:
                break
            if not waiting.pause(holder):
                raise StillHeld(holder)
        yield
    finally:
        if handle is not None:
            with held_back():
                _let_go(handle, path)


def _let_go(handle: int, path: Path) -> None:
    """Remove a lock file while it is locked, so that it is ours, and unlock it."""
    if _is_at(handle, path):
        with suppress(OSError):
            path.unlink()
    os.close(handle)


def _locked(path: Path) -> int | None:
    """Lock the file that is at this path now; return None if another process has the lock.

    The holder may remove the file after we opened it and before we lock it. Then our lock is on a file that nobody else
    can open. So we look at the path again.
    """
    while True:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Say whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
