"""What a person types into the search box, as criteria: a place, a program, a file, a target, a value, or a word."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from catalog.api.catalog import Catalog
from catalog.api.choices import Choice, Criteria, criterion
from catalog.errors import MastlakeError
from catalog.page.criteria import State

_PLACE = re.compile(r"([+-]?[\d.:hms°]+)[\s,]+([+-]?[\d.:dm'\"°]+)(?:[\s,]+([\d.]+\s*[dms'\"°]?))?", re.IGNORECASE)
_PROGRAM = re.compile(r"\d{3,5}")
_FILE = re.compile(r"(?i)(jw\d\S*|\S+\.(fits|fits\.gz|json|ecsv|csv))")
_KEYWORD = re.compile(r"\s*[\w-]+\s*=\s*\S.*")
_USUAL_RADIUS = "1m"


def understood(lake: Catalog, typed: str, state: State) -> tuple[State, list[dict[str, Any]]]:
    """Return the state with what was typed as a criterion; or, where it is none, keywords that it may mean.

    Parameters
    ----------
    lake : Catalog
        The catalog, whose targets and values are looked at.
    typed : str
        Text of one line.
    state : State
        What was asked for before.
    """
    if _KEYWORD.fullmatch(typed):
        name, _, value = typed.partition("=")
        return _written(state, f"{name.strip()}={value.strip()}"), []
    if place := _PLACE.fullmatch(typed):
        cone = f"{place[1]},{place[2]},{(place[3] or _USUAL_RADIUS).replace(' ', '')}"
        return _named(state, "cone", cone), []
    if _PROGRAM.fullmatch(typed) and _matches(lake, Criteria((f"program={int(typed)}",))):
        return _written(state, f"program={int(typed)}"), []
    if _FILE.fullmatch(typed):
        return _written(state, f"filename={typed}" if "*" in typed or "%" in typed else f"filename=*{typed}*"), []
    if criterion_of := _named_or_valued(lake, typed, state):
        return criterion_of, []
    words = [
        {"name": one.name, "fits_keyword": one.fits_keyword, "unit": one.unit, "meaning": one.meaning,
         "allowed": list(one.allowed[:12])}
        for one in lake.keywords(typed)[:60]
    ]  # fmt: skip
    return (state, words) if words else (_named(state, "target", f"*{typed}*"), [])


def _named_or_valued(lake: Catalog, typed: str, state: State) -> State | None:
    """Return the state with a target's name, or a value of a keyword, if any file has it."""
    for pattern in (typed, f"*{typed}*"):
        if _matches(lake, Criteria(target=pattern)):
            return _named(state, "target", pattern)
    for keyword in lake.keywords():
        if typed.upper() in keyword.allowed:
            text = criterion(keyword.name, [typed.upper()])
            if _matches(lake, Criteria((text,))):
                return _written(state, text)
    return None


def _matches(lake: Catalog, criteria: Criteria) -> bool:
    try:
        return lake.any_file(Choice(criteria))
    except MastlakeError:
        return False


def _named(state: State, name: str, text: str) -> State:
    return replace(state, named={**state.named, name: text}, after="")


def _written(state: State, text: str) -> State:
    return replace(state, written=tuple(dict.fromkeys((*state.written, text))), after="")
