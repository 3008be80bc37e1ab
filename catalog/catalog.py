"""The catalog from Python: one object that harvests, answers, fetches and compares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import pyarrow as pa

from catalog.criteria import Wanted, criteria
from catalog.drift import Outdated, outdated
from catalog.errors import UsageError
from catalog.find import Criteria, statement
from catalog.query import answering, explained, rows, written_out
from catalog.result import Result
from catalog.search import Search
from catalog.store.kept import KeptOpen
from catalog.store.records import saved_search, saved_searches

if TYPE_CHECKING:
    from catalog.harvest import Harvest, Progress
    from catalog.headers import IndexReport
    from catalog.headers.events import OnEvent as OnIndexEvent
    from catalog.plots import Drawing
    from catalog.sync import Plan, Selection, SyncReport
    from catalog.sync.events import OnEvent as OnSyncEvent

PATH = "mastlake.duckdb"
MAST = "https://mast.stsci.edu"


class Filters(TypedDict, total=False):
    """Which products; see `catalog.sync.Selection`. One value may stand without its list."""

    types: str | Sequence[str]
    levels: int | Sequence[int]
    subgroups: str | Sequence[str]
    dataproducts: str | Sequence[str]
    extensions: str | Sequence[str]
    guide_stars: bool
    max_size: int
    sql: str
    with_inputs: bool


class Catalog:
    """A catalog file, and the archive that it is a copy of.

    Made by `Catalog.open`. It can be used from several threads, and closed and used again. Questions asked in quick
    succession share a connection; when none has been asked for a second, the file is free for other processes.

    Parameters
    ----------
    database : KeptOpen
        The catalog file.
    server : str
        The archive's address.

    Examples
    --------
    >>> from catalog import Catalog, Search
    >>> from catalog.simulator import Simulator
    >>> with Simulator(files=600) as archive, Catalog.open(folder / "my.duckdb", server=archive.url) as mine:
    ...     harvest = mine.harvest(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]))
    ...     found = mine.find(tsovisit=True, limit=3)
    >>> harvest.run.kind, len(found)
    ('full', 3)
    """

    def __init__(self, database: KeptOpen, server: str) -> None:
        self._database = database
        self.server = server.rstrip("/")

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        server: str | None = None,
        wait: float | None = None,
    ) -> Catalog:
        """Open a catalog; the file is made by the first harvest or index.

        Parameters
        ----------
        path : path-like, optional
            The file; ``MASTLAKE_CATALOG``, or mastlake.duckdb in this folder.
        server : str, optional
            The archive's address; ``MASTLAKE_SERVER``, or MAST.
        wait : float, optional
            Seconds to wait for another process that is writing; ``MASTLAKE_WAIT``, or a minute.

        Examples
        --------
        >>> Catalog.open("my.duckdb").server
        'https://mast.stsci.edu'
        """
        chosen = path if path is not None else os.environ.get("MASTLAKE_CATALOG", PATH)
        return cls(KeptOpen(chosen, wait), server or os.environ.get("MASTLAKE_SERVER", MAST))

    @property
    def path(self) -> Path:
        """The catalog file."""
        return self._database.path

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        self._database.release()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Catalog {self.path}, a copy of {self.server}>"

    def searches(self) -> list[Search]:
        """Return the saved searches, by name.

        Examples
        --------
        >>> [search.name for search in catalog.searches()]
        ['soss']
        """
        with self._database.read() as connection:
            return [saved.search for saved in saved_searches(connection)]

    def harvest(
        self, search: Search | str, *, full: bool = False, on_progress: Callable[[Progress], None] | None = None
    ) -> Harvest:
        """Bring the catalog to what the archive has for a search: its files, their observations and products.

        Parameters
        ----------
        search : Search or str
            One that is saved under its name by this; or the name of a saved one.
        full : bool
            Read every row anew; the first harvest always does.
        on_progress : callable, optional
            Called with `catalog.harvest.Progress`.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.
        BadValue
            If the name means another search already.
        ArchiveError
            If the archive does not answer; the catalog is as it was.
        CatalogError
            If the catalog cannot be used; it is as it was.

        Examples
        --------
        >>> again = catalog.harvest("soss")
        >>> again.run.kind, again.run.new
        ('incremental', 0)
        """
        from catalog.archive.client import MastArchive
        from catalog.harvest import harvest

        if isinstance(search, str):
            with self._database.read() as connection:
                search = saved_search(connection, search).search
        with MastArchive(self.server) as archive:
            return harvest(self._database, archive, search, full=full, on_progress=on_progress)

    def find(
        self,
        *written: str,
        target: str | None = None,
        cone: str | tuple[float, float, float] | None = None,
        footprint: str | None = None,
        since: str | None = None,
        until: str | None = None,
        program: int | str | None = None,
        pi: str | None = None,
        instrument: str | None = None,
        release: str | None = None,
        everything: bool = False,
        limit: int | None = None,
        **keywords: Wanted,
    ) -> Result:
        """Find files by keyword, in the catalog only.

        Parameters
        ----------
        *written : str
            Criteria as on the command line, ``keyword=value``.
        target : str, optional
            A target's name; ``%`` or ``*`` is a wildcard, and case, spaces and hyphens do not count.
        cone : str or tuple, optional
            Right ascension, declination and radius, degrees (ICRS); as text the radius may end in d, m or s, and a
            harvested target's name may stand for its place.
        footprint : str, optional
            A region that the file's footprint overlaps: ``POLYGON RA DEC ...``, ``CIRCLE RA DEC RADIUS``, or a cone.
        since, until : str, optional
            Observed on this ISO date or later; before this moment.
        program : int or str, optional
            Its number; as text several, with commas, or a range.
        pi : str, optional
            A piece of the principal investigator's name.
        instrument : str, optional
            One, or several with commas.
        release : str, optional
            ``public`` or ``exclusive``, now.
        everything : bool
            All columns, or the few that people look at first.
        limit : int, optional
            Rows at most.
        **keywords
            See `catalog.criteria.criterion` for what a value can be.

        Returns
        -------
        Result
            In the order of observation; its ``sql`` is the question as you could have asked it.

        Raises
        ------
        UnknownKeyword, BadValue
            For criteria that are not understood, with the nearest right spelling.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> found = catalog.find(exp_type="NIS_SOSS", date_obs=("2022-06-01", "2022-08-04"), limit=5)
        >>> len(found), found.columns[:3]
        (5, ['filename', 'targname', 'exp_type'])
        """
        wanted = Criteria(
            written=(*written, *criteria(keywords)),
            target=target,
            cone=",".join(map(str, cone)) if isinstance(cone, tuple) else cone,
            since=since,
            until=until,
            footprint=footprint,
            program=None if program is None else str(program),
            pi=pi,
            instrument=instrument,
            release=release,
        )
        sql, values = statement(wanted, everything=everything, limit=limit, database=self._database)
        with self._database.read(sealed=True) as connection, explained():
            found = connection.execute(sql, values).to_arrow_table()
        return Result(found, written_out(sql, values))

    def sql(self, statement: str, values: Sequence[object] = ()) -> Result:
        """Ask the catalog in SQL (DuckDB's); nothing can be written, and nothing else be read.

        Parameters
        ----------
        statement : str
            One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
        values : sequence
            For the ``?`` marks in it.

        Raises
        ------
        BadQuery
            For anything but one statement that reads, and for one that DuckDB does not understand.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.sql("SELECT count(*) AS n FROM files WHERE exp_type = ?", ["NIS_SOSS"])["n"][0] > 0
        True
        """
        return Result(rows(self._database, statement, values), statement)

    @contextmanager
    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[pa.RecordBatchReader]:
        """Ask as `sql` does, and take the rows batch by batch: for more of them than memory holds.

        Yields
        ------
        pyarrow.RecordBatchReader
            Valid inside the block; other processes cannot write the catalog meanwhile.

        Examples
        --------
        >>> with catalog.stream("SELECT filename FROM files") as batches:
        ...     sum(batch.num_rows for batch in batches) == len(catalog.find())
        True
        """
        with answering(self._database, statement, values) as reader:
            yield reader

    def products(self, search: str | None = None, **filters: Unpack[Filters]) -> Result:
        """List products: of a saved search, of a query, or all.

        Parameters
        ----------
        search : str, optional
            Its name.
        **filters
            As in `Filters`.

        Raises
        ------
        NoSuchSearch, UsageError
            Where the search was never saved, or the SQL does not run.

        Examples
        --------
        >>> found = catalog.products("soss", subgroups="X1DINTS")
        >>> set(found["productSubGroupDescription"])
        {'X1DINTS'}
        """
        from catalog.sync import products

        return Result(products(self._database, _selection(search, filters)), f"-- the products of {search or 'all'}")

    def plan(
        self,
        search: str | None = None,
        *,
        dest: str | os.PathLike[str] = "mast",
        template: str = "{filename}",
        **filters: Unpack[Filters],
    ) -> Plan:
        """Say what `sync` would do, item by item and why; nothing is asked and nothing written.

        Parameters
        ----------
        search : str, optional
            Its name.
        dest : path-like
            Where files go.
        template : str
            How they lie there, like ``{program}/{obs_id}/{filename}``.
        **filters
            As in `Filters`.

        Raises
        ------
        NoSuchSearch, UsageError
            Where the search, the SQL or the template is wrong, or two products would have one path.

        Examples
        --------
        >>> plan = catalog.plan("soss", subgroups="X1DINTS", dest=folder / "spectra")
        >>> plan.tallies["fetch"].items == plan.selected
        True
        """
        from catalog.sync import find_token, make_plan

        chosen = _selection(search, filters)
        return make_plan(self._database, chosen, dest=dest, template=template, has_token=find_token() is not None)

    def sync(
        self,
        search: str | None = None,
        *,
        dest: str | os.PathLike[str] = "mast",
        template: str = "{filename}",
        jobs: int = 8,
        on_event: OnSyncEvent | None = None,
        **filters: Unpack[Filters],
    ) -> SyncReport:
        """Fetch what is selected and not on disk, or no longer the archive's version, and prove every byte.

        Parameters
        ----------
        search, dest, template, **filters
            As for `plan`.
        jobs : int
            Files at the same time.
        on_event : callable, optional
            Told what happens; see `catalog.sync.events`.

        Returns
        -------
        SyncReport
            Of what was done; files that could not be had are in its ``failures``.

        Raises
        ------
        NoSuchSearch, UsageError, CatalogError, DiskError
            Where nothing could be begun.

        Examples
        --------
        >>> report = catalog.sync("soss", subgroups="X1DINTS", max_size=20_000, dest=folder / "small")
        >>> report.fetched == report.selected, report.failures
        (True, ())
        """
        from catalog.archive.client import MastArchive
        from catalog.sync import find_token, sync
        from catalog.sync.asking import ask_current

        with MastArchive(self.server) as archive:
            return sync(
                self._database,
                _selection(search, filters),
                server=self.server,
                dest=dest,
                template=template,
                jobs=jobs,
                token=find_token(),
                current=ask_current(self._database, archive),
                on_event=on_event,
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

        Raises
        ------
        DiskError
            Where a folder does not exist or cannot be read.
        CatalogError
            Where the catalog cannot be used.

        Examples
        --------
        >>> (folder / "empty").mkdir()
        >>> catalog.index(folder / "empty").files
        0
        """
        from catalog.headers import index_folders

        if not folders:
            raise UsageError('name a folder to index, like catalog.index("data")')
        return index_folders(self._database, folders, verify=verify, on_event=on_event)

    def outdated(self) -> Outdated:
        """Compare the local files with what the archive listed at the last harvest.

        Raises
        ------
        CatalogError
            Where there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.outdated().stale
        []
        """
        return outdated(self._database)

    def plot(self, file: str | os.PathLike[str], hdu: str | None = None) -> Drawing:
        """Draw what is in a local FITS file: an image, spectra, or a time series of spectra.

        Parameters
        ----------
        file : path-like
            Its path, or the name of a local file that the catalog knows.
        hdu : str, optional
            Draw the image of this HDU, by name or number.

        Returns
        -------
        catalog.plots.Drawing
            A notebook shows it; ``write`` saves it.

        Raises
        ------
        UsageError
            If there is no such file, or nothing in it to draw.
        DiskError
            If it cannot be read.

        Examples
        --------
        >>> report = catalog.sync("soss", subgroups="X1DINTS", levels=2, max_size=60_000, dest=folder / "drawn")
        >>> local = catalog.sql("SELECT filename FROM local_files")["filename"][0]
        >>> catalog.plot(local).write(folder / "spectrum.png")
        """
        from catalog.plots import draw_file

        path = Path(file)
        if not path.exists():
            with self._database.read() as connection:
                rows = connection.execute("SELECT path FROM local_files WHERE filename = ?", [path.name]).fetchall()
            found = [Path(row[0]) for row in rows if Path(row[0]).exists()]
            if not found:
                raise UsageError(f"no file {file} here, and no local file of that name in the catalog")
            path = found[0]
        return draw_file(path, hdu)


def _selection(search: str | None, filters: Filters) -> Selection:
    from catalog.sync import Selection

    return Selection(
        search=search,
        types=_texts(filters.get("types", ())),
        levels=_levels(filters.get("levels", ())),
        subgroups=_texts(filters.get("subgroups", ())),
        dataproducts=_texts(filters.get("dataproducts", ())),
        extensions=_texts(filters.get("extensions", ())),
        guide_stars=filters.get("guide_stars"),
        max_size=filters.get("max_size"),
        sql=filters.get("sql"),
        with_inputs=filters.get("with_inputs", False),
    )


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _levels(given: int | Sequence[int]) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)
