"""Questions of the README and of the pages, against truths computed from what MAST really answered."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.questions.statement import rows
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from ..conftest import QUICK
from ..written_pages import README, written_pages

EXPOSURE = re.compile(r"jw\d{11}_\w{5}_\d{5}")


def questions(word: str) -> list[str]:
    """Return the questions of README and pages, for all targets, that hold a word."""
    lines = [
        line
        for page in [README, *written_pages()]
        for line in re.findall(r"^ *\$ (mastlake sql .*)$", page.read_text(), re.MULTILINE)
    ]
    return [sql for _, _, sql, *_ in map(shlex.split, lines) if word in sql and "WHERE" not in sql]


@pytest.fixture
def served(
    database: Database, recorded: Any, connect: Callable[[str], MastArchive], soss: Search
) -> tuple[Database, list[dict[str, Any]]]:
    """A catalog of the record, and the record's own rows."""
    recorded.archive.move("20230410T1529")
    archive = connect(recorded.url)
    harvest(database, archive, soss, patience=QUICK)
    found = rows(database, "FROM files", ours=True).to_pylist()
    return database, found


@pytest.mark.long
def test_hours_on_a_target_count_each_exposure_once(served: tuple[Database, list[dict[str, Any]]]) -> None:
    database, files = served
    exposures = {
        (file["targname"], match[0]): file["effexptm"]
        for file in files
        if (match := EXPOSURE.match(file["filename"])) is not None
    }
    truth: dict[str, float] = {}
    for (target, _), seconds in exposures.items():
        truth[target] = truth.get(target, 0) + seconds / 3600
    (asked,) = questions("hours")
    answer = {row["targname"]: row["hours"] for row in rows(database, asked).to_pylist()}
    assert answer == {target: round(hours, 1) for target, hours in truth.items()}
    assert answer["WASP-39"] == 7.5


@pytest.mark.long
def test_an_exposure_has_one_row_whatever_was_made_from_it(served: tuple[Database, list[dict[str, Any]]]) -> None:
    database, files = served
    found = rows(database, "FROM exposures ORDER BY exposure").to_pylist()
    names = sorted({match[0] for file in files if (match := EXPOSURE.match(file["filename"]))})
    assert [row["exposure"] for row in found] == names
    assert sum(row["files"] for row in found) == sum(EXPOSURE.match(file["filename"]) is not None for file in files)
