"""``mastlake harvest``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.text import plural

from .completion import instruments
from .completion import searches as saved_names
from .options import Criteria, Json, Settings, settings
from .printing import put_json, say

if TYPE_CHECKING:
    from catalog.api.types import Harvest, HarvestSession, Progress, Search, SearchOutcome

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
        bool, typer.Option("--full", help="Read every row and every product list again, not only what changed.")
    ] = False,
    server_moved: Annotated[
        bool,
        typer.Option("--server-moved", help="This server is the archive that was harvested before, at a new address."),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Accept that a search which matched something now matches nothing."),
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
    from catalog.api.types import HarvestOptions

    options = settings(context)
    how = HarvestOptions(full, server_moved, allow_empty, time.monotonic() + _seconds(time_limit))
    defined = _defined(names or [], instrument, observations, criteria or [], cone)
    session = options.lake.harvest_session(names or [], defined, declared=options.declared, options=how)
    _tell_vanished(session)
    if dry_run:
        _show_requests(options, session, json)
        return
    for name in session.begin(report):
        say(f"{name}: mastlake.toml describes another search than before, so it was edited")
    tally = _harvest_all(options, session, save, json)
    if report is not None and session.write_report(report, tally.failures + tally.emptied) and options.verbosity >= 0:
        say(f"the report is {report}")
    if json:
        put_json(tally.outcomes[0] if len(session.searches) == 1 and tally.outcomes else tally.outcomes)
    if tally.failures:
        raise typer.Exit(1)


@dataclass
class HarvestTally:
    """The results of all searches of one command: their reports, what failed, and which match nothing any more."""

    outcomes: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)


def _harvest_all(options: Settings, session: HarvestSession, save: bool, json: bool) -> HarvestTally:
    """Harvest the searches, say what became of each, and ask whether to keep new ones that brought nothing."""
    from .progress import harvest_progress

    def progress(search: Search) -> AbstractContextManager[Callable[[Progress], None]]:
        return harvest_progress(options.verbosity < 0 or json, f"{search.name}: asked {options.server}")

    tally = HarvestTally()
    try:
        for outcome in session.run(progress):
            _note(tally, outcome, options, json)
            dropped = _drop(session, outcome.search, save, outcome.why_useless) if outcome.why_useless else ""
            _tell_end(outcome, dropped)
    except KeyboardInterrupt:
        search = session.new_under_way
        if search is not None and (dropped := _drop(session, search, save, "was interrupted")):
            say(f"{search.name} was interrupted; {dropped}")
        raise
    return tally


def _note(tally: HarvestTally, outcome: SearchOutcome, options: Settings, json: bool) -> None:
    """Note what became of one search."""
    name = outcome.search.name
    if outcome.is_emptied:  # the archive's answer is proven, and accepting it is a person's decision
        tally.outcomes.append({"run": None, "search": name, "emptied": True})
        tally.emptied.append(f"{name}: {outcome.error}")
    elif outcome.error is not None:
        tally.failures.append(f"{name}: {outcome.error}")
    elif outcome.result is not None:
        _tell_result(options, outcome.result, outcome.seconds, json)
        tally.outcomes.append(_as_object(outcome.result, outcome.seconds))
        tally.failures += [f"{question.name}: {question.reason}" for question in outcome.result.unanswered]


def _tell_end(outcome: SearchOutcome, dropped: str) -> None:
    """Say why a search failed, and whether a new search was dropped."""
    if outcome.error is not None:
        say(f"mastlake: {outcome.search.name}: {outcome.error}" + (f"; {dropped}" if dropped else ""))
    elif dropped:
        say(f"{outcome.search.name} matched nothing; {dropped}")


def _drop(session: HarvestSession, search: Search, save: bool, why: str) -> str:
    """Keep a new search that brought nothing only if a person wants it; return a message if it was dropped."""
    is_wanted = save or _asks_to_keep(search.name, why)
    session.keep(search, is_wanted)
    return "" if is_wanted else "the search was not saved; --save keeps it"


def _asks_to_keep(name: str, why: str) -> bool:
    """Ask, if a person sits at a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return typer.confirm(f"{name} {why}. Save the search all the same?", default=False, err=True)
    except typer.Abort:
        return False


def _tell_vanished(session: HarvestSession) -> None:
    for name in session.vanished:
        say(
            f"{name} is no longer in mastlake.toml and was not run; "
            f"mastlake harvest {name} runs it, mastlake searches remove {name} removes it"
        )


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


def _show_requests(options: Settings, session: HarvestSession, json: bool) -> None:
    from dataclasses import asdict

    from .progress import harvest_progress

    with harvest_progress(options.verbosity < 0 or json, f"asked {options.server}"):
        requests = session.requests()
    if json:
        entries = [asdict(request) for request in requests]
        put_json(entries[0] if len(entries) == 1 else entries)
        return
    for request in requests:
        say(f"{request.search}: {plural(request.rows, 'row')} at {request.server} for this request:")
        put_json(request.request)


def _tell_result(options: Settings, result: Harvest, seconds: float, json: bool) -> None:
    """Say what could not be read or kept, and what the harvest brought."""
    name = result.run.search
    for question in result.unanswered:
        say(f"mastlake: {name}: {question.name}: {question.reason}; it is asked again by the next harvest")
    for aside in result.set_aside:
        say(f"mastlake: {name}: {plural(aside.rows, 'row')} set aside: {aside.what} {aside.reason}")
    for what, rows in result.odd.items():
        say(
            f"mastlake: {name}: {plural(rows, what)} with a value that its column cannot hold; "
            "see odd_cells and column_finding"
        )
    if not json and options.verbosity >= 0:
        _tell(result, seconds)


def _as_object(result: Harvest, seconds: float) -> dict[str, Any]:
    return {
        **{name: getattr(result.run, name) for name in _REPORTED},
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
