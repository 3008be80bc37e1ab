"""Pages of the runs, and of what changed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from catalog.page.answer import Asked, Page, WayBack, in_python
from catalog.page.missing import NoSuchPage

_ROWS = 500


def runs_page(asked: Asked) -> Page:
    """Make the list of runs, the newest first."""
    newest_first = [asdict(each) for each in reversed(asked.lake.runs())]
    way = WayBack("mastlake runs", "SELECT * FROM runs ORDER BY run DESC", in_python("found = lake.runs()"))
    return Page("runs.html", "Runs", {"runs": newest_first}, way)


def run_page(asked: Asked) -> Page:
    """Make the page of one run: what it changed, in the groups of ``changes``."""
    text = str(asked.request.path_params["name"])
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NoSuchPage(f"there is no run {text}")
    number = int(text)
    ran = next((each for each in asked.lake.runs() if each.run == number), None)
    if ran is None:
        raise NoSuchPage(f"there is no run {number}")
    facts = {"ran": asdict(ran), **_facts_of_changes(asked, run=number)}
    way = WayBack(
        f"mastlake changes {number}", f"SELECT * FROM changes WHERE run = {number}",
        in_python(f"found = lake.changes(run={number})"),
    )  # fmt: skip
    return Page("run.html", f"Run {number}", facts, way)


def changes_page(asked: Asked) -> Page:
    """Make the page of what changed since a date or run, or since the first harvest."""
    since, search = asked.parameter("since", "0").strip() or "0", asked.parameter("search").strip() or None
    local = asked.parameter("local") == "1"
    facts = _facts_of_changes(asked, since=since, search=search, local=local)
    words = f"mastlake changes --since {since}" if since.replace("-", "").isalnum() else "mastlake changes"
    way = WayBack(words + (" --local" if local else ""), "SELECT * FROM changes ORDER BY run DESC",
                  in_python(f"found = lake.changes(since={since!r}, search={search!r}, local={local})"))  # fmt: skip
    searches = [saved.name for saved in asked.lake.searches()]
    return Page("changes.html", "Changes", facts, way, {"since": since, "search": search or "", "local": local,
                                                        "searches": searches})  # fmt: skip


def _facts_of_changes(asked: Asked, **which: Any) -> dict[str, Any]:
    """Describe changes in groups, and the first of them row by row. This does not count as a look at the changes."""
    changes = asked.lake.changes(**which, with_rows=True)
    rows: list[dict[str, Any]] = []
    more = False
    for change in changes:
        if len(rows) == _ROWS:
            more = True
            break
        values = {name: list(pair) for name, pair in change.columns.items()}
        rows.append({"run": change.run, "search": change.search, "kind": change.kind, "what": change.what,
                     "key": change.key, "columns": values})  # fmt: skip
    return {
        "summary": changes.summary(),
        "lines": [{"what": line.what, "count": line.count, "text": line.text} for line in changes.lines()],
        "groups": changes.as_dict()["groups"],
        "rows": rows,
        "more": more,
    }
