"""``mastlake searches`` and ``mastlake runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.text import harmless, plural, shown

from . import completion
from .listing import ListingOptions, listing_options, put_list, put_object
from .options import Criteria, Form, Json, Limit, Output, Settings, settings
from .printing import note, put_table, say

if TYPE_CHECKING:
    from catalog.api.types import Search, SearchState

_ACTS = {
    "show": "criteria, history and last runs of one search",
    "edit": "give one search other criteria",
    "rename": "give one search another name",
    "remove": "stop harvesting one search; its history stays",
}
_LAST_RUNS = 5


def register(app: typer.Typer) -> None:
    app.command("searches")(searches)
    app.command("runs")(runs)


def _acts(incomplete: str) -> list[tuple[str, str]]:
    return [(act, why) for act, why in _ACTS.items() if act.startswith(incomplete)]


def searches(
    context: typer.Context,
    act: Annotated[
        str | None,
        typer.Argument(
            metavar="[show|edit|rename|remove]", help="What to do; without it, list all.", autocompletion=_acts
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which search.", autocompletion=completion.searches)
    ] = None,
    new: Annotated[str | None, typer.Argument(metavar="[NEW]", help="After rename: the new name.")] = None,
    criteria: Criteria = None,
    instrument: Annotated[
        str | None,
        typer.Option(
            help="After edit: whose keyword search; without it, as it was.", autocompletion=completion.instruments
        ),
    ] = None,
    cone: Annotated[
        str | None,
        typer.Option(metavar="RA,DEC,RADIUS", help="After edit of a search for observations: where on the sky."),
    ] = None,
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List the saved searches; show, edit, rename or remove one.

    The criteria of an edit replace all former ones. The next harvest reads everything. Former matches stay in
    the history, and so does everything that a removed search brought.
    """
    options = settings(context)
    asked = listing_options(context, form, output, json, limit)
    json = asked.is_json
    _refuse_nonsense(act, name, new, bool(criteria or instrument or cone), asked)
    options.lake.require()
    if act is None:
        _list(options, asked)
    elif act == "show":
        _show(options, str(name), asked)
    elif act == "edit":
        _edit(options, str(name), criteria or [], instrument, cone)
    elif act == "rename":
        _rename(options, str(name), str(new))
    else:
        _remove(options, str(name))
    if json and act in ("edit", "rename"):
        _show(options, str(new or name), asked)
    elif json and act == "remove":
        put_object(asked, {"removed": name})


def _refuse_nonsense(act: str | None, name: str | None, new: str | None, criteria: bool, asked: ListingOptions) -> None:
    from catalog.errors import UsageError
    from catalog.text import nearest

    if act is not None and act not in _ACTS:
        near = nearest(act, list(_ACTS))
        hint = (
            f"; did you mean {near!r}?"
            if near
            else f"; it takes {', '.join(_ACTS)}, as in: mastlake searches show {act}"
        )
        raise UsageError(f"searches does not know {act!r}{hint}")
    if act is not None and not (asked.is_table or asked.is_json):
        raise UsageError(f"mastlake searches {act} answers as text or as JSON, not as {asked.form}")
    if act is not None and name is None:
        raise UsageError(f"name the search: mastlake searches {act} NAME")
    if (act == "rename") != (new is not None):
        raise UsageError("rename takes two names: mastlake searches rename NAME NEW")
    if criteria and act != "edit":
        raise UsageError(
            "criteria belong to edit: mastlake searches edit NAME -k ...; a new search is saved by harvest"
        )


def _list(options: Settings, asked: ListingOptions) -> None:
    states = options.lake.search_states()
    put_list(
        asked,
        ("name", "of", "matches", "newest ingest (UTC)", "criteria"),
        [
            (
                state.search.name,
                _kind(state.search),
                state.matches,
                _moment(state.cursor_mjd),
                _criteria_text(state.search),
            )
            for state in states
        ],
        lambda: [_as_dict(state) for state in states],
        "search",
        names=("name", "instrument", "criteria", "cone", "matches", "files", "cursor_mjd"),
    )


