"""``mastlake outdated``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json, settings
from .output import put_json, put_table, say


def register(app: typer.Typer) -> None:
    app.command("outdated")(outdated)


def outdated(
    context: typer.Context,
    why: Annotated[bool, typer.Option("--why", help="Say why, from what to what.")] = False,
    json: Json = False,
) -> None:
    """List local files that are stale, missing, corrupt or unknown to the archive, as of the last harvest."""
    from dataclasses import asdict

    from catalog.drift import outdated as compare

    found = asdict(compare(settings(context).database))
    if json:
        put_json(found)
        return
    rows = [
        (kind, one["filename"], one["reason"] if why else one["path"]) for kind, files in found.items() for one in files
    ]
    if rows:
        put_table(("state", "filename", "why" if why else "path"), rows, wrap=("why",))
    say(", ".join(f"{len(files):,} {kind}" for kind, files in found.items()))
