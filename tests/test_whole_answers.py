"""Whole answers: however wrongly a few questions are answered, all rows are there in the end, or a line says it.

The archive here is a model without HTTP. It tells a few lies: a count is wrong, a page lacks rows or repeats them, the
archive has no time. Rows also move while parts are asked for. What a page says of the number of its question's rows is
right, as on the live archive. If a page, its paging and the count all leave out the same row, then nothing tells that
archive from one without the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.archive.answer import ArchiveAnswer, SetAside
from catalog.archive.client import Archive, Query
from catalog.archive.partition import WholeQueries
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError, Incomplete, QueryTimeout
from catalog.missions import Cut

AT_ONCE = Patience(attempts=4, first_pause=0, longest_pause=0)
CUTS = (Cut("day", 0.0, 1000.0, 1e-3, (200.0, 600.0)), Cut("number", 0, 1e4, 1))
QUERY = Query("Mast.Jwst.Filtered.Niriss")
Row = dict[str, Any]


@dataclass
class Model:
    """An archive of a few rows that tells a lie where one is due.

    Attributes
    ----------
    rows_of : list of dict
        ``filename``, ``day`` (may be null) and ``number``.
    lies : dict
        What is wrong with the answers to some requests, by how many came before.
    most : int
        Rows of a page; a question for more finds no time.
    """

    rows_of: list[Row]
    lies: dict[int, tuple[str, int]] = field(default_factory=dict)
    most: int = 10**6
    asked: int = 0

    def _matching(self, query: Query) -> list[Row]:
        return [row for row in self.rows_of if all(_fits(row, one) for one in query.filters)]

    def _lie(self) -> tuple[str, int]:
        self.asked += 1
        return self.lies.get(self.asked - 1, ("", 0))

    def _move(self, lie: str, by: int) -> None:
        if lie == "move" and self.rows_of:
            row = self.rows_of[by % len(self.rows_of)]
            row["day"] = float((by * 7919) % 1000)
        elif lie == "swap" and len(self.rows_of) > 1:  # one row is withdrawn, and another takes its place
            gone = self.rows_of.pop(by % len(self.rows_of))
            self.rows_of[by % len(self.rows_of)]["day"] = gone["day"]

    def count(self, query: Query) -> int:
        lie, by = self._lie()
        self._move(lie, by)
        found = len(self._matching(query))
        return {"none": 0, "fewer": max(0, found - by % 9), "more": found + by % 9}.get(lie, found)

    def rows(self, query: Query, columns: Sequence[str] = ("*",), size: int = 50_000) -> ArchiveAnswer:
        lie, by = self._lie()
        self._move(lie, by)
        found = self._matching(query)
        if lie == "no time" or min(size, len(found)) > self.most:
            raise QueryTimeout("the archive ran out of time")
        page, aside = found[:size], []
        if page and lie in ("lost", "lost and doubled", "no row"):
            lost = page.pop(by % len(page))
            if lie == "lost and doubled":
                page.append(page[by % len(page)] if page else lost)
            elif lie == "no row":
                aside = [SetAside("file", "the row is no object", "null")]
        if lie == "doubled":
            page += page[: by % 3]
        table = pa.table({name: [row[name] for row in page] for name in ("filename", "day", "number")})
        return ArchiveAnswer(table, len(found), tuple(aside))


def _fits(row: Row, one: Any) -> bool:
    value = row[one["paramName"]]
    if value is None:
        return False
    return any(
        choice["min"] <= value <= choice["max"] if isinstance(choice, dict) else choice == value
        for choice in one["values"]
    )


def asked(model: Model, size: int) -> list[str]:
    whole = WholeQueries(cast("Archive", model), AT_ONCE, cuts=CUTS, at_once=1)
    return [name for part in whole.rows(QUERY, limit=size) for name in part["filename"].to_pylist()]


days = st.one_of(st.none(), st.sampled_from([0.0, 199.0, 300.0, 300.0005, 601.0]), st.floats(0, 1000))
skies = st.lists(days, max_size=25).map(
    lambda found: [{"filename": f"f{n}", "day": day, "number": n} for n, day in enumerate(found)]
)
told = st.sampled_from(["none", "fewer", "more", "lost", "lost and doubled", "doubled", "no row", "no time"])
lies = st.dictionaries(st.integers(0, 40), st.tuples(told, st.integers(0, 10**6)), max_size=3)
moves = st.dictionaries(st.integers(0, 60), st.tuples(st.just("move"), st.integers(0, 10**6)), max_size=3)
swaps = st.dictionaries(st.integers(0, 40), st.tuples(st.just("swap"), st.integers(0, 10**6)), min_size=1, max_size=2)
sizes = st.sampled_from([1, 3, 7, 100])
FEW = [{"filename": f"f{n}", "day": day, "number": n} for n, day in enumerate([10.0, 20.0, 300.0, 301.0, 700.0])]


@example(FEW, {1: ("none", 0)}, 3)  # of all days
@example(FEW, {2: ("none", 0)}, 3)  # of the days before those that are likely
@example(FEW, {4: ("none", 0)}, 3)
@example(FEW, {5: ("none", 0)}, 1)  # of the lower half of a stretch
@settings(max_examples=60)
@given(skies, lies, sizes)
def test_a_few_wrong_answers_lose_and_double_no_row(
    sky: list[Row], wrong: dict[int, tuple[str, int]], size: int
) -> None:
    try:
        found = asked(Model([dict(row) for row in sky], wrong), size)
    except ArchiveError:
        return
    assert set(found) == {row["filename"] for row in sky}


@settings(max_examples=60)
@given(skies, moves, sizes)
def test_rows_that_move_between_parts_are_found(sky: list[Row], moved: dict[int, tuple[str, int]], size: int) -> None:
    try:
        found = asked(Model([dict(row) for row in sky], moved), size)
    except ArchiveError:
        return
    assert set(found) == {row["filename"] for row in sky}


@example(FEW, {10: ("swap", 0)}, 1)
@settings(max_examples=60)
@given(skies, swaps, sizes)
def test_a_row_that_takes_the_place_of_one_withdrawn_meanwhile_is_found(
    sky: list[Row], swapped: dict[int, tuple[str, int]], size: int
) -> None:
    model = Model([dict(row) for row in sky], swapped)
    try:
        found = set(asked(model, size))
    except ArchiveError:
        return
    assert {row["filename"] for row in model.rows_of} <= found <= {row["filename"] for row in sky}


@settings(max_examples=30)
@given(skies, st.integers(1, 5))
def test_a_question_without_time_is_split(sky: list[Row], most: int) -> None:
    sky = [{**row, "day": row["number"] * 30.0} for row in sky]
    assert sorted(asked(Model(sky, most=most), 100)) == sorted(row["filename"] for row in sky)


def test_the_archive_may_have_equal_rows() -> None:
    sky = [{"filename": "a", "day": 300.0, "number": 1}, {"filename": "a", "day": 300.0, "number": 1}]
    assert asked(Model([*sky, {"filename": "b", "day": 301.0, "number": 2}]), 100) == ["a", "a", "b"]
    assert sorted(asked(Model([*sky, {"filename": "b", "day": 301.0, "number": 2}]), 2)) == ["a", "a", "b"]


def test_rows_that_no_answer_can_have_are_told_after_a_second_look() -> None:
    noted: list[SetAside] = []
    model = Model([dict(row) for row in FEW], dict.fromkeys(range(10), ("no row", 1)))
    whole = WholeQueries(cast("Archive", model), AT_ONCE, cuts=CUTS, on_aside=noted.extend)
    assert sum(part.num_rows for part in whole.rows(QUERY)) == len(FEW) - 1
    assert len(noted) == 1


@pytest.mark.parametrize("count", [10**18, 5, 101])
def test_an_archive_that_always_counts_more_ends_in_one_line(count: int) -> None:
    class Absurd(Model):
        def count(self, query: Query) -> int:
            return super().count(query) + count

    with pytest.raises(Incomplete, match=r"try again later|cannot be told apart"):
        asked(Absurd([dict(row) for row in FEW]), 100)
