"""``mastlake products``."""

from __future__ import annotations

from typing import Any

import typer

from catalog.text import plural, size

from .listing import ListingOptions, listing_options, put_arrow, tell_cut
from .options import (
    Dataproducts,
    Extensions,
    Form,
    Json,
    Levels,
    Limit,
    Output,
    Release,
    SearchName,
    Subgroups,
    Types,
    settings,
)
from .printing import note, put_table
from .product_options import filters, hint_at_nothing


def register(app: typer.Typer) -> None:
    app.command("products")(products)


def products(
    context: typer.Context,
    name: SearchName = None,
    types: Types = None,
    levels: Levels = None,
    subgroups: Subgroups = None,
    dataproducts: Dataproducts = None,
    extensions: Extensions = None,
    release: Release = None,
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List what can be downloaded: the products of a search's observations, each once."""
    asked = listing_options(context, form, output, json, limit)
    lake = settings(context).lake
    selected = filters(types, levels, subgroups, dataproducts, extensions, release=release)
    if asked.is_table:
        count = _put_rows(lake.product_rows(_SHOWN, name, **selected), asked)
    else:
        listed = lake.products(name, **selected)
        put_arrow(asked, listed.rows, "product")
        count = len(listed)
    if not count:
        hint_at_nothing(lake, name)


_SHOWN = ("filename", "productType", "productSubGroupDescription", "calib_level", "size", "dataRights")
_SIZE = _SHOWN.index("size")


def _put_rows(rows: list[tuple[Any, ...]], asked: ListingOptions) -> int:
    cells = [
        [size(value) if at == _SIZE and value is not None else value for at, value in enumerate(row)]
        for row in rows[: asked.limit]
    ]
    put_table(("filename", "type", "subgroup", "level", "size", "rights"), cells)
    tell_cut(asked, len(rows), "product")
    note(f"{plural(len(rows), 'product')}, {size(sum(row[_SIZE] or 0 for row in rows))}")
    return len(rows)
