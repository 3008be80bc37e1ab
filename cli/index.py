"""``mastlake index``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.errors import UsageError
from catalog.text import plural

from .index_progress import index_progress
from .options import Json, settings
from .printing import put_json, say
from .shared import Share, share_folders

if TYPE_CHECKING:
    from catalog.api.types import IndexFailure, IndexReport


def register(app: typer.Typer) -> None:
    app.command("index")(index)


def index(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR ...", help="Folders with FITS files, or single files.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all bytes too, and compare their MD5 with the archive's.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: index again whatever changes in the folders, until interrupted.")
    ] = False,
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor", metavar="dask://HOST:PORT", help="Let the workers of this Dask scheduler read the headers."
        ),
    ] = None,
    share: Share = False,
    json: Json = False,
) -> None:
    """Read the headers of local FITS files into the catalog: every card of every HDU.

    Files with known size, time and inode are not opened again. With --json, --watch prints one value each time that it
    indexes. The workers of --executor must see the folders at the same paths.
    """
    options = settings(context)
    if watch and executor is not None:
        raise UsageError("--watch reads with processes of this machine; leave out --executor")
    if share:
        options.lake.require_sharing(*folders)
    with index_progress(options.verbosity < 0, bar=not json) as show:
        if watch:
            for report in options.lake.watch(*folders, verify=verify, on_event=show):
                _tell(report, options.verbosity, json)
                share_folders(options, folders if share else ())
            return
        report = options.lake.index(*folders, verify=verify, executor=executor, on_event=show)
    _tell(report, options.verbosity, json)
    share_folders(options, folders if share else ())
    if report.failed:
        raise typer.Exit(1)


def _tell(report: IndexReport, verbosity: int, json: bool) -> None:
    for failure in report.failures:
        say(f"mastlake: {failure.path}{_where(failure)}: {failure.reason}")
    if json:
        put_json(asdict(report))
        sys.stdout.flush()
    elif verbosity >= 0:
        say(
            f"{plural(report.files, 'FITS file')}: {report.read:,} read, {report.unchanged:,} unchanged, "
            f"{report.removed:,} gone, {report.failed:,} failed"
        )
        say(f"  {plural(report.hdus, 'HDU')}, {plural(report.cards, 'card')} in {report.seconds:.1f} s")
        if report.verified is not None:
            say(
                f"  bytes of {plural(report.verified, 'file')} compared with a checksum; there is none for "
                f"{plural(report.unverified or 0, 'file')}"
            )


def _where(failure: IndexFailure) -> str:
    hdu = f", HDU {failure.hdu}" if failure.hdu is not None else ""
    return hdu + (f", byte {failure.byte}" if failure.byte is not None else "")
