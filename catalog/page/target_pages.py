"""Pages of a target and of a program: its files, when they were observed, and which are on disk."""

from __future__ import annotations

from typing import Any

from catalog.api.choices import Choice, Table
from catalog.page.answer import Asked, Page, WayBack, link
from catalog.page.charts import time_bars
from catalog.page.criteria import SHOWN, State
from catalog.page.missing import NoSuchPage
from catalog.page.one_file import name_in_address

_ROWS = 100


def target_page(asked: Asked) -> Page:
    """Make the page of a target."""
    name = name_in_address(asked)
    return _page(asked, "target", name, Choice(facets=(("target", (name,)),)), "targname")


def program_page(asked: Asked) -> Page:
    """Make the page of a program."""
    name = name_in_address(asked)
    plain = name.lstrip("0") if name.isascii() and name.isdigit() else name
    return _page(asked, "program", plain, Choice(facets=(("program", (plain,)),)), "program")


def _page(asked: Asked, kind: str, name: str, choice: Choice, column: str) -> Page:
    lake = asked.lake
    if not name or not lake.any_file(choice):
        raise NoSuchPage(f"no harvested file is of {kind} {name}")
    total, facets = lake.facets(choice)
    state = State(picked={kind: (name,)})
    leaf = lake.leaf(choice, Table(SHOWN, limit=_ROWS))
    of = f"CAST({column} AS VARCHAR) = ?"
    moved = lake.sql(_PROCESSED.format(of=of), [name]).rows.to_pylist()
    disk = lake.sql(_DISK.format(of=of), [name]).rows.to_pylist()
    facts: dict[str, Any] = {
        kind: name,
        "total": total,
        "facets": {facet.name: [{"value": value, "files": files} for value, files in facet.values] for facet in facets},
        "changed": moved,
        "disk": disk,
        "rows": leaf.rows.to_pylist(),
    }
    drawn = {
        "kind": kind,
        "name": name,
        "timeline": time_bars(lake.days(choice), state),
        "heads": heads(leaf.rows.column_names),
        "all": state.address(),
        "wall": state.address("/wall"),
        "groups": [facet for facet in facets if facet.values and facet.name != kind],
    }
    way = WayBack(state.command(), leaf.sql, state.python())
    return Page("place.html", f"{kind} {name}", facts, way, drawn)


def heads(names: list[str]) -> list[dict[str, Any]]:
    """Return the heads of a table that cannot be sorted."""
    return [{"name": name, "words": "", "direction": "none", "href": link("/keywords", q=name)} for name in names]


_PROCESSED = """
    SELECT r.run, r.ended_at, c.kind, count(*) AS files FROM changes c JOIN runs r USING (run)
    WHERE c.what = 'file' AND c.key IN (SELECT filename FROM file_version WHERE {of})
    GROUP BY ALL ORDER BY r.run DESC, c.kind LIMIT 50
"""
_DISK = """
    SELECT d.state, d.filename, d.path, d.reason FROM file_drift d
    WHERE d.filename IN (SELECT filename FROM files WHERE {of}) ORDER BY d.state, d.path LIMIT 200
"""
