"""Readers in a loop beside writers: each answer is the state after one commit; no writer waits for a later question.

Run by ``make kills``: ``python -m tests.kills_turns [COMMITS] [READERS]``. The short form runs with the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catalog.api.catalog import Catalog
from catalog.store.database import Database
from catalog.store.turns import LockWait
from catalog.text import plural
from tests.kills_publish import CONSISTENT, working

_LONGEST_SECONDS = 2.0
_WRITE = "import sys; from tests.kills_turns import write; write(*sys.argv[1:])"
_READ = "import sys; from tests.kills_turns import read; read(*sys.argv[1:])"


@dataclass(frozen=True)
class Commit:
    """When a writer drew its ticket, and when it had the catalog, in seconds of the system's clock."""

    asked: float
    began: float


@dataclass(frozen=True)
class Answer:
    """When a question was asked and answered, in seconds of the system's clock, and the run that it saw."""

    asked: float
    answered: float
    run: int
    brought: int


def read(path: str, way: str, pause: str, log: str) -> None:
    """Ask again and again until the log's folder has a file ``stop``; write each answer into the log."""
    stop = Path(log).with_name("stop")
    lake = Catalog.open(path, tell=lambda line: None) if way == "kept" else Catalog.once(path)
    answers = []
    with lake:
        while not stop.exists():
            asked = time.monotonic()
            (row,) = lake.sql(CONSISTENT).to_arrow().to_pylist()
            answers.append((asked, time.monotonic(), row["run"], row["brought"]))
            if len(answers) == 1:
                print("reading", flush=True)
            time.sleep(float(pause))
    Path(log).write_text(json.dumps(answers))


@contextmanager
def asking(database: Database, folder: Path, readers: int, pause: float) -> Iterator[list[Path]]:
    """Let so many processes ask in a loop, half of them as a page or a notebook does, and half as commands do."""
    logs = [folder / f"reader-{number}.json" for number in range(readers)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _READ, str(database.path), ("kept", "once")[number % 2], str(pause), str(log)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, log in enumerate(logs)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield logs
        (folder / "stop").touch()
        for process in started:
            _, told = process.communicate(timeout=200)
            if process.returncode or told:
                raise AssertionError(f"a reader ended with {process.returncode}: {told}")
    finally:
        for process in started:
            process.kill()
            process.communicate()


class Queued(Database):
    """A catalog that notes when it begins to wait: first in the queue, and then for those who read or write still."""

    queued: list[float]

    def waiting(self) -> LockWait:
        self.queued = [*getattr(self, "queued", []), time.monotonic()]
        return super().waiting()


def write(path: str, commits: str, log: str) -> None:
    """Commit so many runs one after the other, as quickly as they get in; write each commit into the log."""
    done = []
    for _ in range(int(commits)):
        database = Queued(path)
        with database.write() as connection:
            done.append((database.queued[-2], time.monotonic()))
            connection.execute("INSERT INTO runs SELECT * REPLACE (run + 1 AS run) FROM runs ORDER BY run DESC LIMIT 1")
            connection.execute("INSERT INTO keywords (name, kind) SELECT 'of_run_' || max(run), 'text' FROM runs")
    Path(log).write_text(json.dumps(done))


def overtaking(commits: list[Commit], answers: list[Answer]) -> int:
    """Return the most questions that were asked after a writer had asked, and answered before it had the catalog."""
    return max(
        sum(each.asked < answer.asked and answer.answered < each.began for answer in answers) for each in commits
    )


def beside_readers(
    folder: Path, readers: int, commits: int, pause: float = 0.0, writers: int = 1
) -> tuple[list[Commit], list[Answer]]:
    """Let writers commit beside so many readers; prove each answer, and that none is older than the one before."""
    database = working(folder)
    logs = [folder / f"writer-{number}.json" for number in range(writers)]
    with asking(database, folder, readers, pause) as read_logs:
        words = [[str(database.path), str(commits // writers), str(log)] for log in logs]
        processes = [subprocess.Popen([sys.executable, "-c", _WRITE, *each]) for each in words]
        codes = [process.wait() for process in processes]
        if any(codes):
            raise AssertionError("a writer failed")
    done = [Commit(*row) for log in logs for row in json.loads(log.read_text())]
    answers: list[Answer] = []
    for log in read_logs:
        seen = [Answer(*row) for row in json.loads(log.read_text())]
        runs = [each.run for each in seen]
        if runs != [each.brought for each in seen] or runs != sorted(runs):
            raise AssertionError(f"an answer is not the state after one commit: {seen}")
        answers += seen
    return done, answers


def main(commits: int = 100, readers: int = 8) -> None:
    """Run the long form, and print what was measured; a wait of more than 2 s fails it, which other work may cause."""
    too_long = []
    for pause, writers in ((0.0, 1), (0.05, 1), (0.0, 4)):
        with tempfile.TemporaryDirectory() as folder:
            done, answers = beside_readers(Path(folder), readers, commits, pause, writers)
        longest = max(each.began - each.asked for each in done)
        slowest = sorted(each.answered - each.asked for each in answers)[
            -readers - 1
        ]  # the first ones import libraries
        most = overtaking(done, answers)
        print(
            f"{plural(readers, 'reader')}, a pause of {pause:g} s after each answer, {plural(writers, 'writer')}, "
            f"{len(done)} commits: {len(answers):,} answers, each the state after one commit; a writer waited "
            f"{longest:.2f} s at most, and for {most} later questions; an answer took {slowest:.2f} s at most"
        )
        if longest > _LONGEST_SECONDS * writers:
            too_long.append(f"{longest:.2f} s")
    if too_long:
        raise AssertionError(f"a writer waited {', '.join(too_long)}; run this on a machine that does nothing else")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
