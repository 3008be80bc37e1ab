"""Read the newest published catalog: each question sees one of them, and none can be changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from catalog.defaults import LOCAL_CATALOG
from catalog.errors import CatalogError, NotACatalog, UsageError
from catalog.publish.folder import newest_in
from catalog.publish.meter import Pulled
from catalog.publish.names import is_address
from catalog.publish.newest import Newest
from catalog.publish.pull import PublishedAddress
from catalog.publish.with_local_files import Publisher, WithLocalFiles
from catalog.store.addresses import path_in_full
from catalog.store.database import Tell
from catalog.store.lakes.address import is_lake
from catalog.store.shared import KeptOpen
from catalog.text import without_password


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

    def newest(self, whole: bool = True) -> Newest:
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
        return Newest(path, newest.size)


def publisher(
    text: str | os.PathLike[str], tell: Tell | None = None, offline: bool = False, pulled: Pulled | None = None
) -> Publisher:
    """Return the place that a name means.

    Parameters
    ----------
    text : str or path-like
        An address or a folder.
    tell : callable, optional
        Called with a line of text if the network does not answer.
    offline : bool
        Use what was pulled before, and ask nobody.
    pulled : callable, optional
        Called again and again while a whole catalog is pulled.
    """
    name = os.fspath(text)
    return PublishedAddress(name, tell, offline, pulled) if is_address(name) else PublishedFolder(path_in_full(name))


def local_file(named: str | os.PathLike[str]) -> Path:
    """Return the path of the file with the user's local files.

    Raises
    ------
    UsageError
        If the name is that of a folder, an address or a lake.
    """
    name = os.fspath(named)
    if is_address(name) or is_lake(name) or name.endswith("/"):
        raise UsageError(f"--local-catalog {without_password(name)} must name a file, such as {LOCAL_CATALOG}")
    return path_in_full(name)


class FollowedOnce(WithLocalFiles):
    """The newest published catalog when a process began, for all its questions.

    Parameters
    ----------
    text : str or path-like
        The folder or the address.
    wait, tell
        See `Database`.
    offline : bool
        Use what was pulled before, and ask nobody.
    local : path-like
        The file with the user's local files; it is made when there are some.
    pulled : callable, optional
        Called again and again while a whole catalog is pulled.
    """

    def __init__(
        self,
        text: str | os.PathLike[str],
        wait: float | None = None,
        tell: Tell | None = None,
        offline: bool = False,
        local: str | os.PathLike[str] = LOCAL_CATALOG,
        pulled: Pulled | None = None,
    ) -> None:
        self._publisher = publisher(text, tell, offline, pulled)
        self._local = local_file(local)
        newest = self._asked_newest()
        super().__init__(newest.path, wait, tell)
        self._use(newest)

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading; see `Database.read`."""
        with self._faults_told(), super().read(sealed) as connection:
            yield connection


class FollowedKept(WithLocalFiles, KeptOpen):
    """The newest published catalog whenever a question begins while no other is being answered.

    Parameters
    ----------
    text : str or path-like
        The folder or the address.
    wait, tell
        See `Database`.
    local : path-like
        See `FollowedOnce`.
    """

    def __init__(
        self,
        text: str | os.PathLike[str],
        wait: float | None = None,
        tell: Tell | None = None,
        local: str | os.PathLike[str] = LOCAL_CATALOG,
    ) -> None:
        self._publisher = publisher(text, tell)
        self._local = local_file(local)
        self._questions = 0
        self._following = threading.Lock()
        newest = self._asked_newest()
        super().__init__(newest.path, wait, tell)
        self._use(newest)

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the newest one for reading; a question within a question sees the same."""
        with self._following:
            if not self._questions:
                self._follow()
            self._questions += 1
        try:
            with self._faults_told(), super().read(sealed) as connection:
                yield connection
        finally:
            with self._following:
                self._questions -= 1

    def _follow(self) -> None:
        newest = self._asked_newest()
        if not self._uses(newest):
            self.release()
            self._use(newest)
