"""``mastlake copy`` and ``mastlake upkeep``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from catalog.text import plural

from .options import Json, settings
from .printing import note, put_json, say
from .progress import LineTimer, pull_progress


def register(app: typer.Typer) -> None:
    app.command("copy")(copy)
    app.command("upkeep")(upkeep)


def copy(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FROM", help="A catalog file, a lake or a published catalog.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="A new file, or a new lake.")],
    json: Json = False,
) -> None:
    """Copy a catalog with all its history, from a file to a lake or back, and prove each table.

    FROM and TO are names as for --catalog. TO appears when all rows are there, and their numbers and checksums are the
    same. A copy that is cut off leaves no catalog; the same command goes on with the table at which it was cut off.
    """
    from catalog.api.catalog import Catalog

    options = settings(context)
    tell = say if options.verbosity >= 0 else None
    told = say if options.verbosity > 0 else None
    pace = LineTimer()

    def on_rows(table: str, done: int, rows: int) -> None:
        if options.verbosity >= 0 and done < rows and pace.is_due():
            say(f"copying {table}, {done:,} of {plural(rows, 'row')}")

    pulled = pull_progress(options.verbosity < 0)
    beside = options.local_beside(source)
    lake = Catalog.once(source, options.server, tell=tell, local=beside, pulled=pulled)
    tables = lake.copy_to(to, told=told, on_rows=on_rows)
    if json:
        put_json({"from": source, "to": to, "tables": [asdict(table) for table in tables]})
        return
    rows = sum(table.rows for table in tables)
    note(f"{to} has all {plural(rows, 'row')} of {plural(len(tables), 'table')}, with the same checksums")
    if resumed := [table for table in tables if table.resumed]:
        note(f"{plural(len(resumed), 'table')} of these came from an earlier copy that was cut off")


def upkeep(
    context: typer.Context,
    reading: Annotated[
        float, typer.Option("--reading", min=0, metavar="HOURS", help="How long a question may run.")
    ] = 24.0,
    json: Json = False,
) -> None:
    """Keep up a lake: merge its small files, and remove what nothing needs any more.

    Others can ask and harvest meanwhile. Files that a question may still read, asked up to --reading hours ago, stay.
    """
    done = settings(context).lake.upkeep(reading_seconds=reading * 3600)
    if json:
        put_json(asdict(done))
        return
    note(f"{plural(done.files_before, 'file')} of rows became {done.files_after:,}")
    note(f"expired {plural(done.snapshots_expired, 'snapshot')}, removed {plural(done.files_removed, 'file')}")
