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
    from catalog.api.types import PreviewImages


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
    fetched = _fetch(options, names, dest, limit, json)
    is_shown = _show(options, fetched, output, kind, False if json else show)
    if json:
        put_json([{**asdict(preview), "path": str(path)} for preview, path in fetched.images])
    elif not is_shown:
        for path in fetched.paths:
            put(str(path))
    if fetched.report.failures:
        raise typer.Exit(1)


def _fetch(options: Settings, names: list[str], dest: Path, limit: int, json: bool) -> PreviewImages:
    """Fetch images that are not on disk, and say which could not be fetched."""
    from .progress import sync_progress

    tell_withheld(options)
    with sync_progress(options.verbosity < 0 or json) as shown:
        fetched = options.lake.preview_images(*names, dest=dest, limit=limit, on_event=shown)
    for failure in fetched.report.failures:
        say(f"mastlake: {failure.filename or 'not tried'}: {failure.reason}")
    if fetched.report.interrupted:
        raise KeyboardInterrupt
    return fetched


def _show(options: Settings, fetched: PreviewImages, output: Path | None, kind: str | None, show: bool | None) -> bool:
    """Draw the images on a sheet if asked for, and show them on the terminal; return whether either was done."""
    on_terminal = wants_show(show, options)
    if not fetched.images or (output is None and not on_terminal):
        return False
    drawing = fetched.sheet()
    tell_left_out(drawing, options)
    if output is not None:
        drawing.write(output, kind)
        say(f"{output}: {drawing.told}")
    if on_terminal:
        put_picture(drawing.png())
        if output is None:
            say(f"{plural(len(fetched.images), 'preview')} in {fetched.paths[0].parent}")
    return True
