"""Committers, upkeep and the server of a lake in PostgreSQL that are killed: the last whole run always stands.

Run by ``make kills``: ``python -m tests.kills_lake [KILLS] [SEED]``. The short form runs with the tests.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from catalog.api.catalog import Catalog
from catalog.errors import MastlakeError
from catalog.store.database import Database
from catalog.store.lakes.lake import lake_of
from tests.kills_publish import CONSISTENT
from tests.postgres_server import PostgresServer, postgres_server
from tests.sync_catalog import insert_run

_COMMIT = """
import sys
from catalog.store.database import Database
from catalog.store.lakes.lake import lake_of
from tests.kills_lake import commit_run
path, engine = lake_of(sys.argv[1])
for run in range(int(sys.argv[2]), 10_000):
    commit_run(Database(path, wait=60, engine=engine), run)
    print(run, flush=True)
"""
_KEEP_UP = """
import sys
from catalog.api.catalog import Catalog
while True:
    with Catalog.open(sys.argv[1], wait=60) as lake:
        lake.upkeep(reading_seconds=0)
    print('kept up', flush=True)
"""
_KINDS = ("committer", "upkeep", "server")
_TRIES = 20
_NO_RUN = {"run": None, "brought": 0}
"""The state of a lake whose maker was killed before it committed its first run."""


def killed_at_birth(server: PostgresServer, folder: Path, kills: int, longest: float, rng: random.Random) -> int:
    """Kill processes that make a lake, each at a random moment; then the same folder and schema do for another one.

    Returns
    -------
    int
        How many were killed before there was a lake.
    """
    unborn = 0
    for number in range(kills):
        rows = folder / f"born-{number}"
        name = f"ducklake:postgres:service=mastlake,schema={server.new_schema()},data={rows}"
        with subprocess.Popen([sys.executable, "-c", _COMMIT, name, "1"], stdout=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.5, longest))
            process.kill()
        path, engine = lake_of(name)
        lake = Database(path, wait=60, engine=engine)
        if not lake.exists():
            unborn += 1
        if not lake.exists() or _patiently(partial(_asked, name)) == _NO_RUN:
            commit_run(lake, 1)
        _prove(name, range(1, 10_000))
        _prove_tidy(server, name, rows)
    if left := server.run_as_admin("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'lake%_new'"):
        raise AssertionError(f"left behind: {left}")
    return unborn


def commit_run(lake: Database, run: int) -> None:
    """Commit a run, and a row that only this run brought."""
    with lake.write() as connection:
        insert_run(connection, run, "2026-01-01")
        connection.execute("INSERT INTO keywords BY NAME SELECT ? AS name, 'text' AS kind", [f"of_run_{run}"])


def killed(server: PostgresServer, folder: Path, kills: int, longest: float, rng: random.Random) -> Counter[str]:
    """Kill one process after the other, each at a random moment, and prove after each kill that the lake is whole.

    Parameters
    ----------
    server : PostgresServer
        The server, which libpq finds by the service mastlake. No other test uses it.
    folder : Path
        Where the rows go.
    kills : int
        How many processes to kill; the kinds take turns.
    longest : float
        For how many seconds a process works at most before the kill.
    rng : random.Random
        Chooses the moments.

    Returns
    -------
    Counter of str
        How many of each kind were killed.
    """
    name = f"ducklake:postgres:service=mastlake,schema={server.new_schema()},data={folder / 'rows'}"
    path, engine = lake_of(name)
    commit_run(Database(path, engine=engine), 1)
    newest, done = 1, Counter[str]()
    for number in range(kills):
        kind = _KINDS[number % len(_KINDS)]
        told = _kill(server, name, kind, newest, rng.uniform(0, longest))
        done[kind] += 1
        newest = _prove(name, (told, told + 1))
        commit_run(Database(path, wait=60, engine=engine), newest + 1)  # the next attempt completes
        newest = _prove(name, (newest + 1,))
    _prove_tidy(server, name, folder / "rows")
    return done


def _kill(server: PostgresServer, name: str, kind: str, newest: int, seconds: float) -> int:
    """Let processes work, kill one of them or the server, and return the last run that a committer told."""
    words = {"committer": (_COMMIT, str(newest + 1)), "server": (_COMMIT, str(newest + 1)), "upkeep": (_KEEP_UP,)}[kind]
    command = [sys.executable, "-c", words[0], name, *words[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        if kind == "server":
            server.stop(signal.SIGKILL)
            server.start()
        else:
            process.kill()
        told = [first, *process.stdout]
        complaint = process.stderr.read()
    if kind == "server" and (process.returncode < 0 or "MastlakeError" not in _causes(complaint)):
        raise AssertionError(f"the server was killed, and a committer ended with {process.returncode}: {complaint}")
    return max([newest, *(int(line) for line in told if line.strip().isdigit())])


def _causes(complaint: str) -> str:
    """Return MastlakeError if the last line of a traceback has one of mastlake's own errors in one line."""
    last = complaint.strip().splitlines()[-1] if complaint.strip() else ""
    return "MastlakeError" if last.startswith("catalog.errors.") else last


def _prove(name: str, allowed: Sequence[int]) -> int:
    """Prove that the lake is in the state after one run, and return the run.

    A server that was killed refuses questions while it recovers.
    """
    row = _patiently(lambda: _asked(name))
    if row["run"] != row["brought"] or row["run"] not in allowed:
        raise AssertionError(f"{row} is none of the states after {allowed}")
    return int(row["run"])


def _asked(name: str) -> dict[str, int]:
    with Catalog.open(name, wait=60) as lake:
        (row,) = lake.sql(CONSISTENT).to_arrow().to_pylist()
    return dict(row)


def _patiently(ask: Callable[[], dict[str, int]]) -> dict[str, int]:
    for _ in range(_TRIES):
        try:
            return ask()
        except MastlakeError as error:
            last = error
            time.sleep(0.3)
    raise last


def _prove_tidy(server: PostgresServer, name: str, rows: Path) -> None:
    """Prove that upkeep leaves the newest snapshot's files in the folder and nothing else, and that no lock is left."""
    with Catalog.open(name, wait=60) as lake:
        for _ in range(2):  # the first expires the snapshots that need a file
            lake.upkeep(reading_seconds=0)
    schema = lake_of(name)[1].address.schema
    known = {
        str(row[0]).rpartition("/")[2]
        for table in ("data_file", "delete_file")
        for row in server.run_as_admin(f"SELECT path FROM {schema}.ducklake_{table} WHERE end_snapshot IS NULL")
    }
    there = {path.name for path in rows.rglob("*") if path.is_file()}
    if there != known:
        raise AssertionError(f"left behind or lost: {sorted(there ^ known)[:5]}")
    if locks := server.run_as_admin("SELECT pid FROM pg_locks WHERE locktype = 'advisory'"):
        raise AssertionError(f"locks were left: {locks}")


def main(kills: int = 100, seed: int = 1) -> None:
    """Run the long form, and print what was done."""
    with tempfile.TemporaryDirectory() as scratch, postgres_server() as server:
        os.environ |= {"XDG_CACHE_HOME": f"{scratch}/cache", **server.environment}
        done = killed(server, Path(scratch), kills, 3.0, random.Random(seed))
        unborn = killed_at_birth(server, Path(scratch), kills // 5, 6.0, random.Random(seed))
        print(f"killed {kills // 5} processes that made a lake, {unborn} before it was there: the next one made it")
        told = ", ".join(f"{count} times the {kind}" for kind, count in done.items())
        print(f"killed {told}: the last whole run always stood, the next attempt completed, and nothing stayed behind")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
