"""Processes, workers, schedulers and commands that are killed or stopped while headers are read: each file counts once.

Run by ``make kills``: ``python -m tests.kills_executors [ROUNDS] [SEED]``. The short form runs with the long tests.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catalog.store.database import Database
from tests.fits_samples import sample

_COMMAND = "from catalog.cli.start import run; run()"
FILES = 4000


def make_files(folder: Path, count: int = FILES) -> None:
    """Make small files whose headers differ."""
    folder.mkdir()
    for n in range(count):
        (folder / f"{n:05}.fits").write_bytes(sample(str(n), NINTS=str(n)))


@dataclass
class Cluster:
    """A scheduler and two workers, each a process that can be killed."""

    folder: Path
    port: int = 0
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def mend(self) -> None:
        """Start what does not run; a new scheduler gets new workers."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.end()
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                self.port = unused.getsockname()[1]
            self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
            self.workers = []
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < 2:
            place = f"tcp://127.0.0.1:{self.port}"
            self.workers.append(self._start("worker", place, "--nthreads", "1", "--no-nanny", "--death-timeout", "60"))

    def _start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words, "--dashboard-address", "127.0.0.1:0"]
        if what == "worker":
            command += ["--local-directory", str(self.folder)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self) -> None:
        """Kill all that runs."""
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster, and end it at the end."""
    made = Cluster(folder)
    try:
        made.mend()
        yield made
    finally:
        made.end()


def index(catalog: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start ``mastlake index``."""
    command = [sys.executable, "-c", _COMMAND, "-q", "--catalog", str(catalog), "index", str(folder), *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its exit code and what it wrote to stderr."""
    told = process.communicate(timeout=280)[1]
    return process.returncode, told


def counted(catalog: Path) -> tuple[int, int, int]:
    """Return how many files, paths and cards a catalog has."""
    database = Database(catalog)
    if not database.exists():
        return 0, 0, 0
    with database.read() as connection:
        row = connection.execute(
            """SELECT count(*), count(DISTINCT path), (SELECT count(*) FROM cards)
               FROM local_files WHERE indexed AND problem IS NULL"""
        ).fetchone()
    assert row is not None
    return row


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes that a command started."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


def strike(target: str, process: subprocess.Popen[str], at: Cluster, rng: random.Random) -> None:
    """Kill or stop something."""
    if target == "scheduler":
        assert at.scheduler is not None
        at.scheduler.kill()
    elif target == "worker":
        rng.choice(at.workers).kill()
    elif target == "command":
        process.send_signal(rng.choice([signal.SIGKILL, signal.SIGINT]))
    elif pids := children_of(process):
        os.kill(rng.choice(pids), rng.choice([signal.SIGKILL, signal.SIGSTOP]))


def rounds(folder: Path, count: int, rng: random.Random, files: int = FILES) -> Counter[str]:
    """Let so many commands meet a kill at a random moment; prove the catalog after each, and after the next command.

    Returns
    -------
    Counter
        How many ended with each exit code, by what was killed.
    """
    disk, codes = folder / "disk", Counter[str]()
    make_files(disk, files)
    whole = folder / "whole.duckdb"
    began = time.monotonic()
    if ended(index(whole, disk))[0]:
        raise AssertionError("the index without a kill failed")
    longest, cards = time.monotonic() - began, counted(whole)[2] // files
    with cluster(folder) as at:
        for number in range(count):
            at.mend()
            target = ("process", "worker", "command", "scheduler")[number % 4]
            words = ("--executor", at.address) if target in ("worker", "scheduler") or number % 8 == 2 else ()
            catalog = folder / f"struck-{number}.duckdb"
            process = index(catalog, disk, *words)
            time.sleep(rng.uniform(0.3, longest))
            strike(target, process, at, rng)
            code, told = ended(process)
            codes[f"{target}: exit code {code}"] += 1
            _prove(catalog, files, cards, target, code, told)
            catalog.unlink(missing_ok=True)
    return codes


def _prove(catalog: Path, files: int, cards: int, target: str, code: int, told: str) -> None:
    rows, paths, all_cards = counted(catalog)
    if rows != paths or all_cards != rows * cards:
        raise AssertionError(f"{target}: {rows} rows, {paths} paths, {all_cards} cards")
    if "Traceback" in told or (code == 1 and len(told.splitlines()) != 1) or (code == 0 and (told or rows != files)):
        raise AssertionError(f"{target}: exit code {code}, {rows} files, {told}")
    if ended(index(catalog, catalog.with_name("disk")))[0] or counted(catalog) != (files, files, files * cards):
        raise AssertionError(f"{target}: the next index does not complete it")


def main(count: int = 60, seed: int = 1) -> None:
    """Run the long form, and print what was done."""
    folder = Path(tempfile.mkdtemp())
    try:
        codes = rounds(folder, count, random.Random(seed))
    finally:
        shutil.rmtree(folder)
    print(f"{count} kills while headers are read; each file counted once, and the next index completed the catalog:")
    for what, times in sorted(codes.items()):
        print(f"  {what}: {times}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
