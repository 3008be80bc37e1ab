"""Pictures: to a file, and in terminals that can show one."""

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
"""Parts that were left out, and are told with their reasons."""
_CELL = 2.0
"""How many times a character is as high as it is wide."""


def deliver(
    drawing: Drawing, picture: Path, options: Settings, show: bool | None, json: bool, facts: dict[str, Any]
) -> None:
    """Write a picture to its file, show it where that is possible, and say what was drawn."""
    drawing.write(picture)
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
    """Say whether a picture goes to the terminal: as asked, or where stdout is a terminal with colours."""
    if show is not None:
        return show
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not plain and options.verbosity >= 0


def put_picture(png: bytes) -> None:
    """Draw a picture in the terminal, in the best way that it says it knows: kitty's, sixels, or half blocks."""
    import logging

    logging.getLogger("textual_image").setLevel(logging.ERROR)  # that a terminal keeps its sizes to itself is no matter
    from PIL import Image
    from rich.console import Console
    from textual_image.renderable import HalfcellImage, UnicodeImage
    from textual_image.renderable import Image as Best

    console = Console(file=sys.stdout)
    way = Best if Best is not UnicodeImage else HalfcellImage  # asked for although stdout is no terminal
    with Image.open(io.BytesIO(png)) as picture:
        fitting = (console.height - 2) * _CELL * picture.width / picture.height
        width = max(20, min(console.width, int(fitting)))
        console.print(way(picture.convert("RGB"), width=width, height="auto"))
