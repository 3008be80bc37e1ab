"""``mastlake serve``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .options import settings
from .printing import note, say


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Listen there; other machines need the --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(envvar="MASTLAKE_PAGE_TOKEN", metavar="TOKEN", help="What a browser must know, for --host."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    read_timeout: Annotated[
        float, typer.Option(min=0.1, max=3600, metavar="SECONDS", help="How long one page may take to be read.")
    ] = 30.0,
) -> None:
    """Look at the catalog in the browser: a local page that only reads, and asks no other server.

    It prints READY and its address, and serves until Ctrl-C. Harvests and syncs can run meanwhile.
    """
    _require()
    from catalog.api.catalog import Catalog
    from catalog.page.server import Served, checked_door, open_browser
    from catalog.page.server import serve as serve_page
    from catalog.process import exit as leaving

    options = settings(context)
    door = checked_door(host, token)
    leaving.at_once = None  # one question that is too large must not end the page for everybody

    def ready(served: Served) -> None:
        typer.echo(f"READY {served.address}")
        sys.stdout.flush()
        note(f"open {served.opened} in a browser; Ctrl-C ends it")
        if open_it:
            open_browser(served.opened)

    tell = say if options.verbosity > 0 else lambda line: None  # the browser waits, and nobody reads this
    local = options.local_beside(options.catalog)
    with Catalog.open(options.catalog, server=str(options.server), wait=read_timeout, tell=tell, local=local) as lake:
        lake.sql("SELECT 1")  # a catalog that cannot be read is an error here, and not on every page
        serve_page(lake, door, port, read_timeout, ready)


def _require() -> None:
    from importlib.util import find_spec

    from catalog.errors import MastlakeError

    absent = [name for name in ("starlette", "jinja2", "uvicorn") if find_spec(name) is None]
    if absent:
        raise MastlakeError(f"the page needs {', '.join(absent)}: pip install 'mastlake[page]'")
