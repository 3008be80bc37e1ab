"""Open the catalog file: create, migrate, lock, read, write, close.

DuckDB lets one process write and none read meanwhile. So no connection lives longer than one block of code:
``with database.read()`` and ``with database.write()``, the second of which is one transaction. Whoever meets
another's lock waits and tries again; who waits to write is let in before new readers, see `catalog.store.turns`.

No connection reaches any file but the catalog, nor the network: what this program runs of its own also runs over views
and macros that lie in the file.
"""

from __future__ import annotations

import math
import os
import stat
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

import duckdb

from catalog.errors import CatalogError, CatalogLocked, CatalogTooNew, CatalogUnwritable, NotACatalog, UsageError
from catalog.store.addresses import tidy
from catalog.store.duckdb_file import DUCKDB
from catalog.store.engine import Engine
from catalog.store.faults import Locked, reading, writing
from catalog.store.sql import columns_of, literal, quoted
from catalog.store.turns import StillHeld, Waiting, held
from catalog.store.work import close
from catalog.text import harmless

__all__ = ["HEAD", "Database", "columns_of", "literal", "quoted"]

HEAD = "0012"
"""The newest schema revision that this code knows; `migrations/versions` ends with it."""

_FIRST = "0001"
_ready: set[tuple[Path, int]] = set()
"""Catalogs, with their inode, whose schema this process has found or brought to `HEAD`."""
_in_process: defaultdict[Path, threading.RLock] = defaultdict(threading.RLock)
_open_here = threading.local()
"""Catalogs that the thread at hand has open for reading, in ``paths``."""
_WAIT = "MASTLAKE_WAIT"
_HOLDER = "another mastlake"
Tell = Callable[[str], None]


