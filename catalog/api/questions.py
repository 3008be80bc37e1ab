"""Questions to a catalog from Python; nothing here changes it, or asks the archive."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import pyarrow as pa

from catalog.answers.result import Result
from catalog.api.arguments import Filters, selection, wanted_files
from catalog.errors import UsageError
from catalog.questions.conditions import written_out
from catalog.questions.drift import Outdated, outdated
from catalog.questions.find import statement
from catalog.questions.statement import kept_aside, rows
from catalog.store.history.runs import saved_searches
from catalog.store.shared import KeptOpen
from catalog.vocabulary.criteria import Wanted
from catalog.vocabulary.search import Search

if TYPE_CHECKING:
    from catalog.changes import Changes
    from catalog.plots import Drawing
    from catalog.sync import Plan


class Questions:
    """The half of a `catalog.Catalog` that answers.

    Parameters
    ----------
    database : KeptOpen
        The catalog file.
    """

    server = "https://mast.stsci.edu"

    def __init__(self, database: KeptOpen) -> None:
        self._database = database

    def searches(self) -> list[Search]:
        """Return the saved searches, by name.

        Examples
        --------
        >>> [search.name for search in catalog.searches()]
        ['soss']
        """
        with self._database.read() as connection:
            return [saved.search for saved in saved_searches(connection)]

    def find(
        self,
        *written: str,
        target: str | None = None,
        cone: str | tuple[float, float, float] | None = None,
        footprint: str | None = None,
        since: str | None = None,
        until: str | None = None,
        program: int | str | Sequence[int] | None = None,
        pi: str | None = None,
        instrument: str | None = None,
        release: str | None = None,
        everything: bool = False,
        limit: int | None = None,
        **keywords: Wanted | None,
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
        program : int, str or list, optional
            Its number, or several; as text with commas, or a range.
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
            See `catalog.vocabulary.criteria.criterion` for what a value can be.

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
        wanted = wanted_files(
            written, keywords, target=target, cone=cone, footprint=footprint, since=since, until=until,
            program=program, pi=pi, instrument=instrument, release=release,
        )  # fmt: skip
        sql, values = statement(wanted, everything=everything, limit=limit, database=self._database)
        return Result(rows(self._database, sql, values, ours=True), written_out(sql, values))

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
            Valid inside the block. The rows lie in a temporary file, so the catalog is free for all else meanwhile.

        Examples
        --------
        >>> with catalog.stream("SELECT filename FROM files") as batches:
        ...     sum(batch.num_rows for batch in batches) == len(catalog.find())
        True
        """
        with kept_aside(self._database, statement, values) as reader:
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

        return Result(products(self._database, selection(search, filters)), f"-- the products of {search or 'all'}")

    def plan(
        self,
        search: str | None = None,
        *,
        dest: str | os.PathLike[str] = "mast",
        template: str = "{filename}",
        overwrite_modified: bool = False,
        keep_old: str | os.PathLike[str] | None = None,
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
        overwrite_modified : bool
            Replace also files that a person changed or made.
        keep_old : path-like, optional
            A folder to which everything that is replaced is moved, each version in a folder of its own.
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
        from catalog.sync import OldBytes, find_token, make_plan

        chosen = selection(search, filters)
        has_token = find_token(self.server) is not None
        old_bytes = OldBytes(Path(keep_old).absolute() if keep_old else None, overwrite_modified)
        return make_plan(self._database, chosen, dest=dest, template=template, has_token=has_token, old_bytes=old_bytes)

    def changes(
        self,
        *,
        since: int | str | date | None = None,
        run: int | None = None,
        search: str | None = None,
        what: str | None = None,
        local: bool = False,
    ) -> Changes:
        """Tell what changed in the archive, as a net effect: what changed twice counts once, from the oldest value.

        Parameters
        ----------
        since : int, str or datetime.date, optional
            The run after which changes count, or a date; without it, since ``mastlake changes`` was last looked at.
        run : int, optional
            This run alone.
        search : str, optional
            Only what this search matches or leads to.
        what : str, optional
            ``file``, ``observation`` or ``product``.
        local : bool
            Only what is on this disk, and what is to be reduced again because its inputs are stale.

        Returns
        -------
        catalog.changes.Changes
            With ``groups`` of what changed alike, and ``rows`` with old and new values.

        Raises
        ------
        NoSuchSearch, UsageError
            For a search, run or date that there is not.

        Examples
        --------
        >>> found = catalog.changes(since=0, search="soss")
        >>> {group.change for group in found.groups}
        {'new'}
        """
        from catalog.changes import changes, spanning

        text = since.isoformat() if isinstance(since, date) else None if since is None else str(since)
        span = spanning(self._database, since=text, run=run, search=search, what=what, local=local)
        return changes(self._database, span)

    def outdated(self, *paths: str | os.PathLike[str]) -> Outdated:
        """Compare the local files with the disk, and with what the archive listed at the last harvest.

        Parameters
        ----------
        *paths : path-like
            Only files here, or below these folders; all unless given.

        Raises
        ------
        CatalogError
            Where there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.outdated().stale
        []
        """
        return outdated(self._database, [str(Path(path).absolute()) for path in paths])

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

    def sky(self, search: str | None = None, *written: str, sql: str | None = None, **wanted: Wanted | None) -> Drawing:
        """Draw where on the sky files lie, by their footprints.

        Parameters
        ----------
        search : str, optional
            The name of a saved search.
        *written, **wanted
            As `find` takes them: criteria, ``target``, ``cone``, ``since`` and the others, and keywords.
        sql : str, optional
            A question whose answer has a column ``filename``.

        Returns
        -------
        catalog.plots.Drawing
            A notebook shows it; ``write`` saves it.

        Raises
        ------
        UsageError
            For what is not understood, and where nothing matches.

        Examples
        --------
        >>> catalog.sky("soss", target="WASP*").write(folder / "sky.png")
        """
        from catalog.plots import Chosen, draw_sky

        return draw_sky(self._database, Chosen(search, wanted_files(written, wanted), sql))

    def timeline(
        self, search: str | None = None, *written: str, sql: str | None = None, **wanted: Wanted | None
    ) -> Drawing:
        """Draw what was observed when, and what was processed again since.

        Parameters, results and errors are those of `sky`.

        Examples
        --------
        >>> catalog.timeline("soss").write(folder / "timeline.svg")
        """
        from catalog.plots import Chosen, draw_timeline

        return draw_timeline(self._database, Chosen(search, wanted_files(written, wanted), sql))
