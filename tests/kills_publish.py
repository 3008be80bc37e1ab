"""Publishers that are killed, and readers over publishes: every answer is the state after one run.

Run by ``make kills``: ``python -m tests.kills_publish [KILLS] [PUBLISHES] [SEED]``. The short form runs with the tests.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Protocol

from catalog.api.catalog import Catalog
from catalog.publish import pull
from catalog.publish.manifest import LATEST, named_by, parse_manifest
from catalog.publish.publishing import publish
from catalog.store.database import Database
from tests import sync_catalog
from tests.bucket_server import KEY, SECRET, Objects, s3

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


class Group(Protocol):
    """A place where a test publishes."""

    address: str

    def names(self) -> list[str]:
        """Return the names of what is there."""

    def get(self, name: str) -> bytes:
        """Return the content of a file."""


class FolderGroup:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder)

    def names(self) -> list[str]:
        """Return the names of what is there."""
        return [path.name for path in Path(self.address).iterdir()]

    def get(self, name: str) -> bytes:
        """Return the content of a file."""
        return (Path(self.address) / name).read_bytes()


def killed(folder: Path, kills: int, longest: float, rng: random.Random, group: Group | None = None) -> int:
    """Kill so many publishers, each at a random moment, and prove after each that the newest is whole.

    Returns
    -------
    int
        How many ended by the kill.
    """
    database, group, done = working(folder), group or FolderGroup(folder / "group"), 0
    publish(database, group.address)
    for run in range(2, kills + 2):
        add_run(database, run)
        words = ["--catalog", str(database.path), "publish", group.address]
        process = subprocess.Popen(
            [sys.executable, "-c", _PUBLISH, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0, longest))
        process.kill()
        done += process.wait() < 0
        _prove(group)
    publish(database, group.address)
    _prove(group)
    named = set(group.names())
    runs = {name.removesuffix(".json") for name in named if name.endswith(".json")}
    whole = {f"{run}{end}" for run in runs for end in (".json", ".duckdb")}
    if named != whole | {LATEST}:
        raise AssertionError(f"left behind: {named ^ whole}")
    return done


def _prove(group: Group) -> None:
    """Prove that the pointer names a manifest, and that the catalog has its bytes."""
    name = named_by(group.get(LATEST), group.address)
    newest = parse_manifest(group.get(name), name, group.address)
    if hashlib.sha256(group.get(newest.file)).hexdigest() != newest.sha256:
        raise AssertionError(f"{LATEST} names no whole catalog: {newest}")


def read_over(folder: Path, readers: int, publishes: int, group: Group | None = None) -> int:
    """Let so many readers ask while so many runs are published, and prove each answer.

    Returns
    -------
    int
        How many answers there were.
    """
    database, group = working(folder), group or FolderGroup(folder / "group")
    publish(database, group.address)
    stop, answers, wrong = threading.Event(), [0] * readers, []

    def ask(reader: int) -> None:
        seen = 0
        with Catalog.open(group.address) as shared:
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
            publish(database, group.address)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if wrong:
        raise AssertionError(wrong[:3])
    return sum(answers)


def main(kills: int = 100, publishes: int = 100, seed: int = 1) -> None:
    """Run the long form, and print what was done."""
    with tempfile.TemporaryDirectory() as scratch, s3() as address:
        os.environ |= {"XDG_CACHE_HOME": f"{scratch}/cache", "AWS_ENDPOINT_URL": address}
        os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        pull._ASK_AGAIN = 0.05
        for name in ("folder", "bucket"):
            folder = Path(scratch) / name
            folder.mkdir()
            group = FolderGroup(folder / "group") if name == "folder" else Objects(address, "kills")
            done = killed(folder, kills, 3.0, random.Random(seed), group)
            print(f"{name}: {done} of {kills} publishers were killed: the newest catalog was always whole, and nothing "
                  "stayed behind")  # fmt: skip
            (folder / "readers").mkdir()
            group = FolderGroup(folder / "readers" / "group") if name == "folder" else Objects(address, "readers")
            answers = read_over(folder / "readers", 8, publishes, group)
            print(f"{name}: 8 readers over {publishes} publishes: {answers} answers, each the state after one run")
        pull.IN_PLACE_BYTES = 1
        (Path(scratch) / "in place").mkdir()
        answers = read_over(Path(scratch) / "in place", 8, publishes, Objects(address, "inplace"))
        print(f"bucket, read where it is: 8 readers over {publishes} publishes: {answers} answers")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
