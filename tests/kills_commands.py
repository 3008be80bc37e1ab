"""Every command that writes, at a moment of Ctrl-C or of a full disk: one line, and nothing half written.

Run by ``make kills``: ``python -m tests.kills_commands [MOMENTS] [SEED]``. The short form runs with the tests.

Each command runs in a folder with a catalog of two searches, a few fetched files, and an older file under each name
that it writes. After it the exit code is right, no traceback was told, the older file is as it was or the new one is
whole, nothing lies beside them, and the catalog opens, whole. Then the same command ends well.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.sync import Selection, sync
from catalog.vocabulary.search import Search

from .kills_harvest import _prove_whole

COMMANDS = (
    "harvest", "harvest --full", "harvest new --instrument niriss -k productLevel=3", "harvest --report a.html",
    "harvest o --observations -k calib_level=3",
    "sync --dest data", "sync --dest new --type SCIENCE", "sync --dest data --keep-old old", "index data",
    "script soss -o a.sh", "sql FROM~files -o a.csv", "sql FROM~files -o a.parquet", "sql FROM~files -o a.vot",
    "find -o a.ecsv", "products -o a.json", "sky -o a.png", "timeline -o a.svg", "sky -o a.pdf",
    "login --file", "searches rename soss early", "searches remove soss", "searches edit soss -k productLevel=3",
    "preview soss --limit 3 -o a.png", "forget data",
)  # fmt: skip
"""A ``~`` stands for a blank within a word."""
BEHIND = "interrupted behind the end"
LEFT = (".part", ".part.json", ".pictures", ".tmp")


@dataclass
class Ended:
    """How a command ended."""

    code: int | str
    told: str
    events: int


@dataclass
class Place:
    """A folder in which commands run, and what it was filled from."""

    template: Path
    folder: Path
    server: str
    token: str
    whole: dict[str, bytes] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def renew(self) -> None:
        """Put everything back as it was."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder)

    def run(
        self, command: str, kind: str = "nothing", moment: int = -1, after: float | None = None, *, alone: bool = False
    ) -> Ended:
        """Run a command in the folder; something may befall it at an event, or Ctrl-C after so many seconds.

        It runs in a process that is kept, or alone in one of its own.
        """
        words = ["--catalog", "c.duckdb", "--server", self.server, *(w.replace("~", " ") for w in command.split())]
        if alone:
            return self._run_alone(words, kind, moment, after)
        if self.process is None or self.process.poll() is not None:
            self.process = self._start([], subprocess.PIPE, subprocess.PIPE)
        asked = {"folder": str(self.folder), "kind": kind, "moment": moment, "after": after, "words": words}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        return Ended(*json.loads(answer)) if answer else Ended(self.process.wait(), "Traceback: it crashed", 0)

    def _run_alone(self, words: list[str], kind: str, moment: int, after: float | None) -> Ended:
        process = self._start([kind, str(moment), *words], subprocess.DEVNULL, subprocess.DEVNULL)
        if after is not None:
            time.sleep(after)
            process.send_signal(signal.SIGINT)
        _, told = process.communicate()
        return Ended(process.returncode, told, 0)

    def _start(self, arguments: list[str], stdin: int, stdout: int) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HOME": str(self.folder / "home"),
            "XDG_CONFIG_HOME": str(self.folder / "home" / "config"),
            "XDG_CACHE_HOME": str(self.folder.parent / "cache"),
            "MPLCONFIGDIR": str(self.folder.parent / "matplotlib"),
            "MAST_API_TOKEN": self.token,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.moments", *arguments], cwd=self.folder, env=environment,
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE if arguments else None, text=True, errors="replace",
        )  # fmt: skip

    def close(self) -> None:
        """End the process that is kept."""
        if self.process is not None:
            self.process.communicate()

    def files(self) -> dict[str, bytes]:
        """Return what lies in the folder, but the catalog."""
        every = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("c.duckdb"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in every}


def prepared(folder: Path, sky: Simulator) -> Place:
    """Make the folder that commands run in."""
    here = folder / "here"
    (here / "home" / "config").mkdir(parents=True)
    database = Database(here / "c.duckdb")
    with MastArchive(sky.url) as archive:
        for search in (Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]), Search.parse("all", "niriss", [])):
            harvest(database, archive, search)
    chosen = Selection(sql="SELECT filename FROM files WHERE filename LIKE '%x1dints.fits' ORDER BY 1 LIMIT 4")
    sync(database, chosen, server=sky.url, dest=here / "data")
    for name in ("a.csv", "a.parquet", "a.vot", "a.ecsv", "a.json", "a.png", "a.svg", "a.pdf", "a.sh", "a.html"):
        (here / name).write_bytes(b"older")
    shutil.copytree(here, folder / "template")
    return Place(folder / "template", here, sky.url, sky.token)