def _moment(mjd: float | None) -> str | None:
    from catalog.api.types import iso

    return iso(mjd).replace("T", " ") if mjd else None


def _kind(search: Search) -> str:
    return f"{search.instrument} files" if search.instrument else "observations"


def _criteria_text(search: Search) -> str:
    return " ".join([*search.written, *([f"cone={search.cone}"] if search.cone else [])])


def _as_dict(state: SearchState) -> dict[str, Any]:
    search = state.search
    return {
        "name": search.name,
        "instrument": search.instrument,
        "criteria": list(search.written),
        "cone": str(search.cone) if search.cone else None,
        "matches": state.matches,
        "files": state.matches if search.instrument else 0,
        "cursor_mjd": state.cursor_mjd,
    }


def _show(options: Settings, name: str, asked: ListingOptions) -> None:
    from dataclasses import asdict

    details = options.lake.search_details(name)
    state, ran = details.state, details.runs
    if asked.is_json:
        last = [asdict(run) for run in ran[-_LAST_RUNS:]]
        put_object(asked, {**_as_dict(state), "edits": [asdict(edit) for edit in details.edits], "runs": last})
        return
    search = state.search
    lines = [f"name      {search.name}", f"of        {_kind(search)}", f"matches   {state.matches:,}"]
    lines += [f"{'criteria' if not number else '':<9} {text}" for number, text in enumerate(search.written)]
    lines += [f"cone      {search.cone}"] if search.cone else []
    for edit in details.edits:
        what = f"renamed from {edit.former_name}" if edit.act == "renamed" else f"{edit.act}; it was {_former(edit)}"
        lines.append(f"{shown(edit.at)}  after run {edit.run}: {what}")
    typer.echo("\n".join(harmless(line) for line in lines))
    if ran:
        columns = (
            "run",
            "kind",
            "ended_at",
            "files",
            "new",
            "changed",
            "withdrawn",
            "returned",
            "observations",
            "products",
        )
        put_table(columns, [[getattr(run, column) for column in columns] for run in ran[-_LAST_RUNS:]])
        if len(ran) > _LAST_RUNS:
            note(f"and {plural(len(ran) - _LAST_RUNS, 'earlier run')}: mastlake runs --search {name}")


def _former(edit: Any) -> str:
    kind = f"{edit.instrument} files" if edit.instrument else "observations"
    return " ".join([kind, *edit.criteria, *([f"cone={edit.cone}"] if edit.cone else [])])


def _edit(options: Settings, name: str, criteria: list[str], instrument: str | None, cone: str | None) -> None:
    options.lake.revise_search(name, criteria, instrument=instrument, cone=cone)
    if options.verbosity >= 0:
        say(f"{name} was edited; its next harvest reads everything: mastlake harvest {name}")


def _rename(options: Settings, name: str, new: str) -> None:
    options.lake.rename_search(name, new)
    if name in options.declared:
        say(f"mastlake.toml still describes {name}; rename it there too, or the next harvest saves it anew")
    if options.verbosity >= 0:
        say(f"{name} is {new} now, in its history too")


def _remove(options: Settings, name: str) -> None:
    options.lake.remove_search(name)
    if name in options.declared:
        say(f"mastlake.toml still describes {name}; remove it there too, or the next harvest saves it anew")
    if options.verbosity >= 0:
        say(f"{name} was removed; what it found stays in the history: mastlake runs --search {name}")


def runs(
    context: typer.Context,
    search: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only runs of this search.", autocompletion=completion.searches),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest runs only.")] = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List what was harvested, and when."""
    from dataclasses import asdict

    asked = listing_options(context, form, output, json)
    listed = settings(context).lake.runs(search)
    if limit is not None and len(listed) > limit:
        note(f"the newest {limit:,} of {plural(len(listed), 'run')}; --limit shows more")
        listed = listed[-limit:]
    columns = (
        "run", "search", "kind", "ended_at", "files", "new", "changed", "withdrawn", "returned",
        "observations", "products", "linked", "requests",
    )  # fmt: skip
    rows = [[getattr(run, column) for column in columns] for run in listed]
    put_list(asked, columns, rows, lambda: [asdict(run) for run in listed], "run", names=columns)
