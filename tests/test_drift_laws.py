"""A law of drift: what is kept of it as files and archive change is what comparing everything would find."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.headers import index_folders
from catalog.simulator import Simulator
from catalog.store.history.keyword_differences import keep_differences
from catalog.vocabulary.search import Search

from .conftest import QUICK, NewCatalog
from .fits_samples import sample
from .laws import EngineStateMachine, hold

SEARCHES = (Search.parse("all", "niriss", []), Search.parse("stage3", "niriss", ["productLevel=3"]))
some = st.integers(0, 10**6)
pytestmark = pytest.mark.engines("each")
HEADERS = (
    {"FILTER": "'F277W'", "NINTS": "3", "EFFEXPTM": "1.5"},
    {"FILTER": "'CLEAR'", "PROGRAM": "'09999'", "TSOVISIT": "T", "DATE_OBS": "'2001-01-01'"},
    {"CAL_VER": "'0.0.1'", "EXPSTART": "50000.25", "NINTS": "1"},
)


class DiskAndArchive(EngineStateMachine):
    """Files come, change, move and go on disk, and so they do in the archive; now and then one of both is read."""

    @initialize(seed=st.integers(1, 50))
    def begin(self, seed: int) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.disk = Path(self.scratch.name) / "disk"
        self.disk.mkdir()
        self.sky = Simulator(files=12, seed=seed, instruments=["niriss"], retry_after_s=0)
        self.sky.start()
        self.archive = MastArchive(self.sky.url)
        self.database = self.new_catalog(Path(self.scratch.name))
        self.gone: list[str] = []
        self.harvest(SEARCHES[0], full=True)
        self.put_on_disk([0, 1, 2], HEADERS[0])
        self.put_on_disk([3, 4, 5], HEADERS[2])
        with self.database.read() as connection:
            assert drift(connection)  # there is something to keep

    def teardown(self) -> None:
        if hasattr(self, "scratch"):
            self.archive.close()
            self.sky.stop()
            self.scratch.cleanup()

    def name(self, pick: int) -> str:
        names = [*self.sky.filenames("niriss"), "elsewhere.fits"]
        return names[pick % len(names)]

    @rule(picks=st.lists(some, min_size=1, max_size=6), header=st.sampled_from(HEADERS))
    def put_on_disk(self, picks: list[int], header: dict[str, str]) -> None:
        for name in map(self.name, picks):
            (self.disk / name).write_bytes(sample(name, **header))
        index_folders(self.database, [self.disk])

    @rule(pick=some, where=some)
    def move(self, pick: int, where: int) -> None:
        there = sorted(self.disk.iterdir())
        if there:
            there[pick % len(there)].rename(self.disk / self.name(where))
        index_folders(self.database, [self.disk])

    @rule(pick=some)
    def delete(self, pick: int) -> None:
        for path in sorted(self.disk.iterdir())[pick % 3 :: 3]:
            path.unlink()
        index_folders(self.database, [self.disk], verify=True)

    @rule(pick=some)
    def reprocess(self, pick: int) -> None:
        for name in self.sky.filenames("niriss"):
            self.sky.edit(name, "nints", pick % 100)
        self.sky.reprocess(self.sky.filenames("niriss")[pick % 3 :: 3])
        self.harvest(SEARCHES[0], full=False)

    @rule(pick=some)
    def withdraw(self, pick: int) -> None:
        left = self.sky.filenames("niriss")[pick % 3 :: 3]
        self.sky.withdraw(left)
        self.gone += left
        self.harvest(SEARCHES[0], full=False)

    @rule()
    def restore(self) -> None:
        self.sky.restore(self.gone)
        self.gone = []
        self.harvest(SEARCHES[0], full=False)

    @rule(search=st.sampled_from(SEARCHES), full=st.booleans())
    def harvest(self, search: Search, full: bool) -> None:
        harvest(self.database, self.archive, search, full=full, patience=QUICK)

    @invariant()
    def what_is_kept_is_what_comparing_everything_finds(self) -> None:
        if not hasattr(self, "database") or not self.database.exists():
            return
        with self.database.read() as connection:
            kept = drift(connection)
        with pytest.raises(Computed) as computed:
            self.compute()
        assert [kept] == list(computed.value.args)

    def compute(self) -> None:
        """Compute all drift anew, without keeping it."""
        with self.database.write() as connection:
            keep_differences(connection)
            raise Computed(drift(connection))


class Computed(Exception):
    """Ends a transaction that is not to be committed, with what was found in it."""


def drift(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    question = "SELECT path, filename, keyword, header, archive FROM keyword_drift"
    return sorted(connection.execute(question).fetchall())


@pytest.mark.law
def test_kept_drift_is_computed_drift(engine: str, new_catalog: NewCatalog) -> None:
    hold(DiskAndArchive, engine, new_catalog, steps=6)
