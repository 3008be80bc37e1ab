"""``mastlake plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import settings
from .output import say


def register(app: typer.Typer) -> None:
    app.command("plot")(plot)


def plot(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A FITS file's path, or the name of a local file in the catalog.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PICTURE", help="PNG, SVG or PDF; default: the name with .png."),
    ] = None,
) -> None:
    """Draw a science image or 1-D spectra, and write the picture."""
    from catalog.plots import plot_file

    source = _located(context, file)
    picture = output or Path(source.name).with_suffix(".png")
    told = plot_file(source, picture)
    say(f"{picture}: {told}")


def _located(context: typer.Context, file: str) -> Path:
    from catalog.errors import UsageError

    path = Path(file)
    if path.exists():
        return path
    database = settings(context).database
    if database.exists():
        with database.read() as connection:
            row = connection.execute("SELECT path FROM local_files WHERE filename = ?", [file]).fetchone()
        if row and Path(row[0]).exists():
            return Path(row[0])
    raise UsageError(f"no file {file}, neither at that path nor among the catalog's local files")
