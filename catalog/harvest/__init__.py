"""Harvest: what a search matches, and the observations and products it leads to, into the catalog's history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from catalog.archive.client import MastArchive
from catalog.archive.partition import Whole
from catalog.archive.retry import Patience
from catalog.harvest.commit import commit
from catalog.harvest.links import Walk
from catalog.harvest.outcome import Harvested
from catalog.harvest.reconcile import read_files
from catalog.readable import plural
from catalog.search import Search
from catalog.store.database import Database
from catalog.store.records import Run, SavedSearch, save_search, saved_search, utc_now
from catalog.store.spool import Spool

__all__ = ["Harvest", "Progress", "harvest"]

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
    failures : dict
        Observations whose products could not be had, and why; they are asked again in the next run.
    of_observations : bool
        Whether the search was for observations, which the run then counts in place of files.
    """

    run: Run
    failures: dict[str, str]
    of_observations: bool = False

    def summary(self) -> tuple[str, str]:
        """Say what the search matches and what became of it, and what that leads to."""
        run = self.run
        moved = ", ".join(f"{count:,} {kind}" for kind in _KINDS if (count := getattr(run, kind)))
        moved = f" ({moved})" if moved else ""
        observations, products = plural(run.observations, "observation"), plural(run.products, "product")
        if self.of_observations:
            return f"{observations}{moved}", products
        return f"{plural(run.files, 'file')}{moved}", f"{observations}, {products}; {run.linked:,} files linked"

    def __repr__(self) -> str:
        run, failed = self.run, f"; {len(self.failures):,} failed" if self.failures else ""
        matched, led_to = self.summary()
        return f"<Run {run.run} of {run.search}: {matched}; {led_to}; {plural(run.requests, 'request')}{failed}>"


def harvest(
    database: Database,
    archive: MastArchive,
    search: Search,
    *,
    full: bool = False,
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
    patience : Patience, optional
        How long to go on asking after a fault.
    on_progress : callable, optional
        Called with `Progress`.

    Raises
    ------
    ArchiveError
        If the archive does not answer; the catalog is as it was.
    CatalogError
        If the catalog cannot be used; it is as it was.
    """
    tell = on_progress or (lambda progress: None)
    patience = patience or Patience()
    started, asked_before = utc_now(), archive.requests
    with database.harvesting():
        saved = _saved(database, search)
        full = full or not saved.has_run
        with Spool(database.path) as spool:

            def on_done(stage: str, done: int, total: int) -> None:
                tell(Progress(search.name, stage, done, total))

            walk = Walk(database, archive, patience, spool, search, full, on_done)
            if search.instrument is None:
                walk.from_observations()
            else:
                read_files(database, Whole(archive, patience), saved, full, spool, partial(on_done, "files"))
                walk.from_files()
            harvested = Harvested(
                search=search,
                full=full,
                server=archive.server,
                started_at=started,
                cursor_mjd=saved.cursor_mjd,
                requests=archive.requests - asked_before,
                failures=walk.failures,
            )
            with database.write() as connection:
                run = commit(connection, spool, harvested)
    return Harvest(run, walk.failures, search.instrument is None)


def _saved(database: Database, search: Search) -> SavedSearch:
    with database.write() as connection:
        save_search(connection, search)
        return saved_search(connection, search.name)
