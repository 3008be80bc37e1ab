"""Turn the arguments of Python's methods into criteria for files and selections of products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from catalog.questions.find import Criteria
    from catalog.sync import Selection


class Filters(TypedDict, total=False):
    """Which products are meant; see `catalog.sync.Selection`. A single value needs no list."""

    types: str | Sequence[str]
    levels: int | Sequence[int]
    subgroups: str | Sequence[str]
    dataproducts: str | Sequence[str]
    extensions: str | Sequence[str]
    guide_stars: bool | None
    max_size: int | None
    sql: str | None
    with_inputs: bool
    release: str | None


def file_criteria(written: Sequence[str], values_by_name: Mapping[str, Any]) -> Criteria:
    """Turn Python's arguments into criteria, as the command line writes them.

    Parameters
    ----------
    written : sequence of str
        Criteria that are already written as ``keyword=value``.
    values_by_name : mapping
        Fields of `Criteria`, and keywords with their values. With None, there is no criterion.
    """
    from catalog.api.astropy_values import plain_cone, plain_value
    from catalog.questions.find import Criteria
    from catalog.vocabulary.criteria import criteria

    names = [field.name for field in fields(Criteria) if field.name != "written"]
    given = {name: values_by_name.get(name) for name in names}
    given["cone"] = plain_cone(given["cone"])
    given |= {name: plain_value("date_obs", given[name]) for name in ("since", "until")}
    plain = {name: _as_text(value) for name, value in given.items() if value is not None}
    if isinstance(given["cone"], tuple | list):
        plain["cone"] += "d"
    others = {name: plain_value(name, value) for name, value in values_by_name.items() if name not in names}
    return Criteria((*written, *criteria(others)), **plain)


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def selection(search: str | None, filters: Filters) -> Selection:
    """Return the selection of products that a search and filters mean."""
    from catalog.sync import Selection
    from catalog.text import nearest

    for name in filters:
        if name not in Filters.__annotations__:
            near = nearest(name, list(Filters.__annotations__))
            raise TypeError(f"there is no filter {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    return Selection(
        search=search,
        types=_texts(filters.get("types", ())),
        levels=_levels(filters.get("levels", ())),
        subgroups=_texts(filters.get("subgroups", ())),
        dataproducts=_texts(filters.get("dataproducts", ())),
        extensions=_texts(filters.get("extensions", ())),
        guide_stars=filters.get("guide_stars"),
        max_size=filters.get("max_size"),
        sql=filters.get("sql"),
        with_inputs=filters.get("with_inputs", False),
        release=filters.get("release"),
    )


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _levels(given: int | Sequence[int]) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)
