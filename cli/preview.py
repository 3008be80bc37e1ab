"""``mastlake preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.text import plural

from .completion import previewed
from .options import Json, Settings, settings, tell_withheld
from .picture import Kind, Show, put_picture, tell_left_out, wants_show
from .printing import put, put_json, say

if TYPE_CHECKING:
    from catalog.api.types import Preview


def register(app: typer.Typer) -> None:
    app.command("preview")(preview)


def preview(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", help="Names of files, obs_id of observations, or searches.", autocompletion=previewed
        ),
    ],
    dest: Annotated[Path, typer.Option(metavar="DIR", help="Where the images go.")] = Path("previews"),
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most images.")] = 12,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PICTURE", help="Put all of them on one PNG, SVG or PDF.")
    ] = None,
    kind: Kind = None,
    show: Show = None,
    json: Json = False,
) -> None:
    """Fetch the archive's preview images, and show them.

    Images that are on disk already are not fetched again. If images are not shown, their paths are printed.
    """
    from dataclasses import asdict

    from catalog.api.pictures import picture_path

    options = settings(context)
    if output is not None or kind is not None:
        output = picture_path(output, kind, Path("previews.png"))
    found = options.lake.previews(*names, limit=limit)
    failed = _fetch(options, found, dest, json)
    here = [(image, dest / image.filename) for image in found if image.filename not in failed]
    here = [(image, path) for image, path in here if path.exists()]  # a sync that gives up does not name every file
    sheet_written = _show(options, [path for _, path in here], output, False if json else show)
    if json:
        put_json([{**asdict(image), "path": str(path)} for image, path in here])
    elif not sheet_written:
        for _, path in here:
            put(str(path))
    if failed:
        raise typer.Exit(1)


def _fetch(options: Settings, previews: list[Preview], dest: Path, json: bool) -> set[str]:
    """Fetch images that are not on disk; say and return which could not be fetched."""
    from .progress import sync_progress

    tell_withheld(options)
    with sync_progress(options.verbosity < 0 or json) as shown:
        report = options.lake.fetch_previews(previews, dest, on_event=shown)
    for failure in report.failures:
        say(f"mastlake: {failure.filename or 'not tried'}: {failure.reason}")
    if report.interrupted:
        raise KeyboardInterrupt
    return {failure.filename for failure in report.failures}


def _show(options: Settings, paths: list[Path], output: Path | None, show: bool | None) -> bool:
    """Draw the images on a sheet if asked for, and show them on the terminal; return whether either was done."""
    on_terminal = wants_show(show, options)
    if not paths or (output is None and not on_terminal):
        return False
    drawing = options.lake.sheet(paths)
    tell_left_out(drawing, options)
    if output is not None:
        drawing.write(output)
        say(f"{output}: {drawing.told}")
    if on_terminal:
        put_picture(drawing.png())
        if output is None:
            say(f"{plural(len(paths), 'preview')} in {paths[0].parent}")
    return True
