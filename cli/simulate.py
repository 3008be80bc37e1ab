"""``mastlake simulate``."""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from .options import settings


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    files: Annotated[
        int | None, typer.Option(min=1, help="Roughly how many files; without it, a few thousand.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes another sky.")] = 1,
) -> None:
    """Serve the built-in archive: a made-up sky in MAST's own protocol, on this machine only.

    It prints READY and its address. Then, in another terminal: mastlake --server ADDRESS harvest ...
    """
    from catalog.errors import MastlakeError
    from catalog.simulator import serve_forever

    settings(context)  # refuses wrong global options, as it does for every command

    def ready(address: str) -> None:
        typer.echo(f"READY {address}")
        sys.stdout.flush()

    try:
        serve_forever(port, files=files, seed=seed, ready=ready)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise MastlakeError(f"port {port} cannot be used: {error.strerror}; give another port, or none") from error
