"""``mastlake login``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, Settings, settings
from .printing import put_json, say

if TYPE_CHECKING:
    from catalog.api.catalog import Catalog


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
    from catalog.api.types import TOKEN_VARIABLE

    options = settings(context)
    _named_by_the_user(options)
    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    source = TOKEN_VARIABLE if given else "the terminal" if sys.stdin.isatty() else "the pipe"
    token = given or _asked_for()
    name = options.lake.login(token, source)
    if not json:
        say(f"MAST accepts the token of {name}")
    kept = _keep(options.lake, token, file) if store and (file or not given) else None
    if json:
        put_json({"name": name, "kept": kept is not None})
    elif kept:
        say(kept)


def _named_by_the_user(options: Settings) -> None:
    """Refuse to give a token to a server that only a folder's file names."""
    from catalog.errors import UsageError

    if options.defaults is not None and not options.lake.server_is_trusted:
        raise UsageError(
            f"{options.defaults.path} names the server {options.server}; if your token is for it, name it yourself: "
            f"mastlake --server {options.server} login"
        )


def _keep(lake: Catalog, token: str, file: bool) -> str:
    """Keep the token, and return a message about it."""
    from catalog.errors import DiskError

    if not file and lake.keep_token(token):
        return "kept in the system keyring"
    if not file and sys.stdin.isatty():
        question = f"This machine has no keyring. Keep the token in {lake.token_path}, which only you can read?"
        file = typer.confirm(question, err=True)
    if not file:
        raise DiskError(
            "the token is right, but this machine has no keyring to keep it in; keep it in a file that only you can "
            "read: mastlake login --file, or set MAST_API_TOKEN each time"
        )
    return f"kept in {lake.keep_token_in_file(token)}, which only you can read"


def _asked_for() -> str:
    """Ask a person for the token, or read the line that was piped in."""
    from catalog.errors import UsageError

    if sys.stdin.isatty():
        return str(typer.prompt("MAST token", hide_input=True, err=True))
    token = sys.stdin.readline()
    if not token.strip():
        raise UsageError("there is no terminal to ask for a token; pipe it in, or set MAST_API_TOKEN")
    return token
