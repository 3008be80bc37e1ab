"""``mastlake changes`` and ``mastlake diff``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Json, Settings, settings
from .output import put_json, put_table, say


def register(app: typer.Typer) -> None:
    app.command("changes")(changes)
    app.command("diff")(diff)


What = Annotated[str | None, typer.Option("--what", help="file, observation or product; without it, all.")]
_NAMES = ("run", "kind", "what", "key", "columns")


def changes(
    context: typer.Context,
    run: Annotated[int | None, typer.Argument(help="The run; without it, the last one that changed something.")] = None,
    what: What = None,
    json: Json = False,
) -> None:
    """List what a run changed: new, changed, withdrawn and returned, with the columns that differ."""
    chosen = settings(context)
    found = _query(
        chosen,
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
        found = differences(connection, first, second)
    _put([(second, *row) for row in found if what in (None, row[1])], json)


def _query(chosen: Settings, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with chosen.database.read() as connection:
        return connection.execute(sql, values).fetchall()


def _put(found: list[tuple[Any, ...]], json: bool) -> None:
    if json:
        put_json([dict(zip(_NAMES, row, strict=True)) for row in found])
    elif found:
        put_table(_NAMES, found)
    else:
        say("nothing changed")
