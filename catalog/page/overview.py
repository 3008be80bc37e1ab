"""Pages of the catalog as a whole, and of its keywords."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from catalog.errors import MastlakeError
from catalog.page.answer import Asked, Page, WayBack, in_python

_STATES = ("current", "stale", "missing", "corrupt", "modified", "unverified", "unknown")


def status_page(asked: Asked) -> Page:
    """Make the page of the catalog as a whole."""
    overview = asked.lake.status()
    drift = asked.lake.sql(
        "SELECT state, path, filename, reason FROM file_drift ORDER BY state, path LIMIT 500"
    ).rows.to_pylist()
    facts = {**asdict(overview), "outdated": drift}
    drawn = {"states": [(name, getattr(overview, name)) for name in _STATES]}
    way = WayBack("mastlake status", "SELECT * FROM file_drift", in_python("found = lake.status()"))
    return Page("status.html", "Status", facts, way, drawn)


def keywords_page(asked: Asked) -> Page:
    """Make the page of the keyword dictionary; for a single keyword, with its values."""
    typed = asked.parameter("q").strip()
    matches = [asdict(keyword) for keyword in asked.lake.keywords(typed)]
    facts: dict[str, Any] = {"q": typed, "keywords": matches, "values": None}
    exact = next((keyword for keyword in matches if keyword["name"] == typed), None)
    if exact is not None:
        try:
            facts["values"] = asdict(asked.lake.keyword_values(typed, most=100))
        except MastlakeError:
            facts["values"] = None
    way = WayBack("mastlake keywords", "SELECT * FROM keywords", in_python(f"found = lake.keywords({typed!r})"))
    return Page("keywords.html", "Keywords", facts, way)
