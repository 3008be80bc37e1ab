"""``mastlake plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog.api.types import FITS_ENDINGS

from .completion import fits_files
from .options import Json, settings
from .picture import Kind, Output, Show, deliver


def register(app: typer.Typer) -> None:
    app.command("plot")(plot)


def plot(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A path (FITS, or ECSV of a light curve), or the name of a local file in the catalog.",
            autocompletion=fits_files,
        ),
    ],
    output: Output = None,
    kind: Kind = None,
    hdu: Annotated[
        str | None, typer.Option("--hdu", metavar="NAME", help="Draw the image of this HDU, by name or number.")
    ] = None,
    show: Show = None,
    json: Json = False,
) -> None:
    """Draw the contents of a file: an image, spectra, a time series of spectra, or a light curve.

    An image has a stretch that shows faint and bright parts, and axes on the sky if its WCS allows. Spectra have their
    units. A time series is drawn as time against wavelength. Without -o, the picture is the file's name with .png.
    """
    from catalog.api.pictures import picture_path

    options = settings(context)
    picture = picture_path(output, kind, _beside(Path(file)))
    drawing = options.lake.plot(file, hdu)
    deliver(drawing, picture, options, show, json, {"file": str(drawing.content)}, kind)


def _beside(source: Path) -> Path:
    """Return the name of a picture: the name of its file without the endings of FITS and of compressions."""
    ending = next(
        (ending_of_fits for ending_of_fits in FITS_ENDINGS if source.name.lower().endswith(ending_of_fits)),
        source.suffix,
    )
    return Path(f"{source.name[: len(source.name) - len(ending)] or 'picture'}.png")
