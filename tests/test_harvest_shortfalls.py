"""What the archive does not answer, and rows that cannot be kept: told by name, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from catalog.archive.answer import ArchiveAnswer
from catalog.archive.client import MastArchive, Query
from catalog.errors import ArchiveError, QueryTimeout, Refused, Unreachable
from catalog.harvest import harvest
from catalog.harvest.halving import Halving
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from .conftest import QUICK, state

EVERYTHING = Search.parse("n", "niriss", [])
Change = Callable[[pa.Table], pa.Table]


class Odd(MastArchive):
    """An archive that answers some questions with a fault, and others with changed rows."""

    most_ids = 1000
    balks_at: frozenset[str] = frozenset()
    fault: type[ArchiveError] = QueryTimeout
    products_as: Any = None
    page = 50_000
    asked_ids: list[int]

    def rows(self, query: Query, columns: Sequence[str] = ("*",), size: int = 50_000) -> ArchiveAnswer:
        answer = super().rows(query, columns, size)
        ids: list[Any] = next((one["values"] for one in query.filters if one["paramName"] == "obs_id"), [])
        if not ids:
            return answer
        self.asked_ids = [*getattr(self, "asked_ids", []), len(ids)]
        if len(ids) > self.most_ids or self.balks_at & set(ids):
            raise self.fault("the archive ran out of time")
        return replace(answer, rows=answer.rows.slice(0, self.page))

    def products(self, obsids: Sequence[str]) -> ArchiveAnswer:
        answer = super().products(obsids)
        return answer if self.products_as is None else replace(answer, rows=self.products_as(answer.rows))


@pytest.fixture
def clean(tmp_path: Path, sky: Simulator) -> dict[str, list[dict[str, Any]]]:
    """What a harvest without faults finds."""
    database = Database(tmp_path / "clean.duckdb")
    with MastArchive(sky.url) as archive:
        harvest(database, archive, EVERYTHING, patience=QUICK)
    return state(database)


@pytest.mark.long
@pytest.mark.parametrize("fault", [QueryTimeout, Refused, Unreachable])
def test_ids_are_asked_in_halves_where_the_archive_cannot_bear_so_many(
    database: Database, sky: Simulator, clean: dict[str, Any], fault: type[ArchiveError]
) -> None:
    with Odd(sky.url) as archive:
        archive.most_ids, archive.fault = 40, fault
        found = harvest(database, archive, EVERYTHING, patience=QUICK)
    assert found.unanswered == ()
    assert state(database) == clean
    assert max(archive.asked_ids) > 40 >= archive.asked_ids[-1]


@pytest.mark.long
def test_an_answer_that_is_cut_to_a_page_is_asked_in_halves(
    database: Database, sky: Simulator, clean: dict[str, Any]
) -> None:
    with Odd(sky.url) as archive:
        archive.page = 10
        found = harvest(database, archive, EVERYTHING, patience=QUICK)
    assert found.unanswered == ()
    assert state(database) == clean


@pytest.mark.engines
@pytest.mark.long
def test_one_observation_without_an_answer_is_named_and_keeps_what_was_known(
    database: Database, sky: Simulator, clean: dict[str, Any]
) -> None:
    balked = clean["observations"][0]["obs_id"]
    with Odd(sky.url) as archive:
        harvest(database, archive, EVERYTHING, patience=QUICK)
        archive.balks_at = frozenset([balked])
        for full in (False, True):
            found = harvest(database, archive, EVERYTHING, full=full, patience=QUICK)
            assert [(one.what, one.key) for one in found.unanswered] == [("observation", balked)]
            assert found.failures[balked].endswith("out of time")
            assert state(database) == clean
        with database.read() as connection:
            pending = connection.execute("SELECT what, key, search FROM pending").fetchall()
        assert pending == [("observation", balked, "n")]
        archive.balks_at = frozenset()
        assert harvest(database, archive, EVERYTHING, patience=QUICK).unanswered == ()
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM pending").fetchone() == (0,)
    assert state(database) == clean


def test_an_archive_that_is_gone_is_not_asked_for_each_name() -> None:
    asked: list[int] = []

    def gone(names: Sequence[str]) -> None:
        asked.append(len(names))
        raise Unreachable("nobody answers")

    with pytest.raises(Unreachable):
        Halving(gone, lambda name, error: None).answers([str(n) for n in range(1000)], 1000, lambda done: None)
    assert len(asked) < 20


def test_names_come_back_in_order_whatever_the_halves() -> None:
    def at_most_three(names: Sequence[str]) -> list[str]:
        if len(names) > 3 or "13" in names:
            raise QueryTimeout("too many")
        return list(names)

    lost: list[str] = []
    names = [str(n) for n in range(20)]
    found = Halving(at_most_three, lambda name, error: lost.append(name)).answers(names, 16, lambda done: None)
    assert [name for chunk in found for name in chunk] == [name for name in names if name != "13"]
    assert lost == ["13"]


def _without_parent(rows: pa.Table) -> pa.Table:
    return _replaced(rows, "parent_obsid", pa.nulls(rows.num_rows, pa.string()))


def _parent_zero(rows: pa.Table) -> pa.Table:
    return _replaced(rows, "parent_obsid", pa.array(["0"] * rows.num_rows))


def _replaced(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


@pytest.mark.long
@pytest.mark.parametrize("change", [_without_parent, _parent_zero])
def test_products_that_do_not_say_whose_they_are_belong_to_the_one_observation_that_was_asked(
    database: Database, sky: Simulator, clean: dict[str, Any], change: Change
) -> None:
    with Odd(sky.url) as archive:
        Odd.products_as = staticmethod(change)
        try:
            found = harvest(database, archive, EVERYTHING, patience=QUICK)
        finally:
            Odd.products_as = None
    assert found.unanswered == ()
    assert found.set_aside == ()
    assert state(database) == clean


def _with_strangers(rows: pa.Table) -> pa.Table:
    """Let the last row of an answer belong to an observation that nobody asked for."""
    if rows.num_rows < 2:
        return rows
    parents = rows.column("parent_obsid").to_pylist()
    return _replaced(rows, "parent_obsid", pa.array([*parents[:-1], "1"]))


@pytest.mark.long
def test_products_of_observations_that_were_not_asked_for_are_counted(
    database: Database, sky: Simulator, clean: dict[str, Any]
) -> None:
    with Odd(sky.url) as archive:
        Odd.products_as = staticmethod(_with_strangers)
        try:
            found = harvest(database, archive, EVERYTHING, patience=QUICK)
        finally:
            Odd.products_as = None
    ((what, reason, rows),) = [(one.what, one.reason, one.rows) for one in found.set_aside]
    assert (what, reason) == ("product", "of an observation that was not asked for")
    assert rows == len(clean["observations"])
    with database.read() as connection:
        assert connection.execute("SELECT what, rows FROM set_aside").fetchall() == [("product", rows)]


def _half_without_address(rows: pa.Table) -> pa.Table:
    uris = rows.column("dataURI")
    kept = pc.if_else(pc.match_substring(uris, ".jpg"), None, uris)
    return _replaced(rows, "dataURI", kept)


@pytest.mark.engines
@pytest.mark.long
def test_products_without_an_address_are_set_aside_and_the_others_kept(
    database: Database, sky: Simulator, clean: dict[str, Any]
) -> None:
    with Odd(sky.url) as archive:
        Odd.products_as = staticmethod(_half_without_address)
        try:
            found = harvest(database, archive, EVERYTHING, patience=QUICK)
        finally:
            Odd.products_as = None
    ((what, rows),) = [(one.what, one.rows) for one in found.set_aside]
    assert (what, rows > 0) == ("product", True)
    kept = {row["data_uri"] for row in clean["products"] if ".jpg" not in row["data_uri"]}
    assert {row["data_uri"] for row in state(database)["products"]} == kept
    assert state(database)["files"] == clean["files"]
