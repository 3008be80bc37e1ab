"""The queue at a catalog file: between processes, first come, first served.

DuckDB lets many processes read, or one write. While readers come and go, a writer would get in only by luck. So a
writer draws a ticket, and keeps it until it has written. A reader that finds the ticket of a writer draws one too, and
keeps it until it has opened the catalog. A writer waits for all earlier tickets, and a reader for the earlier tickets
of writers. So no question that is asked later gets in before a writer, and a reader that waits gets in before the next
writer.

A ticket is a file in a folder beside the catalog. Its owner locks it, and the system unlocks it when the owner is
killed. Whoever finds a ticket that is not locked removes it. The last owner removes the folder.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from catalog.process.interrupts import held_back
from catalog.store.turns import LockWait, StillHeld
from catalog.text import harmless

_NAME = re.compile(r"(\d{9,15})\.(reads|writes)")
_OWNER = re.compile(r"(\d{1,10}) (\S{1,64}) (\S{1,32})")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_SHARED = stat.S_ISVTX | stat.S_ISUID


class _Ticket(NamedTuple):
    """A place in the queue. Two of one number are possible, and then the writer comes first."""

    number: int
    reads: bool

    @property
    def name(self) -> str:
        return f"{self.number:09}.{'reads' if self.reads else 'writes'}"


class Queue:
    """The queue at one catalog.

    Parameters
    ----------
    folder : Path
        Where the tickets are. The folder exists only while there are tickets.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder

    @contextmanager
    def turn(self, waiting: LockWait, reads: bool = False) -> Iterator[None]:
        """Draw a ticket, wait for those who came earlier, and keep the ticket until the end of the block.

        A reader who may not make a file here waits in the same way, but no writer waits for it.

        Parameters
        ----------
        waiting : LockWait
            How long to wait.
        reads : bool
            Whether the catalog will be read, and not written.

        Raises
        ------
        StillHeld
            If the time is over; its text names who came earlier.
        OSError
            If a ticket for writing cannot be drawn.
        """
        handle: int | None = None
        ticket = _Ticket(0, reads)
        try:
            with held_back():
                try:
                    handle, ticket = self._draw(reads)
                except OSError:
                    if not reads:
                        raise
                    ticket = self._next(reads)
            while (owner := self._owner_before(ticket)) is not None:
                if not waiting.pause(owner):
                    raise StillHeld(owner)
            yield
        finally:
            with held_back():
                if handle is not None:
                    self._give_back(handle, ticket)
                with suppress(OSError):
                    self._path.rmdir()  # if nobody else is in it

    def has_writer(self) -> bool:
        """Say whether a process waits to write, or writes."""
        return self._owner_before(None) is not None

    def _draw(self, reads: bool) -> tuple[int, _Ticket]:
        while True:
            self._make_folder()
            with suppress(FileNotFoundError, FileExistsError), _opened(self._path) as folder:
                ticket = _after(folder, reads)
                handle = os.open(ticket.name, _FILE | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)
                if _is_ours(handle, ticket, folder):
                    return handle, ticket

    def _next(self, reads: bool) -> _Ticket:
        with suppress(OSError), _opened(self._path) as folder:
            return _after(folder, reads)
        return _Ticket(0, reads)

    def _make_folder(self) -> None:
        """Make the folder; whoever may write beside the catalog may also write in it."""
        try:
            self._path.mkdir()
        except FileExistsError:
            return
        with suppress(OSError):
            self._path.chmod(stat.S_IMODE(self._path.parent.stat().st_mode) & ~_NOT_SHARED)

    def _owner_before(self, ticket: _Ticket | None) -> str | None:
        """Return who has the first ticket for which this one must wait; without a ticket, the first of a writer."""
        with suppress(OSError), _opened(self._path) as folder:
            for earlier in sorted(_tickets(folder)):
                if ticket is not None and earlier >= ticket:
                    break
                if earlier.reads and (ticket is None or ticket.reads):
                    continue
                if (owner := _owner(folder, earlier)) is not None:
                    return owner
            with suppress(OSError):
                self._path.rmdir()  # if nobody is left in it
        return None

    def _give_back(self, handle: int, ticket: _Ticket) -> None:
        with suppress(OSError), _opened(self._path) as folder:
            if _is_at(handle, ticket, folder):
                os.unlink(ticket.name, dir_fd=folder)
        os.close(handle)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    folder = os.open(path, _FOLDER)
    try:
        yield folder
    finally:
        os.close(folder)


def _tickets(folder: int) -> list[_Ticket]:
    matches = [_NAME.fullmatch(name) for name in os.listdir(folder)]
    return [_Ticket(int(match[1]), match[2] == "reads") for match in matches if match]


def _after(folder: int, reads: bool) -> _Ticket:
    return _Ticket(max((ticket.number for ticket in _tickets(folder)), default=0) + 1, reads)


def _is_ours(handle: int, ticket: _Ticket, folder: int) -> bool:
    """Lock a new ticket, and write into it who has it; return False if another took it for one that was left."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, ticket, folder):
            os.fchmod(handle, 0o644)  # others must be able to see whether it is locked
            with suppress(OSError):  # a full disk has room for the name of a file, but not for its content
                os.write(handle, _owner_now())
            return True
    except BlockingIOError:
        with suppress(OSError):
            os.unlink(ticket.name, dir_fd=folder)
    except BaseException:  # there are no locks here
        os.close(handle)
        with suppress(OSError):
            os.unlink(ticket.name, dir_fd=folder)
        raise
    os.close(handle)
    return False


def _owner_now() -> bytes:
    return f"{os.getpid()} {socket.gethostname()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode()


def _is_at(handle: int, ticket: _Ticket, folder: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(ticket.name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _owner(folder: int, ticket: _Ticket) -> str | None:
    """Return who has a ticket; None if nobody has it, and then remove it where that is allowed."""
    try:
        handle = os.open(ticket.name, _FILE | os.O_RDONLY, dir_fd=folder)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with suppress(OSError):
            if _is_at(handle, ticket, folder):
                os.unlink(ticket.name, dir_fd=folder)
    except BlockingIOError:
        return _told(os.read(handle, 128), ticket)
    finally:
        os.close(handle)
    return None


def _told(content: bytes, ticket: _Ticket) -> str:
    """Say who has a ticket. Another user may have written it, so only one form of text is shown."""
    who = "another mastlake, which " + ("reads" if ticket.reads else "writes")
    match = _OWNER.fullmatch(content.decode(errors="replace"))
    return f"{who} (PID {match[1]} on {harmless(match[2])}, since {harmless(match[3])})" if match else who
