"""``mastlake login``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .options import Json, settings
from .output import put_json, say


def register(app: typer.Typer) -> None:
    app.command("login")(login)


def login(
    context: typer.Context,
    store: Annotated[bool, typer.Option("--store/--no-store", help="Keep the token in the system keyring.")] = True,
    json: Json = False,
) -> None:
    """Check a MAST token, and keep it in the system keyring.

    The token is read from MAST_API_TOKEN or from a pipe, or asked for without showing it. Make one at https://auth.mast.stsci.edu.
    """
    from catalog.archive.client import MastArchive
    from catalog.sync.tokens import keep_token

    given = os.environ.get("MAST_API_TOKEN")
    token = given or _asked_for()
    with MastArchive(settings(context).server) as archive:
        name = archive.login(token.strip())
    kept = store and not given
    if not json:
        say(f"MAST accepts the token of {name}")
    if kept:
        keep_token(token.strip())
    if json:
        put_json({"name": name, "kept": kept})
    elif kept:
        say("kept in the system keyring")


def _asked_for() -> str:
    """Ask a person, or take the line that was piped in."""
    from catalog.errors import UsageError

    if sys.stdin.isatty():
        return str(typer.prompt("MAST token", hide_input=True, err=True))
    token = sys.stdin.readline()
    if not token.strip():
        raise UsageError("nobody is there to be asked for a token; pipe it in, or set MAST_API_TOKEN")
    return token
