"""A row that the archive sends without its key is counted, and withdraws nothing that was known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from catalog.archive.client import MastArchive
from catalog.harvest import RowsSetAside, harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from .conftest import QUICK, state
from .fuzz_answers import Honest, Spoil, serving

FILES = Search.parse("n", "niriss", [])
OBSERVATIONS = Search.observations("o", ["instrument_name=NIRISS*"])
pytestmark = pytest.mark.engines


def without(key: str, value: str, row: Any = None) -> Spoil:
    """Make rows with one value of a key keyless, or others altogether."""

    def spoil(body: bytes, is_count: bool) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        if not is_count and isinstance(answer.get("data"), list):
            answer["data"] = [
                ({**one, key: None} if row is None else row) if one.get(key) == value else one for one in answer["data"]
            ]
        return json.dumps(answer).encode(), {}

    return spoil


@contextmanager
def asking() -> Iterator[tuple[Simulator, MastArchive, list[Spoil]]]:
    """Give an archive, a client of it, and a list for what is to spoil its answers."""
    with (
        Simulator(files=20, instruments=["niriss"]) as sky,
        serving(Honest(sky.url)) as (url, spoilers),
        MastArchive(url) as archive,
    ):
        yield sky, archive, spoilers


@pytest.mark.long
@pytest.mark.parametrize(("full", "row"), [(False, None), (True, 5)], ids=["without a key", "no object"])
def test_a_file_whose_row_is_set_aside_stays(database: Database, full: bool, row: Any) -> None:
    with asking() as (sky, archive, spoilers):
        harvest(database, archive, FILES, patience=QUICK)
        before, names = state(database), sky.filenames("niriss")
        spoilers.append(without("filename", names[0], row))
        outcome = harvest(database, archive, FILES, full=full, patience=QUICK)
    assert state(database) == before
    reason = "the row has no filename" if row is None else "the row is no object"
    assert outcome.set_aside == (RowsSetAside("file", reason, 1),)
    assert outcome.run.withdrawn == 0


@pytest.mark.long
def test_a_file_that_is_gone_is_withdrawn_although_the_row_of_another_is_set_aside(database: Database) -> None:
    with Simulator(files=20, instruments=["niriss"]) as sky:
        names = sky.filenames("niriss")
        with serving(Honest(sky.url)) as (url, _), MastArchive(url) as archive:
            harvest(database, archive, FILES, patience=QUICK)
        sky.withdraw(names[:1])
        with serving(Honest(sky.url)) as (url, spoilers), MastArchive(url) as archive:
            spoilers.append(without("filename", names[1]))
            run = harvest(database, archive, FILES, server_moved=True, patience=QUICK).run
    assert run.withdrawn == 1
    assert {row["filename"] for row in state(database)["files"]} == set(names[1:])


@pytest.mark.long
def test_an_observation_whose_row_is_set_aside_stays_and_is_named(database: Database) -> None:
    with asking() as (_, archive, spoilers):
        harvest(database, archive, OBSERVATIONS, patience=QUICK)
        before = state(database)
        obs_id = before["observations"][0]["obs_id"]
        spoilers.append(without("obs_id", obs_id))
        outcome = harvest(database, archive, OBSERVATIONS, full=True, patience=QUICK)
    assert state(database) == before
    assert list(outcome.failures) == [obs_id]


@pytest.mark.long
def test_a_product_whose_row_is_set_aside_stays_listed(database: Database) -> None:
    with asking() as (_, archive, spoilers):
        harvest(database, archive, OBSERVATIONS, patience=QUICK)
        before = state(database)
        spoilers.append(without("dataURI", before["products"][0]["dataURI"]))
        outcome = harvest(database, archive, OBSERVATIONS, full=True, patience=QUICK)
    assert state(database) == before
    assert outcome.set_aside[0].what == "product"
