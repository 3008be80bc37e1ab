"""``mastlake index``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, settings
from .output import plural, put_json, say
from .progress import index_progress

if TYPE_CHECKING:
    from catalog.headers import Failure


def register(app: typer.Typer) -> None:
    app.command("index")(index)


def index(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR ...", help="Folders with FITS files, or single files.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all bytes too, and compare their MD5 with the archive's.")
    ] = False,
    json: Json = False,
) -> None:
    """Read the headers of local FITS files into the catalog: every card of every HDU."""
    from dataclasses import asdict

    from catalog.headers import index_folders

    chosen = settings(context)
    with index_progress(chosen.verbosity < 0 or json) as show:
        report = index_folders(chosen.database, folders, verify=verify, on_event=show)
    for failure in report.failures:
        say(f"mastlake: {failure.path}{_where(failure)}: {failure.reason}")
    if json:
        put_json(asdict(report))
    elif chosen.verbosity >= 0:
        say(
            f"{plural(report.files, 'FITS file')}: {report.read:,} read, {report.unchanged:,} unchanged, "
            f"{report.removed:,} gone, {report.failed:,} failed"
        )
        say(f"  {plural(report.hdus, 'HDU')}, {plural(report.cards, 'card')} in {report.seconds:.1f} s")
    if report.failed:
        raise typer.Exit(1)


def _where(failure: Failure) -> str:
    hdu = f", HDU {failure.hdu}" if failure.hdu is not None else ""
    return hdu + (f", byte {failure.byte}" if failure.byte is not None else "")
