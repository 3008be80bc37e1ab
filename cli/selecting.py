"""From options to a selection of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import listed

if TYPE_CHECKING:
    from catalog.sync.selection import Selection

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


def selection(
    name: str | None,
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
) -> Selection:
    """Read the options that say which products are meant."""
    from catalog.sync.selection import Selection

    return Selection(
        search=name,
        types=listed(types),
        levels=_levels(listed(levels)),
        subgroups=listed(subgroups),
        dataproducts=listed(dataproducts),
        extensions=listed(extensions),
        guide_stars=guide_stars,
        max_size=bytes_of(max_size) if max_size else None,
        sql=sql,
        with_inputs=with_inputs,
    )


def _levels(words: tuple[str, ...]) -> tuple[int, ...]:
    from catalog.errors import BadValue

    try:
        return tuple(int(word) for word in words)
    except ValueError:
        raise BadValue(f"--level takes numbers like 2,3, not {','.join(words)!r}") from None


def bytes_of(text: str) -> int:
    """Read a size like 500M or 2G, in bytes."""
    from catalog.errors import BadValue

    word = text.strip().upper().removesuffix("B")
    factors = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    factor = factors.get(word[-1:], 1)
    try:
        return int(float(word.rstrip("KMGT")) * factor)
    except ValueError:
        raise BadValue(f"{text!r} is not a size like 500M or 2G") from None
