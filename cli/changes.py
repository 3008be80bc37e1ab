"""``mastlake changes`` and ``mastlake diff``."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completion
from .listing import ListingOptions, listing_options, put_list, text_output
from .options import Form, Json, Limit, Output, Settings, settings
from .printing import note, say

if TYPE_CHECKING:
    from catalog.api.types import Changes, Row


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
_TOLD = ("run", "search", "kind", "what", "key", "columns")
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
        bool, typer.Option("--local", help="Only files on this disk, and files that should be reduced again.")
    ] = False,
    what: What = None,
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Tell what changed in the archive since you last looked, over all searches.

    What changed in the same way is one line; -v lists every row with its old and new values. What changed twice counts
    once, from its oldest to its newest value. Only a look without RUN, --since, --local, --what and --limit is
    remembered.
    """
    from catalog.errors import UsageError

    if run is not None and since is not None:
        raise UsageError("give a RUN or --since, not both")
    asked = listing_options(context, form, output, json, limit)
    options = settings(context)
    with_rows = not asked.is_table or options.verbosity > 0
    changed = options.lake.changes(since=since, run=run, search=search, what=what, local=local, with_rows=with_rows)
    _put_changes(changed, asked, options)
    if run is None and since is None and not local and what is None and limit is None:
        _remember_look(changed, asked, options)


def _put_changes(changed: Changes, asked: ListingOptions, options: Settings) -> None:
    """Print what changed in the format that was asked for."""
    limit = asked.limit
    if asked.is_json:
        _put_object(changed, asked)
    elif asked.is_table:
        _put_lines(changed, options, limit)
    else:
        rows = [_as_object(row) for row in islice(changed, limit)]
        put_list(asked, (), (), lambda: rows, "row", names=_TOLD)
    if limit is not None and _is_cut(changed, limit, options.verbosity > 0 or not asked.is_table):
        note(f"the first {limit:,} rows; --limit shows more")
    sys.stdout.flush()


def _remember_look(changed: Changes, asked: ListingOptions, options: Settings) -> None:
    """Let the next look begin after this one, and say how to see the same changes again."""
    if changed.span.until <= changed.span.since:
        return
    remembered = options.lake.remember_seen(changed)
    if options.verbosity >= 0 and not asked.is_json:
        again = f"mastlake changes --since {changed.span.since}"
        say(f"seen; to see it again: {again}" if remembered else "cannot remember that you looked")


def _as_object(row: Row) -> dict[str, Any]:
    described = {"run": row.run, "search": row.search, "kind": row.kind, "what": row.what, "key": row.key}
    return {**described, "columns": row.columns}


def _is_cut(changed: Changes, limit: int, by_row: bool) -> bool:
    """Say whether there are more rows than the limit; on a page without rows, more lines in a section."""
    if by_row:
        return next(islice(changed, limit, None), None) is not None
    return len(changed.lines()) > limit


def _put_object(changed: Changes, asked: ListingOptions) -> None:
    """Write the JSON object row by row, so that a hundred thousand rows need little memory."""
    import msgspec

    head = msgspec.json.encode(changed.as_dict()).decode().removesuffix("}")
    with text_output(asked) as sink:
        sink.write(f'{head},"rows":[')
        for number, row in enumerate(islice(changed, asked.limit)):
            sink.write(f"{',' if number else ''}\n{msgspec.json.encode(_as_object(row)).decode()}")
        sink.write("]}\n")


def _put_lines(told_changes: Changes, options: Settings, limit: int | None) -> None:
    from catalog.text import harmless

    if not told_changes:
        if options.verbosity >= 0:
            say(f"nothing changed {harmless(told_changes.summary())}")
        return
    lines = [harmless(told_changes.summary())]
    for section in told_changes.sections():
        lines += [f"{section.heading}:", *(f"  {harmless(line)}" for line in section.lines[:limit])]
    sys.stdout.write("\n".join(lines) + "\n")
    if options.verbosity > 0:
        sys.stdout.write("One by one:\n")
        for row in islice(told_changes, limit):
            by = f"run {row.run}, {row.search}" if row.search else f"run {row.run}"
            values = row.told_values(None)
            sys.stdout.write(
                harmless(f"  {row.what} {row.kind} ({by}): {row.key}" + (f": {values}" if values else "")) + "\n"
            )


def diff(
    context: typer.Context,
    first: Annotated[int, typer.Argument(metavar="RUN", help="The earlier run.")],
    second: Annotated[int, typer.Argument(metavar="RUN", help="The later run.")],
    what: What = None,
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List what happened to files, observations and products between two runs, with the columns that differ."""
    asked = listing_options(context, form, output, json, limit)
    differences = settings(context).lake.diff(first, second)
    rows = [(second, *row) for row in differences if what in (None, row[1])]
    put_list(asked, _NAMES, rows, lambda: [dict(zip(_NAMES, row, strict=True)) for row in rows], "row", names=_NAMES)
    if not rows:
        note("nothing changed")
