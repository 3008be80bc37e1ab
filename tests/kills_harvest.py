"""Harvests that are killed at random moments: each leaves a complete state, and the next one goes on from it.

Run by ``make kills``: ``python -m tests.kills_harvest [KILLS] [SEED]``. Time passes in the archive, ten harvests of
what it became, of files, of observations and of several instruments, are killed one after the other, and one is left to
end; then the catalog is what full harvests make of that archive, products included. Half of those that are killed are
answered wrongly as well. So it goes on until there were as many kills as wanted. The short form runs with the tests.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog.api.catalog import Catalog
from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.store.duckdb_file import DUCKDB
from catalog.vocabulary.search import Search

from .bad_habits import ALL_WELL, HABITS, ODD, keys
from .conftest import state

ROUND = 10
State = dict[str, list[dict[str, Any]]]
View = Callable[[State], Any]
SEARCHES = (
    Search.parse("n", "niriss", []),
    Search.observations("o", ["instrument_name=NIRISS*", "calib_level=2,3"]),
    Search.parse("b", "niriss,guidestar", []),
)
_HARVEST = """
import sys
from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.vocabulary.search import Search
from catalog.store.database import Database
from catalog.store.duckdb_file import DUCKDB
from catalog.store.lakes.address import is_lake
from catalog.store.lakes.lake import lake_of
path, engine = lake_of(sys.argv[1]) if is_lake(sys.argv[1]) else (sys.argv[1], DUCKDB)
print("ready", flush=True)
searches = (
    Search.parse("n", "niriss", []),
    Search.observations("o", ["instrument_name=NIRISS*", "calib_level=2,3"]),
    Search.parse("b", "niriss,guidestar", []),
)
for search in searches:
    harvest(Database(path, engine=engine), MastArchive(sys.argv[2]), search)
"""


def kill_harvests(database: Database, sky: Simulator, kills: int, chance: random.Random) -> int:
    """Kill harvests, prove after each that the catalog is in a complete state; return how many were cut short."""
    cut = 0
    with MastArchive(sky.url) as archive:
        done = _harvested(database, archive)[-1]
        for number in range(kills):
            if number % ROUND == 0:
                sky.advance()
                complete, seconds = _undisturbed(database, archive)
                coming = complete[-1]
                assert coming == _anew(database, archive), "an incremental harvest did not end where a full one does"
                shown: View = _everything
            fault = chance.choice(HABITS) if chance.random() < 0.5 else None
            if fault is not None:
                sky.faults(**{fault: chance.randint(1, 6)})
                shown = keys if fault in ODD else shown
            cut += _kill(database, sky.url, chance.uniform(0, seconds))
            sky.faults(**ALL_WELL)
            view = _files_alone if _lacks_answers(database) else shown
            possible = [view(one) for one in (done, *complete)]
            assert view(state(database)) in possible, f"the archive was never in this state (fault {fault})"
            _prove_whole(database)
            if number % ROUND == ROUND - 1 or number + 1 == kills:
                found = _harvested(database, archive, full=shown is keys)[-1]
                assert found == coming, "a harvest after a kill ended in another state"
                done = coming
    return cut


def _everything(found: State) -> Any:
    return found


def _files_alone(found: State) -> Any:
    """Return what a harvest has in any case; it says of which observations the archive did not answer."""
    return {view: [row["filename"] for row in found[view]] for view in ("files", "search_files")}


def _lacks_answers(database: Database) -> bool:
    with database.read() as connection:
        return connection.execute("FROM pending LIMIT 1").fetchone() is not None


def _harvested(database: Database, archive: MastArchive, full: bool = False) -> list[State]:
    """Harvest all searches; return the states after each of them."""
    states = []
    for search in SEARCHES:
        harvest(database, archive, search, full=full)
        states.append(state(database))
    return states


def _undisturbed(database: Database, archive: MastArchive) -> tuple[list[State], float]:
    """Return what harvests that nothing disturbs would make of a copy of the catalog, and how long they take."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.duckdb"
        if database.engine is DUCKDB:
            shutil.copyfile(database.path, copy)
        else:
            with Catalog.open(database.named) as lake:
                lake.copy_to(copy)
        began = time.monotonic()
        states = _harvested(Database(copy), archive)
        return states, time.monotonic() - began


def _anew(database: Database, archive: MastArchive) -> State:
    """Return what full harvests make of the archive."""
    with tempfile.TemporaryDirectory() as folder:
        return _harvested(Database(Path(folder) / "anew.duckdb"), archive)[-1]


def _kill(database: Database, url: str, after: float) -> bool:
    command = [sys.executable, "-c", _HARVEST, database.named, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        return False


def _prove_whole(database: Database) -> None:
    """Nothing stands twice, and no link leads nowhere."""
    with database.read() as connection:
        for table, key in (("file", "filename"), ("observation", "obs_id"), ("product", "data_uri")):
            doubled = f"SELECT {key} FROM {table}_version WHERE until_run IS NULL GROUP BY 1 HAVING count(*) > 1"
            assert connection.execute(doubled).fetchall() == [], f"a {table} stands twice"
        for left, right, key in (
            ("observation_products", "products", "data_uri"),
            ("observation_products", "observations", "obs_id"),
            ("search_files", "files", "filename"),
        ):
            orphans = connection.execute(f"SELECT count(*) FROM {left} ANTI JOIN {right} USING ({key})").fetchone()
            assert orphans == (0,), f"{left} has rows that lead nowhere"


def main(kills: int = 200, seed: int = 1) -> None:
    """Kill so many harvests, and print what came of it."""
    with tempfile.TemporaryDirectory() as folder, Simulator(files=600, retry_after_s=0) as sky:
        cut = kill_harvests(Database(Path(folder) / "c.duckdb"), sky, kills, random.Random(seed))
    print(f"{kills} harvests, {cut} of them killed before they ended: never a lost, doubled or half-linked row")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
