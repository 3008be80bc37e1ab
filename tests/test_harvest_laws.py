"""Laws of harvests: whatever happens to the archive and on the way to it, the catalog is complete, or as it was.

Incremental harvests end where full ones do, in files, observations, products and links. What moves without any trace in
what they ask for is stated here: keywords of a file that is not ingested again, and, in the rows of products, the
number and the access of an exposure that CAOM does not list by itself. A share of rows and product lists is read again
in each harvest, in turn, so that a few more harvests find these as well.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)

from catalog.archive.client import AnswerLimits, MastArchive
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from .bad_habits import ALL_WELL, HABITS, ODD, SLOW, keys
from .conftest import QUICK, NewCatalog, state
from .laws import EngineStateMachine, hold
from .test_harvest import kept, served

pytestmark = pytest.mark.engines("each")
SEARCHES = (
    Search.parse("all", "niriss", []),
    Search.parse("stage3", "niriss", ["productLevel=3"]),
    Search.parse("rates", "niriss", ["productLevel=2a"]),
    Search.parse("both", "niriss,guidestar", []),
    Search.observations("seen", ["instrument_name=NIRISS*", "calib_level=2,3"]),
    Search.observations("combined", ["instrument_name=NIRISS*", "calib_level=3"]),
)
WITHOUT_TRACE = {"files": {"effexptm"}, "products": {"obsID", "dataRights"}}
"""Columns that can move although no file is ingested and no observation's row differs."""
last_second = importlib.import_module("catalog.harvest.commit")  # the package shows its function of this name
VIEWS = ("files", "observations", "products")
LIGHT = {"filename", "checksum", "isStale", "ingestCompletionDate_mjd"}
some = st.lists(st.integers(0, 10**6), min_size=1, max_size=4)


