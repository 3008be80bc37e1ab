"""From served JSON to committed catalog, against astroquery's Table: rows per second, memory, and updates.

Every measurement is a process of its own; the archive is another, and keeps its answers ready, so that it costs
little. Both sides ask for the same pages. Run it with ``make bench-harvest``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from catalog.harvest.shortfall import Shortfall

ARCHIVE = """
import sys
from catalog.simulator import Simulator
with Simulator(files=int(sys.argv[1]), instruments=["niriss"], digests="nominal",
               cache_answers=sys.argv[2] == "keep") as s:
    print(s.url, flush=True)
    for line in sys.stdin:
        names = s.filenames("niriss")
        s.reprocess(names[:: len(names) // int(line)])
        print("done", flush=True)
"""
SERVICE = "Mast.Jwst.Filtered.Niriss"


@contextlib.contextmanager
def archive(files: int, keep: bool = True) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a sky from another process."""
    command = [sys.executable, "-c", ARCHIVE, str(files), "keep" if keep else "anew"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def measured(role: str, *arguments: str) -> dict[str, Any]:
    """Run one role in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_harvest", "--role", role, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(rows: int, seconds: float, **more: Any) -> None:
    """Print what a role measured."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    found = {"rows": rows, "seconds": round(seconds, 3), "cpu_seconds": round(cpu, 3), "peak_mib": peak(), **more}
    print(json.dumps(found))


def peak() -> int:
    """Return the most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def table(url: str, pages: str) -> None:
    """Peer: astroquery.mast.Mast.service_request returns its Table, and nothing is stored."""
    from astroquery.mast import Mast

    mast = Mast()
    connection = mast._portal_api_connection
    connection.MAST_REQUEST_URL = f"{url}/api/v0/invoke"
    connection.COLUMNS_CONFIG_URL = f"{url}/portal/Mashup/Mashup.asmx/columnsconfig"
    asked = json.loads(Path(pages).read_text())
    start, rows = time.perf_counter(), 0
    for filters, size in asked:
        params = {"columns": "*", "filters": filters}
        rows += len(mast.service_request(SERVICE, params, pagesize=size, page=1))
    report(rows, time.perf_counter() - start)


def catalog(url: str, path: str, pages: str = "") -> None:
    """Mastlake's files, from the archive to a committed catalog; the pages it asked for are noted."""
    from catalog.archive.client import MastArchive
    from catalog.archive.partition import WholeQueries
    from catalog.harvest.commit import commit
    from catalog.harvest.outcome import Harvested
    from catalog.harvest.reconcile import FileReader
    from catalog.store.database import Database
    from catalog.store.history.runs import save_search, saved_search, utc_now
    from catalog.store.spool import Spool
    from catalog.vocabulary.search import Search

    asked: list[Any] = []

    class Noting(MastArchive):
        def rows(self, query: Any, columns: Any = ("*",), size: int = 50_000) -> Any:
            if tuple(columns) == ("*",):
                asked.append((list(query.filters), size))
            return super().rows(query, columns, size)

    database, search, marks = Database(path), Search.parse("all", "niriss", []), [time.perf_counter()]
    with Noting(url) as mast, Spool(database.path) as spool:
        with database.write() as connection:
            save_search(connection, search)
            saved = saved_search(connection, "all")
        marks.append(time.perf_counter())
        FileReader(database, WholeQueries(mast), spool, lambda done, total: None, Shortfall()).read(
            saved, not saved.has_run
        )
        marks.append(time.perf_counter())
        peak_read = peak()
        harvested = Harvested(search, not saved.has_run, url, utc_now(), saved.cursor_mjd, mast.requests)
        with database.write() as connection:
            run = commit(connection, spool, harvested)
        marks.append(time.perf_counter())
    if pages:
        Path(pages).write_text(json.dumps(asked))
    opened, read, committed = (round(b - a, 3) for a, b in itertools.pairwise(marks))
    more = {"opened": opened, "read": read, "committed": committed, "peak_read_mib": peak_read}
    report(run.files, marks[-1] - marks[0], **more)


def whole(url: str, path: str) -> None:
    """One harvest as users run it: files, observations and products."""
    from catalog.archive.client import MastArchive
    from catalog.harvest import harvest
    from catalog.store.database import Database
    from catalog.vocabulary.search import Search

    with MastArchive(url) as mast:
        start = time.perf_counter()
        run = harvest(Database(path), mast, Search.parse("all", "niriss", [])).run
        seconds = time.perf_counter() - start
    report(run.files, seconds, products=run.products, changed=run.changed, requests=run.requests)


def rates(files: int, rounds: int) -> None:
    """Compare rows per second, interleaved."""
    with tempfile.TemporaryDirectory() as folder, archive(files) as (url, _):
        pages = f"{folder}/pages.json"
        measured("catalog", url, f"{folder}/warm.duckdb", pages)
        mine, theirs = [], []
        for number in range(rounds):
            theirs.append(measured("table", url, pages))
            mine.append(measured("catalog", url, f"{folder}/{number}.duckdb"))
            show("astroquery Table", theirs[-1])
            show("mastlake catalog", mine[-1])
        median = [statistics.median(one["rows"] / one["seconds"] for one in side) for side in (mine, theirs)]
        print(f"rows per second: {median[0]:,.0f} against {median[1]:,.0f}: {median[0] / median[1]:.2f} times")


def memory(files: int) -> None:
    """Show the memory that many rows take."""
    with tempfile.TemporaryDirectory() as folder, archive(files, keep=False) as (url, _):
        show(f"{files:,} files", measured("catalog", url, f"{folder}/large.duckdb"))


def updates(files: int) -> None:
    """Compare a full harvest and one after a thousandth of the files changed."""
    with tempfile.TemporaryDirectory() as folder, archive(files, keep=False) as (url, process):
        full = measured("whole", url, f"{folder}/u.duckdb")
        show("full", full)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{files // 1000}\n")
        process.stdin.flush()
        process.stdout.readline()
        update = measured("whole", url, f"{folder}/u.duckdb")
        show("update of 0.1%", update)
        print(f"the update takes 1/{full['seconds'] / update['seconds']:.0f} of the full harvest's time")


def show(what: str, found: dict[str, Any]) -> None:
    """Print one measurement."""
    print(f"{what}: " + ", ".join(f"{name} {value:,}" for name, value in found.items()), flush=True)


ROLES: dict[str, Callable[..., None]] = {"table": table, "catalog": catalog, "whole": whole}


def main() -> None:
    """Run a role, or all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role")
    parser.add_argument("--only", choices=["rates", "memory", "updates"])
    parser.add_argument("--files", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("arguments", nargs="*")
    chosen = parser.parse_args()
    if chosen.role:
        ROLES[chosen.role](*chosen.arguments)
        return
    if chosen.only in (None, "rates"):
        rates(chosen.files or 100_000, chosen.rounds)
    if chosen.only in (None, "updates"):
        updates(chosen.files or 100_000)
    if chosen.only in (None, "memory"):
        memory(chosen.files or 1_000_000)


if __name__ == "__main__":
    main()
