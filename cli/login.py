"""``mastlake login``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .options import Json, Settings, settings
from .printing import put_json, say


def register(app: typer.Typer) -> None:
    app.command("login")(login)


def login(
    context: typer.Context,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep the token, in the system keyring or in the file.")
    ] = True,
    file: Annotated[
        bool, typer.Option("--file", help="Keep it in a file that only you can read: for machines without a keyring.")
    ] = False,
    json: Json = False,
) -> None:
    """Check a MAST token, and keep it in the system keyring, for this server.

    The token is read from MAST_API_TOKEN or from a pipe, or asked for without showing it. Make one at https://auth.mast.stsci.edu.
    """
    from catalog.sync.tokens import VARIABLE, cleaned

    chosen = settings(context)
    _named_by_the_user(chosen)
    given = os.environ.get(VARIABLE, "").strip()
    token = cleaned(given or _asked_for(), VARIABLE if given else "the terminal" if sys.stdin.isatty() else "the pipe")
    name = _checked(chosen, token)
    if not json:
        say(f"MAST accepts the token of {name}")
    kept = _keep(token, chosen.server, file) if store and (file or not given) else None
    if json:
        put_json({"name": name, "kept": kept is not None})
    elif kept:
        say(kept)


def _checked(chosen: Settings, token: str) -> str:
    from catalog.archive.client import MastArchive

    with MastArchive(chosen.server) as archive:
        return archive.login(token)


def _named_by_the_user(chosen: Settings) -> None:
    """Refuse to give a token to a server that only a folder's file names."""
    from catalog.errors import UsageError
    from catalog.sync.tokens import MAST, origin

    if not chosen.server_is_chosen and origin(chosen.server) != MAST and chosen.defaults is not None:
        raise UsageError(
            f"{chosen.defaults.path} names the server {chosen.server}; if your token is for it, name it yourself: "
            f"mastlake --server {chosen.server} login"
        )


def _keep(token: str, server: str, file: bool) -> str:
    """Keep the token, and return what to say of it."""
    from catalog.errors import DiskError
    from catalog.sync.tokens import keep_in_file, keep_token, token_file

    if not file and keep_token(token, server):
        return "kept in the system keyring"
    if not file and sys.stdin.isatty():
        question = f"This machine has no keyring. Keep the token in {token_file(server)}, which only you can read?"
        file = typer.confirm(question, err=True)
    if not file:
        raise DiskError(
            "the token is right, but this machine has no keyring to keep it in; keep it in a file that only you can "
            "read: mastlake login --file, or set MAST_API_TOKEN each time"
        )
    return f"kept in {keep_in_file(token, server)}, which only you can read"


def _asked_for() -> str:
    """Ask a person, or take the line that was piped in."""
    from catalog.errors import UsageError

    if sys.stdin.isatty():
        return str(typer.prompt("MAST token", hide_input=True, err=True))
    token = sys.stdin.readline()
    if not token.strip():
        raise UsageError("nobody is there to be asked for a token; pipe it in, or set MAST_API_TOKEN")
    return token
