"""The catalog from Python: one object that harvests, answers, fetches and compares."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.account import Account
from catalog.api.browsing import Browsing
from catalog.api.completions import Completions
from catalog.api.harvests import Harvests
from catalog.api.history import History
from catalog.api.indexing import Indexing
from catalog.api.keywords import Keywords
from catalog.api.lakes import Lakes
from catalog.api.pictures import Pictures
from catalog.api.places import is_lake, is_published, settings_beside
from catalog.api.publishing import Publishing
from catalog.api.questions import Questions
from catalog.api.sharing import Sharing
from catalog.defaults import CATALOG, LOCAL_CATALOG, SERVER
from catalog.network.server import Server

if TYPE_CHECKING:
    from catalog.api.harvest_session import HarvestOptions, HarvestSession
    from catalog.config.settings import Defaults
    from catalog.publish.meter import Pull
    from catalog.store.database import Database
    from catalog.vocabulary.search import Search


class Catalog(
    Questions,
    Keywords,
    Browsing,
    Harvests,
    History,
    Indexing,
    Pictures,
    Account,
    Completions,
    Publishing,
    Sharing,
    Lakes,
):
    """A catalog file, and the archive of which it is a copy.

    `Catalog.open` makes it. Several threads can use it, and it can be closed and used again. Questions in quick
    succession share a connection. After a second without a question, the file is free for other processes. A copy by
    `pickle`, which goes to another process, opens the catalog of the same name there; it has no password of a server.

    Parameters
    ----------
    database : Database
        The catalog file.
    server : str or Server
        The archive's address.
    server_is_chosen : bool
        Whether the user named the server, and not only a file that came with a folder. Otherwise it gets no token.
    settings : Defaults, optional
        The settings of ``mastlake.toml``.

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
        tell: Callable[[str], None] | None = None,
        local: str | os.PathLike[str] | None = None,
    ) -> Catalog:
        """Open a catalog, and read ``mastlake.toml``. The first harvest or index makes the catalog file.

        Parameters
        ----------
        path : path-like, optional
            The file; by default ``MASTLAKE_CATALOG``, or mastlake.duckdb in this folder. The folder or https address
            where a catalog is published means the newest one there, for each question anew; local files are your own.
            A lake into which several harvest is ``ducklake:PATH``, ``ducklake:sqlite:PATH`` or
            ``ducklake:postgres:service=NAME``.
        server : str, optional
            The archive's address; by default ``MASTLAKE_SERVER``, or the one in ``mastlake.toml``, or MAST.
        wait : float, optional
            Seconds to wait while another process writes; by default ``MASTLAKE_WAIT``, or a minute.
        tell : callable, optional
            Called with a line of text once a wait for another process has taken a second; by default, the line is a
            warning of the logger ``mastlake``, which Python writes to stderr.
        local : path-like, optional
            Where local files are noted if the catalog is one that others published; by default
            ``MASTLAKE_LOCAL_CATALOG``, or the one in ``mastlake.toml``, or mastlake.local.duckdb in this folder.

        Returns
        -------
        Catalog
            A context manager that closes the file at its end.

        Raises
        ------
        BadSettings
            If ``mastlake.toml`` cannot be understood.

        Examples
        --------
        >>> Catalog.open("my.duckdb").server
        'https://mast.stsci.edu'
        """
        from catalog.config.settings import read_both
        from catalog.store.shared import KeptOpen

        named = path if path is not None else os.environ.get("MASTLAKE_CATALOG", CATALOG)
        files = read_both(settings_beside(named).absolute())
        settings = files.merged()
        database: Database
        if is_published(named):
            from catalog.publish.following import FollowedKept

            local = settings.local_file(local or os.environ.get("MASTLAKE_LOCAL_CATALOG"))
            database = FollowedKept(named, wait, tell, local or LOCAL_CATALOG)
        elif is_lake(named):
            from catalog.store.lakes.lake import lake_of

            where, engine = lake_of(named)
            database = KeptOpen(where, wait, tell or _warn, engine)
        else:
            database = KeptOpen(named, wait, tell or _warn)
        server = server or os.environ.get("MASTLAKE_SERVER")
        return cls(database, server or settings.server or SERVER, server is not None or files.server_is_users, settings)

    @classmethod
    def once(
        cls,
        path: str | os.PathLike[str],
        server: Server | None = None,
        *,
        server_is_chosen: bool = True,
        wait: float | None = None,
        tell: Callable[[str], None] | None = None,
        offline: bool = False,
        local: str | os.PathLike[str] | None = None,
        pulled: Callable[[Pull], None] | None = None,
    ) -> Catalog:
        """Make a catalog that keeps no connection open between two questions, for a process that asks once.

        Parameters
        ----------
        path : path-like
            The file, or the place where a catalog is published.
        server : Server, optional
            The archive's address; by default, MAST.
        server_is_chosen : bool
            Whether the user named the server, and not only a file that came with a folder.
        wait : float, optional
            As for `open`.
        tell : callable, optional
            Called with a line of text when another process must be waited for.
        offline : bool
            Of a catalog at an address, use what was pulled before, and ask nobody.
        local : path-like, optional
            As for `open`.
        pulled : callable, optional
            Called again and again while a whole catalog is pulled from an address.

        Returns
        -------
        Catalog
            Each question opens the file, and closes it again.

        Examples
        --------
        >>> Catalog.once("none.duckdb").exists()
        False
        """
        from catalog.store.database import Database

        database: Database
        if is_published(path):
            from catalog.publish.following import FollowedOnce

            database = FollowedOnce(path, wait, tell, offline, local or LOCAL_CATALOG, pulled)
        elif is_lake(path):
            from catalog.store.lakes.lake import lake_of

            where, engine = lake_of(path)
            database = Database(where, wait, tell, engine)
        else:
            database = Database(path, wait, tell=tell)
        return cls(database, server or Server(SERVER), server_is_chosen)

    @property
    def path(self) -> Path:
        """The catalog file; of a catalog that others published, the newest of their files."""
        return self._database.archive_path

    @property
    def name(self) -> str:
        """The catalog's name, as for ``--catalog``; the path, if it is a file."""
        return self._database.named

    @property
    def mark(self) -> Hashable:
        """What changes whenever the catalog changes."""
        return self._database.mark

    @property
    def local_path(self) -> Path | None:
        """The file with the local files beside a catalog that others published; None if there is no such file."""
        return self._database.local_path

    @property
    def beside(self) -> Path:
        """The path beside which pictures and the like are kept: the catalog, if it is a file of one's own."""
        return self._database.beside

    def close(self) -> None:
        """Close the file; the next use opens it again.

        Examples
        --------
        >>> catalog.close()
        >>> len(catalog.searches())
        1
        """
        self._database.release()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Catalog], tuple[object, ...]]:
        """Let another process, such as a worker of Dask, open the catalog of this name; no connection goes along."""
        database, local = self._database, None
        name = database.named if database.published_in is None else database.published_in
        if database.published_in is not None:
            from catalog.publish.names import is_address
            from catalog.publish.with_local_files import WithLocalFiles

            name = name if is_address(name) else f"{name}/"
            local = database.local_named if isinstance(database, WithLocalFiles) else None
        return _opened, (name, self.server if self._server_is_chosen else None, database.wait, local)

    def __repr__(self) -> str:
        # A notebook shows an object at any time. So this asks no network and no disk for the newest published catalog.
        return f"<Catalog {self._database.published_in or self.name}, a copy of {self.server}>"

    def harvest_session(
        self,
        names: Sequence[str] = (),
        defined: Search | None = None,
        *,
        declared: Mapping[str, Search] | None = None,
        options: HarvestOptions | None = None,
    ) -> HarvestSession:
        """Prepare to harvest several searches one after another, as ``mastlake harvest`` does.

        Parameters
        ----------
        names : sequence of str
            Names of searches; none stands for all saved searches, and those in ``mastlake.toml``.
        defined : Search, optional
            A search that is defined now, which then is the only one.
        declared : mapping of str to Search, optional
            The searches that ``mastlake.toml`` describes; by default, as it was read by `open`.
        options : catalog.api.harvest_session.HarvestOptions, optional
            How to harvest; by default, incrementally and without an end in time.

        Returns
        -------
        catalog.api.harvest_session.HarvestSession
            The searches; its ``run`` harvests them.

        Raises
        ------
        NoSuchSearch
            If no search is saved under a name.
        UsageError
            If there is no search at all.

        Examples
        --------
        >>> [search.name for search in catalog.harvest_session().searches]
        ['soss']
        """
        from catalog.api.harvest_session import HarvestOptions, HarvestSession

        declared = self._described_searches() if declared is None else declared
        how = options or HarvestOptions(full=False, server_moved=False, allow_empty=False, until=math.inf)
        return HarvestSession(self, names, defined, declared, how)


def _warn(line: str) -> None:
    import logging

    logging.getLogger("mastlake").warning(line)


def _opened(name: str, server: Server | None, wait: float, local: Path | None) -> Catalog:
    """Open a catalog as another process did; the server has no password."""
    return Catalog.open(name, server=server, wait=wait, local=local)
