"""The catalog from Python: one object that harvests, answers, fetches and compares."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.account import Account
from catalog.api.browsing import Browsing
from catalog.api.completions import Completions
from catalog.api.described_searches import DescribedSearches
from catalog.api.history import History
from catalog.api.keywords import Keywords
from catalog.api.pictures import Pictures
from catalog.api.questions import Questions
from catalog.defaults import CATALOG, SERVER
from catalog.errors import UsageError
from catalog.network.server import Server

if TYPE_CHECKING:
    from threading import Event

    from catalog.config.settings import Defaults
    from catalog.harvest import Harvest, Progress
    from catalog.headers import IndexReport
    from catalog.headers.events import OnEvent as OnIndexEvent
    from catalog.store.database import Database
    from catalog.vocabulary.search import Search


class Catalog(Questions, Keywords, Browsing, DescribedSearches, History, Pictures, Account, Completions):
    """A catalog file, and the archive that it is a copy of.

    Made by `Catalog.open`. It can be used from several threads, and closed and used again. Questions asked in quick
    succession share a connection; when none has been asked for a second, the file is free for other processes.

    Parameters
    ----------
    database : Database
        The catalog file.
    server : str or Server
        The archive's address.
    server_is_chosen : bool
        Whether the user named the server, and not only a file that came with a folder; no other server gets a token.
    settings : Defaults, optional
        What ``mastlake.toml`` says.

    Examples
    --------
    >>> from mastlake import Catalog, Search
    >>> from mastlake.simulator import Simulator
    >>> with Simulator(files=600) as archive, Catalog.open(folder / "my.duckdb", server=archive.url) as mine:
    ...     harvest = mine.harvest(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]))
    ...     found = mine.find(tsovisit=True, limit=3)
    >>> harvest.run.kind, len(found)
    ('full', 3)
    """

    def __init__(
        self, database: Database, server: str, server_is_chosen: bool = True, settings: Defaults | None = None
    ) -> None:
        address = server if isinstance(server, Server) else Server(server)
        super().__init__(database, address, server_is_chosen, settings)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        server: str | None = None,
        wait: float | None = None,
    ) -> Catalog:
        """Open a catalog, and read ``mastlake.toml``; the file is made by the first harvest or index.

        Parameters
        ----------
        path : path-like, optional
            The file; ``MASTLAKE_CATALOG``, or mastlake.duckdb in this folder.
        server : str, optional
            The archive's address; ``MASTLAKE_SERVER``, or as ``mastlake.toml`` says, or MAST.
        wait : float, optional
            Seconds to wait for another process that is writing; ``MASTLAKE_WAIT``, or a minute.

        Returns
        -------
        Catalog
            A context manager that lets go of the file at its end.

        Raises
        ------
        BadSettings
            If ``mastlake.toml`` is not understood.

        Examples
        --------
        >>> Catalog.open("my.duckdb").server
        'https://mast.stsci.edu'
        """
        from catalog.config.settings import read_both
        from catalog.store.shared import KeptOpen

        database = KeptOpen(path if path is not None else os.environ.get("MASTLAKE_CATALOG", CATALOG), wait)
        settings, server_is_users = read_both(database.path)
        server = server or os.environ.get("MASTLAKE_SERVER")
        return cls(database, server or settings.server or SERVER, server is not None or server_is_users, settings)

    @classmethod
    def once(
        cls,
        path: str | os.PathLike[str],
        server: Server | None = None,
        *,
        server_is_chosen: bool = True,
        wait: float | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> Catalog:
        """Make a catalog of which no connection stays open between two questions, for a process that asks once.

        Parameters
        ----------
        path : path-like
            The file.
        server : Server, optional
            The archive's address; MAST unless given.
        server_is_chosen : bool
            Whether the user named the server, and not only a file that came with a folder.
        wait : float, optional
            As for `open`.
        tell : callable, optional
            Told in a line that another process is waited for.

        Returns
        -------
        Catalog
            The file is opened by each question, and closed after it.

        Examples
        --------
        >>> Catalog.once("none.duckdb").exists()
        False
        """
        from catalog.store.database import Database

        return cls(Database(path, wait, tell=tell), server or Server(SERVER), server_is_chosen)

    @property
    def path(self) -> Path:
        """The catalog file."""
        return self._database.path

    def close(self) -> None:
        """Let go of the file; the next use opens it again.

        Examples
        --------
        >>> catalog.close()
        >>> len(catalog.searches())
        1
        """
        from catalog.store.shared import KeptOpen

        if isinstance(self._database, KeptOpen):
            self._database.release()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Catalog {self.path}, a copy of {self.server}>"

    def harvest(
        self,
        search: Search | str,
        *,
        full: bool = False,
        server_moved: bool = False,
        allow_empty: bool = False,
        time_limit: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Harvest:
        """Bring the catalog to what the archive has for a search: its files, their observations and products.

        Parameters
        ----------
        search : Search or str
            One that is saved under its name by this; or the name of a saved one, or of one in ``mastlake.toml``.
        full : bool
            Read every row and product list anew; the first harvest always does.
        server_moved : bool
            The archive is the one that the search was harvested from before, at another address.
        allow_empty : bool
            Believe that a search which matched something matches nothing any more.
        time_limit : float, optional
            Give up after so many seconds.
        on_progress : callable, optional
            Called with `catalog.harvest.Progress`.

        Returns
        -------
        Harvest
            The run as the catalog recorded it, and what the archive did not answer.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.
        BadValue
            If the name means another search already.
        OtherArchive
            If the search was harvested from another archive before, unless ``server_moved``; nothing was asked.
        Emptied
            If it matched something and matches nothing now, unless ``allow_empty``; the catalog is as it was.
        ArchiveError
            If the archive does not answer, or not in time; the catalog is as it was.
        CatalogError
            If the catalog cannot be used; it is as it was.

        Examples
        --------
        >>> again = catalog.harvest("soss")
        >>> again.run.kind, again.run.new
        ('incremental', 0)
        """
        from catalog.archive.client import AnswerLimits, MastArchive
        from catalog.archive.retry import Patience
        from catalog.harvest import harvest

        if isinstance(search, str):
            search = self._search_named(search)
        until = math.inf if time_limit is None else time.monotonic() + time_limit
        with MastArchive(self.server, AnswerLimits(until=until)) as archive:
            return harvest(
                self._database,
                archive,
                search,
                full=full,
                server_moved=server_moved,
                allow_empty=allow_empty,
                patience=Patience(until=until),
                on_progress=on_progress,
            )

    def index(
        self, *folders: str | os.PathLike[str], verify: bool = False, on_event: OnIndexEvent | None = None
    ) -> IndexReport:
        """Read the headers of local FITS files into the catalog: every card of every HDU.

        Parameters
        ----------
        *folders : path-like
            Folders, with all folders in them, or single files.
        verify : bool
            Read all bytes too, to know their MD5.
        on_event : callable, optional
            Told what happens; see `catalog.headers.events`.

        Returns
        -------
        IndexReport
            How many files there are, how many were read, and why the others were not.

        Raises
        ------
        DiskError
            If a folder does not exist or cannot be read.
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
        return index_folders(self._database, folders, verify=verify, on_event=on_event)

    def watch(
        self,
        *folders: str | os.PathLike[str],
        verify: bool = False,
        on_event: OnIndexEvent | None = None,
        stop: Event | None = None,
    ) -> Iterator[IndexReport]:
        """Index folders, and again whatever changes in them.

        Parameters
        ----------
        *folders, verify, on_event
            As for `index`.
        stop : threading.Event, optional
            Ends the watch when it is set; without it, the watch goes on until it is interrupted.

        Yields
        ------
        IndexReport
            Each time something was indexed.

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

        return watch_folders(self._database, folders, verify=verify, on_event=on_event, stop=stop)

    def forget(self, path: str | os.PathLike[str]) -> int:
        """Let go of local files that will not come back: they are no longer missing, and their history stays.

        Parameters
        ----------
        path : path-like
            A file, or a folder with all files below it.

        Returns
        -------
        int
            How many files are forgotten.

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
