"""Harvest: what a search matches, and the observations and products it leads to, into the catalog's history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from catalog.archive.client import MastArchive
from catalog.archive.partition import Whole
from catalog.archive.retry import Patience
from catalog.errors import Emptied
from catalog.harvest.closed_catalog import AskedWhileClosed, open_between
from catalog.harvest.commit import commit
from catalog.harvest.links import Walk
from catalog.harvest.origin import identity, refuse_other_archives, refuse_others, without_credentials
from catalog.harvest.outcome import Harvested, odd_rows
from catalog.harvest.reconcile import FileReader
from catalog.harvest.shortfall import Failure, SetAside, Shortfall
from catalog.harvest.stale import OBSERVATIONS_IN
from catalog.store.database import Database
from catalog.store.history.runs import Run, SavedSearch, is_saved, save_search, saved_search, utc_now
from catalog.store.spool import Spool
from catalog.text import plural
from catalog.vocabulary.search import Search

__all__ = ["Failure", "Harvest", "Progress", "SetAside", "harvest", "identity", "refuse_other_archives"]

LOOKED_AT_AGAIN_AFTER = timedelta(hours=6)
"""After so long a harvest in which nothing moved looks at some rows and product lists again, in turn."""
_KINDS = ("new", "changed", "withdrawn", "returned", "unchanged")


@dataclass(frozen=True)
class Progress:
    """How far a harvest is.

    Attributes
    ----------
    search : str
        Whose harvest.
    stage : str
        What is asked for: files, observations, products, programs.
    done, total : int
        How many of them.
    """

    search: str
    stage: str
    done: int
    total: int


@dataclass(frozen=True, repr=False)
class Harvest:
    """What came of one harvest.

    Attributes
    ----------
    run : Run
        As the catalog recorded it.
    unanswered : tuple of Failure
        Questions that the archive did not answer; they are asked again in the next run.
    set_aside : tuple of SetAside
        Rows of the archive that cannot be kept, counted by what is wrong with them.
    of_observations : bool
        Whether the search was for observations, which the run then counts in place of files.
    odd : mapping
        By what rows are, how many new versions have a value that its column cannot hold, and so in ``odd_cells`` or
        in a column of `column_finding`.
    """

    run: Run
    unanswered: tuple[Failure, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    of_observations: bool = False
    odd: Mapping[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, str]:
        """Observations and programs about which the archive did not answer, and why."""
        return {failure.key: failure.reason for failure in self.unanswered}

    def summary(self) -> tuple[str, str]:
        """Say what the run found, in words.

        Returns
        -------
        (str, str)
            What the search matches and how much of it changed; and the observations and products that this leads to.

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
    """Bring the catalog to what the archive has for a search.

    Parameters
    ----------
    database : Database
        The catalog; made where it is absent.
    archive : MastArchive
        Whom to ask.
    search : Search
        Saved under its name, if it is not yet.
    full : bool
        Read every row and every product list anew; the first harvest always does.
    server_moved : bool
        The archive is the one that the search was harvested from before, at another address.
    allow_empty : bool
        Believe that a search which matched something matches nothing any more.
    thorough : bool, optional
        Look also for what moves without a trace, in some rows and product lists, in turn. Without it this is done where
        something else moved, and where it was last done hours ago (`LOOKED_AT_AGAIN_AFTER`).
    patience : Patience, optional
        How long to go on asking after a fault.
    on_progress : callable, optional
        Called with `Progress`.

    Raises
    ------
    OtherArchive
        If the search was harvested from another archive before, unless ``server_moved``; nothing was asked.
    Emptied
        If the search matched something and matches nothing now, unless ``allow_empty``; the catalog is as it was.
    ArchiveError
        If the archive does not answer; the catalog is as it was.
    CatalogError
        If the catalog cannot be used; it is as it was.
    """
    tell = on_progress or (lambda progress: None)
    patience = patience or Patience()
    started, asked_before, shortfall = utc_now(), archive.requests, Shortfall()
    with database.harvesting(), open_between(database) as known:
        saved = _saved(known, search, None if server_moved else archive.server)
        full = full or not saved.has_run
        with Spool(database.path) as spool:

            def on_done(stage: str, done: int, total: int) -> None:
                tell(Progress(search.name, stage, done, total))

            looks = full or (_is_due(known, search) if thorough is None else thorough)
            asked = AskedWhileClosed(archive, known.release)
            walk = Walk(known, asked, patience, spool, search, full, shortfall, on_done, looks)
            matched = _read(walk, saved)
            if not matched and not allow_empty:
                _refuse_to_empty(known, search)
            harvested = Harvested(
                search=search,
                full=full,
                server=without_credentials(archive.server),
                started_at=started,
                cursor_mjd=saved.cursor_mjd,
                requests=archive.requests - asked_before,
                failures=shortfall.failures,
                aside=shortfall.aside,
            )
            with known.write() as connection:
                run = commit(connection, spool, harvested)
                odd = odd_rows(connection, run.run)
    return Harvest(run, shortfall.failures, shortfall.aside, search.instrument is None, odd)


def _read(walk: Walk, saved: SavedSearch) -> int:
    """Spool everything that the search leads to; return how many files or observations it matches itself."""
    if walk.search.instrument is None:
        walk.from_observations()
        return walk.spool.rows(OBSERVATIONS_IN)
    whole = Whole(walk.archive, walk.patience, on_aside=walk.shortfall.note)
    reader = FileReader(walk.database, whole, walk.spool, partial(walk.on_done, "files"), walk.shortfall)
    matched, moved = reader.read(saved, walk.full, walk.thorough)
    walk.from_files(moved)
    return matched


def _is_due(database: Database, search: Search) -> bool:
    """Say whether product lists of a search were last read so long ago that some are to be read again."""
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
    """Keep what a search had matched, if it matches nothing now."""
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
    """Return the search as it is saved; a new one is saved when its run ends, with what it brought.

    A catalog that cannot be written is told before the archive is asked, and so is a search of another ``server``.
    """
    with database.write() as connection:
        if server is not None:
            refuse_others(connection, [search.name], server)
        if not is_saved(connection, search.name):
            return SavedSearch(search, None)
        save_search(connection, search)  # refuses other criteria under this name
        return saved_search(connection, search.name)
