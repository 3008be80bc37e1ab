"""``mastlake script``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Dataproducts, Extensions, Json, Levels, Release, SearchName, Subgroups, Types, settings
from .printing import put_json, say
from .product_options import GuideStars, MaxSize, Sql, Template, selection


def register(app: typer.Typer) -> None:
    app.command("script")(script)


def script(
    context: typer.Context,
    name: SearchName = None,
    types: Types = None,
    levels: Levels = None,
    subgroups: Subgroups = None,
    dataproducts: Dataproducts = None,
    extensions: Extensions = None,
    release: Release = None,
    sql: Sql = None,
    guide_stars: GuideStars = None,
    max_size: MaxSize = None,
    template: Template = "{filename}",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there, not to stdout.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a bash script that fetches the same files with curl, for a machine without mastlake."""
    from catalog.atomic_file import EXECUTABLE, put_in_place
    from catalog.errors import UsageError
    from catalog.sync.script import script as written
    from catalog.sync.tokens import MAST, origin

    chosen = settings(context)
    wanted = selection(
        name,
        types,
        levels,
        subgroups,
        dataproducts,
        extensions,
        sql=sql,
        guide_stars=guide_stars,
        max_size=max_size,
        release=release,
    )
    if not chosen.server_is_chosen and origin(chosen.server) != MAST:
        raise UsageError(
            f"mastlake.toml names the server {chosen.server}, to which the script would send your token; "
            f"name it yourself: mastlake --server {chosen.server} script ..."
        )
    text = written(chosen.database, wanted, server=chosen.server, template=template)
    if output is None:
        put_json({"script": text}) if json else typer.echo(text, nl=False)
        return
    with put_in_place(output, EXECUTABLE) as sink:
        sink.write(text.encode())
    put_json({"file": str(output)}) if json else say(f"{output}: run it with bash {output}")
