"""``mastlake harvest``."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.text import plural

from .completion import instruments
from .completion import searches as saved_names
from .options import Criteria, Json, Settings, settings
from .printing import put_json, say
from .saved_searches import keep_or_drop, note_declared, take_edits, unsaved, vanished

if TYPE_CHECKING:
    from catalog.api.types import Harvest, Search

_REPORTED = (
    "run", "search", "files", "new", "changed", "withdrawn", "returned", "unchanged",
    "observations", "products", "linked", "requests",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command("harvest")(harvest)


def harvest(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...]", help="Searches; none: all saved ones.", autocompletion=saved_names),
    ] = None,
    instrument: Annotated[
        str | None,
        typer.Option(
            help="niriss, nircam, nirspec, miri, fgs, guidestar, several with commas, or all: define NAME and run it.",
            autocompletion=instruments,
        ),
    ] = None,
    observations: Annotated[
        bool,
        typer.Option("--observations", help="Define the search NAME as one for CAOM observations, save it and run it."),
    ] = False,
    criteria: Criteria = None,
    cone: Annotated[
        str | None,
        typer.Option(
            metavar="RA,DEC,RADIUS",
            help="With --observations: degrees or sexagesimal; a radius like 30s or 2m is of arc.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every row and every product list anew, not only what changed.")
    ] = False,
    server_moved: Annotated[
        bool,
        typer.Option("--server-moved", help="This server is the archive that was harvested before, at a new address."),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Believe that a search which matched something matches nothing any more."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the request as MAST sees it and how many rows it has; change nothing."),
    ] = False,
    time_limit: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="Give up after so long, like 90s, 30m or 12h; nothing is changed then.",
        ),
    ] = "24h",
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what changed as a page: its ending says text, Markdown (.md) or HTML."
        ),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Save a new search even if its run fails, or if it matches nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Search the archive and bring the catalog up to date.

    The first time, name the search and its criteria; from then on its name is enough.
    """
    options = settings(context)
    how = HarvestOptions(full, server_moved, allow_empty, time.monotonic() + _seconds(time_limit))
    searches = _searches(options, names or [], _defined(names or [], instrument, observations, criteria or [], cone))
    if not server_moved:
        _refuse_other_archives(options, searches)
    if dry_run:
        _show_requests(options, searches, how.until, json)
        return
    before = _newest_run(options, report)
    take_edits(options, searches)
    new = unsaved(options, searches)
    tally = HarvestTally()
    for search in searches:
        _harvest_into(tally, options, search, how, save if search.name in new else None, json)
    note_declared(options, searches)
    if report is not None:
        _write_report(options, report, before, tally.failures + tally.emptied)
    if json:
        put_json(tally.outcomes[0] if len(searches) == 1 and tally.outcomes else tally.outcomes)
    if tally.failures:
        raise typer.Exit(1)


@dataclass
class HarvestTally:
    """The results of all searches of one command: their reports, what failed, and which match nothing any more."""

    outcomes: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


def _harvest_into(
    tally: HarvestTally, options: Settings, search: Search, how: HarvestOptions, save: bool | None, json: bool
) -> None:
    """Harvest one search, and note the result; a new search that brought nothing is kept only if a person wants it.

    ``save`` is None for a search that is saved already.
    """

    def keep(why: str) -> str:
        return keep_or_drop(options, search, save, why) if save is not None else ""

    try:
        outcome = _harvest_one(options, search, how, json)
    except _stoppers() as error:
        if _is_emptied(error):  # the archive's answer is proven, and taking it is a person's decision
            tally.outcomes.append({"run": None, "search": search.name, "emptied": True})
            tally.emptied.append(f"{search.name}: {error}")
            say(f"mastlake: {tally.emptied[-1]}")
            return
        tally.failures.append(f"{search.name}: {error}")
        kept = keep(f"failed: {error}")
        say(f"mastlake: {tally.failures[-1]}" + (f"; {kept}" if kept else ""))
    except KeyboardInterrupt:
        if kept := keep("was interrupted"):
            say(f"{search.name} was interrupted; {kept}")
        raise
    else:
        tally.outcomes.append(outcome)
        if not (outcome["files"] or outcome["observations"]) and (kept := keep("matched nothing")):
            say(f"{search.name} matched nothing; {kept}")
        tally.failures += [f"{failure['name']}: {failure['reason']}" for failure in outcome["failures"]]


def _newest_run(options: Settings, report: Path | None) -> int:
    """Return the newest run, after which a report begins; refuse a report whose ending stands for no form."""
    if report is None:
        return 0
    options.lake.check_report(report)
    if not options.lake.exists():
        return 0
    return max((run.run for run in options.lake.runs()), default=0)


def _write_report(options: Settings, path: Path, before: int, failures: list[str]) -> None:
    """Write a report of what changed after one run."""
    if not options.lake.exists():
        return
    options.lake.write_report(path, since=before, failures=failures)
    if options.verbosity >= 0:
        say(f"the report is {path}")


@dataclass(frozen=True)
class HarvestOptions:
    """How to harvest searches: what the options say, and until when, as a time of `time.monotonic`."""

    full: bool
    server_moved: bool
    allow_empty: bool
    until: float


