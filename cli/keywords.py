"""``mastlake keywords``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.text import plural, shown

from .completion import keywords as names
from .listing import ListingOptions, listing_options, put_list
from .options import Form, Json, Limit, Output, settings
from .printing import put_lines

if TYPE_CHECKING:
    from catalog.api.types import Keyword, KeywordValues


def register(app: typer.Typer) -> None:
    app.command("keywords")(keywords)


def keywords(
    context: typer.Context,
    pattern: Annotated[
        str, typer.Argument(help="A name, or a piece of a name, FITS keyword or meaning.", autocompletion=names)
    ] = "",
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Search the keywords of MAST; for a single keyword, also show its values in your catalog.

    Example: mastlake keywords exp_type; mastlake keywords "exposure start"
    """
    asked = listing_options(context, form, output, json, limit)
    matches = settings(context).lake.look_up(pattern)
    if not matches.keywords and matches.columns and asked.is_table:
        _put_columns(matches.columns, asked)
        return
    if not matches.keywords and not asked.is_json:
        raise matches.nothing()
    if not asked.is_table:
        put_list(asked, (), (), lambda: _as_dicts(matches.keywords, matches.values if asked.is_json else {}), "keyword")
        return
    for word in matches.keywords:
        if word.name in matches.values:
            put_lines("\n".join(_description(word, matches.values[word.name])) + "\n")
    _put_keywords([word for word in matches.keywords if word.name not in matches.values], asked)
    if matches.columns:
        _put_columns(matches.columns, asked)


def _as_dicts(words: list[Keyword], counts: Mapping[str, KeywordValues | None]) -> list[dict[str, Any]]:
    """Return keywords as JSON's types, with their values in the catalog if these were counted."""
    from dataclasses import asdict

    rows = [asdict(word) for word in words]
    for row in rows:
        if (count := counts.get(row["name"])) is not None:
            row["present"] = asdict(count)
    return rows


def _put_keywords(words: list[Keyword], asked: ListingOptions) -> None:
    """Print keywords in a table; print nothing if there are none."""
    if words:
        put_list(
            asked,
            ("name", "FITS", "kind", "unit", "meaning"),
            [(word.name, word.fits_keyword, word.kind, word.unit, word.meaning) for word in words],
            list,
            "keyword",
        )


def _put_columns(columns: list[Keyword], asked: ListingOptions) -> None:
    """Print the columns of observations, for which harvest --observations can ask."""
    put_list(
        asked,
        ("observations", "kind", "unit", "meaning", "can be"),
        [(word.name, word.kind, word.unit, word.meaning, ", ".join(word.allowed)) for word in columns],
        list,
        "column",
        wrap=("meaning", "can be"),
    )


def _description(word: Keyword, count: KeywordValues | None) -> list[str]:
    where = (
        f"{word.fits_keyword} in the {_header(word.hdu)}" if word.fits_keyword else "not in the file; the archive's own"
    )
    lines = [
        f"{word.name}: {word.meaning or 'no description'}",
        f"  kind      {word.kind}" + (f", {word.unit}" if word.unit else ""),
        f"  header    {where}",
        f"  searches  {', '.join(word.instruments) or 'older answers only'}",
    ]
    if word.allowed:
        lines.append(f"  can be    {', '.join(word.allowed)}")
    if count is None:
        return [*lines, "  catalog   no harvested file has it"]
    lines.append(
        f"  catalog   {plural(count.files, 'file')} with {plural(count.distinct, 'value')}, {count.without:,} without"
    )
    if count.distinct > len(count.values):
        lines.append(f"            from {shown(count.low)} to {shown(count.high)}; most frequent:")
    width = max((len(shown(value)) for value, _ in count.values), default=0)
    return [*lines, *(f"            {shown(value):{width}}  {files:,}" for value, files in count.values)]


def _header(hdu: str | None) -> str:
    return "primary header" if hdu in (None, "PRIMARY") else f"header of {hdu}"
