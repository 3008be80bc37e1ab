"""A published catalog, read together with a person's own local files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Protocol

import duckdb

from catalog.cache import folder as cache_folder
from catalog.errors import CatalogError, CatalogLocked, CatalogTooNew, CatalogUnwritable, NotACatalog
from catalog.process.interrupts import interrupted_by
from catalog.publish.newest import Newest
from catalog.store.database import Database, Tell
from catalog.store.distant_file import DistantFile
from catalog.store.faults import reading, writing
from catalog.store.local_catalog import (
    Followed,
    LocalFile,
    followed,
    judge_anew,
    make_local_catalog,
    newest_published,
    refuse_another,
    refuse_hiding,
)
from catalog.store.proven import is_proof_noted, note_proof, prove_definitions
from catalog.store.revision import HEAD


class Publisher(Protocol):
    """A place where catalogs are published."""

    @property
    def name(self) -> str:
        """The folder or address, as the user wrote it."""

    @property
    def mark(self) -> str:
        """A text that tells this place from all others."""

    def newest(self, whole: bool = False) -> Newest:
        """Return the newest catalog as it can be asked now; as a file on this machine's disks if `whole` is true."""


class PublishedFile(Database):
    """A published catalog alone, which is never written.

    Parameters
    ----------
    newest : Newest
        The catalog.
    name : str
        The place where it is published.
    """

    def __init__(self, newest: Newest, name: str) -> None:
        super().__init__(newest.path, engine=newest.engine)
        self._name = name

    @property
    def writer_waits(self) -> bool:
        """False: what is published is never written."""
        return False

    def require(self) -> None:
        """Refuse a catalog of another schema, or one whose definitions may do more than read it; look at it once.

        Raises
        ------
        CatalogError
            The error says who must do what.
        """
        if not self._is_ready():
            with self.read():
                pass

    def revision_through(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """Return the revision of the schema after the file was proven harmless; None if it has no tables."""
        return self._revision_through(connection)

    def _revision_through(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        try:
            return super()._revision_through(connection)
        except CatalogTooNew:
            raise CatalogTooNew(
                f"the catalog of {self._name} was published by a newer mastlake; upgrade this one"
            ) from None

    def _migrate(self) -> None:
        if self._revision() != HEAD:
            raise CatalogError(
                f"the catalog of {self._name} was published by an older mastlake; ask for it to be published again, "
                f"or clone it: mastlake clone {quote(self._name)} --catalog mine.duckdb"
            )
        self._note_proven()


class WithLocalFiles(Database):
    """What a published catalog does otherwise than a file of the user's own.

    If the user has local files, `path` is the local catalog, and it is opened together with the published one. If not,
    `path` is the published catalog, and nothing else is opened.
    """

    _publisher: Publisher
    _local: Path
    _newest: Newest

    def _asked_newest(self) -> Newest:
        """Return the newest catalog; a local catalog needs all of it, as its files are judged by it."""
        return self._publisher.newest(whole=has_bytes(self._local))

    def _use(self, newest: Newest) -> None:
        """Ask this published catalog from now on, together with the local catalog if there is one."""
        self._newest = newest
        if has_bytes(self._local):
            self.path, self.engine = self._local, LocalFile(published=newest.path)
        else:
            self.path, self.engine = newest.path, newest.engine

    @contextmanager
    def _faults_told(self) -> Iterator[None]:
        """Raise what went wrong when a part of the catalog was asked for, of which DuckDB passes on the text only."""
        if not isinstance(self.engine, DistantFile):
            yield
            return
        file = self.engine.file
        if not self._is_within():
            file.go_on()
        try:
            with interrupted_by(file.stop):
                yield
        except BaseException:
            fault = file.take_fault()
            if fault is not None:
                raise fault from None
            raise

    @property
    def archive_path(self) -> Path:
        """The published file; of one that is read where it is, its manifest in the cache."""
        return self._newest.path

    @property
    def archive_size(self) -> int:
        """The size of the published file in bytes."""
        return self._newest.size

    @property
    def named(self) -> str:
        """The published file; of one that is read where it is, the address."""
        return self._publisher.name if self.is_distant else str(self._newest.path)

    @property
    def published_in(self) -> str:
        """The folder or address where the catalog is published."""
        return self._publisher.name

    @property
    def is_distant(self) -> bool:
        """Whether the published catalog is read where it is."""
        return isinstance(self.engine, DistantFile)

    @property
    def local_path(self) -> Path | None:
        """The local catalog, if there is one."""
        return self._local if isinstance(self.engine, LocalFile) else None

    @property
    def local_named(self) -> Path:
        """The file for local files, whether it exists or not."""
        return self._local

    def size(self) -> int:
        """Return the size of the local catalog if there is one, or else of the published one."""
        try:
            return super().size()
        except NotACatalog:
            if self.local_path is None:
                raise
            raise NotACatalog(f"{self._local} is no file; name another one: --local-catalog FILE") from None

    @property
    def beside(self) -> Path:
        """A path in the user's cache, as nothing may be written where others publish."""
        mark = hashlib.sha256(self._publisher.mark.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        path = cache_folder() / "followed" / mark / "catalog"
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def in_one(self, tell: Tell | None) -> Database:
        """Return a catalog with all that can be read of both: the published one alone, if the local one is another's.

        Parameters
        ----------
        tell : callable, optional
            Called with a line of text if the local files are left out.
        """
        try:
            with self.read():
                return self
        except (NotACatalog, CatalogTooNew) as error:
            if self.local_path is None:
                raise
            if tell is not None:
                tell(f"the copy has no local files: {error}")
            return self._published

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Refuse: only the publisher changes what is published."""
        self.require_writable()
        yield duckdb.connect()

    @contextmanager
    def write_local(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the local catalog for writing, and make it if there is none; see `Database.write`."""
        self.require_local()
        self._published.require()
        with super().write() as connection:
            noted = self._noted(connection)
            if noted != (now := newest_published(connection, HEAD)):
                judge_anew(connection, noted, now)
            yield connection

    def require_local(self) -> None:
        """Make the local catalog if there is none, so that a place where it cannot be is told before any work."""
        if self.local_path is not None:
            return
        self._published.require()
        self.release()
        self._use(self._publisher.newest(whole=True))
        self._published.require()
        try:
            self.path, self.engine = self._local, LocalFile(published=self._newest.path)
            self._bring_to_head()
        finally:
            self._use(self._newest)

    @contextmanager
    def harvesting(self) -> Iterator[None]:
        """Refuse, before anything is asked of the archive."""
        self.require_writable()
        yield

    def require_writable(self) -> None:
        """Raise an error that says how to get a catalog of one's own."""
        raise CatalogUnwritable(
            f"the catalog of {self._publisher.name} is published, and can only be read; for one of your own: "
            f"mastlake clone {quote(self._publisher.name)} --catalog mine.duckdb"
        )

    @property
    def writer_waits(self) -> bool:
        """Whether another process waits to write the local catalog; what is published is never written."""
        return self.local_path is not None and super().writer_waits

    @property
    def _published(self) -> PublishedFile:
        return PublishedFile(self._newest, self._publisher.name)

    def _uses(self, newest: Newest) -> bool:
        return newest == self._newest and has_bytes(self._local) == (self.local_path is not None)

    def _open_at_head(self) -> duckdb.DuckDBPyConnection:
        if self.local_path is None:
            return super()._open_at_head()
        self._published.require()
        connection = super()._open_at_head()
        if self._is_judged(connection):
            return connection
        connection.close()
        if self._is_within():  # the turn to read is held, behind which a turn to write would wait for ever
            raise CatalogLocked(f"{self.path} is judged by another run at the same time; try again")
        with self.write_local():
            pass
        return super()._open_at_head()

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Judge before the turn to read comes; see `Database`."""
        if self.local_path is not None and self.writer_waits and not self._is_within():
            self._open_at_head().close()
        with super()._admitted():
            yield

    def _is_judged(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Say whether the verdicts on local files are those by the published catalog that is attached."""
        return self._noted(connection) == newest_published(connection, HEAD)

    def _noted(self, connection: duckdb.DuckDBPyConnection) -> Followed:
        """Return what the local catalog notes about the published one, which must be the one that is attached."""
        noted = followed(connection, self.path)
        refuse_another(connection, noted, self.path, self._publisher.name)
        return noted

    def _migrate(self) -> None:
        """Make the local catalog, or bring it to the newest schema; the published one is looked at elsewhere."""
        if self.local_path is None:
            self._published.require()
        elif not self.size() or self._revision() != HEAD:
            with self.turn(), writing(self.path):  # of several commands that start together, one does it
                if not self.size():
                    make_local_catalog(self.path, self._newest.path, HEAD)
                elif self._revision() != HEAD:
                    make_local_catalog(self.path, self._newest.path, HEAD, rows_of=self.path)
            self._note_proven()

    def _revision_through(self, connection: duckdb.DuckDBPyConnection) -> str | None:
        """Return the revision of the local catalog, if there is one, after its definitions were proven."""
        if self.local_path is None:
            return self._published.revision_through(connection)
        with reading(self.path):
            revision = followed(connection, self.path).schema
            if revision > HEAD:
                raise CatalogTooNew(
                    f"{self.path} was written by a newer mastlake (schema {revision}, this one knows {HEAD}); "
                    "upgrade this one"
                )
            if not is_proof_noted(self.path, self.engine, revision):
                prove_definitions(connection, self.path)
                refuse_hiding(connection, self.path)
                note_proof(self.path, self.engine, revision)
            return revision


def has_bytes(path: Path) -> bool:
    """Say whether there is a file with something in it."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
