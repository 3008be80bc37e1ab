"""``mastlake products``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from catalog.text import plural, size

from .options import Dataproducts, Extensions, Json, Levels, Release, SearchName, Subgroups, Types, settings
from .printing import note, put_json, put_table, say
from .product_options import selection

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
    json: Json = False,
) -> None:
    """List what can be downloaded: the products of a search's observations, each once."""
    from catalog.sync.selection import product_rows

    database = settings(context).database
    wanted = selection(name, types, levels, subgroups, dataproducts, extensions, release=release)
    if json:
        count = _put_objects(database, wanted)
    else:
        rows = product_rows(database, wanted, _SHOWN)
        sizes = [0 if row[_SIZE] is None else row[_SIZE] for row in rows]
        told = [
            [size(value) if at == _SIZE and value is not None else value for at, value in enumerate(row)]
            for row in rows
        ]
        put_table(("filename", "type", "subgroup", "level", "size", "rights"), told)
        count = len(rows)
        note(f"{plural(count, 'product')}, {size(sum(sizes))}")
    if not count:
        from catalog.questions.hints import nothing_selected

        say(nothing_selected(database, name))


_SHOWN = ("filename", "productType", "productSubGroupDescription", "calib_level", "size", "dataRights")
_SIZE = _SHOWN.index("size")


def _put_objects(database: Database, wanted: Selection) -> int:
    from catalog.answers.formats import objects
    from catalog.sync.selection import products as listed_products

    found = listed_products(database, wanted)
    put_json(list(objects(found.to_reader())))
    return int(found.num_rows)
