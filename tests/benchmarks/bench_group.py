"""A catalog for a group: publishing it, the first answers over HTTP, and what follows after a small run.

Run by ``make bench-group``: ``python -m tests.benchmarks.bench_group [FILES]``. It takes some minutes, and disk for
eight times the catalog.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from catalog.publish.publishing import Publication, publish
from catalog.store.database import Database
from tests import sync_catalog
from tests.benchmarks.query_catalog import make
from tests.published_server import Site, showing

_ASK = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"
_QUESTION = ("find", "-k", "exp_type=NIS_SOSS", "-k", "tsovisit=T", "--limit", "20")
_CHANGED = 1000
"""One in so many files has a new version."""


def timed(what: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def ask(catalog: str, *more: str) -> None:
    """Ask in a process of its own, as a user does."""
    words = ["--catalog", catalog, *_QUESTION, *more]
    subprocess.run([sys.executable, "-c", _ASK, *words], check=True, capture_output=True)


def change(database: Database, run: int, newest: bool = False) -> None:
    """Let a run bring a new version of one in so many files: of the newest, or of files spread over all programs."""
    sync_catalog.add_run(database, run, f"2026-01-{run % 28 + 1:02}")
    with database.write() as connection:
        connection.execute("CREATE TEMP TABLE now AS FROM file_version WHERE until_run IS NULL")
        (files,) = connection.execute("SELECT count(*) FROM now").fetchone() or (0,)
        connection.execute(
            f"CREATE TEMP TABLE few AS FROM now ORDER BY date_obs_mjd DESC LIMIT {files // _CHANGED}"
            if newest
            else f"CREATE TEMP TABLE few AS FROM now WHERE hash(filename, {run}) % {_CHANGED} = 0"
        )
        connection.execute(
            "UPDATE file_version SET until_run = ? WHERE until_run IS NULL AND filename IN (SELECT filename FROM few)",
            [run],
        )
        connection.execute(
            "INSERT INTO file_version SELECT * REPLACE (? AS since_run, md5(checksum) AS checksum) FROM few", [run]
        )


def published(database: Database, group: Path, parquet: bool = False) -> tuple[float, Publication]:
    """Publish, and return how long it took."""
    began = time.perf_counter()
    done = publish(database, group, parquet=parquet, keep=9)
    return time.perf_counter() - began, done


def pulled(site: Site, file: Path) -> float:
    """Return the share of a file that was asked for since the last call."""
    whole = site.asked.count(file.name) - len(site.ranges)
    share = whole + sum(last - first + 1 for first, last in site.ranges) / file.stat().st_size
    site.asked.clear()
    site.ranges.clear()
    return share


def told(what: str, seconds: float, peer: float, of: str, share: float | None = None) -> None:
    """Print a line of the table."""
    more = "" if share is None else f"; {share:.1%} of its bytes"
    print(f"{what:<40} {seconds:8.2f} s   {seconds / peer:6.2f} times {of}{more}", flush=True)


def main(files: int = 1_000_000) -> None:
    """Measure, and print ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["XDG_CACHE_HOME"] = f"{scratch}/cache"
        make(folder / "working.duckdb", files)
        database, group = Database(folder / "working.duckdb"), folder / "group"
        sync_catalog.add_run(database, 100, "2026-01-01")
        size = database.path.stat().st_size
        copy = timed(lambda: shutil.copyfile(database.path, folder / "copy"))
        (folder / "copy").unlink()
        print(f"{files:,} files, {size / 1e6:,.0f} MB")
        first, done = published(database, group)
        told("publish", first, copy, "cp", done.bytes / size)
        _measure_following(database, group, first)
        parquet, _ = published(database, group, parquet=True)
        told("its Parquet files", parquet, first, "publish")
        change(database, 102, newest=True)
        again, done = published(database, group, parquet=True)
        told("publish --parquet after the newest 0.1 %", again, first + parquet, "the first")
        names = list((group / str(done.parquet)).rglob("*.parquet"))
        written = sum(path.stat().st_nlink == 1 for path in names)
        print(f"of {len(names)} Parquet files, {written} were written")


def _measure_following(database: Database, group: Path, first: float) -> None:
    with showing(group) as site:
        site.gives_ranges = site.keeps_connections = True
        ask(str(group))
        own = statistics.median(timed(lambda: ask(f"{group}/")) for _ in range(5))
        for what, more in (("all 206 columns", ["--json"]), ("", [])):
            shutil.rmtree(os.environ["XDG_CACHE_HOME"])
            cold = timed(lambda more=more: ask(site.address, *more))  # type: ignore[misc]
            told(f"first answer over HTTP, {what}".rstrip(", "), cold, own, "folder", pulled(site, _newest(group)))
        warm = statistics.median(timed(lambda: ask(site.address)) for _ in range(5))
        told("further answers", warm, own, "folder", pulled(site, _newest(group)))
        change(database, 101)
        again, _ = published(database, group)
        told("publish after 0.1 % changed", again, first, "the first")
        moved = timed(lambda: ask(site.address))
        told("answer after LATEST moved", moved, own, "folder", pulled(site, _newest(group)))


def _newest(group: Path) -> Path:
    return max(group.glob("run-*.duckdb"))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
