"""Publishers that are killed, and readers over publishes: every answer is the state after one run.

Run by ``make kills``: ``python -m tests.kills_publish [KILLS] [PUBLISHES] [SEED]``. The short form runs with the tests.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from catalog.api.catalog import Catalog
from catalog.publish.folder import newest_in
from catalog.publish.manifest import LATEST, sha256_of
from catalog.publish.publishing import publish
from catalog.store.database import Database
from tests import sync_catalog

_PUBLISH = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"
CONSISTENT = "SELECT (SELECT max(run) FROM runs) AS run, count(*) AS brought FROM keywords WHERE name LIKE 'of_run_%'"
"""A question whose two columns are equal in each state after one run."""


def working(folder: Path) -> Database:
    """Make a catalog with one run."""
    database = sync_catalog.catalog(folder / "working.duckdb")
    add_run(database, 1)
    return database


def add_run(database: Database, run: int) -> None:
    """Add a run, and a row that only this run brought."""
    sync_catalog.add_run(database, run, f"{2000 + run}-01-01")
    sync_catalog.insert(database, {"keywords": [{"name": f"of_run_{run}", "kind": "text"}]})


def killed(folder: Path, kills: int, longest: float, rng: random.Random) -> int:
    """Kill so many publishers, each at a random moment, and prove after each that the newest is whole.

    Returns
    -------
    int
        How many ended by the kill.
    """
    database, group, done = working(folder), folder / "group", 0
    publish(database, group)
    for run in range(2, kills + 2):
        add_run(database, run)
        words = ["--catalog", str(database.path), "publish", str(group)]
        process = subprocess.Popen(
            [sys.executable, "-c", _PUBLISH, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0, longest))
        process.kill()
        done += process.wait() < 0
        _prove(group)
    publish(database, group)
    _prove(group)
    named = {path.name for path in group.iterdir()}
    whole = {path.with_suffix(end).name for path in group.glob("run-*.json") for end in (".json", ".duckdb")}
    if named != whole | {LATEST}:
        raise AssertionError(f"left behind: {named ^ whole}")
    return done


def _prove(group: Path) -> None:
    newest = newest_in(group)
    if newest is None or sha256_of(group / newest.file) != newest.sha256:
        raise AssertionError(f"{LATEST} names no whole catalog: {newest}")


def read_over(folder: Path, readers: int, publishes: int) -> int:
    """Let so many readers ask while so many runs are published, and prove each answer.

    Returns
    -------
    int
        How many answers there were.
    """
    database, group = working(folder), folder / "group"
    publish(database, group)
    stop, answers, wrong = threading.Event(), [0] * readers, []

    def ask(reader: int) -> None:
        seen = 0
        with Catalog.open(group) as shared:
            while not (stop.is_set() and answers[reader]):
                try:
                    (row,) = shared.sql(CONSISTENT).to_arrow().to_pylist()
                except Exception as error:
                    wrong.append(repr(error))
                    raise
                if row["run"] != row["brought"] or row["run"] < seen:
                    wrong.append(str(row))
                seen = row["run"]
                answers[reader] += 1

    threads = [threading.Thread(target=ask, args=[number]) for number in range(readers)]
    for thread in threads:
        thread.start()
    try:
        for run in range(2, publishes + 2):
            add_run(database, run)
            publish(database, group)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if wrong:
        raise AssertionError(wrong[:3])
    return sum(answers)


def main(kills: int = 100, publishes: int = 100, seed: int = 1) -> None:
    """Run the long form, and print what was done."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kills").mkdir()
        done = killed(Path(folder) / "kills", kills, 3.0, random.Random(seed))
        print(
            f"{done} of {kills} publishers were killed: the newest catalog was always whole, and nothing stayed behind"
        )
        (Path(folder) / "readers").mkdir()
        answers = read_over(Path(folder) / "readers", 8, publishes)
        print(f"8 readers over {publishes} publishes: {answers} answers, each the state after one run")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
