"""Harvests against the built-in archive."""

from __future__ import annotations

import datetime as dt
import json
import random
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from catalog.archive.answer import ArchiveAnswer
from catalog.archive.client import MastArchive
from catalog.errors import ArchiveError, BadValue, Emptied, QueryTimeout, Unreachable
from catalog.harvest import Progress, harvest
from catalog.harvest.products import BatchSize
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from .conftest import QUICK, SOSS, state
from .kills_harvest import kill_harvests

Connect = Callable[[str], MastArchive]
pytestmark = pytest.mark.engines


def served(url: str, service: str, filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Ask as a plain client would, without any of our code."""
    request = {
        "service": service,
        "params": {"columns": "*", "filters": filters},
        "format": "json",
        "pagesize": 50000,
        "page": 1,
    }
    data = urllib.parse.urlencode({"request": json.dumps(request)}).encode()
    with urllib.request.urlopen(f"{url}/api/v0/invoke", data=data, timeout=30) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def kept(value: Any) -> Any:
    """Say how a served value is kept."""
    if isinstance(value, str) and value.startswith("/Date("):
        return dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=int(value[6:-2]))
    return value


@pytest.mark.long
@pytest.mark.parametrize("instrument", ["niriss", "nircam", "nirspec", "miri", "fgs", "guidestar"])
def test_every_cell_in_the_catalog_is_the_served_one(
    database: Database, sky: Simulator, connect: Connect, instrument: str
) -> None:
    search = Search.parse(instrument, instrument, [])
    harvest(database, connect(sky.url), search, patience=QUICK)
    answer = served(sky.url, search.service, [])
    with database.read() as connection:
        rows = {r["filename"]: r for r in connection.execute("SELECT * FROM files").to_arrow_table().to_pylist()}
        booleans = {
            n
            for n, t in connection.execute("SELECT column_name, column_type FROM (DESCRIBE files)").fetchall()
            if t == "BOOLEAN"
        }
    assert len(rows) == len(answer["data"])
    for row in answer["data"]:
        mine = rows[row.get("filename") or row["fileName"]]
        for name, value in row.items():
            column = {"obs_id": "si_obs_id", "fileName": "filename"}.get(name, name)
            expected = value == "t" if column in booleans and value in ("t", "f") else kept(value)
            assert mine[column] == expected, (column, value)


@pytest.mark.long
def test_types_are_those_of_the_keywords(database: Database, sky: Simulator, connect: Connect) -> None:
    harvest(database, connect(sky.url), Search.parse("n", "niriss", []), patience=QUICK)
    with database.read() as connection:
        types = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE files)").fetchall())
    assert types["tsovisit"] == types["bkgdtarg"] == types["isStale"] == "BOOLEAN"
    assert types["date_obs"] == types["publicReleaseDate"] == "TIMESTAMP"
    assert types["nints"] == types["fileSize"] == "BIGINT"
    assert types["date_obs_mjd"] == types["effexptm"] == "DOUBLE"
    assert len(types) > 206


@pytest.mark.long
def test_products_stand_once_and_all_files_are_linked(
    database: Database, sky: Simulator, connect: Connect, soss: Search
) -> None:
    run = harvest(database, connect(sky.url), soss, patience=QUICK).run
    with database.read() as connection:
        assert (
            connection.execute("SELECT count(*), count(DISTINCT data_uri) FROM products").fetchone()
            == (run.products,) * 2
        )
        orphans = "SELECT count(*) FROM observation_products ANTI JOIN products USING (data_uri)"
        assert connection.execute(orphans).fetchone() == (0,)
        linked = "SELECT count(*) FROM files WHERE obs_id IS NOT NULL"
        assert connection.execute(linked).fetchone() == (run.linked,)
    assert run.linked == run.files > 0


@pytest.mark.long
def test_a_harvest_that_finds_nothing_new_asks_three_times(
    database: Database, sky: Simulator, connect: Connect, soss: Search
) -> None:
    harvest(database, connect(sky.url), soss, patience=QUICK)
    before = state(database)
    again = harvest(database, connect(sky.url), soss, patience=QUICK).run
    assert (again.new, again.changed, again.withdrawn, again.returned) == (0, 0, 0, 0)
    assert again.unchanged == again.files
    assert again.requests <= 3  # the files, their observations, and when files of the programs were ingested
    assert state(database) == before


@pytest.mark.long
def test_an_incremental_harvest_ends_where_a_full_one_does(
    database: Database, own_sky: Simulator, connect: Connect, tmp_path: Any
) -> None:
    search = Search.parse("n", "niriss", [])
    for step in range(4):
        run = harvest(database, connect(own_sky.url), search, patience=QUICK).run
        assert run.kind == ("incremental" if step else "full")
        fresh = Database(tmp_path / f"fresh-{step}.duckdb")
        harvest(fresh, connect(own_sky.url), search, patience=QUICK)
        assert state(database) == state(fresh)
        own_sky.advance()


@pytest.mark.long
def test_a_search_that_matched_nothing_at_first_links_the_files_it_finds_later(
    database: Database, own_sky: Simulator, connect: Connect, tmp_path: Any
) -> None:
    search, names = Search.parse("n", "niriss", []), own_sky.filenames("niriss")
    own_sky.withdraw(names)
    assert harvest(database, connect(own_sky.url), search, patience=QUICK).run.files == 0
    own_sky.restore(names)
    run = harvest(database, connect(own_sky.url), search, patience=QUICK).run
    assert (run.kind, run.new, run.linked) == ("incremental", len(names), len(names))
    fresh = Database(tmp_path / "fresh.duckdb")
    harvest(fresh, connect(own_sky.url), search, patience=QUICK)
    assert state(database) == state(fresh)


@pytest.mark.long
def test_a_search_that_matches_nothing_any_more_lets_go_of_all_it_had(
    database: Database, own_sky: Simulator, connect: Connect
) -> None:
    search, names = Search.parse("n", "niriss", []), own_sky.filenames("niriss")
    harvest(database, connect(own_sky.url), search, patience=QUICK)
    own_sky.withdraw(names)
    before = state(database)
    for full in (False, True):
        with pytest.raises(Emptied, match="--allow-empty"):
            harvest(database, connect(own_sky.url), search, full=full, patience=QUICK)
        assert state(database) == before
    run = harvest(database, connect(own_sky.url), search, allow_empty=True, patience=QUICK).run
    assert (run.files, run.withdrawn, run.products) == (0, len(names), 0)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (0,)
    for full in (False, True):  # it matched nothing before, so nothing is lost
        assert harvest(database, connect(own_sky.url), search, full=full, patience=QUICK).run.withdrawn == 0
    own_sky.restore(names)
    assert harvest(database, connect(own_sky.url), search, patience=QUICK).run.returned == len(names)


@pytest.mark.long
def test_a_file_that_leaves_and_comes_back_is_withdrawn_then_returned(
    database: Database, own_sky: Simulator, connect: Connect
) -> None:
    search = Search.parse("n", "niriss", [])
    harvest(database, connect(own_sky.url), search, patience=QUICK)
    name = own_sky.filenames("niriss")[0]
    own_sky.withdraw([name])
    assert harvest(database, connect(own_sky.url), search, patience=QUICK).run.withdrawn == 1
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM files WHERE filename = ?", [name]).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM files_at(1) WHERE filename = ?", [name]).fetchone() == (1,)
    own_sky.restore([name])
    assert harvest(database, connect(own_sky.url), search, patience=QUICK).run.returned == 1


@pytest.mark.long
def test_changes_name_the_columns_that_differ(database: Database, own_sky: Simulator, connect: Connect) -> None:
    search = Search.parse("n", "niriss", [])
    harvest(database, connect(own_sky.url), search, patience=QUICK)
    first, second = own_sky.filenames("niriss")[:2]
    own_sky.reprocess([first])
    own_sky.stale([second])
    harvest(database, connect(own_sky.url), search, patience=QUICK)
    with database.read() as connection:
        found = dict(connection.execute("SELECT key, columns FROM changes WHERE run = 2 AND what = 'file'").fetchall())
    assert set(found) == {first, second}
    assert found[second] == ["isStale"]
    assert {"checksum", "ingestCompletionDate_mjd"} <= set(found[first])


@pytest.mark.long
def test_searches_share_files_and_each_keeps_its_own_membership(
    database: Database, own_sky: Simulator, connect: Connect, soss: Search
) -> None:
    everything = Search.parse("all", "niriss", [])
    archive = connect(own_sky.url)
    few = harvest(database, archive, soss, patience=QUICK).run
    many = harvest(database, archive, everything, patience=QUICK).run
    assert many.new == many.files > few.files
    with database.read() as connection:
        assert (
            connection.execute("SELECT count(*), count(DISTINCT filename) FROM file_version").fetchone()
            == (many.files,) * 2
        )
    own_sky.withdraw(own_sky.filenames("niriss", "exp_type = 'NIS_SOSS'")[:1])
    harvest(database, archive, everything, patience=QUICK)
    with database.read() as connection:  # the other search has not been told yet, so its file is still a file
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (many.files,)
    harvest(database, archive, soss, patience=QUICK)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (many.files - 1,)


def test_a_name_cannot_mean_two_searches(catalog: Database, sky: Simulator, connect: Connect) -> None:
    with pytest.raises(BadValue, match="other criteria"):
        harvest(catalog, connect(sky.url), Search.parse("soss", "niriss", ["exp_type=NIS_AMI"]), patience=QUICK)


@pytest.mark.long
def test_batches_of_products_shrink_when_the_archive_runs_out_of_time(
    of_file: Database, own_sky: Simulator, connect: Connect
) -> None:
    own_sky.settings(max_obsids=3)
    run = harvest(of_file, connect(own_sky.url), Search.parse("n", "niriss", []), patience=QUICK)
    assert run.failures == {}
    assert run.run.linked == run.run.files


def test_a_size_that_the_archive_cannot_bear_is_seldom_tried_again() -> None:
    pace, refused, sizes = BatchSize(), 0, []
    for _ in range(200):
        if pace.size > 50:
            refused += 1
            pace.slower(pace.size)
        else:
            sizes.append(pace.size)
            pace.faster(pace.size)
    assert refused <= 20
    assert sum(sizes) > 200 * 40
    for _ in range(10):
        pace.slower(pace.size)
    assert pace.size == 1
    for _ in range(100):
        pace.faster(pace.size)
    assert pace.size > 10


@pytest.mark.long
def test_a_harvest_tells_how_far_it_is(of_file: Database, sky: Simulator, connect: Connect, soss: Search) -> None:
    told: list[Progress] = []
    harvest(of_file, connect(sky.url), soss, patience=QUICK, on_progress=told.append)
    assert {one.stage for one in told} >= {"files", "observations", "products"}
    assert all(0 <= one.done <= one.total for one in told)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, dict[str, Any]]]:
    """An archive that passing faults can be asked of, and what a harvest without faults brings from it."""
    database = Database(tmp_path_factory.mktemp("clean") / "catalog.duckdb")
    with Simulator(files=600) as sky, MastArchive(sky.url) as archive:
        harvest(database, archive, Search.parse("soss", "niriss", SOSS), patience=QUICK)
        yield sky, state(database)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault", ["invoke_error", "invoke_500", "invoke_html", "invoke_executing", "invoke_cut", "invoke_429"]
)
def test_passing_faults_do_not_show_in_the_catalog(
    of_file: Database, clean: tuple[Simulator, dict[str, Any]], connect: Connect, soss: Search, fault: str
) -> None:
    sky, without_faults = clean
    sky.faults(**{fault: 3})
    harvest(of_file, connect(sky.url), soss, patience=QUICK)
    assert state(of_file) == without_faults


@pytest.mark.long
def test_an_archive_that_goes_away_leaves_the_catalog_as_it_was(
    database: Database, own_sky: Simulator, connect: Connect, soss: Search
) -> None:
    harvest(database, connect(own_sky.url), soss, patience=QUICK)
    before = state(database)
    own_sky.advance()
    own_sky.faults(invoke_500=1000)
    with pytest.raises(ArchiveError):
        harvest(database, connect(own_sky.url), soss, patience=QUICK)
    assert state(database) == before
    with pytest.raises(Unreachable):
        harvest(database, connect("http://127.0.0.1:9"), soss, server_moved=True, patience=QUICK)
    assert state(database) == before


class Balking(MastArchive):
    """An archive that never gives the products of one observation."""

    balks_at = ""

    def products(self, obsids: Sequence[str]) -> ArchiveAnswer:
        if self.balks_at in obsids:
            raise QueryTimeout("the archive ran out of time")
        return super().products(obsids)


@pytest.mark.long
def test_an_observation_without_an_answer_is_named_and_asked_for_again(
    database: Database, own_sky: Simulator, tmp_path: Any
) -> None:
    search = Search.parse("n", "niriss", [])
    clean = Database(tmp_path / "clean.duckdb")
    with Balking(own_sky.url) as archive:
        harvest(clean, archive, search, patience=QUICK)
        with clean.read() as connection:
            find = "SELECT obs_id, obsid FROM observations WHERE calib_level < 3 ORDER BY obs_id LIMIT 1"
            obs_id, number = connection.execute(find).fetchall()[0]
        archive.balks_at = number
        first = harvest(database, archive, search, patience=QUICK)
        assert list(first.failures) == [obs_id]
        assert first.run.linked > 0
        with database.read() as connection:
            assert connection.execute("SELECT key, search FROM pending").fetchall() == [(obs_id, "n")]
        assert list(harvest(database, archive, search, patience=QUICK).failures) == [obs_id]
        archive.balks_at = ""
        assert harvest(database, archive, search, patience=QUICK).failures == {}
    assert state(database) == state(clean)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM pending").fetchone() == (0,)


@pytest.mark.long
def test_a_killed_harvest_leaves_the_last_complete_state(database: Database) -> None:
    with Simulator(files=100, instruments=["niriss", "guidestar"], retry_after_s=0) as sky:
        kill_harvests(database, sky, 3, random.Random(7))