def _refuse_other_archives(options: Settings, searches: list[Search]) -> None:
    """Refuse before the first request, and not only when it is the turn of a search."""
    options.lake.refuse_other_archives([search.name for search in searches])


def _is_emptied(error: Exception) -> bool:
    from catalog.errors import Emptied

    return isinstance(error, Emptied)


def _stoppers() -> type[Exception]:
    """Return the errors of one search after which the others can still be harvested."""
    from catalog.errors import ArchiveError

    return ArchiveError


def _defined(
    names: list[str], instrument: str | None, observations: bool, criteria: list[str], cone: str | None
) -> Search | None:
    """Return the search that the options define, if they define one."""
    from catalog.api.types import Search
    from catalog.errors import UsageError

    if instrument is None and not observations:
        if criteria or cone:
            raise UsageError("criteria define a new search and need --instrument, like --instrument niriss")
        return None
    if len(names) != 1:
        raise UsageError("name the search: mastlake harvest NAME --instrument ... -k ...")
    if observations and instrument is not None:
        raise UsageError("a search is for files (--instrument) or for observations (--observations), not both")
    if observations:
        return Search.observations(names[0], criteria, cone)
    if cone is not None:
        raise UsageError("MAST's keyword searches know no cone; with --observations it does, or with: mastlake find")
    return Search.parse(names[0], str(instrument), criteria)


def _seconds(text: str) -> float:
    from catalog.errors import BadValue

    units = {"s": 1, "m": 60, "h": 3600}
    try:
        seconds = float(text.rstrip("smh")) * units.get(text[-1:], 1)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise BadValue(f"--time-limit {text!r} is not a duration like 90s, 30m or 12h")
    return seconds


def _searches(options: Settings, names: list[str], defined: Search | None) -> list[Search]:
    from catalog.errors import UsageError

    if defined is not None:
        return [defined]
    declared = options.declared
    if not options.lake.exists() and declared and set(names) <= set(declared):
        return [declared[name] for name in names or declared]
    if not options.lake.exists() and not names:
        raise UsageError("there is no catalog yet: mastlake harvest NAME --instrument ... -k ...")
    if names:
        return [declared.get(name) or options.lake.saved_search(name) for name in names]
    saved = {search.name: search for search in options.lake.searches()}
    searches = vanished(options, saved) | declared
    if not searches:
        raise UsageError("no search is saved yet: mastlake harvest NAME --instrument ... -k ...")
    return list(searches.values())


def _show_requests(options: Settings, searches: list[Search], until: float, json: bool) -> None:
    from dataclasses import asdict

    from .progress import harvest_progress

    with harvest_progress(options.verbosity < 0 or json, f"asked {options.server}"):
        requests = options.lake.requests(*searches, time_limit=until - time.monotonic())
    if json:
        told = [asdict(request) for request in requests]
        put_json(told[0] if len(told) == 1 else told)
        return
    for request in requests:
        say(f"{request.search}: {plural(request.rows, 'row')} at {request.server} for this request:")
        put_json(request.request)


def _harvest_one(options: Settings, search: Search, how: HarvestOptions, json: bool) -> dict[str, Any]:
    from .progress import harvest_progress

    start = time.perf_counter()
    asked = f"{search.name}: asked {options.server}"
    with harvest_progress(options.verbosity < 0 or json, asked) as show:
        result = options.lake.harvest(
            search,
            full=how.full,
            server_moved=how.server_moved,
            allow_empty=how.allow_empty,
            time_limit=how.until - time.monotonic(),
            on_progress=show,
        )
    seconds = round(time.perf_counter() - start, 3)
    for failure in result.unanswered:
        say(f"mastlake: {search.name}: {failure.name}: {failure.reason}; it is asked again by the next harvest")
    for aside in result.set_aside:
        say(f"mastlake: {search.name}: {plural(aside.rows, 'row')} set aside: {aside.what} {aside.reason}")
    for what, rows in result.odd.items():
        say(
            f"mastlake: {search.name}: {plural(rows, what)} with a value that its column cannot hold; "
            "see odd_cells and column_finding"
        )
    if not json and options.verbosity >= 0:
        _tell(result, seconds)
    report = {name: getattr(result.run, name) for name in _REPORTED}
    return {
        **report,
        "seconds": seconds,
        "failures": _failures(result),
        "set_aside": _set_aside(result),
        "odd": dict(result.odd),
    }


def _failures(result: Harvest) -> list[dict[str, str]]:
    return [
        {
            "program" if question.what == "program" else "obs_id": question.key,
            "name": question.name,
            "reason": question.reason,
        }
        for question in result.unanswered
    ]


def _set_aside(result: Harvest) -> list[dict[str, Any]]:
    return [
        {"what": rows_aside.what, "reason": rows_aside.reason, "rows": rows_aside.rows}
        for rows_aside in result.set_aside
    ]


def _tell(result: Harvest, seconds: float) -> None:
    run = result.run
    matched, led_to = result.summary()
    say(f"{run.search}: {matched}")
    say(f"  {led_to}")
    say(f"  run {run.run}, {plural(run.requests, 'request')}, {seconds:.1f} s")
