"""A whole sync: the plan from the catalog and the disk, its application, and the report."""

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
from catalog.sync.disk import free_bytes, looking
from catalog.sync.events import OnEvent
from catalog.sync.inputs import association_files, members
from catalog.sync.names import Template, refusal_of_path
from catalog.sync.places import Places, refuse_no_folder
from catalog.sync.plan import Aim, Plan
from catalog.sync.rate import Pace
from catalog.sync.replaced_files import OldBytes
from catalog.sync.selection import Selection, prepare, run_sql
from catalog.sync.source import Mast, Source
from catalog.sync.tokens import Token
from catalog.sync.transfer import AskCurrent, Line

_NOTHING = Selection(max_size=-1)
_MEMORY = "2GB"
"""For the joins of a plan over a million products; what is more goes to the catalog's temporary folder."""


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
    """Compare a selection with the catalog and the destination; no request is sent, nothing is written.

    Parameters
    ----------
    database : Database
        The catalog.
    selection : Selection
        What is wanted.
    dest : path-like
        Where it is wanted.
    template : str
        How files lie there; see `catalog.sync.names.Template`.
    has_token : bool
        Whether exclusive products are within reach.
    now : datetime, optional
        UTC, naive; what release dates are compared with.
    old_bytes : OldBytes, optional
        What becomes of bytes that are a person's own; they stay unless given.

    Raises
    ------
    NoSuchSearch, UsageError
        Where the selection or the template is wrong, or two products would have one path.
    """
    inputs = notes = None
    if selection.with_inputs:
        inputs, notes = _inputs(database, selection, dest, template)
    return _compare(database, selection, _aim(dest, template, has_token, now, old_bytes), inputs, notes)


def _aim(
    dest: str | os.PathLike[str],
    template: str,
    has_token: bool = False,
    now: dt.datetime | None = None,
    old_bytes: OldBytes | None = None,
) -> Aim:
    root = Path(os.path.abspath(dest))  # noqa: PTH100 - links stay as the user named them
    refuse_no_folder(root, "destination")
    renew = old_bytes is not None and old_bytes.renews_modified
    return Aim(root, Template(template), has_token, now, free_bytes(root), renew)


def _compare(
    database: Database, selection: Selection, aim: Aim, inputs: pa.Table | None = None, notes: str | None = None
) -> Plan:
    """Make a plan from the catalog and the destination."""
    wanted = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection, looking(aim.dest, aim.template) as look:
        allow_memory(connection, _MEMORY)
        selected = prepare(connection, selection, wanted, inputs)
        offer_local_files(connection)
        row = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
        places = Places(aim.dest, database.path)
        plan = replace(decide(connection, selected, aim, look, places.problems), run=int(row[0]) if row else 0)
    return replace(plan, notes=(notes,) if notes else (), leftovers=(*plan.leftovers, *look.orphans))


