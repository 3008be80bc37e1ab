"""``mastlake status``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.errors import ArchiveError
from catalog.text import plural, shown, size

from .options import Json, Settings, settings
from .printing import put, put_json, put_table

if TYPE_CHECKING:
    from catalog.api.types import Overview


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(
    context: typer.Context,
    ask: Annotated[
        bool, typer.Option("--ask", help="Also ask the archive how many files each search matches now.")
    ] = False,
    json: Json = False,
) -> None:
    """Show catalog, disk and archive in one page."""
    options = settings(context)
    overview = options.lake.status()
    counts, fault = _ask(options) if ask else ({}, None)
    if json:
        put_json({**asdict(overview), "server": str(options.server), "archive_files": counts or None})
    else:
        _page(options, overview, counts)
    if fault is not None:
        raise fault


def _ask(options: Settings) -> tuple[dict[str, int], ArchiveError | None]:
    """Ask how many files each search matches now; if the archive does not answer, the page has no such counts."""
    counts: dict[str, int] = {}
    try:
        for name, count in options.lake.archive_counts():
            counts[name] = count
    except ArchiveError as error:
        return counts, error
    return counts, None


STATES = ("stale", "missing", "corrupt", "modified", "unverified", "unknown")


def _page(options: Settings, overview: Overview, counts: dict[str, int]) -> None:
    put(f"catalog  {overview.path} ({size(overview.size)})")
    put(
        f"         {plural(overview.files, 'file')}, {plural(overview.observations, 'observation')}, "
        f"{plural(overview.products, 'product')}; {plural(overview.runs, 'run')}"
    )
    if overview.pending:
        pending = plural(overview.pending, "observation")
        put(f"         products of {pending} are still to be asked for: mastlake harvest")
    put(f"archive  {options.server}")
    rows: list[list[Any]] = [
        [each.name, each.instrument or "observations", each.files, each.linked, each.run, shown(each.harvested_at)]
        for each in overview.searches
    ]
    columns = ["search", "of", "files", "linked", "last run", "harvested (UTC)"]
    if counts:
        columns.append("archive has")
        rows = [[*row, counts.get(row[0])] for row in rows]
    put_table(columns, rows)
    local = f"{plural(overview.local_files, 'file')}, {size(overview.local_bytes)}"
    put(f"disk     {local}; headers of {overview.indexed:,} are indexed")
    if overview.local_path is not None:
        put(f"         noted in {overview.local_path}")
    wrong = {kind: getattr(overview, kind) for kind in STATES}
    outdated = ", ".join(f"{count:,} {kind}" for kind, count in wrong.items() if count) or "nothing is outdated"
    put(
        f"         {overview.current:,} current, {outdated}"
        + (": mastlake outdated --why" if any(wrong.values()) else "")
    )
