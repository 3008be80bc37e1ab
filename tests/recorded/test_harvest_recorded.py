"""Harvests of what MAST really answered, from October 2022 to August 2023."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.store.database import Database
from catalog.sync import Selection, products
from catalog.vocabulary.search import Search

from ..conftest import QUICK, state

Connect = Callable[[str], MastArchive]
WANTED = Selection(search="soss", types=("SCIENCE", "INFO"), dataproducts=("spectrum",), levels=(2, 3))

# snapshot: files, observations, products, products wanted, files linked at least
FULL = {
    "20221017T1802": (56, 14, 877, 162, 56),
    "20230410T1529": (90, 5, 482, 79, 43),
    "20230421T1302": (81, 5, 487, 79, 46),
    "20230424T1713": (80, 3, 303, 49, 32),
}
# snapshot: new, changed, withdrawn
MOVES = {
    "20221017T1802": (56, 0, 0),
    "20230410T1529": (37, 51, 3),
    "20230421T1302": (3, 36, 12),
    "20230424T1713": (0, 2, 1),
    "20230822T1428": (0, 62, 18),
}


def kept(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("/Date("):
        return dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=int(value[6:-2]))
    return {"t": True, "f": False}.get(value, value) if isinstance(value, str) else value


@pytest.mark.long
@pytest.mark.parametrize("snapshot", FULL)
def test_a_full_harvest_finds_what_the_tutorial_printed(
    database: Database, recorded: Any, connect: Connect, soss: Search, snapshot: str
) -> None:
    recorded.archive.move(snapshot)
    run = harvest(database, connect(recorded.url), soss, patience=QUICK).run
    files, observations, all_products, wanted, linked = FULL[snapshot]
    assert (run.files, run.observations, run.products) == (files, observations, all_products)
    assert products(database, WANTED).num_rows == wanted
    assert run.linked >= linked


@pytest.mark.long
def test_every_value_of_every_row_is_the_served_one_and_none_is_read_cell_by_cell(
    database: Database, recorded: Any, connect: Connect, soss: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.archive.answer._read_by_cell", None)  # several times slower, for odd answers alone
    for snapshot in MOVES:
        recorded.archive.move(snapshot)
        harvest(database, connect(recorded.url), soss, patience=QUICK)
        tables = recorded.archive.tables
        with database.read() as connection:
            for view, service, key, column in (
                ("files", "Mast.Jwst.Filtered.Niriss", "filename", "filename"),
                ("observations", "Mast.Caom.Filtered", "obs_id", "obs_id"),
                ("products", "Mast.Caom.Products", "data_uri", "dataURI"),
            ):
                rows = connection.execute(f"SELECT * FROM {view}").to_arrow_table().to_pylist()
                mine = {row[key]: row for row in rows}
                served = tables[service][1] if view != "products" or snapshot in FULL else []
                assert set(mine) == {row[column] for row in served}
                for row in served:
                    for name, value in row.items():
                        if name == "parent_obsid":
                            continue
                        name = "si_obs_id" if (view, name) == ("files", "obs_id") else name  # noqa: PLW2901
                        assert mine[row[column]][name] == kept(value), (snapshot, view, name)


@pytest.mark.long
def test_snapshot_to_snapshot_an_incremental_harvest_is_a_full_one(
    database: Database, recorded: Any, connect: Connect, soss: Search, tmp_path: Path
) -> None:
    widths = []
    for snapshot, (new, changed, withdrawn) in MOVES.items():
        recorded.archive.move(snapshot)
        run = harvest(database, connect(recorded.url), soss, patience=QUICK).run
        assert (run.new, run.changed, run.withdrawn, run.returned) == (new, changed, withdrawn, 0)
        fresh = Database(tmp_path / f"{snapshot}.duckdb")
        harvest(fresh, connect(recorded.url), soss, patience=QUICK)
        assert state(database) == state(fresh)
        with database.read() as connection:
            widths.append(recorded.archive.tables["Mast.Jwst.Filtered.Niriss"][1][0].keys())
            stale_only = "SELECT count(*) FROM changes WHERE run = ? AND what = 'file' AND columns = ['isStale']"
            if snapshot == "20230421T1302":
                assert connection.execute(stale_only, [run.run]).fetchone() == (4,)
        again = harvest(database, connect(recorded.url), soss, patience=QUICK).run
        assert (again.new, again.changed, again.withdrawn, again.returned) == (0, 0, 0, 0)
        assert again.requests <= 3
    assert [len(width) for width in widths] == [197, 197, 197, 197, 203]


@pytest.mark.long
def test_history_tells_what_was_known_when(database: Database, recorded: Any, connect: Connect, soss: Search) -> None:
    known = {}
    for snapshot in MOVES:
        recorded.archive.move(snapshot)
        run = harvest(database, connect(recorded.url), soss, patience=QUICK).run
        known[run.run] = {row["filename"]: row["checksum"] for row in recorded.archive.tables[soss.service][1]}
    with database.read() as connection:
        for number, files in known.items():
            rows = connection.execute("SELECT filename, checksum FROM files_at(?)", [number]).fetchall()
            assert dict(rows) == files


@pytest.mark.long
@pytest.mark.parametrize("fault", ["invoke_error", "invoke_500", "invoke_executing"])
def test_faults_of_the_archive_do_not_show(
    database: Database, recorded: Any, connect: Connect, soss: Search, fault: str
) -> None:
    recorded.archive.faults[fault] = 3
    run = harvest(database, connect(recorded.url), soss, patience=QUICK).run
    assert (run.files, run.observations, run.products, run.linked) == (56, 14, 877, 56)


@pytest.mark.long
def test_a_limit_on_observations_at_once_is_found_and_kept(
    database: Database, recorded: Any, connect: Connect, soss: Search
) -> None:
    recorded.archive.max_obsids = 2
    run = harvest(database, connect(recorded.url), soss, patience=QUICK)
    assert run.failures == {}
    assert run.run.products == 877


@pytest.mark.long
def test_an_observation_search_finds_the_recorded_observations(
    database: Database, recorded: Any, connect: Connect
) -> None:
    recorded.archive.move("20221017T1802")
    search = Search.observations("wasp", ["proposal_id=2734", "instrument_name=NIRISS*", "t_min=2022-06-01.."])
    run = harvest(database, connect(recorded.url), search, patience=QUICK).run
    served = recorded.archive.tables["Mast.Caom.Filtered"][1]
    expected = {row["obs_id"] for row in served if str(row["proposal_id"]) == "2734"}
    with database.read() as connection:
        found = {row[0] for row in connection.execute("SELECT obs_id FROM observations").fetchall()}
    assert found == expected != set()
    assert run.products > 0
    again = harvest(database, connect(recorded.url), search, patience=QUICK).run
    assert (again.new, again.unchanged, again.requests <= 3) == (0, run.observations, True)
