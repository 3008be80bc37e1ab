"""Read the headers of local files into the catalog, and forget files that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase
from catalog.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from threading import Event

    from catalog.headers import IndexReport
    from catalog.headers.events import OnEvent as OnIndexEvent


class Indexing(CatalogBase):
    """The part of `catalog.api.catalog.Catalog` that notes the files of this machine."""

    def index(
        self,
        *folders: str | os.PathLike[str],
        verify: bool = False,
        executor: Executor | str | None = None,
        on_event: OnIndexEvent | None = None,
    ) -> IndexReport:
        """Read the headers of local FITS files into the catalog: every card of every HDU.

        Parameters
        ----------
        *folders : path-like
            Folders, with all their subfolders, or single files.
        verify : bool
            Also read all bytes of the files, for their MD5.
        executor : concurrent.futures.Executor or str, optional
            Where to read headers, in place of processes of this machine: an executor, which stays open, or
            ``dask://HOST:PORT``. Its workers must see the folders at the same paths, and have the same mastlake.
        on_event : callable, optional
            Called with each event; see `catalog.headers.events`.

        Returns
        -------
        IndexReport
            How many files there are, how many were read, and what was wrong with the failed ones.

        Raises
        ------
        DiskError
            If a folder does not exist or cannot be read.
        ExecutorError
            If the executor or its cluster is of no use. What was read before is in the catalog.
        CatalogError
            If the catalog cannot be used.

        Examples
        --------
        >>> (folder / "empty").mkdir()
        >>> catalog.index(folder / "empty").files
        0
        """
        from catalog.headers import index_folders

        if not folders:
            raise UsageError('name a folder to index, like lake.index("data")')
        self._database.require_local()
        return index_folders(self._database, folders, verify=verify, executor=executor, on_event=on_event)

    def watch(
        self,
        *folders: str | os.PathLike[str],
        verify: bool = False,
        on_event: OnIndexEvent | None = None,
        stop: Event | None = None,
    ) -> Iterator[IndexReport]:
        """Index folders, and index them again whenever something in them changes.

        Parameters
        ----------
        *folders, verify, on_event
            As for `index`.
        stop : threading.Event, optional
            When it is set, the watch ends; without it, the watch goes on until it is interrupted.

        Yields
        ------
        IndexReport
            A report each time that something was indexed.

        Raises
        ------
        DiskError
            If a folder does not exist or cannot be read.
        CatalogError
            If the catalog cannot be used.

        Examples
        --------
        >>> from threading import Event
        >>> (folder / "watched").mkdir()
        >>> end = Event()
        >>> for report in catalog.watch(folder / "watched", stop=end):
        ...     end.set()
        >>> report.files
        0
        """
        from catalog.headers import watch_folders

        self._database.require_local()
        return watch_folders(self._database, folders, verify=verify, on_event=on_event, stop=stop)

    def forget(self, path: str | os.PathLike[str]) -> int:
        """Forget local files that will not come back: they are no longer missing, and their history stays.

        Parameters
        ----------
        path : path-like
            A file, or a folder with all files below it.

        Returns
        -------
        int
            How many files were forgotten.

        Raises
        ------
        CatalogError
            If the catalog cannot be used.

        Examples
        --------
        >>> catalog.forget(folder / "never-there")
        0
        """
        from catalog.store.history.forget import forget

        return forget(self._database, path)
