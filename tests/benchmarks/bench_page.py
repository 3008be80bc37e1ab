"""The find page of a large catalog, against datasette on the same rows.

    python -m tests.benchmarks.bench_page 1000000 [--at FOLDER] [--datasette PATH]

Both serve the same files over HTTP on loopback: a table of 50 rows with the same facets, first of everything,
then with one value picked, another one each time. datasette reads SQLite, so it gets the columns of the page in
a table with an index on each; its time limits are lifted. ``--datasette`` names its command; without one there
is no peer. The median of 50 requests is told (of fewer for datasette), and of the page also that of JSON.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from catalog import Catalog
from tests.benchmarks.query_catalog import make
from tests.page_server import served

COLUMNS = ("instrument", "exp_type", "filter", "pupil", "program", "targname", "productLevel", "cal_ver")
SHOWN = ("filename", "date_obs_mjd", "file_size")
ROUNDS = 50


def main(files: int, folder: Path, datasette: str | None) -> None:
    """Measure, and print a table."""
    path = folder / f"{files}.duckdb"
    if not path.exists():
        make(path, files)
    with Catalog.open(path) as lake:
        picks = _picks(lake)
        peer = folder / f"{files}.sqlite"
        if datasette and not peer.exists():
            _copy(lake, peer)
    sys.stdout.write(f"{files:,} files\n| what | page | page, JSON | datasette |\n|---|---|---|---|\n")
    ours, json = _ours(path, picks)
    theirs = _theirs(datasette, peer, picks) if datasette else {}
    for name in ours:
        other = f"{1000 * theirs[name]:,.0f} ms" if name in theirs else "-"
        sys.stdout.write(f"| {name} | {1000 * ours[name]:,.0f} ms | {1000 * json[name]:,.0f} ms | {other} |\n")


def _picks(lake: Catalog) -> list[tuple[str, str]]:
    """Return facets and values to pick, each once."""
    found: list[tuple[str, str]] = []
    for column in ("exp_type", "filter", "pupil", "instrument", "program"):
        rows = lake.sql(f"SELECT {column}::VARCHAR AS v FROM files GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 30")["v"]
        found += [(column, value) for value in rows]
    return found[:ROUNDS]


def _copy(lake: Catalog, peer: Path) -> None:
    partial = peer.with_suffix(".part")
    partial.unlink(missing_ok=True)
    names = (*SHOWN, *COLUMNS)
    with sqlite3.connect(partial) as other:
        other.execute(f"CREATE TABLE files ({', '.join(names)})")
        with lake.stream(f"SELECT {', '.join(names)} FROM files") as batches:
            for batch in batches:
                rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
                other.executemany(f"INSERT INTO files VALUES ({', '.join('?' for _ in names)})", rows)
        for name in (*COLUMNS, "date_obs_mjd"):
            other.execute(f"CREATE INDEX by_{name} ON files ({name})")
        other.execute("ANALYZE")
    partial.rename(peer)


def _ours(path: Path, picks: list[tuple[str, str]]) -> tuple[dict[str, float], dict[str, float]]:
    with served(path) as page:
        return tuple(  # type: ignore[return-value]
            {
                "first page": _median(page.port, [f"/find{ending}"] * ROUNDS),
                "one value picked": _median(
                    page.port, [f"/find{ending}?{urlencode({f'f_{name}': value})}" for name, value in picks]
                ),
            }
            for ending in ("", ".json")
        )


def _theirs(datasette: str, peer: Path, picks: list[tuple[str, str]]) -> dict[str, float]:
    facets = "&".join(f"_facet={name}" for name in COLUMNS)
    with _datasette(datasette, peer) as port:
        base = f"/{peer.stem}/files?_size=50&_sort=date_obs_mjd&{facets}"
        return {
            "first page": _median(port, [base] * 5),
            "one value picked": _median(port, [f"{base}&{urlencode({name: value})}" for name, value in picks[::5]]),
        }


@contextmanager
def _datasette(command: str, peer: Path) -> Iterator[int]:
    port = 8099
    limits = ["--setting", "sql_time_limit_ms", "600000", "--setting", "facet_time_limit_ms", "600000"]
    process = subprocess.Popen(
        [command, "-i", str(peer), "-p", str(port), *limits], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=600), "/")
                break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def _median(port: int, targets: list[str]) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    _ask(connection, targets[0])
    taken = []
    for target in targets:
        began = time.perf_counter()
        _ask(connection, target)
        taken.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(taken)


def _ask(connection: http.client.HTTPConnection, target: str) -> None:
    connection.request("GET", target)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{target}: {answer.status}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--at", type=Path)
    parser.add_argument("--datasette", default=shutil.which("datasette"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(options.files, options.at or Path(temporary), options.datasette)
