"""A whole sync: the plan from the catalog and the disk, its application, and the report."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from catalog.store.database import Database
from catalog.sync.apply import SyncReport, apply
from catalog.sync.disk import free_bytes, listing
from catalog.sync.events import OnEvent
from catalog.sync.names import FLAT, Template
from catalog.sync.pace import Pace
from catalog.sync.plan import Aim, Plan, decide
from catalog.sync.selection import Selection, prepare, run_sql
from catalog.sync.source import Mast, Source
from catalog.sync.tokens import Token
from catalog.sync.transfer import AskCurrent, Line

SERVER = "https://mast.stsci.edu"
DEST = Path("mast")
JOBS = 8


def make_plan(
    database: Database,
    selection: Selection,
    *,
    dest: str | os.PathLike[str] = DEST,
    template: str = FLAT,
    has_token: bool = False,
    now: dt.datetime | None = None,
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

    Raises
    ------
    NoSuchSearch, UsageError
        Where the selection or the template is wrong, or two products would have one path.
    """
    root, layout = Path(os.path.abspath(dest)), Template(template)  # noqa: PTH100 - links stay as the user named them
    aim = Aim(root, layout, has_token, now, free_bytes(root))
    wanted = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        selected = prepare(connection, selection, wanted)
        disk, parts = listing(root, selected.folders(connection, layout))
        connection.register("disk", disk)
        connection.register("parts", parts)
        connection.execute("CREATE TEMP VIEW local AS FROM local_files")
        return decide(connection, selected, aim)


def sync(
    database: Database,
    selection: Selection,
    *,
    server: str = SERVER,
    dest: str | os.PathLike[str] = DEST,
    template: str = FLAT,
    jobs: int = JOBS,
    limit_rate: int | None = None,
    token: Token | None = None,
    sources: tuple[Source, ...] = (),
    current: AskCurrent | None = None,
    on_event: OnEvent | None = None,
    pace: Pace | None = None,
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
    sources : tuple of Source
        Asked before the archive.
    current : callable, optional
        Asks the archive for a file's row as it is now, by file name; asked where bytes are not as listed.
    on_event : callable, optional
        Is told what happens, by one thread at a time.
    pace : Pace, optional
        Instead of one made from ``limit_rate``.

    Returns
    -------
    SyncReport
        Of what was done; failures do not raise.

    Raises
    ------
    NoSuchSearch, UsageError, CatalogError, DiskError
        Where nothing could be begun.
    """
    mast = Mast(server, token, jobs)
    plan = make_plan(database, selection, dest=dest, template=template, has_token=token is not None)
    line = Line(plan.dest, (*sources, mast), pace or Pace(limit_rate), current)
    try:
        return apply(plan, database, line, jobs, on_event)
    finally:
        mast.close()
