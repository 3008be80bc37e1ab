"""Syncs that are killed at random moments, and go on: no wrong file, and hardly a byte twice.

Run by ``make kills``: ``python -m tests.kills_sync [KILLS] [SEED]``. A sync of 500 files is killed ten times, each time
followed by another sync, and the last is left to end; then it begins anew, until there were as many kills as wanted.
The short form runs with the tests.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.store.database import Database
from tests.files_server import Files, fits, md5, serving
from tests.sync_catalog import URI, add_files, catalog

_ROUND = 10
_SYNC = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"


@dataclass(frozen=True)
class Outcome:
    """What kills did to a sync.

    Parameters
    ----------
    kills : int
        Syncs that ended by SIGKILL before they were done.
    wrong : int
        Files under a final name whose bytes were not right, looked at after every kill and at the end.
    absent : int
        Files that were not there at the end.
    bytes, size : int
        Sent by the server; and of all files together.
    """

    kills: int
    wrong: int
    absent: int
    bytes: int
    size: int


def killed(folder: Path, count: int, kills: int, rng: random.Random) -> Outcome:
    """Sync so many files into a fresh folder, killing so many syncs, and let the last one end."""
    content = {f"{URI}jw{n:05d}_nis_x1d.fits": fits(rng.randrange(2, 30), f"{n}") for n in range(count)}
    files = Files(content, delay=0.002)
    right = {uri.rsplit("/", 1)[1]: md5(body) for uri, body in content.items()}
    database = catalog(folder / "c.duckdb")
    add_files(database, content)
    done = wrong = 0
    with serving(files):
        for _ in range(kills):
            left = count - files.stats["get"]
            done += _start_and_kill(database, files, folder / "dest", rng.randrange(1, max(2, 2 * left // kills)), rng)
            wrong += sum(md5_ != right[name] for name, md5_ in _there(folder / "dest").items())
        _start(database, files, folder / "dest").communicate(timeout=120)
    there = _there(folder / "dest")
    wrong += sum(md5_ != right[name] for name, md5_ in there.items())
    return Outcome(done, wrong, len(right.keys() - there.keys()), files.stats["bytes"], sum(map(len, content.values())))


def _start(database: Database, files: Files, dest: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _SYNC, "--catalog", str(database.path), "--server", files.address]
    return subprocess.Popen([*command, "-q", "sync", "--dest", str(dest)])


def _start_and_kill(database: Database, files: Files, dest: Path, after: int, rng: random.Random) -> bool:
    """Kill a sync a moment after its so-and-so-many-th request; some die before the first, some are done before."""
    before = files.stats["get"]
    process = _start(database, files, dest)
    patience = rng.uniform(0.3, 1.5) if rng.random() < 0.1 else 60.0
    until = time.monotonic() + patience
    while process.poll() is None and files.stats["get"] < before + after and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.02))
    process.kill()
    return process.wait() < 0


def _there(dest: Path) -> dict[str, str]:
    if not dest.exists():
        return {}
    return {path.name: md5(path.read_bytes()) for path in dest.glob("*.fits")}


def main(kills: int, seed: int) -> None:
    """Kill, and say how it went."""
    rng = random.Random(seed)
    outcomes: list[Any] = []
    while sum(outcome.kills for outcome in outcomes) < kills:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(killed(Path(folder), 500, _ROUND, rng))
        last = outcomes[-1]
        ratio = last.bytes / last.size
        print(f"{last.kills} kills, {last.wrong} wrong, {last.absent} absent, {ratio:.3f} times the bytes", flush=True)
        if last.wrong or last.absent or ratio > 1.2:
            sys.exit(f"not as promised, with seed {seed}")
    print(f"{sum(outcome.kills for outcome in outcomes)} kills from seed {seed}: every file right in the end")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
