"""``mastlake forget``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog.errors import UsageError
from catalog.text import plural

from .options import Json, settings
from .printing import put_json, say


def register(app: typer.Typer) -> None:
    app.command("forget")(forget)


def forget(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH ...", help="Files, or folders with all below them.")],
    json: Json = False,
) -> None:
    """Forget local files that will not come back: they are no longer missing, and their history stays.

    No file on disk is touched. A file that is still there is found again by the next index.
    """
    options, forgotten = settings(context), 0
    for path in paths:
        count = options.lake.forget(path)
        if not count:
            raise UsageError(f"the catalog knows no file at {path.absolute()} or below it; see: mastlake outdated")
        forgotten += count
    if json:
        put_json({"forgotten": forgotten})
    elif options.verbosity >= 0:
        say(f"{plural(forgotten, 'file')} forgotten")
