"""One catalog on each engine: a first harvest, an update, and questions, as ratios to the file of the same run.

Run by ``make bench-group``: ``python -m tests.benchmarks.bench_engines [FILES] [ENGINE...]``. The archive is the
built-in one, in a process of its own, with its answers ready. Each harvest, and each measurement of questions, is a
process of its own too. PostgreSQL is measured where it is installed.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests import postgres_server
from tests.benchmarks.bench_harvest import archive

ENGINES = ("file", "duckdb", "sqlite", "postgres")
WANTED = {"harvest": "1.3 times", "update": "3 times"}
_CHANGED = 1000
_TIMES = 7
_ASK = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"


def harvested(url: str, name: str) -> dict[str, Any]:
    """Harvest as users do: files, observations and products."""
    from catalog.api.catalog import Catalog
    from catalog.archive.client import MastArchive
    from catalog.harvest import harvest
    from catalog.vocabulary.search import Search

    database = Catalog.open(name)._database
    with MastArchive(url) as mast:
        began = time.perf_counter()
        run = harvest(database, mast, Search.parse("all", "niriss", [])).run
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "rows": run.files, "products": run.products, "changed": run.changed}


def asked(name: str) -> dict[str, Any]:
    """Ask each question once, and then some times more through the open catalog; return the median."""
    from catalog.api.catalog import Catalog

    with Catalog.open(name) as catalog:
        place = catalog.sql("SELECT targ_ra AS ra, targ_dec AS dec FROM files WHERE targ_ra IS NOT NULL LIMIT 1")
        questions: dict[str, Callable[[], object]] = {
            "tutorial filter": lambda: catalog.find("exp_type=NIS_SOSS", "tsovisit=T"),
            "cone": lambda: catalog.find(cone=(place["ra"][0], place["dec"][0], 0.05)),
            "group-by": lambda: catalog.sql("SELECT exp_type, count(*) AS files FROM files GROUP BY exp_type"),
            "status": catalog.status,
        }
        with catalog.opened():
            return {what: _median(question) for what, question in questions.items()}


def _median(question: Callable[[], object]) -> float:
    question()
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        question()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measured(role: str, *arguments: str) -> dict[str, Any]:
    """Run one role in a process of its own; its processor seconds are added."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_engines", role, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def first_answer(name: str) -> float:
    """Return how long a whole process takes that asks one question."""
    command = [sys.executable, "-c", _ASK, "--catalog", name, "sql", "SELECT count(*) AS files FROM files"]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


@contextmanager
def catalogs(folder: Path, wanted: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the name of a new catalog for each engine that is wanted and can be used here."""
    with ExitStack() as until_the_end:
        names = {
            "file": f"{folder}/c.duckdb",
            "duckdb": f"ducklake:{folder}/d.lake",
            "sqlite": f"ducklake:sqlite:{folder}/s.lake",
        }
        if "postgres" in wanted and postgres_server.binaries() is None:
            print(postgres_server.NOWHERE)
        elif "postgres" in wanted:
            server = until_the_end.enter_context(postgres_server.postgres_server())
            os.environ.update(server.environment)
            names["postgres"] = f"ducklake:postgres:service=mastlake,schema=bench,data={folder}/postgres.files"
        yield {engine: name for engine, name in names.items() if engine in wanted}


def main(files: int = 1_000_000, *wanted: str) -> None:
    """Measure the engines, and print a table."""
    found: dict[str, dict[str, Any]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        catalogs(Path(folder), wanted or ENGINES) as names,
        archive(files) as (url, process),
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        measured("harvest", url, f"{folder}/first.duckdb")  # the archive has its answers ready from here on
        for engine, name in names.items():
            found[engine] = {"harvest": measured("harvest", url, name)}
            told(engine, "harvest", found)
        process.stdin.write(f"{files // _CHANGED}\n")
        process.stdin.flush()
        process.stdout.readline()
        measured("harvest", url, f"{folder}/first.duckdb")
        for engine, name in names.items():
            found[engine]["update"] = measured("harvest", url, name)
            told(engine, "update", found)
        for engine, name in names.items():
            found[engine] |= measured("questions", name)
            found[engine]["first answer"] = first_answer(name)
            for what in ("tutorial filter", "cone", "group-by", "status", "first answer"):
                told(engine, what, found)


def told(engine: str, what: str, found: dict[str, dict[str, Any]]) -> None:
    """Print one figure of an engine, beside that of the file."""
    one, peer = found[engine][what], found.get("file", found[engine])[what]
    if isinstance(one, dict):
        of_file = f"{one['seconds'] / peer['seconds']:5.2f} times the file; processor {one['cpu']:.1f} s"
        of_file += f", {one['cpu'] / peer['cpu']:.2f} times"
        print(f"{engine:<9} {what:<16} {one['seconds']:9.2f} s   {of_file} ({_counts(one)})", flush=True)
    else:
        print(f"{engine:<9} {what:<16} {one * 1000:9.1f} ms  {(one - peer) * 1000:+7.1f} ms of the file", flush=True)


def _counts(one: dict[str, Any]) -> str:
    return f"{one['rows']:,} files, {one['products']:,} products, {one['changed']:,} changed; {one['peak_mib']:,} MiB"


if __name__ == "__main__":
    if sys.argv[1:2] and not sys.argv[1].isdigit():
        answer = {"harvest": harvested, "questions": asked}[sys.argv[1]](*sys.argv[2:])  # type: ignore[operator]
        used = resource.getrusage(resource.RUSAGE_SELF)
        more = {"cpu": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss // 1024}
        print(json.dumps(answer | more))
    else:
        main(int((sys.argv[1:2] or ["1000000"])[0]), *sys.argv[2:])