def traced(known: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return what is known without the columns that can move without a trace."""
    kept = {
        view: [{k: v for k, v in row.items() if k not in WITHOUT_TRACE.get(view, ())} for row in rows]
        for view, rows in known.items()
    }
    return {view: sorted(rows, key=repr) for view, rows in kept.items()}


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


class Mortal(MastArchive):
    """An archive client whose process ends at a certain request."""

    left = -1

    def _ask(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise Killed
        return super()._ask(*arguments)


class Archives(EngineStateMachine):
    """The archive changes, answers are spoilt, and harvests run or die; the next whole one equals a full harvest."""

    @initialize(
        seed=st.integers(1, 50), searches=st.lists(st.sampled_from(SEARCHES), min_size=1, max_size=3, unique=True)
    )
    def begin(self, seed: int, searches: list[Search]) -> None:
        self.searches = searches
        self.folder = tempfile.TemporaryDirectory()
        self.sky = Simulator(files=100, seed=seed, instruments=["niriss", "guidestar"], retry_after_s=0)
        self.sky.start()
        self.database = self.new_catalog(Path(self.folder.name))
        self.archive = self.client()
        self.gone: list[str] = []
        self.silent, self.odd, self.columns = False, False, 0
        self.known: dict[int, dict[str, list[dict[str, Any]]]] = {}
        self.now: dict[str, list[dict[str, Any]]] | None = None

    def client(self, longest: float = 5) -> Mortal:
        """Return a client that waits so many seconds for an answer."""
        limits = AnswerLimits(connect=5, read=10, total=longest, first_pause=0.001, longest_pause=0.01)
        return Mortal(self.sky.url, limits)

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            self.end()
        finally:
            self.archive.close()
            self.sky.stop()
            self.folder.cleanup()

    def end(self) -> None:
        """Harvest once more, from an archive that is well: nothing of what happened shows."""
        self.settle()
        self.replay_history()

    def settle(self) -> None:
        """Incremental harvests end where full ones do; what leaves no trace is found after a few more of them."""
        self.heal()
        for search in self.searches:
            self.harvest_one(search, full=False)
        fresh = Database(Path(self.folder.name) / "fresh.duckdb")
        for search in self.searches:
            harvest(fresh, self.archive, search, patience=QUICK)
        wanted = state(fresh)
        if self.silent or self.odd:
            keep = keys if self.odd else traced
            assert keep(state(self.database)) == keep(wanted)
            for _ in range(len(wanted["files"]) // 20 + len(wanted["observations"]) // 16 + 1):
                for search in self.searches:
                    self.harvest_one(search, full=False)
        assert state(self.database) == wanted

    def names(self, picks: list[int]) -> list[str]:
        names = self.sky.filenames("niriss")
        return [names[pick % len(names)] for pick in picks] if names else []

    def heal(self) -> None:
        self.sky.faults(**ALL_WELL)
        self.sky.settings(max_obsids=0)
        self.archive.close()
        self.archive = self.client()

    @rule(picks=some)
    def reprocess(self, picks: list[int]) -> None:
        self.sky.reprocess(self.names(picks))

    @rule(pick=st.integers(0, 10**6))
    def reprocess_a_guide_star(self, pick: int) -> None:
        names = self.sky.filenames("guidestar")
        self.sky.reprocess([names[pick % len(names)]] if names else [])

    @rule(picks=some)
    def turn_stale(self, picks: list[int]) -> None:
        self.sky.stale(self.names(picks))

    @rule(picks=some)
    def withdraw(self, picks: list[int]) -> None:
        left = sorted(set(self.names(picks)))
        self.sky.withdraw(left)
        self.gone += left

    @precondition(lambda self: self.gone)
    @rule()
    def restore(self) -> None:
        self.sky.restore(self.gone)
        self.gone = []

    @rule()
    def let_time_pass(self) -> None:
        self.sky.advance()
        self.gone = []

    @rule(pick=st.integers(0, 10**6), exclusive=st.booleans())
    def open_or_close(self, pick: int, exclusive: bool) -> None:
        self.sky.rights(self.observation(pick), exclusive=exclusive)

    @rule(pick=st.integers(0, 10**6))
    def renumber(self, pick: int) -> None:
        self.sky.renumber(self.observation(pick))

    @rule(pick=st.integers(0, 10**6), gone=st.booleans())
    def withdraw_observation(self, pick: int, gone: bool) -> None:
        names = self.observation(pick)
        with self.sky.state.lock:
            self.sky.state.con.execute("UPDATE observation SET _gone = ? WHERE list_contains(?, obs_id)", [gone, names])

    def observation(self, pick: int) -> list[str]:
        """Choose an observation; changes of one that the archive does not list leave no trace."""
        with self.sky.state.lock:
            rows = self.sky.state.con.execute(
                "SELECT obs_id, _listed FROM observation WHERE _unit IS NOT NULL AND _born <= ? ORDER BY obs_id",
                [self.sky.epoch],
            ).fetchall()
        obs_id, listed = rows[pick % len(rows)]
        self.silent = self.silent or not listed
        return [obs_id]

    @rule(pick=st.integers(0, 10**6), value=st.floats(1, 1e4))
    def edit_in_silence(self, pick: int, value: float) -> None:
        for name in self.names([pick]):
            self.sky.edit(name, "effexptm", value)
            self.silent = True

    @rule(picks=some)
    def add_column(self, picks: list[int]) -> None:
        self.columns += 1
        self.sky.add_column("niriss", f"newcol{self.columns}", "int", 7, self.names(picks))
        self.sky.reprocess(self.names(picks))

    @rule(fault=st.sampled_from(HABITS), count=st.integers(0, 6))
    def spoil(self, fault: str, count: int) -> None:
        self.sky.faults(**{fault: count})
        if fault in SLOW:
            self.archive.close()
            self.archive = self.client(longest=0.2)
        self.odd = self.odd or (fault in ODD and count > 0)

    @rule(most=st.integers(0, 5))
    def bear_few_observations(self, most: int) -> None:
        self.sky.settings(max_obsids=most)

    @rule(pick=st.integers(0, 2), full=st.booleans(), thorough=st.booleans())
    def harvest(self, pick: int, full: bool, thorough: bool = True) -> None:
        self.harvest_one(self.searches[pick % len(self.searches)], full, thorough)

    def harvest_one(self, search: Search, full: bool, thorough: bool = True) -> None:
        try:
            how: Any = {"full": full, "thorough": thorough, "allow_empty": True, "patience": QUICK}
            run = harvest(self.database, self.archive, search, **how).run
        except ArchiveError:
            self.is_as_it_was()
            return
        self.is_complete(search, every_cell=not self.odd and (full or not self.silent))
        self.now = state(self.database)
        self.known[run.run] = self.now

    @rule(pick=st.integers(0, 2), request=st.integers(1, 12))
    def die_asking(self, pick: int, request: int) -> None:
        self.archive.left = request
        try:
            self.harvest(pick, full=False)
        except Killed:
            self.is_as_it_was()
        finally:
            self.archive.left = -1

    @rule(pick=st.integers(0, 2), step=st.sampled_from(["_merge_products", "link_files", "record_run"]))
    def die_committing(self, pick: int, step: str) -> None:
        def die(*arguments: object) -> None:
            raise Killed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(last_second, step, die)
            try:
                harvest(self.database, self.archive, self.searches[pick % len(self.searches)], patience=QUICK)
            except (Killed, ArchiveError):
                self.is_as_it_was()

    def is_as_it_was(self) -> None:
        if self.now is None:
            with self.database.read() as connection:
                assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)
        else:
            assert state(self.database) == self.now

    def is_complete(self, search: Search, every_cell: bool) -> None:
        """The catalog has what a plain client is served, cell by cell."""
        if search.instrument is None:
            return
        self.heal()
        rows = {
            row.get("filename") or row["fileName"]: row
            for part in search.parts
            for row in served(self.sky.url, part.service, part.filters())["data"]
        }
        with self.database.read() as connection:
            mine = connection.execute(
                "SELECT * FROM files SEMI JOIN (SELECT filename FROM search_files WHERE search = ?) USING (filename)",
                [search.name],
            ).to_arrow_table()
        assert sorted(mine.column("filename").to_pylist()) == sorted(rows)
        for row in mine.to_pylist():
            for name, value in rows[row["filename"]].items():
                if every_cell or name in LIGHT:
                    column = {"obs_id": "si_obs_id", "fileName": "filename"}.get(name, name)
                    expected = value == "t" if isinstance(row[column], bool) and value in ("t", "f") else kept(value)
                    assert row[column] == expected, (row["filename"], column)

    @invariant()
    def nothing_stands_twice_or_halfway(self) -> None:
        if getattr(self, "now", None) is None:
            return
        with self.database.read() as connection:
            for table, key in (("file", "filename"), ("observation", "obs_id"), ("product", "data_uri")):
                doubled = f"SELECT {key} FROM {table}_version WHERE until_run IS NULL GROUP BY 1 HAVING count(*) > 1"
                assert connection.execute(doubled).fetchall() == []
            orphans = "SELECT count(*) FROM observation_products ANTI JOIN products USING (data_uri)"
            assert connection.execute(orphans).fetchone() == (0,)
            unheld = "SELECT count(*) FROM files ANTI JOIN search_files USING (filename)"
            assert connection.execute(unheld).fetchone() == (0,)

    def replay_history(self) -> None:
        """What was known at each run is still known to have been known."""
        with self.database.read() as connection:
            for run, then in self.known.items():
                for view in VIEWS:
                    rows = connection.execute(f"SELECT * EXCLUDE (since_run) FROM {view}_at({run})").to_arrow_table()
                    plain = [{k: v for k, v in row.items() if v is not None} for row in rows.to_pylist()]
                    assert sorted(plain, key=repr) == then[view], (run, view)


@pytest.mark.law
def test_every_sequence_ends_in_the_archives_state(engine: str, new_catalog: NewCatalog) -> None:
    hold(Archives, engine, new_catalog, steps=7)


@pytest.mark.long
def test_the_time_limit_of_a_run_leaves_the_catalog_as_it_was(database: Database) -> None:
    with Simulator(files=70, instruments=["niriss"]) as sky, MastArchive(sky.url) as archive:
        harvest(database, archive, SEARCHES[0], patience=QUICK)
        before = state(database)
        sky.advance()
        with pytest.raises(ArchiveError, match="time limit"):
            harvest(database, archive, SEARCHES[0], patience=Patience(until=0))
        assert state(database) == before
