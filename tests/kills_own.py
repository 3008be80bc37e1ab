"""Syncs that are killed while they renew a folder with a person's own files: nothing of the person's is ever lost.

Run by ``make kills``: ``python -m tests.kills_own [KILLS] [SEED]``. The short form runs with the tests.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from catalog.store.database import Database
from catalog.store.history.verdicts import keep_verdicts_of_run
from catalog.sync import Selection, sync
from tests.files_server import Files, fits, md5, serving
from tests.sync_catalog import URI, add_files, add_run, catalog

_SYNC = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"
_ROUND = 10


def killed(folder: Path, count: int, kills: int, rng: random.Random, *, keep: bool) -> tuple[int, int]:
    """Renew so many files, some of which a person changed, and kill so many of the syncs.

    Returns
    -------
    tuple of int
        Syncs that ended by the kill; and files of a person's that were gone after one of them.
    """
    files = Files(
        {f"{URI}jw{n:05d}_nis_x1d.fits": fits(rng.randrange(2, 20), f"{n}") for n in range(count)}, delay=0.002
    )
    database, dest = catalog(folder / "c.duckdb"), folder / "dest"
    add_run(database, 1, "2026-01-01")
    add_files(database, files.content)
    with serving(files):
        sync(database, Selection(), server=files.address, dest=dest)
        own = _make_own(dest, rng)
        _reprocess(database, files, rng)
        done = lost = 0
        for _ in range(kills):
            done += _start_and_kill(database, files, folder, rng, keep=keep)
            lost += len(own - _everything(folder))
        _start(database, files, folder, keep=keep).wait(timeout=120)
        lost += len(own - _everything(folder))
        if keep:  # then everything is renewed in the end
            right = {md5(body) for body in files.content.values()}
            lost += len(right - {md5(path.read_bytes()) for path in dest.glob("*.fits")})
    return done, lost


def _make_own(dest: Path, rng: random.Random) -> set[str]:
    """Edit some files and cut others; return the MD5 of the edited ones and of the cut ones."""
    own = set()
    for number, path in enumerate(sorted(dest.glob("*.fits"))):
        if number % 3 == 0:
            path.write_bytes(fits(3, f"my own {rng.random()}"))
            own.add(md5(path.read_bytes()))
        elif number % 7 == 0:
            path.write_bytes(path.read_bytes()[:4000])
            own.add(md5(path.read_bytes()))
    return own


def _reprocess(database: Database, files: Files, rng: random.Random) -> None:
    renewed = {uri: fits(rng.randrange(2, 20), f"again {uri}") for uri in list(files.content)[::2]}
    with database.write() as connection:
        connection.executemany(
            "UPDATE file_version SET until_run = 2 WHERE until_run IS NULL AND dataURI = ?", [[uri] for uri in renewed]
        )
    files.content.update(renewed)
    add_run(database, 2, "2026-02-01")
    add_files(database, renewed, since_run=2)
    with database.write() as connection:
        keep_verdicts_of_run(connection, 2)


def _everything(folder: Path) -> set[str]:
    """The MD5 of every file that is still somewhere."""
    places = [*(folder / "dest").rglob("*"), *(folder / "old").rglob("*")]
    return {md5(path.read_bytes()) for path in places if path.is_file()}


def _start(database: Database, files: Files, folder: Path, *, keep: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _SYNC, "--catalog", str(database.path), "--server", files.address, "-q", "sync"]
    command += ["--dest", str(folder / "dest"), *(["--keep-old", str(folder / "old")] if keep else [])]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _start_and_kill(database: Database, files: Files, folder: Path, rng: random.Random, *, keep: bool) -> bool:
    before, wanted = files.stats["get"], rng.randrange(1, 8)
    process = _start(database, files, folder, keep=keep)
    until = time.monotonic() + 60
    while process.poll() is None and files.stats["get"] < before + wanted and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.02))
    process.kill()
    return process.wait() < 0


def main(kills: int, seed: int) -> None:
    """Kill, and say how it went."""
    rng, done = random.Random(seed), 0
    while done < kills:
        with tempfile.TemporaryDirectory() as folder:
            killed_now, lost = killed(Path(folder), 100, _ROUND, rng, keep=bool(rng.randrange(2)))
        done += max(killed_now, 1)
        print(f"{killed_now} kills, {lost} of a person's files lost", flush=True)
        if lost:
            sys.exit(f"not as promised, with seed {seed}")
    print(f"{done} kills from seed {seed}: nothing of a person's was lost")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
