"""Read the newest published catalog: each question sees one of them, and none can be changed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import duckdb

from catalog.cache import folder as cache_folder
from catalog.errors import CatalogError, CatalogUnwritable, NotACatalog
from catalog.publish.folder import newest_in
from catalog.publish.names import is_address
from catalog.publish.pull import PublishedAddress
from catalog.store.database import HEAD, Database, Tell
from catalog.store.shared import KeptOpen


class Publisher(Protocol):
    """A place where catalogs are published."""

    @property
    def name(self) -> str:
        """The folder or address, as the user wrote it."""

    @property
    def mark(self) -> str:
        """A text that tells this place from all others."""

    def newest(self) -> Path:
        """Return the newest catalog as a file that can be read now."""


class PublishedFolder:
    """A folder into which somebody publishes.

    Parameters
    ----------
    folder : Path
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.abspath(folder))  # noqa: PTH100 - links stay as the user named them

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    @property
    def mark(self) -> str:
        """The folder."""
        return self.name

    def newest(self) -> Path:
        """Return the catalog that ``LATEST`` names.

        Raises
        ------
        NotACatalog
            If nothing is published there, or the file is not as long as its manifest says.
        CatalogError
            If the folder cannot be read.
        """
        try:
            newest = newest_in(self._folder)
            if newest is None:
                raise NotACatalog(
                    f"{self._folder} is a folder in which no catalog is published; see: mastlake publish --help"
                )
            path = self._folder / newest.file
            if path.stat().st_size != newest.size:
                raise NotACatalog(f"{path} is not as long as its manifest says; publish it again")
        except OSError as error:
            raise CatalogError(f"cannot read the catalog in {self._folder}: {error.strerror or error}") from error
        return path


def publisher(text: str | os.PathLike[str], tell: Tell | None = None, offline: bool = False) -> Publisher:
    """Return the place that a name means.

    Parameters
    ----------
    text : str or path-like
        An address or a folder.
    tell : callable, optional
        Called with a line of text if the network does not answer.
    offline : bool
        Use what was pulled before, and ask nobody.
    """
    name = os.fspath(text)
    return PublishedAddress(name, tell, offline) if is_address(name) else PublishedFolder(Path(name))


class _Followed(Database):
    """What a published catalog does otherwise than a file of the user's own."""

    _publisher: Publisher

    @property
    def beside(self) -> Path:
        """A path in the user's cache, as nothing may be written where others publish."""
        mark = hashlib.sha256(self._publisher.mark.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        path = cache_folder() / "followed" / mark / "catalog"
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Refuse: only the publisher changes what is published."""
        self.require_writable()
        yield duckdb.connect()

    @contextmanager
    def harvesting(self) -> Iterator[None]:
        """Refuse, before anything is asked of the archive."""
        self.require_writable()
        yield

    def require_writable(self) -> None:
        """Raise an error that says how to get a catalog of one's own."""
        raise CatalogUnwritable(
            f"the catalog of {self._publisher.name} is published, and can only be read; for one of your own: "
            f"mastlake clone {self._publisher.name} --catalog mine.duckdb"
        )

    @property
    def writer_waits(self) -> bool:
        """False: what is published is never written."""
        return False

    def _migrate(self) -> None:
        if self._revision() != HEAD:
            raise CatalogError(
                f"the catalog of {self._publisher.name} was published by an older mastlake; ask for it to be published "
                f"again, or clone it: mastlake clone {self._publisher.name} --catalog mine.duckdb"
            )
        self._note_proven()


class FollowedOnce(_Followed):
    """The newest published catalog when a process began, for all its questions.

    Parameters
    ----------
    text : str or path-like
        The folder or the address.
    wait, tell
        See `Database`.
    offline : bool
        Use what was pulled before, and ask nobody.
    """

    def __init__(
        self,
        text: str | os.PathLike[str],
        wait: float | None = None,
        tell: Tell | None = None,
        offline: bool = False,
    ) -> None:
        self._publisher = publisher(text, tell, offline)
        super().__init__(self._publisher.newest(), wait, tell)


class FollowedKept(_Followed, KeptOpen):
    """The newest published catalog whenever a question begins while no other is being answered.

    Parameters
    ----------
    text : str or path-like
        The folder or the address.
    wait, tell
        See `Database`.
    """

    def __init__(self, text: str | os.PathLike[str], wait: float | None = None, tell: Tell | None = None) -> None:
        self._publisher = publisher(text, tell)
        self._questions = 0
        self._following = threading.Lock()
        super().__init__(self._publisher.newest(), wait, tell)

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the newest one for reading; a question within a question sees the same."""
        with self._following:
            if not self._questions:
                self._follow()
            self._questions += 1
        try:
            with super().read(sealed) as connection:
                yield connection
        finally:
            with self._following:
                self._questions -= 1

    def _follow(self) -> None:
        newest = self._publisher.newest()
        if newest != self.path:
            self.release()
            self.path = newest
