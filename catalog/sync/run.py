"""A whole sync: the plan from catalog and disk, its application, and the report."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from catalog.defaults import DEST, JOBS, SERVER, SOURCE, TEMPLATE
from catalog.errors import UsageError
from catalog.store.database import Database
from catalog.store.duckdb_file import allow_memory
from catalog.store.history.local_files import offer_local_files
from catalog.sync.apply import SyncReport, apply
from catalog.sync.cloud import Cloud, mast_lookup
from catalog.sync.decisions import decide
from catalog.sync.destination_places import DestinationPlaces, refuse_no_folder, refuse_no_text
from catalog.sync.disk import free_bytes, looking
from catalog.sync.events import OnEvent
from catalog.sync.inputs import association_files, association_members
from catalog.sync.names import Template, refusal_of_path
from catalog.sync.plan import Plan, PlanOptions
from catalog.sync.rate import SharedPace
from catalog.sync.replaced_files import OldBytes
from catalog.sync.selection import Selection, run_sql, selection_query
from catalog.sync.source import Mast, ProductSource
from catalog.sync.tokens import Token
from catalog.sync.transfer import AskCurrent, SharedTransfers

_NOTHING = Selection(max_size=-1)
_MEMORY = "2GB"
"""Memory for the joins of a plan over a million products; what needs more goes to the catalog's temporary folder."""


def make_plan(
    database: Database,
    selection: Selection,
    *,
    dest: str | os.PathLike[str] = DEST,
    template: str = TEMPLATE,
    has_token: bool = False,
    now: dt.datetime | None = None,
    old_bytes: OldBytes | None = None,
) -> Plan:
    """Compare a selection with the catalog and the destination; nothing is requested or written.

    Parameters
    ----------
    database : Database
        The catalog.
    selection : Selection
        The products to fetch.
    dest : path-like
        The folder to put them in.
    template : str
        How files lie there; see `catalog.sync.names.Template`.
    has_token : bool
        Whether exclusive products can be asked for.
    now : datetime, optional
        The present time, UTC without a zone, with which release dates are compared.
    old_bytes : OldBytes, optional
        The rule for bytes that are a person's own; by default they stay.

    Raises
    ------
    NoSuchSearch, UsageError
        If the selection or the template is wrong, or two products would have the same path.
    """
    inputs = notes = None
    if selection.with_inputs:
        inputs, notes = _inputs(database, selection, dest, template)
    return _compare(database, selection, _plan_options(dest, template, has_token, now, old_bytes), inputs, notes)


def _plan_options(
    dest: str | os.PathLike[str],
    template: str,
    has_token: bool = False,
    now: dt.datetime | None = None,
    old_bytes: OldBytes | None = None,
) -> PlanOptions:
    root = Path(os.path.abspath(dest))  # noqa: PTH100 - links stay as the user named them
    refuse_no_text(root, "destination")
    refuse_no_folder(root, "destination")
    renew = old_bytes is not None and old_bytes.renews_modified
    return PlanOptions(root, Template(template), has_token, now, free_bytes(root), renew)


def _compare(
    database: Database,
    selection: Selection,
    options: PlanOptions,
    inputs: pa.Table | None = None,
    notes: str | None = None,
) -> Plan:
    """Make a plan from the catalog and the destination."""
    uris_of_sql = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection, looking(options.dest, options.template) as look:
        allow_memory(connection, _MEMORY)
        selected = selection_query(connection, selection, uris_of_sql, inputs)
        offer_local_files(connection)
        row = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
        places = DestinationPlaces(options.dest, database.path)
        plan = replace(decide(connection, selected, options, look, places.problems), run=int(row[0]) if row else 0)
    return replace(plan, notes=(notes,) if notes else (), leftovers=(*plan.leftovers, *look.orphans))


def _inputs(
    database: Database, selection: Selection, dest: str | os.PathLike[str], template: str
) -> tuple[pa.Table, str | None]:
    """Return the names of association files and of their members, and a note if some files are not on disk yet."""
    uris = association_files(database, selection)
    options = _plan_options(dest, template)
    with database.read() as connection:
        folder = options.template.folder_sql()
        selected = selection_query(connection, Selection(), pa.table({"data_uri": pa.array(uris, pa.string())}))
        placed = connection.execute(f"SELECT {folder}, filename FROM {selected.sql}", dict(selected.values)).fetchall()
    paths = [options.dest / folder / name for folder, name in placed if not refusal_of_path(f"{folder or 'x'}/{name}")]
    absent = sum(not path.exists() for path in paths)
    note = f"{absent} association files are not here yet; the inputs they name are not in this plan" if absent else None
    named = pa.table({"filename": pa.array([path.name for path in paths], pa.string())})
    return pa.concat_tables([named, association_members(paths)]), note


