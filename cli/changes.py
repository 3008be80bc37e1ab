"""``mastlake changes`` and ``mastlake diff``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completion
from .options import Json, Settings, settings
from .printing import put_json, put_table, say

if TYPE_CHECKING:
    from catalog.changes import Changes


def register(app: typer.Typer) -> None:
    app.command("changes")(changes)
    app.command("diff")(diff)


_KINDS = ("file", "observation", "product")


def _kind(what: str | None) -> str | None:
    from catalog.errors import BadValue

    if what not in (None, *_KINDS):
        raise BadValue(f"--what is {', '.join(_KINDS[:-1])} or {_KINDS[-1]}, not {what!r}")
    return what


What = Annotated[
    str | None,
    typer.Option(
        "--what",
        help="file, observation or product; without it, all.",
        callback=_kind,
        autocompletion=lambda incomplete: [kind for kind in _KINDS if kind.startswith(incomplete)],
    ),
]
_NAMES = ("run", "kind", "what", "key", "columns")


def changes(
    context: typer.Context,
    run: Annotated[int | None, typer.Argument(help="This run alone.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE|RUN", help="Since this day, or after this run; without it, since you last looked."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only what this search matches or leads to.", autocompletion=completion.searches
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Only what is on this disk, and what is to be reduced again.")
    ] = False,
    what: What = None,
    json: Json = False,
) -> None:
    """Tell what changed in the archive since you last looked, over all searches.

    What changed alike is one line; -v lists every row with its old and new values. What changed twice counts once, from
    the oldest value to the newest. Only a look without RUN, --since, --local and --what counts as one.
    """
    from catalog.changes import changes as tell
    from catalog.changes import remember, spanning
    from catalog.errors import UsageError

    if run is not None and since is not None:
        raise UsageError("give a RUN or --since, not both")
    chosen = settings(context)
    database = chosen.database
    span = spanning(database, since=since, run=run, search=search, what=what, local=local)
    found = tell(database, span, with_rows=json or chosen.verbosity > 0)
    _put_object(found) if json else _put_lines(found, chosen)
    sys.stdout.flush()
    looked = run is None and since is None and not local and what is None
    if looked and span.until > span.since:
        remembered = remember(database, found)
        if chosen.verbosity >= 0 and not json:
            again = f"mastlake changes --since {span.since}"
            say(f"seen; to see it again: {again}" if remembered else "cannot remember that you looked")


def _put_object(found: Changes) -> None:
    """Print the JSON object row by row, so that a hundred thousand rows take little memory."""
    import msgspec

    head = msgspec.json.encode(found.as_dict()).decode().removesuffix("}")
    sys.stdout.write(f'{head},"rows":[')
    for number, row in enumerate(found):
        told = {"run": row.run, "search": row.search, "kind": row.kind, "what": row.what, "key": row.key}
        line = msgspec.json.encode({**told, "columns": row.columns}).decode()
        sys.stdout.write(f"{',' if number else ''}\n{line}")
    sys.stdout.write("]}\n")


def _put_lines(found: Changes, chosen: Settings) -> None:
    from catalog.changes.report import sections, told_values
    from catalog.text import harmless

    if not found:
        if chosen.verbosity >= 0:
            say(f"nothing changed {harmless(found.summary())}")
        return
    lines = [harmless(found.summary())]
    for section in sections(found):
        lines += [f"{section.heading}:", *(f"  {harmless(line)}" for line in section.lines)]
    sys.stdout.write("\n".join(lines) + "\n")
    if chosen.verbosity > 0:
        sys.stdout.write("One by one:\n")
        for row in found:
            by = f"run {row.run}, {row.search}" if row.search else f"run {row.run}"
            told = told_values(row, None)
            sys.stdout.write(
                harmless(f"  {row.what} {row.kind} ({by}): {row.key}" + (f": {told}" if told else "")) + "\n"
            )


def diff(
    context: typer.Context,
    first: Annotated[int, typer.Argument(metavar="RUN", help="The earlier run.")],
    second: Annotated[int, typer.Argument(metavar="RUN", help="The later run.")],
    what: What = None,
    json: Json = False,
) -> None:
    """List what became of files, observations and products between two runs, with the columns that differ."""
    from catalog.changes.span import require_run
    from catalog.store.history.row_changes import differences

    with settings(context).database.read() as connection:
        for run in (first, second):
            require_run(connection, run)
        found = differences(connection, first, second)
    _put([(second, *row) for row in found if what in (None, row[1])], json)


def _put(found: list[tuple[Any, ...]], json: bool) -> None:
    if json:
        put_json([dict(zip(_NAMES, row, strict=True)) for row in found])
    elif found:
        put_table(_NAMES, found)
    else:
        say("nothing changed")
