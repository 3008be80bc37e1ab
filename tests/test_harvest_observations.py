"""Harvests of advanced searches: for observations, by CAOM's columns and places on the sky."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.coordinates import SkyCoord
from astroquery.mast import ObservationsClass

from catalog.archive.client import MastArchive
from catalog.archive.partition import WholeQueries
from catalog.errors import BadValue, UnknownKeyword
from catalog.harvest import harvest
from catalog.missions import JWST
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.cone import Cone
from catalog.vocabulary.search import Search

from .conftest import QUICK, Command, state

Connect = Callable[[str], MastArchive]


def niriss(name: str = "obs") -> Search:
    return Search.observations(name, ["instrument_name=NIRISS*", "calib_level=2,3"])


pytestmark = pytest.mark.engines


def plain(url: str) -> ObservationsClass:
    """Astroquery without any of our code, pointed at an archive."""
    observations = ObservationsClass()
    portal = observations._portal_api_connection
    portal.MAST_REQUEST_URL = f"{url}/api/v0/invoke"
    portal.COLUMNS_CONFIG_URL = f"{url}/portal/Mashup/Mashup.asmx/columnsconfig"
    return observations


def column(database: Database, query: str) -> list[Any]:
    with database.read() as connection:
        return [row[0] for row in connection.execute(query).fetchall()]


def test_it_finds_what_astroquery_finds(of_file: Database, sky: Simulator, connect: Connect) -> None:
    run = harvest(of_file, connect(sky.url), niriss(), patience=QUICK).run
    found = plain(sky.url).query_criteria(instrument_name="NIRISS*", calib_level=[2, 3], obs_collection="JWST")
    assert sorted(column(of_file, "SELECT obs_id FROM observations")) == sorted(found["obs_id"])
    assert (run.observations, run.new, run.files, run.linked) == (len(found), len(found), 0, 0)
    products = plain(sky.url).get_product_list(found["obsid"][:5].tolist())
    mine = set(column(of_file, "SELECT data_uri FROM products"))
    assert set(products["dataURI"]) <= mine
    assert run.products == len(mine)


def test_a_place_is_written_as_people_write_it() -> None:
    written = (
        "1.046,-47.361,30s",
        "1.046 -47.361,0.5m",
        "0h4m11.04s -47d21m39.6s,30s",
        "00:04:11.04,-47:21:39.6,30 arcsec",
    )
    for text in written:
        assert Search.observations("w", [], text).cone == Cone(1.046, -47.361, 1 / 120), text


@pytest.mark.long
def test_a_cone_finds_what_astroquery_finds_in_it(of_file: Database, sky: Simulator, connect: Connect) -> None:
    place = plain(sky.url).query_criteria(instrument_name="NIRISS*", obs_collection="JWST")[0]
    coordinates = SkyCoord(place["s_ra"], place["s_dec"], unit="deg")
    found = plain(sky.url).query_criteria(coordinates=coordinates, radius=0.05, obs_collection="JWST")
    search = Search.observations("cone", [], f"{place['s_ra']},{place['s_dec']},3m")
    harvest(of_file, connect(sky.url), search, patience=QUICK)
    assert sorted(column(of_file, "SELECT obs_id FROM observations")) == sorted(found["obs_id"])
    columns = column(of_file, "SELECT column_name FROM (DESCRIBE observations)")
    assert "distance" not in columns


@pytest.mark.long
def test_dates_and_levels_can_be_ranges(of_file: Database, sky: Simulator, connect: Connect) -> None:
    search = Search.observations("june", ["t_min=2022-06-01..2022-07-01", "calib_level=1..2"])
    harvest(of_file, connect(sky.url), search, patience=QUICK)
    with of_file.read() as connection:
        outside = "SELECT count(*) FROM observations WHERE NOT (t_min BETWEEN 59731 AND 59761 AND calib_level <= 2)"
        assert connection.execute(outside).fetchone() == (0,)
        assert connection.execute("SELECT count(*) > 0 FROM observations").fetchone() == (True,)


@pytest.mark.long
def test_the_second_harvest_of_the_same_costs_three_requests(
    database: Database, sky: Simulator, connect: Connect
) -> None:
    harvest(database, connect(sky.url), niriss(), patience=QUICK)
    before = state(database)
    again = harvest(database, connect(sky.url), niriss(), patience=QUICK).run
    assert (again.kind, again.new, again.changed, again.unchanged) == ("incremental", 0, 0, again.observations)
    assert again.requests <= 3  # columns, all rows, and when files of the programs were ingested
    assert state(database) == before


@pytest.mark.long
def test_an_incremental_harvest_ends_where_a_full_one_does(
    database: Database, own_sky: Simulator, connect: Connect, tmp_path: Path
) -> None:
    changed = 0
    for step in range(3):
        run = harvest(database, connect(own_sky.url), niriss(), patience=QUICK).run
        changed += run.changed if step else 0
        fresh = Database(tmp_path / f"fresh-{step}.duckdb")
        harvest(fresh, connect(own_sky.url), niriss(), patience=QUICK)
        assert state(database) == state(fresh)
        own_sky.advance()
    assert changed > 0


@pytest.mark.long
def test_products_that_were_processed_again_are_found_though_no_observation_differs(
    database: Database, own_sky: Simulator, connect: Connect, tmp_path: Path
) -> None:
    harvest(database, connect(own_sky.url), niriss(), patience=QUICK)
    own_sky.reprocess(own_sky.filenames("niriss")[:20])
    run = harvest(database, connect(own_sky.url), niriss(), patience=QUICK).run
    assert (run.changed, run.unchanged) == (0, run.observations)
    assert column(database, "SELECT count(*) > 0 FROM changes WHERE run = 2 AND what = 'product'") == [True]
    fresh = Database(tmp_path / "fresh.duckdb")
    harvest(fresh, connect(own_sky.url), niriss(), patience=QUICK)
    assert state(database) == state(fresh)


@pytest.mark.long
def test_observations_that_leave_are_withdrawn_and_those_that_come_back_are_returned(
    database: Database, own_sky: Simulator, connect: Connect
) -> None:
    search = Search.observations("soss", ["instrument_name=NIRISS*", "calib_level=3"])
    first = harvest(database, connect(own_sky.url), search, patience=QUICK).run
    left = column(database, "SELECT obs_id FROM observations ORDER BY obs_id LIMIT 2")

    def let(gone: bool) -> None:
        with own_sky.state.lock:
            own_sky.state.con.execute("UPDATE observation SET _gone = ? WHERE list_contains(?, obs_id)", [gone, left])

    let(gone=True)
    second = harvest(database, connect(own_sky.url), search, patience=QUICK).run
    assert (second.withdrawn, second.observations) == (2, first.observations - 2)
    assert column(database, "SELECT count(*) FROM observations") == [first.observations - 2]
    assert column(database, "SELECT count(*) FROM observations_at(1)") == [first.observations]
    told = "SELECT key FROM changes WHERE run = 2 AND kind = 'withdrawn' AND what = 'observation' ORDER BY key"
    assert column(database, told) == left
    orphans = "SELECT count(*) FROM observation_products ANTI JOIN observations USING (obs_id)"
    assert column(database, orphans) == [0]
    let(gone=False)
    third = harvest(database, connect(own_sky.url), search, patience=QUICK).run
    assert (third.returned, third.new, third.observations) == (2, 0, first.observations)
    assert third.products == first.products


@pytest.mark.long
def test_keyword_and_observation_searches_share_what_they_find(
    database: Database, sky: Simulator, connect: Connect
) -> None:
    archive = connect(sky.url)
    harvest(database, archive, Search.parse("files", "niriss", []), patience=QUICK)
    run = harvest(database, archive, niriss(), patience=QUICK).run
    assert run.new == run.observations > 0
    doubled = "SELECT obs_id FROM observation_version WHERE until_run IS NULL GROUP BY obs_id HAVING count(*) > 1"
    assert column(database, doubled) == []
    assert column(database, "SELECT count(*) FROM files WHERE obs_id IS NULL") == [0]


def test_observations_are_whole_whatever_size_their_parts_have(sky: Simulator, connect: Connect) -> None:
    archive = connect(sky.url)
    query = archive.query(niriss())
    whole = WholeQueries(archive, QUICK, "obsid", JWST.observation_cuts)
    sizes = {}
    for limit in (13, 50_000):
        parts = list(whole.rows(query, limit=limit))
        sizes[limit] = sorted(name for part in parts for name in part["obs_id"].to_pylist())
        assert all(part.num_rows <= limit for part in parts)
    assert sizes[13] == sizes[50_000]


@pytest.mark.parametrize(
    ("criteria", "cone", "error", "text"),
    [
        (["t_mim=1"], None, UnknownKeyword, "did you mean 't_min'"),
        (["calib_level=9"], None, BadValue, "it can be -1, 0, 1, 2, 3, 4"),
        (["t_min=1..2,3..4"], None, BadValue, "takes one range"),
        (["proposal_id=1", "proposal_id=2"], None, BadValue, "give proposal_id once"),
        (["intentType=sience"], None, BadValue, "did you mean 'science'"),
        ([], "1,2", BadValue, "RA,DEC,RADIUS"),
        ([], None, BadValue, "needs a criterion or a cone"),
    ],
)
def test_what_the_archive_would_not_understand_is_refused_before_any_request(
    criteria: list[str], cone: str | None, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Search.observations("x", criteria, cone)


@pytest.mark.long
def test_the_command_saves_shows_and_repeats_it(mastlake: Command, sky: Simulator) -> None:
    words: tuple[str, ...] = (
        "--server",
        sky.url,
        "harvest",
        "o",
        "--observations",
        "-k",
        "instrument_name=NIRISS*",
        "-k",
        "t_min=..",
    )
    assert mastlake(*words).code == 2
    words = ("--server", sky.url, "harvest", "o", "--observations", "-k", "instrument_name=NIRISS*")
    dry = mastlake(*words, "--dry-run", "--json").json
    assert dry["request"]["service"] == "Mast.Caom.Filtered"
    first = mastlake(*words, "--json")
    assert (first.code, first.json["observations"]) == (0, dry["rows"])
    again = mastlake("--server", sky.url, "harvest", "o").err
    assert "unchanged" in again
    assert mastlake("searches", "--json").json[0]["matches"] == dry["rows"]
    other = mastlake("--server", sky.url, "harvest", "o", "--observations", "-k", "proposal_id=1")
    assert (other.code, "other criteria" in other.err) == (2, True)
    assert mastlake("harvest", "p", "--instrument", "niriss", "--cone", "1,2,3").code == 2


@pytest.mark.long
def test_a_search_that_looks_at_an_observation_in_vain_leaves_its_products_to_other_searches(
    database: Database, connect: Connect
) -> None:
    combined = Search.observations("combined", ["instrument_name=NIRISS*", "calib_level=3"])
    with Simulator(files=100, seed=23, instruments=["niriss", "guidestar"]) as sky:
        harvest(database, connect(sky.url), combined, patience=QUICK)
        before = state(database)["observation_products"]
        harvest(database, connect(sky.url), Search.parse("rates", "niriss", ["productLevel=2a"]), patience=QUICK)
    after = state(database)["observation_products"]
    assert [row for row in before if row not in after] == []
