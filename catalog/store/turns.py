"""Turns at a catalog file: who wants to write says so in a lock file, and readers let them in.

DuckDB lets many processes read, or one write; a writer gets in by luck only, where readers come and go. So a writer
locks a file beside the catalog until the catalog is open. A reader that finds it locked lets go of the catalog, and
waits. The writer unlinks the file before it lets go of the lock, and whoever waits sees that the file has gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_POLL_SECONDS = 0.02


class StillHeld(Exception):
    """The lock was not free in time."""


class Waiting:
    """A wait that has an end, and is told once after its first second.

    Parameters
    ----------
    seconds : float
        Until it is given up.
    tell : callable, optional
        Called with who is waited for.
    """

    def __init__(self, seconds: float, tell: Callable[[str], None] | None = None) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._tell = tell

    def pause(self, holder: str) -> bool:
        """Sleep a moment, and return True; False where the time is over."""
        waited = time.monotonic() - self._began
        if waited >= self._seconds:
            return False
        if waited >= 1 and self._tell is not None:
            self._tell(holder)
            self._tell = None
        time.sleep(min(_POLL_SECONDS, self._seconds - waited))
        return True


@contextmanager
def held(path: Path, waiting: Waiting, holder: str) -> Iterator[None]:
    """Hold a lock file alone, and remove it in the end.

    Parameters
    ----------
    path : Path
        The file; it is made where it is absent.
    waiting : Waiting
        How long to wait for it.
    holder : str
        Who has it in the meantime, for messages.

    Raises
    ------
    StillHeld
        If another process or thread does not let go of it in time.
    OSError
        If it cannot be made.
    """
    while (handle := _locked(path)) is None:
        if not waiting.pause(holder):
            raise StillHeld
    try:
        yield
    finally:
        if _is_at(handle, path):
            with suppress(OSError):
                path.unlink()  # while it is locked, so that it is ours
        os.close(handle)


def _locked(path: Path) -> int | None:
    """Lock the file that has this path now; None where another has it.

    Its holder may unlink the file between our opening and our locking it. The lock is then one of a file that nobody
    else will ever open, so the path is tried again.
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
    """Say whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Say whether anybody holds a lock file; nothing is made or waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
