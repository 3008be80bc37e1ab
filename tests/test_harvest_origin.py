"""One catalog, one archive: a search keeps to the archive that it was harvested from."""

from __future__ import annotations

import pytest

from catalog import Catalog
from catalog.archive.client import MastArchive
from catalog.errors import Emptied, OtherArchive
from catalog.harvest import harvest
from catalog.harvest.origin import identity, recorded_address
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from .conftest import QUICK, Command, state

pytestmark = pytest.mark.engines
SEARCH = ("--instrument", "niriss", "-k", "productLevel=3")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://mast.stsci.edu", "https://mast.stsci.edu/"),
        ("https://mast.stsci.edu", "HTTPS://MAST.STScI.edu"),
        ("https://mast.stsci.edu", "https://mast.stsci.edu:443"),
        ("http://mast.stsci.edu:80/", "https://mast.stsci.edu"),
        ("https://mast.stsci.edu", "https://me:secret@mast.stsci.edu"),
        ("http://[::1]:8000", "http://[::1]:8000/"),
        ("mast.stsci.edu", "https://mast.stsci.edu"),
    ],
)
def test_a_server_is_the_same_however_its_address_is_written(one: str, other: str) -> None:
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://mast.stsci.edu", "https://mast.stsci.edu:8443"),
        ("https://mast.stsci.edu", "https://masttest.stsci.edu"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8001"),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000/b"),
    ],
)
def test_another_host_port_or_path_is_another_archive(one: str, other: str) -> None:
    assert identity(one) != identity(other)


def test_a_password_in_the_address_is_not_written_down() -> None:
    assert recorded_address("https://me:s%40cret@mast.stsci.edu:8443/x/") == "https://mast.stsci.edu:8443/x"
    assert recorded_address("http://127.0.0.1:8000") == "http://127.0.0.1:8000"


@pytest.mark.long
def test_a_saved_search_is_refused_at_another_archive_before_any_request(
    mastlake: Command, database: Database, sky: Simulator
) -> None:
    assert mastlake("--server", sky.url, "harvest", "deep", *SEARCH).code == 0
    before = state(database)
    with Simulator(files=70, seed=9, instruments=["niriss"]) as other:
        for words in (["deep"], [], ["deep", "--full"], ["deep", "--dry-run"]):
            refused = mastlake("--server", other.url, "harvest", *words)
            assert (refused.code, len(refused.err.splitlines())) == (2, 1), words
            assert "--server-moved" in refused.err
            assert sky.url in refused.err
        assert other.stats() == {}
        assert state(database) == before
        with Catalog.open(database.named, server=other.url) as lake:
            with pytest.raises(OtherArchive):
                lake.harvest("deep")
            assert lake.harvest("deep", server_moved=True).run.server == other.url
        assert mastlake("--server", f"{other.url}/", "harvest", "deep").code == 0
        assert mastlake("--server", sky.url, "harvest", "deep").code == 2


@pytest.mark.long
def test_no_search_is_asked_where_one_of_them_belongs_to_another_archive(
    mastlake: Command, database: Database, sky: Simulator
) -> None:
    mastlake("--server", sky.url, "harvest", "zoo", *SEARCH)
    with Simulator(files=70, seed=9, instruments=["niriss"]) as other:
        assert mastlake("--server", other.url, "harvest", "abc", *SEARCH).code == 0
        other.reset_stats()
        assert mastlake("--server", other.url, "harvest").code == 2
        assert other.stats() == {}


@pytest.mark.long
def test_the_catalog_keeps_no_password(database: Database, sky: Simulator) -> None:
    address = sky.url.replace("http://", "http://me:secret@")
    with MastArchive(address) as archive:
        run = harvest(database, archive, Search.parse("deep", "niriss", ["productLevel=3"]), patience=QUICK).run
    assert run.server == sky.url
    assert not any(b"secret" in path.read_bytes() for path in database.path.parent.rglob("*") if path.is_file())


@pytest.mark.long
def test_a_search_that_suddenly_matches_nothing_is_told_and_kept(
    mastlake: Command, database: Database, own_sky: Simulator
) -> None:
    mastlake("--server", own_sky.url, "harvest", "deep", *SEARCH)
    mastlake("--server", own_sky.url, "harvest", "raw", "--instrument", "niriss", "-k", "productLevel=1b")
    before = state(database)
    own_sky.withdraw(own_sky.filenames("niriss", "\"productLevel\" = '3'"))
    for words in ([], ["--full"]):
        told = mastlake("--server", own_sky.url, "harvest", "deep", *words)
        assert told.code == 0
        assert "matches nothing now" in told.err
        assert "--allow-empty" in told.err
        assert state(database) == before
    several = mastlake("--server", own_sky.url, "harvest", "--json")
    assert several.code == 0
    assert {one["search"]: one.get("emptied", False) for one in several.json} == {"deep": True, "raw": False}
    taken = mastlake("--server", own_sky.url, "harvest", "deep", "--allow-empty", "--json")
    assert (taken.code, taken.json["files"]) == (0, 0)
    assert taken.json["withdrawn"] > 0
    assert mastlake("--server", own_sky.url, "harvest", "deep").code == 0


@pytest.mark.long
def test_an_observation_search_that_matches_nothing_is_kept_as_well(database: Database, own_sky: Simulator) -> None:
    search = Search.observations("obs", ["instrument_name=NIRISS*", "calib_level=3"])
    with MastArchive(own_sky.url) as archive:
        before = harvest(database, archive, search, patience=QUICK).run
        with own_sky.state.lock:
            own_sky.state.con.execute("UPDATE observation SET _gone = true")
        with pytest.raises(Emptied, match=f"matched {before.observations} observations"):
            harvest(database, archive, search, patience=QUICK)
        run = harvest(database, archive, search, allow_empty=True, patience=QUICK).run
    assert (run.observations, run.withdrawn, run.products) == (0, before.observations, 0)