def counted(path: Path) -> dict[str, int]:
    """Return how many rows each table of a catalog has."""
    with Database(path).read() as connection:
        tables = [str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in tables}


def wrong(place: Place, ended: Ended, kind: str, before: dict[str, bytes]) -> Iterator[str]:
    """Say what is not as promised."""
    allowed = {"interrupt": (0, 130, -signal.SIGINT), "full": (0, 1), "small": (0, 1), "nothing": (0,)}[kind]
    if ended.code not in (*allowed, *([BEHIND] if kind == "interrupt" else [])):
        yield f"exit code {ended.code}"
    if "Traceback" in ended.told or "Exception" in ended.told:
        yield "a traceback"
    if ended.code in (1, 2, 130) and "mastlake: " not in ended.told:
        yield "no line"
    now = place.files()
    for name, body in before.items():
        if name not in now and not name.startswith("data/"):
            yield f"{name} is gone"
        elif ended.code in (1, 2, 130) and name.startswith("a.") and now.get(name) not in (body, place.whole.get(name)):
            yield f"{name} is neither the older one nor whole"
    fresh = [name for name in now if name not in before and not name.endswith(LEFT)]
    yield from (
        f"{name} is left"
        for name in fresh
        if name.split("/")[-1].startswith(".mastlake") or name.split("/")[0] not in KEPT
    )
    beside = {path.name for path in place.folder.glob("c.duckdb*")} | {p.name for p in place.folder.glob(".*")}
    if beside - {"c.duckdb", "c.duckdb.pictures", *(["c.duckdb.wal"] if kind in ("full", "small") else [])}:
        yield f"left beside the catalog: {beside}"
    try:
        _prove_whole(Database(place.folder / "c.duckdb"))
        if "nothing was changed" in ended.told:
            was, now_are = counted(place.template / "c.duckdb"), counted(place.folder / "c.duckdb")
            if was != now_are and "  run " not in ended.told:  # of several harvests, the last failed
                yield f"something was changed: {[(k, was[k], now_are[k]) for k in was if was[k] != now_are[k]]}"
    except Exception as error:
        yield f"the catalog: {error!r}"


KEPT = ("home", "data", "new", "old", "previews")
"""Folders in which a command that is interrupted may leave what it finished."""


def tried(
    place: Place, command: str, chance: random.Random, counts: dict[str, tuple[int, float]], alone: float = 0
) -> list[str]:
    """Let something befall a command at a random moment; return what is not as promised."""
    place.renew()
    before = place.files()
    if command not in counts:
        began = time.monotonic()
        ended = place.run(command)
        counts[command] = ended.events, time.monotonic() - began
        place.whole = {**place.whole, **{n: b for n, b in place.files().items() if n.startswith("a.")}}
        if ended.code:
            return [f"{command} does not end well by itself: {ended.told}"]
        place.renew()
    events, seconds = counts[command]
    kind, after = chance.choice(("interrupt", "interrupt", "full", "small")), None
    moment = chance.randint(1, max(1, events))
    if kind == "interrupt" and chance.random() < 0.4:
        moment, after = -1, chance.uniform(0, 1) * seconds
    ended = place.run(command, kind, moment, after, alone=chance.random() < alone)
    faults = list(wrong(place, ended, kind, before))
    if not faults and chance.random() < 0.3 and not command.startswith(("searches", "forget")):
        again = place.run(command)
        faults += [f"afterwards: {again.code} {again.told}"] if again.code else []
    return [f"{command}, {kind} at {moment} of {events} or after {after}: {fault}\n{ended.told}" for fault in faults]


def main(moments: int = 200, seed: int = 1) -> None:
    """Try so many moments, and say how it went."""
    chance, bad = random.Random(seed), 0
    counts: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as folder, Simulator(files=60, instruments=["niriss"]) as sky:
        place = prepared(Path(folder), sky)
        for number in range(moments):
            for fault in tried(place, COMMANDS[number % len(COMMANDS)], chance, counts, alone=0.15):
                bad += 1
                print(fault, flush=True)
        place.close()
    print(f"{moments} moments from seed {seed}: {bad} not as promised")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
