"""``mastlake script``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog.defaults import TEMPLATE

from .options import Dataproducts, Extensions, Json, Levels, Release, SearchName, Subgroups, Types, settings
from .printing import note, put_json
from .product_options import GuideStars, MaxSize, Sql, Template, filters, hint_at_nothing


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
    template: Template = TEMPLATE,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there, not to stdout.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a bash script that fetches the same files with curl, for a machine without mastlake."""
    from catalog.atomic_file import EXECUTABLE, put_in_place

    options = settings(context)
    selected = filters(
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
    text = options.lake.script(name, template=template, **selected)
    if "\n  get " not in text:
        hint_at_nothing(options.lake, name, sql)
    if output is None:
        put_json({"script": text}) if json else typer.echo(text, nl=False)
        return
    with put_in_place(output, EXECUTABLE) as sink:
        sink.write(text.encode())
    put_json({"file": str(output)}) if json else note(f"{output}: run it with bash {output}")
