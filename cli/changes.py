"""``mastlake changes`` and ``mastlake diff``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Json, Settings, settings
from .output import put_json, put_table, say


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
    run: Annotated[int | None, typer.Argument(help="The run; without it, the last one that changed something.")] = None,
    what: What = None,
    json: Json = False,
) -> None:
    """List what a run changed: new, changed, withdrawn and returned, with the columns that differ."""
    found = _query(
        settings(context),
        [run] if run is not None else [],
        """SELECT run, kind, what, key, columns FROM changes
           WHERE run = coalesce(?, (SELECT max(run) FROM changes)) AND (what = ? OR ? IS NULL)
           ORDER BY what, kind, key""",
        [run, what, what],
    )
    _put(found, json)


def diff(
    context: typer.Context,
    first: Annotated[int, typer.Argument(metavar="RUN", help="The earlier run.")],
    second: Annotated[int, typer.Argument(metavar="RUN", help="The later run.")],
    what: What = None,
    json: Json = False,
) -> None:
    """List what became of files, observations and products between two runs, with the columns that differ."""
    from catalog.store.timeline import differences

    with settings(context).database.read() as connection:
        _require_runs(connection, [first, second])
        found = differences(connection, first, second)
    _put([(second, *row) for row in found if what in (None, row[1])], json)


def _query(chosen: Settings, runs: list[int], sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with chosen.database.read() as connection:
        _require_runs(connection, runs)
        return connection.execute(sql, values).fetchall()


def _require_runs(connection: Any, wanted: list[int]) -> None:
    from catalog.errors import UsageError

    there_are = {row[0] for row in connection.execute("SELECT run FROM runs").fetchall()}
    for run in wanted:
        if run not in there_are:
            raise UsageError(f"there is no run {run}; mastlake runs lists them")


def _put(found: list[tuple[Any, ...]], json: bool) -> None:
    if json:
        put_json([dict(zip(_NAMES, row, strict=True)) for row in found])
    elif found:
        put_table(_NAMES, found)
    else:
        say("nothing changed")