def sync(
    database: Database,
    selection: Selection,
    *,
    server: str = SERVER,
    dest: str | os.PathLike[str] = DEST,
    template: str = TEMPLATE,
    jobs: int = JOBS,
    limit_rate: int | None = None,
    token: Token | None = None,
    source: str = SOURCE,
    store: object | None = None,
    current: AskCurrent | None = None,
    on_event: OnEvent | None = None,
    pace: SharedPace | None = None,
    old_bytes: OldBytes | None = None,
    trust_length: bool = False,
) -> SyncReport:
    """Make the destination have the selected products, every byte proven.

    Parameters
    ----------
    database, selection, dest, template
        See `make_plan`.
    server : str
        The archive's address.
    jobs : int
        How many files to fetch at the same time.
    limit_rate : int, optional
        Bytes a second, for all files together.
    token : Token, optional
        The token for exclusive products; `catalog.sync.find_token` finds the user's token.
    source : str
        ``mast``; or ``cloud``, which asks the public bucket first, and the archive for what the bucket does not have.
    store : obstore store, optional
        Used instead of the public bucket.
    current : callable, optional
        Asks the archive for the row that it has now for a file name; called if bytes are not as listed.
    on_event : callable, optional
        Called with each event, by one thread at a time.
    pace : SharedPace, optional
        Used instead of one that is made from ``limit_rate``.
    old_bytes : OldBytes, optional
        The rule for bytes that are replaced; see `OldBytes`.
    trust_length : bool
        Accept bytes with the right length and structure although their MD5 is not the archive's, if the same bytes
        come twice. Something on the way may have changed them: a person must be sure that the checksums are wrong.

    Returns
    -------
    SyncReport
        The report; a failed file raises no error.

    Raises
    ------
    NoSuchSearch, UsageError, CatalogError, DiskError
        If the sync could not begin.
    """
    database.require_local()
    began = time.monotonic()
    options = _plan_options(dest, template, token is not None, old_bytes=old_bytes)
    with _shared_transfers(
        database, server, jobs, token, source, store, pace or SharedPace(limit_rate), current, old_bytes
    ) as shared:
        shared.trust_length = trust_length
        work = _Work(database, selection, options, shared, jobs, on_event)
        report = work.with_inputs(template) if selection.with_inputs else work.apply(selection)
    return replace(report, seconds=round(time.monotonic() - began, 3))


def apply_plan(
    database: Database,
    plan: Plan,
    *,
    server: str = SERVER,
    jobs: int = JOBS,
    limit_rate: int | None = None,
    token: Token | None = None,
    source: str = SOURCE,
    store: object | None = None,
    current: AskCurrent | None = None,
    on_event: OnEvent | None = None,
    old_bytes: OldBytes | None = None,
    trust_length: bool = False,
) -> SyncReport:
    """Do what a plan says; parameters, results and errors are those of `sync`.

    Parameters
    ----------
    database : Database
        The catalog from which the plan was made.
    plan : Plan
        The plan that `make_plan` returned.
    server, jobs, limit_rate, token, source, store, current, on_event, old_bytes, trust_length
        See `sync`.

    Raises
    ------
    UsageError
        If a harvest has run since the plan was made.
    """
    began = time.monotonic()
    with database.read() as connection:
        newest = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
    if newest != (plan.run,):
        raise UsageError("a harvest has run since this plan was made; make it again")
    with _shared_transfers(
        database, server, jobs, token, source, store, SharedPace(limit_rate), current, old_bytes
    ) as shared:
        shared.trust_length = trust_length
        shared.root = plan.dest
        report = apply(plan, database, shared, jobs, on_event)
    return replace(report, seconds=round(time.monotonic() - began, 3))


@contextmanager
def _shared_transfers(
    database: Database,
    server: str,
    jobs: int,
    token: Token | None,
    source: str,
    store: object | None,
    pace: SharedPace,
    current: AskCurrent | None,
    old_bytes: OldBytes | None,
) -> Iterator[SharedTransfers]:
    """Make what all transfers of a sync share, and close its connections at the end."""
    if source not in ("mast", "cloud"):
        raise UsageError(f"--source {source} is neither mast nor cloud")
    mast = Mast(server, token, jobs)
    sources: tuple[ProductSource, ...] = (mast,)
    if source == "cloud":
        sources = (Cloud(mast_lookup(mast.read), store), mast)
    shared = SharedTransfers(Path(), sources, pace, current, old_bytes=old_bytes or OldBytes())
    shared.catalog = database.path
    try:
        yield shared
    finally:
        mast.close()


@dataclass
class _Work:
    """One sync: what it needs, and its one or two steps."""

    database: Database
    selection: Selection
    options: PlanOptions
    shared: SharedTransfers
    jobs: int
    on_event: OnEvent | None

    def apply(self, selection: Selection, inputs: pa.Table | None = None) -> SyncReport:
        self.shared.root = self.options.dest
        plan = _compare(self.database, selection, self.options, inputs)
        return apply(plan, self.database, self.shared, self.jobs, self.on_event)

    def with_inputs(self, template: str) -> SyncReport:
        """Fetch the association files first, since they tell the other files to fetch."""
        uris = association_files(self.database, self.selection)
        named = pa.table({"filename": pa.array([uri.rsplit("/", 1)[-1] for uri in uris], pa.string())})
        first = self.apply(_NOTHING, named)
        if first.interrupted:
            return first
        inputs, _ = _inputs(self.database, self.selection, self.options.dest, template)
        return _joined_reports(first, self.apply(self.selection, inputs))


def _joined_reports(first: SyncReport, second: SyncReport) -> SyncReport:
    """Make one report of two steps; the second step counts as present what the first had fetched."""
    done = first.fetched + first.resumed + first.replaced
    return replace(
        second,
        present=second.present - done,
        fetched=second.fetched + first.fetched,
        resumed=second.resumed + first.resumed,
        replaced=second.replaced + first.replaced,
        bytes=second.bytes + first.bytes,
        sources=dict(Counter(first.sources) + Counter(second.sources)),
        notes=first.notes + second.notes,
    )
