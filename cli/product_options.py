"""Turn options into a selection of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from catalog.config.sizes import bytes_of

from .options import listed
from .printing import note

if TYPE_CHECKING:
    from catalog.api.arguments import Filters
    from catalog.api.catalog import Catalog

Sql = Annotated[
    str | None, typer.Option(metavar="SELECT", help="Any query whose result has a column data_uri or filename.")
]
GuideStars = Annotated[
    bool | None, typer.Option("--guide-stars/--no-guide-stars", help="Only guide-star files, or none of them.")
]
MaxSize = Annotated[str | None, typer.Option(metavar="SIZE", help="No file larger than this, like 500M.")]
Template = Annotated[
    str, typer.Option(metavar="PATTERN", help="How files lie there, like {program}/{obs_id}/{filename}.")
]


def filters(
    types: list[str] | None,
    levels: list[str] | None,
    subgroups: list[str] | None,
    dataproducts: list[str] | None,
    extensions: list[str] | None,
    *,
    sql: str | None = None,
    guide_stars: bool | None = None,
    max_size: str | None = None,
    with_inputs: bool = False,
    release: str | None = None,
) -> Filters:
    """Read the options that choose products."""
    return {
        "types": listed(types),
        "levels": _levels(listed(levels)),
        "subgroups": listed(subgroups),
        "dataproducts": listed(dataproducts),
        "extensions": listed(extensions),
        "guide_stars": guide_stars,
        "max_size": bytes_of(max_size) if max_size is not None else None,
        "sql": sql,
        "with_inputs": with_inputs,
        "release": release,
    }


def hint_at_nothing(lake: Catalog, name: str | None, sql: str | None = None) -> None:
    """Say why no product is selected, and what there is instead."""
    if sql is not None:
        note("no product is selected: the statement of --sql has no rows, or the other options leave none of them")
    else:
        note(lake.why_no_products(name))


def _levels(words: tuple[str, ...]) -> tuple[int, ...]:
    from catalog.errors import BadValue

    try:
        return tuple(int(word) for word in words)
    except ValueError:
        raise BadValue(f"--level takes numbers like 2,3, not {','.join(words)!r}") from None
