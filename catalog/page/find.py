"""The find page: a search box, facets, a time line, a map of the sky, and a table."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from catalog.api.choices import DISK, Facet
from catalog.errors import MastlakeError
from catalog.page.answer import Asked, Page, WayBack, templates
from catalog.page.charts import sky_squares, time_bars
from catalog.page.counts import counted_once
from catalog.page.criteria import PAGES, State, key_text, read_state
from catalog.page.search_box import understood

FORMATS = ("csv", "parquet", "votable", "ecsv", "json", "uris", "script")
_FIRST = 8
"""How many values of a facet are shown at first."""


def find_page(asked: Asked) -> Page | Response:
    """Make the find page. Text that was typed into its box becomes criteria in the address."""
    typed = asked.parameter("q").strip()
    state = read_state(asked.request.query_params.multi_items())
    path = asked.request.url.path
    if typed:
        state, words = understood(asked.lake, typed, state)
        if not words:
            return RedirectResponse(state.address("/find.json" if path.endswith(".json") else "/find"), 303)
        return Page("words.html", f"{typed} - words", {"asked": typed, "keywords": words}, drawn={"state": state})
    return _table(asked, state)


def _table(asked: Asked, state: State) -> Page:
    lake = asked.lake
    choice = state.choice
    at_any_time, at_any_place = state.choice_without("since", "until"), state.choice_without("ra", "dec")
    total, facets = counted_once(lake, "facets", choice, lambda: lake.facets(choice))
    leaf = lake.leaf(state.choice, state.table)
    rows = leaf.rows.to_pylist()
    days = counted_once(lake, "days", at_any_time, lambda: lake.days(at_any_time))
    cells = counted_once(lake, "cells", at_any_place, lambda: lake.cells(at_any_place))
    following = state.address(after=key_text(leaf.after)) if leaf.after else None
    facts: dict[str, Any] = {
        "total": total,
        "criteria": [{name: facet[name] for name in ("name", "value")} for facet in state.told()],
        "facets": {facet.name: [{"value": value, "files": files} for value, files in facet.values] for facet in facets},
        "columns": leaf.rows.column_names,
        "rows": rows,
        "next": following and following.replace("/find", "/find.json", 1),
    }
    drawn = {
        "state": state,
        "chips": state.told(),
        "groups": [_group(state, facet) for facet in facets if facet.values],
        "heads": [_head(state, name, words) for name, words in _words(asked, leaf.rows.column_names).items()],
        "timeline": time_bars(days, state),
        "sky": sky_squares(cells, state),
        "following": following,
        "beginning": state.address() if state.after else None,
        "exports": [(form, state.address(f"/export/{form}")) for form in FORMATS],
        "wall": state.address("/wall"),
        "choosable": _choosable(asked, state),
        "pages": PAGES,
        "hint": "" if total else _why_nothing(asked, state),
        "hidden": [(name, value) for name, value in state.pairs() if name != "after"],
    }
    way = WayBack(state.command() if state.is_typed else "", leaf.sql, state.python() if state.is_typed else "")
    return Page("find.html", "Find files", facts, way, drawn)


def _group(state: State, facet: Facet) -> dict[str, Any]:
    picked = state.picked.get(facet.name, ())
    values = [*facet.values, *((each, 0) for each in picked if each not in dict(facet.values))]
    lines = [
        {"value": value, "files": files, "picked": value in picked, "href": _address(state, facet.name, value)}
        for value, files in values
    ]
    lines.sort(key=lambda line: not line["picked"])
    first = max(_FIRST, len(picked))
    return {"name": facet.name, "first": lines[:first], "others": lines[first:], "more": facet.more}


def _address(state: State, facet: str, value: str) -> str:
    if facet == "access":
        return (
            state.without("release")
            if state.named.get("release") == value
            else state.address(named={**state.named, "release": value})
        )
    return state.toggled(facet, value)


def _words(asked: Asked, names: list[str]) -> dict[str, str]:
    """Return unit and meaning of columns, which appear when the mouse is over a column's head."""
    dictionary = dictionary_of(asked)
    return {name: dictionary.get(name.lower(), "") for name in names}


def dictionary_of(asked: Asked) -> dict[str, str]:
    """Return meaning and unit of each keyword, by its name in lower case."""
    meanings = {
        keyword.name.lower(): f"{keyword.meaning or ''}{f' [{keyword.unit}]' if keyword.unit else ''}"
        for keyword in asked.lake.keywords()
    }
    return meanings | {"file_size": meanings.get("filesize", "Size of the file") or "", "filename": "Name of the file"}


def _head(state: State, name: str, words: str) -> dict[str, Any]:
    by = state.sort.lstrip("-")
    direction = ("descending" if state.sort.startswith("-") else "ascending") if name == by else "none"
    sort = f"-{name}" if direction == "ascending" else name
    return {"name": name, "words": words, "direction": direction, "href": state.address(sort=sort)}


def _choosable(asked: Asked, state: State) -> Markup:
    names = asked.lake.sql("SELECT column_name FROM (DESCRIBE files)")["column_name"]
    ordered = [*state.columns, *(name for name in names if name not in state.columns)]
    dictionary = dictionary_of(asked)
    listed = tuple((name, dictionary.get(name.lower(), "")) for name in ordered if name != "filename")
    return _list_of_columns(listed, state.columns)


@lru_cache(maxsize=32)
def _list_of_columns(listed: tuple[tuple[str, str], ...], shown_names: tuple[str, ...]) -> Markup:
    """Draw the list of columns; it is kept, since it is the longest part of a page and mostly the same."""
    listed_columns = [{"name": name, "words": words, "chosen": name in shown_names} for name, words in listed]
    return Markup(templates().get_template("columns.html").render(choosable=listed_columns))  # noqa: S704 - escaped by the template


def _why_nothing(asked: Asked, state: State) -> str:
    if state.picked.get(DISK) or not (state.named or state.written):
        return "no file matches; remove a criterion"
    try:
        criteria = state.choice.criteria
        named = {name: text for name, text in vars(criteria).items() if name != "written"}
        return asked.lake.ask_files(*criteria.written, **named).why_nothing()
    except MastlakeError:
        return "no file matches; remove a criterion"
