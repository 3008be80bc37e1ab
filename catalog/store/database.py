"""Open the catalog file: create, migrate, lock, read, write, close.

DuckDB lets one process write, and then no other can read. So no connection lives longer than one block of code:
``with database.read()`` or ``with database.write()``; a writing block is one transaction. A process that finds the file
locked waits and tries again. Processes come in the order in which they asked, see `catalog.store.queue`.

No connection reaches another file than the catalog, or the network: even this program's own statements read views and
macros that the file brings along.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path

import duckdb

from catalog.errors import CatalogError, CatalogLocked, CatalogUnwritable
from catalog.process.interrupts import held_back
from catalog.process.unheard import ended_if_unheard
from catalog.store.addresses import log_of, path_in_full, tidy
from catalog.store.altered import alterations_told
from catalog.store.duckdb_file import DUCKDB
from catalog.store.engine import Engine
from catalog.store.faults import Locked, reading, writing
from catalog.store.revision import HEAD, revision_through
from catalog.store.sql import columns_of, literal, quoted
from catalog.store.turns import LockWait, StillHeld, seconds_to_wait
from catalog.store.work import close, end

__all__ = ["Database", "columns_of", "literal", "quoted"]

_ready: set[tuple[Path, Hashable]] = set()
"""Catalogs whose schema is at `HEAD`, as this process has seen or made it; each with its identity."""
_in_process: defaultdict[Path, threading.RLock] = defaultdict(threading.RLock)
_open_here = threading.local()
"""Its attribute ``paths`` has the catalogs that the current thread reads, or at which it has the turn."""
_HOLDER = "another mastlake"
Tell = Callable[[str], None]


class Database:
    """A catalog file.

    Parameters
    ----------
    path : path-like
        The file; `write` creates it if it does not exist.
    wait : float, optional
        Seconds to wait while another process has the file; by default ``MASTLAKE_WAIT``, or a minute.
    tell : callable, optional
        Called with a line of text once a wait for another process has taken a second.
    engine : Engine
        The engine that keeps the tables.
    """

    def __init__(
        self, path: str | os.PathLike[str], wait: float | None = None, tell: Tell | None = None, engine: Engine = DUCKDB
    ) -> None:
        self.engine = engine
        self.path = path_in_full(path)
        self.wait = seconds_to_wait() if wait is None else wait
        self.tell = tell

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading.

        Parameters
        ----------
        sealed : bool
            For questions. The block is one transaction: all of its statements see the same snapshot. Statements that
            somebody else wrote cannot change settings. A block inside a sealed block is sealed too; see `allow_memory`.

        Raises
        ------
        CatalogError
            If the catalog does not exist, is no catalog, is too new, or stays locked.
        """
        self._must_exist()
        with self.alone(), alterations_told(self.path, self.engine):
            connection = None
            try:
                connection = self._open_at_head()
                if sealed:
                    self.engine.seal(connection)
                with self._noted_as_open(), reading(self.at):
                    if sealed:
                        connection.execute("BEGIN TRANSACTION")
                    yield connection
            finally:
                if connection is not None:
                    close(connection)

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, as one transaction: all of the block is committed at its end, or nothing.

        Raises
        ------
        CatalogError
            If the file is no catalog, is too new, stays locked, or cannot be written.
        """
        with self.alone(), alterations_told(self.path, self.engine):
            self._bring_to_head()
            with self.turn():
                connection = None
                try:
                    connection = self._open(read_only=False)
                    with writing(self.at):
                        connection.execute("BEGIN TRANSACTION")
                        yield connection
                        self.engine.about_to_commit(connection)
                        connection.execute("COMMIT")
                finally:
                    if connection is not None:
                        with held_back():
                            end(connection)
                            tidy(self.path)
                            self._note_proven()

    @contextmanager
    def write_local(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing what belongs to this disk only: files, headers, verdicts; see `write`.

        This is the same, unless the catalog is one that others published.
        """
        with self.write() as connection:
            yield connection

    def require_local(self) -> None:
        """Raise an error if `write_local` has no place to write to, before any work is done for it."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads of this process from opening the catalog."""
        with _in_process[self.path], ended_if_unheard() if self.engine.waits_for_server else nullcontext():
            yield

    def release(self) -> None:
        """Close the file, if this object keeps it open."""

    @property
    def at(self) -> str:
        """The file, or the name of the lake, for messages."""
        return self.engine.named(self.path)

    @property
    def named(self) -> str:
        """The catalog's name, as a user may write it."""
        return self.at

    @property
    def beside(self) -> Path:
        """The path beside which a person's own things lie, such as pictures; it stays while the catalog changes."""
        return self.path

    @property
    def archive_path(self) -> Path:
        """The file with the archive's rows."""
        return self.path

    @property
    def archive_size(self) -> int:
        """The size of the archive's rows in bytes, with the local files if they are in the same catalog."""
        return self.size()

    @property
    def mark(self) -> Hashable:
        """What changes whenever the catalog changes."""
        path = self.local_path or self.archive_path
        return path, self.engine.stamp(path)

    @property
    def published_in(self) -> str | None:
        """The folder or address where others published the catalog; None if it is a catalog of the user's own."""
        return None

    @property
    def is_distant(self) -> bool:
        """Whether rows come from another machine when they are read, so that a question should read little."""
        return False

    @property
    def local_path(self) -> Path | None:
        """The file with the files of this disk, if it is another one, and exists."""
        return None

    def require_writable(self) -> None:
        """Raise `CatalogUnwritable` if this is no catalog of the user's own, before any work is done for it."""

    @contextmanager
    def harvesting(self) -> Iterator[None]:
        """Keep other harvests of this catalog away; readers and syncs can still use it.

        Raises
        ------
        CatalogLocked
            If another harvest is running.
        CatalogUnwritable
            If the folder cannot be written.
        """
        busy = CatalogLocked(f"another harvest of {self.at} is under way; try again when it is done")
        with self._locked(self.engine.harvest_lock(self.path, LockWait(0), _HOLDER), busy):
            yield

    def anew(self) -> Database:
        """Return the same catalog without the connection that this object may keep open."""
        return Database(self.path, self.wait, self.tell, self.engine)

    def columns(self, connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
        """Return names and types of the columns of a table or view; the connection must come from `read`."""
        return columns_of(connection, table)

    def exists(self) -> bool:
        """Say whether the catalog exists and is not empty."""
        return self.size() > 0

    def size(self) -> int:
        """Return how many bytes the catalog has, or 0 if it does not exist.

        Raises
        ------
        NotACatalog
            If the path is a folder, a pipe or a device; these are never opened.
        CatalogUnwritable
            If the folder cannot be entered.
        """
        try:
            return self.engine.size(self.path)
        except OSError as error:
            raise CatalogUnwritable(f"cannot use {self.at}: {error.strerror}") from error

    def _must_exist(self) -> None:
        if not self.exists():
            raise CatalogError(f"no catalog at {self.at}; make one with: mastlake harvest NAME --instrument ...")

    @property
    def writer_waits(self) -> bool:
        """Whether another process writes the catalog, or waits to write it."""
        return self.engine.is_locked(self.path)

    @contextmanager
    def turn(self, reads: bool = False) -> Iterator[None]:
        """Wait for the turn to write or to open, behind all who came earlier, and keep it for the block."""
        with self._locked(self.engine.lock(self.path, self.waiting(), _HOLDER, reads)), self._noted_as_open():
            yield

    @contextmanager
    def _locked(self, lock: AbstractContextManager[None], busy: CatalogLocked | None = None) -> Iterator[None]:
        try:
            lock.__enter__()
        except StillHeld as by:
            raise busy or CatalogLocked(f"{self.at} is in use by {by}; try again when it is done") from None
        except OSError as error:
            raise CatalogUnwritable(f"cannot write {self.path.parent}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Let the block open the catalog for reading, behind the writers that came earlier and before all others.

        A thread that has the catalog open, or has the turn, must not wait again: those who come later wait for it.
        """
        if self._is_within() or not self.writer_waits:
            yield
            return
        self._bring_to_head()  # it draws a ticket for writing, which would come behind the one for reading
        with self.turn(reads=True):
            yield

    def _is_within(self) -> bool:
        return self.path in _open_here.__dict__.get("paths", ())

    @contextmanager
    def _noted_as_open(self) -> Iterator[None]:
        """Note that this thread has the catalog open, or has the turn."""
        paths: list[Path] = _open_here.__dict__.setdefault("paths", [])
        path = self.path  # it can change meanwhile, if the catalog is a published one
        paths.append(path)
        try:
            yield
        finally:
            paths.remove(path)

    def waiting(self) -> LockWait:
        """Begin a wait for another process, as long as this object may wait."""

        def told(holder: str) -> None:
            if self.tell is not None:
                self.tell(f"waiting for {self.at}, in use by {holder}; Ctrl-C gives up")

        return LockWait(self.wait, told)

    def _open_at_head(self) -> duckdb.DuckDBPyConnection:
        """Open for reading, at `HEAD`. The connection that read the revision is used on, since opening is slow."""
        if self.size() and not self._is_ready():
            with ExitStack() as unless_kept:
                connection = unless_kept.enter_context(closing(self._open_to_read()))
                if self._revision_through(connection) == HEAD:
                    self._note_ready()
                    unless_kept.pop_all()
                    return connection
        self._bring_to_head()
        return self._open_to_read()

    def _is_ready(self) -> bool:
        return (self.path, self.engine.identity(self.path)) in _ready

    def _note_ready(self) -> None:
        _ready.add((self.path, self.engine.identity(self.path)))

    def _bring_to_head(self) -> None:
        """Create, migrate or prove a catalog that is not at `HEAD`; a process looks at each file once."""
        if self.size() and self._is_ready():
            return
        if not (self.size() and self._is_noted_as_ready()):
            self._migrate()
        self._note_ready()

    def _is_noted_as_ready(self) -> bool:
        """Say whether it is noted that the catalog is proven and at `HEAD`, without opening the catalog."""
        from catalog.store.proven import is_proof_noted

        return is_proof_noted(self.path, self.engine)

    def _migrate(self) -> None:
        if self.size() and self._revision() == HEAD:
            return
        with self.turn(), writing(self.at):  # of several commands that start together, one migrates
            if not self.size():
                make(Path(os.path.realpath(self.path)), self.engine)
            elif self._revision() != HEAD:
                from catalog.store.schema.migrate import migrate

                migrate(self._open(read_only=False))
                tidy(self.path)
        self._note_proven()

    def _note_proven(self) -> None:
        from catalog.store.proven import note_proof

        note_proof(self.path, self.engine)

    def _revision(self) -> str | None:
        """Open the catalog and return the revision of its schema."""
        with closing(self._open_to_read()) as connection:
            return self._revision_through(connection)

    def _revision_through(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """Return the revision of the schema; see `catalog.store.revision`."""
        return revision_through(connection, self.path, self.engine)

    def _open_to_read(self) -> duckdb.DuckDBPyConnection:
        """Open for reading. If somebody writes, wait in the queue: other readers and writers come in turn."""
        if not self._is_within() and not self.writer_waits:
            if log_of(self.path).exists():
                self._take_in_log()
            with suppress(Locked):
                return self.engine.open(self.path, read_only=True)
        with nullcontext() if self._is_within() else self.turn(reads=True):
            return self._open(read_only=True)

    def _take_in_log(self) -> None:
        """Let DuckDB write a killed writer's log into the catalog, so that whoever copies the file copies all of it.

        If that is not possible now, readers go on reading the log beside the file.
        """
        with (
            suppress(CatalogError, duckdb.Error, Locked, StillHeld, OSError),
            self.engine.lock(self.path, LockWait(0), _HOLDER),
        ):
            self.engine.open(self.path, read_only=False).close()

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        waiting = self.waiting()
        while True:
            try:
                return self.engine.open(self.path, read_only)
            except Locked as error:
                if not waiting.pause(str(error)):
                    raise CatalogLocked(f"{self.at} is in use by {error}; try again when it is done") from None


def make(path: Path, engine: Engine = DUCKDB) -> None:
    """Make a new catalog; a full disk leaves nothing behind."""
    from catalog.store.schema.migrate import migrate

    engine.make(path, migrate)
