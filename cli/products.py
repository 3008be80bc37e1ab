"""``mastlake products``."""

from __future__ import annotations

import typer

from catalog.text import plural, size

from .options import Dataproducts, Extensions, Json, Levels, Release, SearchName, Subgroups, Types, settings
from .printing import note, put_json, put_table, say
from .product_options import selection


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
    json: Json = False,
) -> None:
    """List what can be downloaded: the products of a search's observations, each once."""
    from catalog.answers.formats import objects
    from catalog.sync.selection import products as listed_products

    wanted = selection(name, types, levels, subgroups, dataproducts, extensions, release=release)
    found = listed_products(settings(context).database, wanted)
    if found.num_rows == 0:
        from catalog.questions.hints import nothing_selected

        say(nothing_selected(settings(context).database, name))
    if json:
        put_json(list(objects(found.to_reader())))
        return
    shown = ("filename", "productType", "productSubGroupDescription", "calib_level", "size", "dataRights")
    rows = [[row[column] for column in shown] for row in found.select(shown).to_pylist()]
    for row in rows:
        row[4] = size(row[4]) if row[4] is not None else None
    put_table(("filename", "type", "subgroup", "level", "size", "rights"), rows)
    total = sum(value or 0 for value in found.column("size").to_pylist())
    note(f"{plural(found.num_rows, 'product')}, {size(total)}")
