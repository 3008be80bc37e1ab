"""Harvest: bring what a search matches, and the observations and products that this leads to, into the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from catalog.archive.client import MastArchive
from catalog.archive.partition import WholeQueries
from catalog.archive.retry import Patience
from catalog.errors import Emptied
from catalog.harvest.closed_catalog import AskedBetweenBlocks, open_between
from catalog.harvest.commit import commit
from catalog.harvest.origin import identity, recorded_address, refuse_other_archives, refuse_others
from catalog.harvest.outcome import Harvested, odd_rows
from catalog.harvest.product_walk import ProductWalk
from catalog.harvest.reconcile import FileReader
from catalog.harvest.shortfall import RowsSetAside, Shortfall, UnansweredQuestion
from catalog.harvest.stale import OBSERVATIONS_IN
from catalog.store.database import Database
from catalog.store.history.runs import Run, SavedSearch, is_saved, save_search, saved_search, utc_now
from catalog.store.spool import Spool
from catalog.text import plural
from catalog.vocabulary.search import Search

__all__ = ["Harvest", "Progress", "RowsSetAside", "UnansweredQuestion", "harvest", "identity", "refuse_other_archives"]

LOOKED_AT_AGAIN_AFTER = timedelta(hours=6)
"""If nothing moved, a harvest after this time still reads some rows and product lists again, in turn."""
_KINDS = ("new", "changed", "withdrawn", "returned", "unchanged")


@dataclass(frozen=True)
class Progress:
    """How far a harvest has come.

    Attributes
    ----------
    search : str
        The name of the search that is harvested.
    stage : str
        The kind of row that is read at the moment: files, observations, products, programs.
    done, total : int
        How many of them are read, and how many there are.
    """

    search: str
    stage: str
    done: int
    total: int


@dataclass(frozen=True, repr=False)
class Harvest:
    """The result of one harvest.

    Attributes
    ----------
    run : Run
        The run, as the catalog recorded it.
    unanswered : tuple of UnansweredQuestion
        Questions that the archive did not answer; they are asked again in the next run.
    set_aside : tuple of RowsSetAside
        Rows of the archive that cannot be kept, counted by reason.
    of_observations : bool
        Whether the search was for observations; then the run counts observations instead of files.
    odd : mapping
        How many new versions have a value that its column cannot hold, by what the rows are. Such a value is in
        ``odd_cells`` or in a column of `column_finding`.
    """

    run: Run
    unanswered: tuple[UnansweredQuestion, ...] = ()
    set_aside: tuple[RowsSetAside, ...] = ()
    of_observations: bool = False
    odd: Mapping[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, str]:
        """Observations and programs about which the archive did not answer, each with the reason."""
        return {failure.key: failure.reason for failure in self.unanswered}

    def summary(self) -> tuple[str, str]:
        """Say what the run found, in words.

        Returns
        -------
        (str, str)
            The number of matches and of changes, and the observations and products to which the search leads.

        Examples
        --------
        >>> harvest = Harvest(catalog.runs()[0])
        >>> harvest.summary()[0] == f"{harvest.run.files} files ({harvest.run.new} new)"
        True
        """
        run = self.run
        moved = ", ".join(f"{count:,} {kind}" for kind in _KINDS if (count := getattr(run, kind)))
        moved = f" ({moved})" if moved else ""
        observations, products = plural(run.observations, "observation"), plural(run.products, "product")
        if self.of_observations:
            return f"{observations}{moved}", products
        return f"{plural(run.files, 'file')}{moved}", f"{observations}, {products}; {run.linked:,} files linked"

    def __repr__(self) -> str:
        run, failed = self.run, f"; {len(self.unanswered):,} failed" if self.unanswered else ""
        matched, led_to = self.summary()
        return f"<Run {run.run} of {run.search}: {matched}; {led_to}; {plural(run.requests, 'request')}{failed}>"


def harvest(
    database: Database,
    archive: MastArchive,
    search: Search,
    *,
    full: bool = False,
    server_moved: bool = False,
    allow_empty: bool = False,
    thorough: bool | None = None,
    patience: Patience | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Harvest:
    """Bring the catalog up to date with what the archive has for a search.

    Parameters
    ----------
    database : Database
        The catalog; it is created if it does not exist.
    archive : MastArchive
        The archive to ask.
    search : Search
        The search; it is saved under its name, unless it is saved already.
    full : bool
        Read every row and every product list again, as the first harvest does.
    server_moved : bool
        The archive has moved: it is the one from which the search was harvested before, at another address.
    allow_empty : bool
        Accept that a search which matched something before matches nothing now.
    thorough : bool, optional
        Read some rows and product lists again in turn, to find changes that leave no trace. By default this is done if
        something else moved, or if it was last done hours ago (`LOOKED_AT_AGAIN_AFTER`).
    patience : Patience, optional
        How long to ask again after a fault.
    on_progress : callable, optional
        Called with `Progress`.

    Raises
    ------
    OtherArchive
        If the search was harvested from another archive before, and ``server_moved`` is false; nothing was asked.
    Emptied
        If the search matched something and matches nothing now, and ``allow_empty`` is false; the catalog did not
        change.
    ArchiveError
        If the archive does not answer; the catalog did not change.
    CatalogError
        If the catalog cannot be used; it did not change.
    """
    tell = on_progress or (lambda progress: None)
    patience = patience or Patience()
    started, asked_before, shortfall = utc_now(), archive.requests, Shortfall()
    with database.harvesting(), open_between(database) as between_blocks:
        saved = _saved(between_blocks, search, None if server_moved else archive.server)
        full = full or not saved.has_run
        with Spool(database.path) as spool:

            def on_done(stage: str, done: int, total: int) -> None:
                tell(Progress(search.name, stage, done, total))

            looks = full or (_is_due(between_blocks, search) if thorough is None else thorough)
            asked = AskedBetweenBlocks(archive, between_blocks.make_room)
            matched = _read(  # the walk has ended when the commit begins, and so the names that it found are freed
                ProductWalk(between_blocks, asked, patience, spool, search, full, shortfall, on_done, looks), saved
            )
            if not matched and not allow_empty:
                _refuse_to_empty(between_blocks, search)
            harvested = Harvested(
                search=search, full=full, server=recorded_address(archive.server),
                started_at=started, cursor_mjd=saved.cursor_mjd,
                requests=archive.requests - asked_before, failures=shortfall.failures, aside=shortfall.aside,
            )  # fmt: skip
            with between_blocks.write() as connection:
                run = commit(connection, spool, harvested)
                odd = odd_rows(connection, run.run)
    return Harvest(run, shortfall.failures, shortfall.aside, search.instrument is None, odd)


def _read(walk: ProductWalk, saved: SavedSearch) -> int:
    """Spool everything to which the search leads; return how many files or observations the search itself matches."""
    if walk.search.instrument is None:
        walk.from_observations()
        return walk.spool.rows(OBSERVATIONS_IN)
    whole = WholeQueries(walk.archive, walk.patience, on_aside=walk.shortfall.note)
    reader = FileReader(walk.database, whole, walk.spool, partial(walk.on_done, "files"), walk.shortfall)
    matched, moved = reader.read(saved, walk.full, walk.thorough)
    walk.from_files(moved)
    return matched


def _is_due(database: Database, search: Search) -> bool:
    """Say whether the product lists of a search were last read so long ago that some must be read again."""
    with database.read() as connection:
        row = connection.execute(
            """SELECT max(ended_at) FROM runs WHERE run = (
                   SELECT max(r.run) FROM product_reading r JOIN search_observations s USING (obs_id)
                   WHERE s.search = ?)""",
            [search.name],
        ).fetchone()
    last = row[0] if row else None
    return last is None or not timedelta(0) <= utc_now() - last < LOOKED_AT_AGAIN_AFTER


def _refuse_to_empty(database: Database, search: Search) -> None:
    """Raise an error if a search that matched something matches nothing now."""
    kind, view = ("observation", "search_observations") if search.instrument is None else ("file", "search_files")
    with database.read() as connection:
        row = connection.execute(f"SELECT count(*) FROM {view} WHERE search = ?", [search.name]).fetchone()
    before = int(row[0]) if row else 0
    if before:
        raise Emptied(
            f"search {search.name!r} matched {plural(before, kind)} before and matches nothing now; everything was "
            f"kept. If that is right: mastlake harvest {search.name} --allow-empty"
        )


def _saved(database: Database, search: Search, server: str | None) -> SavedSearch:
    """Return the search as it is saved; a new search is saved only when its run ends.

    A catalog that cannot be written, or a search of another ``server``, raises its error before the archive is asked.
    """
    with database.write() as connection:
        if server is not None:
            refuse_others(connection, [search.name], server)
        if not is_saved(connection, search.name):
            return SavedSearch(search, None)
        save_search(connection, search)  # raises an error if the name has other criteria
        return saved_search(connection, search.name)
