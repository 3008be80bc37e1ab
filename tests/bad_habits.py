"""The bad habits of the built-in archive with which laws and kills of harvests run."""

from __future__ import annotations

from typing import Any

PASSING = ("invoke_error", "invoke_500", "invoke_html", "invoke_cut", "invoke_executing")
HARMLESS = ("invoke_redirect", "invoke_gzip")
PUZZLING = ("lost_page", "doubled_rows", "count_moves", "lost_and_doubled", "count_refused")
ODD = ("odd_cells", "stale_sizes")
"""Values of a row that the archive does not have; rows and product lists that are read again heal them."""
SLOW = ("invoke_drip",)
"""Answers that go on for seconds or minutes: a client that meets them should wait for less than that."""
HABITS = (*PASSING, *HARMLESS, *PUZZLING, *ODD, *SLOW)
ALL_WELL = dict.fromkeys(HABITS, 0)


def keys(known: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Return which rows a catalog has, whatever is in them; of a file also what tells that its row is to be read."""
    named = ("filename", "checksum", "obs_id", "data_uri", "search")
    return {view: sorted(repr([row.get(name) for name in named]) for row in rows) for view, rows in known.items()}
