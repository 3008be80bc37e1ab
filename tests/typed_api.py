"""The types of the public API, as mypy sees them; `make lint` checks this file, and nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import pyarrow as pa

from catalog import Catalog, Changes, Harvest, IndexReport, Outdated, Plan, Question, Result, Search, SyncReport
from catalog.api.types import Drawing, Keyword, KeywordValues, Link, Overview, Preview, Request, Run, SearchState


def questions(lake: Catalog, question: Question, result: Result) -> None:
    """Check what questions return."""
    assert_type(lake.find("exp_type=NIS_SOSS", target="WASP*", program=[1366, 2734], limit=3), Result)
    assert_type(lake.sql("SELECT 1 WHERE 1 = ?", [1]), Result)
    assert_type(lake.ask("SELECT 1"), Question)
    assert_type(lake.ask_files(target="WASP*"), Question)
    assert_type(lake.products("soss", subgroups="X1DINTS", levels=[2, 3]), Result)
    assert_type(lake.keywords("exp"), list[Keyword])
    assert_type(lake.keyword_values("exp_type"), KeywordValues)
    assert_type(question.first_rows(5), tuple[list[str], list[tuple[Any, ...]], bool])
    assert_type(question.write(Path("answer.csv"), "csv"), int)
    assert_type(question.sql, str)
    assert_type(result["filename"], list[Any])
    assert_type(iter(result), Iterator[dict[str, Any]])
    assert_type(len(result), int)
    with lake.stream("SELECT 1") as batches:
        reader: pa.RecordBatchReader = batches
        del reader


def searches(lake: Catalog, search: Search) -> None:
    """Check what searches and their harvests return."""
    assert_type(Search.parse("soss", "niriss", []), Search)
    assert_type(lake.harvest(search, full=True, time_limit=60.0), Harvest)
    assert_type(lake.harvest("soss").run, Run)
    assert_type(lake.searches(), list[Search])
    assert_type(lake.search_states(), list[SearchState])
    assert_type(lake.revise_search("soss", ["category=ERS"]), Search)
    assert_type(lake.requests("soss"), list[Request])
    assert_type(lake.runs(), list[Run])
    assert_type(lake.changes(since=0), Changes)


def files(lake: Catalog, plan: Plan) -> None:
    """Check what methods on local files return."""
    assert_type(lake.plan("soss", dest="data", max_size=10_000), Plan)
    assert_type(lake.sync("soss", limit_rate="20M"), SyncReport)
    assert_type(lake.apply(plan, jobs=4), SyncReport)
    assert_type(lake.script("soss"), str)
    assert_type(lake.index("data", verify=True), IndexReport)
    assert_type(lake.outdated("data"), Outdated)
    assert_type(lake.status(), Overview)
    assert_type(lake.inputs("a.fits", deep=True), list[Link])
    assert_type(lake.local_file("a.fits"), Path)
    assert_type(lake.previews("soss"), list[Preview])
    assert_type(lake.sky("soss", target="WASP*"), Drawing)
    assert_type(lake.timeline(), Drawing)


def wrong(lake: Catalog) -> None:
    """Check that mypy refuses wrong arguments: mypy reports a comment that ignores no error."""
    lake.sync("soss", jobs="four")  # type: ignore[arg-type]
    lake.products("soss", subgroup="X1DINTS")  # type: ignore[call-arg]
    lake.index("data", verify="yes")  # type: ignore[arg-type]