def _inputs(
    database: Database, selection: Selection, dest: str | os.PathLike[str], template: str
) -> tuple[pa.Table, str | None]:
    """The names of association files and of their members, and a note where some are not on disk yet."""
    uris = association_files(database, selection)
    aim = _aim(dest, template)
    with database.read() as connection:
        folder = aim.template.folder_sql()
        chosen = prepare(connection, Selection(), pa.table({"data_uri": pa.array(uris, pa.string())}))
        placed = connection.execute(f"SELECT {folder}, filename FROM {chosen.sql}", dict(chosen.values)).fetchall()
    paths = [aim.dest / folder / name for folder, name in placed if not refusal_of_path(f"{folder or 'x'}/{name}")]
    absent = sum(not path.exists() for path in paths)
    note = f"{absent} association files are not here yet; the inputs they name are not in this plan" if absent else None
    named = pa.table({"filename": pa.array([path.name for path in paths], pa.string())})
    return pa.concat_tables([named, members(paths)]), note


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
    pace: Pace | None = None,
    old_bytes: OldBytes | None = None,
    trust_length: bool = False,
) -> SyncReport:
    """Make the destination hold what is selected, every byte proven.

    Parameters
    ----------
    database, selection, dest, template
        See `make_plan`.
    server : str
        The archive's address.
    jobs : int
        How many files at once.
    limit_rate : int, optional
        Bytes a second, in all.
    token : Token, optional
        For exclusive products; `catalog.sync.find_token` finds the user's.
    source : str
        ``mast``, or ``cloud``: the public bucket first, and the archive for what is not there.
    store : obstore store, optional
        Instead of the public bucket.
    current : callable, optional
        Asks the archive for a file's row as it is now, by file name; asked where bytes are not as listed.
    on_event : callable, optional
        Is told what happens, by one thread at a time.
    pace : Pace, optional
        Instead of one made from ``limit_rate``.
    old_bytes : OldBytes, optional
        What becomes of bytes that are replaced; see `OldBytes`.
    trust_length : bool
        Accept bytes whose length and structure are right although their MD5 is not the archive's, if they come twice
        the same. Something on the way may have spoiled them: a person must be sure that the checksums are wrong.

    Returns
    -------
    SyncReport
        Of what was done; failures do not raise.

    Raises
    ------
    NoSuchSearch, UsageError, CatalogError, DiskError
        Where nothing could be begun.
    """
    began = time.monotonic()
    aim = _aim(dest, template, token is not None, old_bytes=old_bytes)
    with _line(database, server, jobs, token, source, store, pace or Pace(limit_rate), current, old_bytes) as line:
        line.trust_length = trust_length
        work = _Work(database, selection, aim, line, jobs, on_event)
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
    """Do what a plan says; its parameters, results and errors are those of `sync`.

    Parameters
    ----------
    database : Database
        The catalog that the plan is of.
    plan : Plan
        As `make_plan` returned it.
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
    with _line(database, server, jobs, token, source, store, Pace(limit_rate), current, old_bytes) as line:
        line.trust_length = trust_length
        line.root = plan.dest
        report = apply(plan, database, line, jobs, on_event)
    return replace(report, seconds=round(time.monotonic() - began, 3))


@contextmanager
def _line(
    database: Database,
    server: str,
    jobs: int,
    token: Token | None,
    source: str,
    store: object | None,
    pace: Pace,
    current: AskCurrent | None,
    old_bytes: OldBytes | None,
) -> Iterator[Line]:
    """Make what all transfers of a sync share, and close its connections in the end."""
    if source not in ("mast", "cloud"):
        raise UsageError(f"--source {source} is neither mast nor cloud")
    mast = Mast(server, token, jobs)
    sources: tuple[Source, ...] = (mast,)
    if source == "cloud":
        sources = (Cloud(mast_lookup(mast.read), store), mast)
    line = Line(Path(), sources, pace, current, old_bytes=old_bytes or OldBytes())
    line.catalog = database.path
    try:
        yield line
    finally:
        mast.close()


@dataclass
class _Work:
    """One sync: what it needs, and its one or two steps."""

    database: Database
    selection: Selection
    aim: Aim
    line: Line
    jobs: int
    on_event: OnEvent | None

    def apply(self, selection: Selection, inputs: pa.Table | None = None) -> SyncReport:
        self.line.root = self.aim.dest
        plan = _compare(self.database, selection, self.aim, inputs)
        return apply(plan, self.database, self.line, self.jobs, self.on_event)

    def with_inputs(self, template: str) -> SyncReport:
        """The association files first, since they say what else is meant."""
        uris = association_files(self.database, self.selection)
        named = pa.table({"filename": pa.array([uri.rsplit("/", 1)[-1] for uri in uris], pa.string())})
        first = self.apply(_NOTHING, named)
        if first.interrupted:
            return first
        inputs, _ = _inputs(self.database, self.selection, self.aim.dest, template)
        return _joined(first, self.apply(self.selection, inputs))


def _joined(first: SyncReport, second: SyncReport) -> SyncReport:
    """One report of two steps, the second of which found present what the first had fetched."""
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