class Database:
    """A catalog file.

    Parameters
    ----------
    path : path-like
        The file; `write` creates it where it is absent.
    wait : float, optional
        Seconds to wait for another process to let go of the file; ``MASTLAKE_WAIT``, or a minute.
    tell : callable, optional
        Called with a line to show once a wait for another process has taken a second.
    engine : Engine
        That keeps the tables.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        wait: float | None = None,
        tell: Tell | None = None,
        engine: Engine = DUCKDB,
    ) -> None:
        self.engine = engine
        self.path = _in_unicode(Path(path).absolute())
        self.wait = _seconds(os.environ.get(_WAIT, "60")) if wait is None else wait
        self.tell = tell

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading.

        Parameters
        ----------
        sealed : bool
            For questions that somebody else wrote: also settings stay as they are. A block within a sealed one of the
            same catalog is sealed as well; see `allow_memory`.

        Raises
        ------
        CatalogError
            Where there is no catalog, it is not one, is too new, or stays locked.
        """
        self._must_exist()
        with self.alone():
            self._let_writers_in()
            connection = self._opened()
            try:
                if sealed:
                    self.engine.seal(connection)
                with self._within(), reading(self.path):
                    yield connection
            finally:
                close(connection)

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, as one transaction: committed at the end of the block, or not at all.

        Raises
        ------
        CatalogError
            Where the file is not a catalog, is too new, stays locked, or cannot be written.
        """
        with self.alone():
            self._bring_to_head()
            with self._turn():
                connection = self._open(read_only=False)
            try:
                with writing(self.path):
                    connection.execute("BEGIN TRANSACTION")
                    yield connection
                    connection.execute("COMMIT")
            finally:
                connection.close()  # without a COMMIT this rolls back
                tidy(self.path)
                self._note_proven()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads of this process from opening the catalog."""
        with _in_process[self.path]:
            yield

    def release(self) -> None:
        """Let go of the file, where this object keeps it open."""

    @contextmanager
    def harvesting(self) -> Iterator[None]:
        """Keep other harvests of this catalog away; readers and syncs may come and go.

        Raises
        ------
        CatalogLocked
            If another harvest is under way.
        CatalogUnwritable
            If the folder cannot be written.
        """
        path = self.path.with_name(f"{self.path.name}.harvest")
        busy = CatalogLocked(f"another harvest of {self.path} is under way; try again when it is done")
        with self._locked(held(path, Waiting(0), _HOLDER), busy):
            yield

    def columns(self, connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
        """Return the columns of a table or view, and their types, through a connection that `read` gave."""
        return columns_of(connection, table)

    def exists(self) -> bool:
        """Say whether there is a file to read."""
        return self._size() > 0

    def _size(self) -> int:
        """Return the size of the file, 0 where it is absent or empty.

        Raises
        ------
        NotACatalog
            For a folder, a pipe or a device, which is never opened.
        CatalogUnwritable
            Where the folder may not be entered.
        """
        try:
            about = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError as error:
            raise CatalogUnwritable(f"cannot use {self.path}: {error.strerror}") from error
        if not stat.S_ISREG(about.st_mode):
            raise NotACatalog(f"{self.path} is no file; choose another --catalog")
        return about.st_size

    def _must_exist(self) -> None:
        if not self.exists():
            raise CatalogError(f"no catalog at {self.path}; make one with: mastlake harvest NAME --instrument ...")

    @property
    def writer_waits(self) -> bool:
        """Whether somebody waits to write the catalog, or opens it to write."""
        return self.engine.is_locked(self.path)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for a turn to write, and let no new readers in until the catalog is open."""
        busy = CatalogLocked(f"{self.path} is in use by others that write; try again when they are done")
        with self._locked(self.engine.lock(self.path, self._waiting(), _HOLDER), busy):
            yield

    @contextmanager
    def _locked(self, lock: AbstractContextManager[None], busy: CatalogLocked) -> Iterator[None]:
        try:
            lock.__enter__()
        except StillHeld:
            raise busy from None
        except OSError as error:
            raise CatalogUnwritable(f"cannot write {self.path.parent}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _let_writers_in(self) -> None:
        """Wait while another waits to write, unless this thread reads the catalog already, so that they wait for it."""
        if self._is_within():
            return
        waiting = self._waiting()
        while self.writer_waits:
            if not waiting.pause("another mastlake, which writes"):
                raise CatalogLocked(f"{self.path} is in use by others that write; try again when they are done")

    def _is_within(self) -> bool:
        return self.path in _open_here.__dict__.get("paths", ())

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Note that this thread has the catalog open."""
        paths: list[Path] = _open_here.__dict__.setdefault("paths", [])
        paths.append(self.path)
        try:
            yield
        finally:
            paths.remove(self.path)

    def _waiting(self) -> Waiting:
        def told(holder: str) -> None:
            if self.tell is not None:
                self.tell(f"waiting for {self.path}, in use by {holder}; Ctrl-C gives up")

        return Waiting(self.wait, told)

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """Open for reading, at `HEAD`: the connection that looks at the revision is kept, as opening takes long."""
        if self._size() and not self._is_ready():
            with ExitStack() as unless_kept:
                connection = unless_kept.enter_context(closing(self._open(read_only=True)))
                if self._revision_through(connection) == HEAD:
                    self._note_ready()
                    unless_kept.pop_all()
                    return connection
        self._bring_to_head()
        return self._open(read_only=True)

    def _is_ready(self) -> bool:
        return (self.path, self.path.stat().st_ino) in _ready

    def _note_ready(self) -> None:
        _ready.add((self.path, self.path.stat().st_ino))

    def _bring_to_head(self) -> None:
        """Make, migrate or prove what is not at `HEAD`; a process looks once at each file."""
        if self._size() and self._is_ready():
            return
        self._migrate()
        self._note_ready()

    def _migrate(self) -> None:
        if self._size() and self._revision() == HEAD:
            return
        with self._turn(), writing(self.path):  # commands that start at once wait for the first
            if not self._size():
                make(Path(os.path.realpath(self.path)), self.engine)
            elif self._revision() != HEAD:
                from catalog.store.schema.migrate import migrate

                migrate(self._open(read_only=False))
                tidy(self.path)
        self._note_proven()

    def _note_proven(self) -> None:
        from catalog.store.proven import note

        note(self.path)

    def _revision(self) -> str | None:
        """Return the schema's revision; see `_revision_through`."""
        with closing(self._open(read_only=True)) as connection:
            return self._revision_through(connection)

    def _revision_through(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """Return the schema's revision, once the file is proven to be harmless; None where it has no tables."""
        from catalog.store.proven import is_noted, note, prove_definitions

        with reading(self.path):
            if is_noted(self.path) and (noted := _head_through(connection)) is not None:
                return noted
            tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
            if not tables:
                return None
            if "alembic_version" not in tables:
                raise NotACatalog(
                    f"{self.path} is a DuckDB database, but not a mastlake catalog; choose another --catalog"
                )
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            revision = str(row[0]) if row else None
            if revision is not None and revision > HEAD:
                raise CatalogTooNew(
                    f"{self.path} was written by a newer mastlake (schema {revision}, this one knows {HEAD}); "
                    "upgrade it"
                )
            if revision is not None and revision < _FIRST:
                raise NotACatalog(
                    f"{self.path} has the schema {revision}, which no mastlake had; keep it, and harvest into a new one"
                )
            if not is_noted(self.path):
                prove_definitions(connection, self.path)
                note(self.path)
            return revision

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        waiting = self._waiting()
        while True:
            try:
                return self.engine.open(self.path, read_only)
            except Locked as error:
                if not waiting.pause(str(error)):
                    raise CatalogLocked(f"{self.path} is in use by {error}; try again when it is done") from None


def _head_through(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Return `HEAD` where a file that is known to be harmless is at it; to list its tables takes longer."""
    with suppress(duckdb.CatalogException, duckdb.BinderException):
        if connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,):
            return HEAD
    return None


def _in_unicode(path: Path) -> Path:
    """Return the path if DuckDB can open it: it takes no name that is not UTF-8."""
    try:
        os.path.realpath(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"a catalog cannot be at {harmless(str(path))}: the name is not UTF-8") from None
    return path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not (math.isfinite(seconds) and seconds >= 0):
        raise UsageError(f"{_WAIT} must be a number of seconds, not {text!r}")
    return seconds


def make(path: Path, engine: Engine = DUCKDB) -> None:
    """Make a new catalog beside its place, and put it there when it is whole: a full disk leaves nothing behind."""
    from catalog.store.schema.migrate import migrate

    partial = path.with_name(f".{path.name}.new")
    leftovers = (partial, partial.with_name(f"{partial.name}.wal"))
    try:
        for one in leftovers:
            one.unlink(missing_ok=True)
        migrate(engine.open(partial, read_only=False))
        partial.replace(path)
    finally:
        tidy(partial)
        for one in leftovers:
            with suppress(OSError):
                one.unlink(missing_ok=True)
