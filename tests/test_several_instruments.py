"""One search for several instruments: a program is one search, asked of each keyword service."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.archive.client import MastArchive
from catalog.errors import BadValue, UnknownKeyword
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from .conftest import QUICK, Command, state

BOTH = Search.parse("both", "nircam,miri", ["productLevel=2a"])


def instruments(database: Database) -> dict[str, int]:
    """How many files of each instrument the search matches."""
    with database.read() as connection:
        rows = connection.execute(
            """SELECT instrument, count(*) FROM files
               SEMI JOIN (SELECT filename FROM search_files WHERE search = 'both') USING (filename) GROUP BY ALL"""
        ).fetchall()
    return dict(rows)


@pytest.mark.long
def test_one_run_brings_what_the_searches_of_each_instrument_bring(tmp_path: Path) -> None:
    together, apart = Database(tmp_path / "together.duckdb"), Database(tmp_path / "apart.duckdb")
    with Simulator(files=60, instruments=["nircam", "miri"]) as sky, MastArchive(sky.url) as archive:
        first = harvest(together, archive, BOTH, patience=QUICK).run
        for part in BOTH.parts:
            name = str(part.instrument)
            harvest(apart, archive, Search.parse(name, name, part.written), patience=QUICK)
        found, expected = state(together), state(apart)
        for view in ("files", "observations", "products", "observation_products"):
            assert found[view] == expected[view], view
        assert set(instruments(together)) == {"miri", "nircam"}
        assert first.files == sum(instruments(together).values())
        changed = [sky.filenames(one, "\"productLevel\" = '2a'")[0] for one in ("miri", "nircam")]
        sky.reprocess(changed)
        second = harvest(together, archive, BOTH, patience=QUICK).run
        assert (second.kind, second.changed, second.new, second.withdrawn) == ("incremental", 2, 0, 0)
        sky.withdraw(changed[:1])
        assert harvest(together, archive, BOTH, patience=QUICK).run.withdrawn == 1
        fresh = Database(tmp_path / "fresh.duckdb")
        harvest(fresh, archive, BOTH, patience=QUICK)
        assert state(together) == state(fresh)
    with together.read() as connection:
        rows = "SELECT instrument, cursor_mjd FROM search_cursor WHERE search = 'both' ORDER BY ALL"
        cursors = dict(connection.execute(rows).fetchall())
        assert set(cursors) == {"miri", "nircam"}
        newest = "SELECT instrument, max(ingest_mjd) FROM files GROUP BY ALL"
        assert all(cursors[one] >= mjd for one, mjd in connection.execute(newest).fetchall())


def test_the_command_line_takes_several_instruments(
    mastlake: Command, sky: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
    asked = mastlake("harvest", "p", "--instrument", "all", "-k", "productLevel=3", "--dry-run", "--json").json
    services = [one["request"]["service"].rpartition(".")[2].lower() for one in asked]
    assert services == ["nircam", "niriss", "nirspec", "miri", "fgs"]
    refused = mastlake("harvest", "p", "--instrument", "niriss,miri", "-k", "channel=1")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "niriss has no channel" in refused.err
    assert "--instrument miri" in refused.err


@pytest.mark.parametrize("text", ["", ",", "niriss,", "niriss,,nircam", " NIRISS , nircam"])
def test_instruments_are_read_as_people_write_them(text: str) -> None:
    if not text.strip(","):
        with pytest.raises(BadValue, match="there are nircam"):
            Search.parse("a", text, ["program=1"])
    else:
        assert set(Search.parse("a", text, ["program=1"]).instruments) <= {"niriss", "nircam"}


def test_the_order_in_which_instruments_are_written_does_not_count() -> None:
    assert Search.parse("a", "niriss,nircam", ["program=1"]) == Search.parse("a", "nircam,niriss", ["program=1"])
    assert Search.parse("a", "all", []).instruments == ("nircam", "niriss", "nirspec", "miri", "fgs")
    with pytest.raises(UnknownKeyword, match="did you mean"):
        Search.parse("a", "all", ["exptype=NIS_SOSS"])
