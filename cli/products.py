"""``mastlake products``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from catalog.text import plural, size

from .listing import Wanted, put_arrow, tell_cut, wanted
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

if TYPE_CHECKING:
    from catalog.store.database import Database
    from catalog.sync.selection import Selection


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
    asked = wanted(context, form, output, json, limit)
    from catalog.api.arguments import selection

    database = settings(context).database
    chosen = selection(name, filters(types, levels, subgroups, dataproducts, extensions, release=release))
    if asked.is_table:
        count = _put_rows(database, chosen, asked)
    else:
        from catalog.sync.selection import products as listed_products

        found = listed_products(database, chosen)
        put_arrow(asked, found, "product")
        count = int(found.num_rows)
    if not count:
        hint_at_nothing(database, name)


_SHOWN = ("filename", "productType", "productSubGroupDescription", "calib_level", "size", "dataRights")
_SIZE = _SHOWN.index("size")


def _put_rows(database: Database, chosen: Selection, asked: Wanted) -> int:
    from catalog.sync.selection import product_rows

    rows = product_rows(database, chosen, _SHOWN)
    told = [
        [size(value) if at == _SIZE and value is not None else value for at, value in enumerate(row)]
        for row in rows[: asked.limit]
    ]
    put_table(("filename", "type", "subgroup", "level", "size", "rights"), told)
    tell_cut(asked, len(rows), "product")
    note(f"{plural(len(rows), 'product')}, {size(sum(row[_SIZE] or 0 for row in rows))}")
    return len(rows)
