"""Why no file meets some criteria: which criteria alone match nothing, and which values there are instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from catalog.errors import MastlakeError
from catalog.questions.find import Criteria, statement
from catalog.questions.keyword_values import keyword_values
from catalog.questions.sky_places import angle, middle_of, plain_name, read_region
from catalog.questions.statement import first_rows
from catalog.store.database import Database, columns_of, quoted
from catalog.text import nearest, shown, size
from catalog.vocabulary.criteria import parse_criterion
from catalog.vocabulary.keywords import lookup

_LISTED = 6


def why_nothing(database: Database, criteria: Criteria) -> str:
    """Return one line about criteria that no file meets.

    Parameters
    ----------
    database : Database
        A catalog.
    criteria : Criteria
        Criteria that are valid but match nothing.
    """
    if not _matches(database, Criteria()):
        return "the catalog has no files yet; mastlake harvest brings them"
    alone = list(_one_by_one(criteria))
    reasons = [_reason(database, name, text) for name, text, single in alone if not _matches(database, single)]
    if reasons:
        return "; ".join(reasons)
    return (
        "each criterion alone is met by files, but no file meets all of them" if len(alone) > 1 else "no file matches"
    )


def _one_by_one(criteria: Criteria) -> Iterator[tuple[str, str, Criteria]]:
    for text in criteria.written:
        yield "written", text, Criteria((text,))
    for field in fields(Criteria):
        value = getattr(criteria, field.name)
        if field.name != "written" and value is not None:
            yield field.name, value, Criteria(**{field.name: value})


def _matches(database: Database, criteria: Criteria) -> bool:
    sql, values = statement(criteria, limit=1, database=database)
    return bool(first_rows(database, sql, values, 1)[1])


def _reason(database: Database, name: str, text: str) -> str:
    if name == "target":
        return f"no harvested target is called {text!r}{_like_target(database, text)}"
    if name == "pi":
        return f"no investigator is called {text!r}{_of_keyword(database, 'pi_name', text)}"
    if name in ("since", "until"):
        return f"no file was observed --{name} {text}{_of_keyword(database, 'date_obs', text)}"
    if name in ("written", "program"):
        keyword, _, value = (text if name == "written" else f"program={text}").partition("=")
        return f"no file has {keyword}={value}{_of_keyword(database, keyword, value)}"
    if name in ("cone", "footprint"):
        return f"no file lies in --{name} {text}{_nearest_targets(database, name, text)}"
    return f"no file is of a search for {text}" if name == "instrument" else f"no file meets --{name} {text}"


def _like_target(database: Database, name: str) -> str:
    """Return names of targets that contain this name, are contained in it, or look like it."""
    with database.read(sealed=True) as connection:
        have = {column.lower() for column in columns_of(connection, "files")}
        names: dict[str, str] = {}
        for column in ("targprop", "targname"):
            if column in have:
                rows = connection.execute(f"SELECT DISTINCT {column} FROM files WHERE {column} <> ''").fetchall()
                names |= {plain_name(str(target)): str(target) for (target,) in rows}
    typed = plain_name(name).strip("*%")
    held = [
        target for plain, target in sorted(names.items()) if plain and (plain in typed or (typed and typed in plain))
    ]
    near = nearest(typed, list(names))
    alike = held[:3] or ([names[near]] if near else [])
    return f"; did you mean {' or '.join(alike)}?" if alike else f"; there are {_some(sorted(names.values()))}"


def _nearest_targets(database: Database, option: str, text: str) -> str:
    """Say which targets are nearest to the middle of a region, and how far away they are."""
    with database.read(sealed=True) as connection:
        ra, dec = middle_of(read_region(text, connection, f"--{option}"))
        if not {"targname", "targ_ra", "targ_dec"} <= {column.lower() for column in columns_of(connection, "files")}:
            return ""
        near = connection.execute(
            """SELECT coalesce(nullif(targname, ''), filename), min(separation(targ_ra, targ_dec, ?, ?)) AS away
               FROM files WHERE isfinite(targ_ra) AND isfinite(targ_dec) GROUP BY 1 ORDER BY 2, 1 LIMIT 2""",
            [ra, dec],
        ).fetchall()
    if not near:
        return "; no harvested file has a place"
    places = [f"{name}, {angle(away)} away" for name, away in near]
    return f"; the nearest {'target is' if len(places) == 1 else 'targets are'} {' and '.join(places)}"


def _of_keyword(database: Database, name: str, value: str) -> str:
    """Say which values a keyword has, or their range."""
    try:
        keyword = lookup(name)
        counted = keyword_values(database, keyword.name, most=200)
    except MastlakeError:
        return ""
    if not counted.files:
        return "; no harvested file has a value of it"
    if keyword.kind in ("number", "time") or (keyword.kind == "integer" and counted.distinct > _LISTED):
        return f"; harvested files have it from {shown(counted.low)} to {shown(counted.high)}"
    words = [shown(value) for value, _ in counted.values]
    typed = _typed_words(name, value)
    begun = next((word for word in words if typed and word.lower().startswith(typed.lower())), None)
    if begun is not None:
        return f"; values begin so: did you mean {keyword.name}={typed}*?"
    near = nearest(typed, words) if typed else None
    return f"; did you mean {near}?" if near else f"; there are {_some(words)}"


def _typed_words(name: str, value: str) -> str:
    try:
        return ",".join(str(each) for each in parse_criterion(f"{name}={value}").values)
    except MastlakeError:
        return ""


def _some(words: list[str]) -> str:
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def nothing_selected(database: Database, search: str | None) -> str:
    """Return one line that says why no product of a search meets the filters."""
    with database.read() as connection:
        have = {column.lower() for column in columns_of(connection, "products")}
        if not connection.execute("SELECT 1 FROM products LIMIT 1").fetchone():
            return "the catalog has no products yet; mastlake harvest brings them"
        of, values = "", []
        if search is not None:
            of = """ WHERE data_uri IN (SELECT data_uri FROM observation_products WHERE obs_id IN
                     (SELECT obs_id FROM search_observations WHERE search = ?))"""
            values = [search]
        parts = []
        for column, words in (("productType", "types"), ("productSubGroupDescription", "subgroups")):
            if column.lower() in have:
                rows = connection.execute(
                    f"SELECT {quoted(column)} AS word, count(*) FROM products{of} GROUP BY 1 ORDER BY 2 DESC", values
                ).fetchall()
                parts.append(f"{words} {_some([str(word) for word, _ in rows if word])}")
        if "size" in have:
            ends = connection.execute(f"SELECT min(size), max(size) FROM products{of}", values).fetchone()
            if ends is not None and ends[0] is not None:
                parts.append(f"sizes from {size(ends[0])} to {size(ends[1])}")
    return f"no product matches; {'those of ' + search if search else 'the catalog'} have {'; '.join(parts)}"
