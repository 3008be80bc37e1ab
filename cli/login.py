"""``mastlake login``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .options import settings
from .output import say


def register(app: typer.Typer) -> None:
    app.command("login")(login)


def login(
    context: typer.Context,
    store: Annotated[bool, typer.Option("--store/--no-store", help="Keep the token in the system keyring.")] = True,
) -> None:
    """Check a MAST token, and keep it in the system keyring.

    The token is read from MAST_API_TOKEN, or asked for without showing it. Make one at https://auth.mast.stsci.edu.
    """
    from catalog.archive.client import MastArchive
    from catalog.sync.tokens import keep_token

    given = os.environ.get("MAST_API_TOKEN")
    token = given or typer.prompt("MAST token", hide_input=True, err=True)
    with MastArchive(settings(context).server) as archive:
        name = archive.login(token.strip())
    say(f"MAST accepts the token of {name}")
    if store and not given:
        keep_token(token.strip())
        say("kept in the system keyring")
