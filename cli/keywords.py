"""``mastlake keywords``."""

from __future__ import annotations

from typing import Annotated

import typer

from .completion import keywords as names
from .options import Json
from .output import put_json, put_table


def register(app: typer.Typer) -> None:
    app.command("keywords")(keywords)


def keywords(
    pattern: Annotated[
        str, typer.Argument(help="A piece of a name, FITS keyword or meaning.", autocompletion=names)
    ] = "",
    json: Json = False,
) -> None:
    """Look up what MAST can be searched by: name, FITS keyword, type, unit, meaning, allowed values."""
    from dataclasses import asdict

    from catalog.errors import UnknownKeyword
    from catalog.keywords import lookup, matching

    found = matching(pattern)
    if json:
        put_json([asdict(word) for word in found])
        return
    if not found:
        lookup(pattern)  # says what is near
        raise UnknownKeyword(f"no keyword like {pattern!r}")
    exact = [word for word in found if pattern.lower() in (word.name.lower(), (word.fits_keyword or "").lower())]
    put_table(
        ("name", "FITS", "kind", "unit", "meaning"),
        [(word.name, word.fits_keyword, word.kind, word.unit, word.meaning) for word in found],
    )
    for word in exact:
        if word.allowed:
            typer.echo(f"\n{word.name} can be: {', '.join(word.allowed)}")
        typer.echo(f"{word.name} is in searches of: {', '.join(word.instruments) or 'older answers only'}")
