"""Text that a person types into the search box, as criteria: a place, program, file, target, value, or keyword."""

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
    """Return the state with the typed text as a criterion; if it is none, keywords that it may mean.

    Parameters
    ----------
    lake : Catalog
        The catalog; its targets and values are searched.
    typed : str
        One line of text.
    state : State
        The state before.
    """
    if _KEYWORD.fullmatch(typed):
        name, _, value = typed.partition("=")
        return _with_criterion(state, f"{name.strip()}={value.strip()}"), []
    if place := _PLACE.fullmatch(typed):
        cone = f"{place[1]},{place[2]},{(place[3] or _USUAL_RADIUS).replace(' ', '')}"
        return _with_named_criterion(state, "cone", cone), []
    if _PROGRAM.fullmatch(typed) and _matches(lake, Criteria((f"program={int(typed)}",))):
        return _with_criterion(state, f"program={int(typed)}"), []
    if _FILE.fullmatch(typed):
        return _with_criterion(
            state, f"filename={typed}" if "*" in typed or "%" in typed else f"filename=*{typed}*"
        ), []
    if criterion_of := _named_or_valued(lake, typed, state):
        return criterion_of, []
    words = [
        {"name": keyword.name, "fits_keyword": keyword.fits_keyword, "unit": keyword.unit, "meaning": keyword.meaning,
         "allowed": list(keyword.allowed[:12])}
        for keyword in lake.keywords(typed)[:60]
    ]  # fmt: skip
    return (state, words) if words else (_with_named_criterion(state, "target", f"*{typed}*"), [])


def _named_or_valued(lake: Catalog, typed: str, state: State) -> State | None:
    """Return the state with the name of a target or a value of a keyword, if any file has it."""
    for pattern in (typed, f"*{typed}*"):
        if _matches(lake, Criteria(target=pattern)):
            return _with_named_criterion(state, "target", pattern)
    for keyword in lake.keywords():
        if typed.upper() in keyword.allowed:
            text = criterion(keyword.name, [typed.upper()])
            if _matches(lake, Criteria((text,))):
                return _with_criterion(state, text)
    return None


def _matches(lake: Catalog, criteria: Criteria) -> bool:
    try:
        return lake.any_file(Choice(criteria))
    except MastlakeError:
        return False


def _with_named_criterion(state: State, name: str, text: str) -> State:
    return replace(state, named={**state.named, name: text}, after="")


def _with_criterion(state: State, text: str) -> State:
    return replace(state, written=tuple(dict.fromkeys((*state.written, text))), after="")
