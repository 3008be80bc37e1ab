"""Write pictures to a file, and show them in terminals that can."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Settings
from .printing import put_json, say

if TYPE_CHECKING:
    from catalog.api.types import Drawing

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="PICTURE", help="PNG, SVG or PDF, by its ending.")
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="png|svg|pdf",
        help="What kind of picture, where -o does not say.",
        autocompletion=lambda: ["png", "svg", "pdf"],
    ),
]
Show = Annotated[
    bool | None,
    typer.Option("--show/--no-show", help="Also show it in the terminal; by default where stdout is one."),
]

_TOLD = 3
"""How many omitted parts are named with their reasons."""
_CELL = 2.0
"""The height of a character divided by its width."""


def deliver(
    drawing: Drawing,
    picture: Path,
    options: Settings,
    show: bool | None,
    json: bool,
    facts: dict[str, Any],
    kind: str | None = None,
) -> None:
    """Write a picture to its file, show it if that is possible, and say what was drawn."""
    drawing.write(picture, kind)
    tell_left_out(drawing, options)
    if json:
        put_json({"picture": str(picture), "drawn": drawing.told, **facts})
        return
    if wants_show(show, options):
        put_picture(drawing.png())
    if options.verbosity >= 0:
        say(f"{picture}: {drawing.told}")


def tell_left_out(drawing: Drawing, options: Settings) -> None:
    """Say in one line what a picture does not show, and why."""
    if drawing.left_out and options.verbosity >= 0:
        count = len(drawing.left_out) - _TOLD
        more = f"; and {count:,} more" if count > 0 else ""
        say(f"mastlake: left out: {'; '.join(drawing.left_out[:_TOLD])}{more}")


def wants_show(show: bool | None, options: Settings) -> bool:
    """Say whether to show a picture in the terminal: as asked, or if stdout is a terminal with colours."""
    if show is not None:
        return show
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not plain and options.verbosity >= 0


def put_picture(png: bytes) -> None:
    """Draw a picture in the terminal, in the best way that the terminal supports: kitty's, sixels, or half blocks."""
    import logging

    logging.getLogger("textual_image").setLevel(logging.ERROR)  # not every terminal tells its size in pixels
    from PIL import Image
    from rich.console import Console
    from textual_image.renderable import HalfcellImage, UnicodeImage
    from textual_image.renderable import Image as Best

    console = Console(file=sys.stdout)
    way = Best if Best is not UnicodeImage else HalfcellImage  # --show was given although stdout is no terminal
    with Image.open(io.BytesIO(png)) as picture:
        fitting = (console.height - 2) * _CELL * picture.width / picture.height
        width = max(20, min(console.width, int(fitting)))
        console.print(way(picture.convert("RGB"), width=width, height="auto"))
