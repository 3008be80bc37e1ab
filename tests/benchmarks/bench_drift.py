"""Where disk and archive disagree, asked of many local files: part of ``make bench-headers``.

``python -m tests.benchmarks.bench_drift [FILES]``. The catalog is made by SQL: the archive's files as in
`query_catalog`, a product and a local file with headers for each, in a folder that the catalog has looked at. One in a
thousand was fetched before the archive processed it again, so its bytes are stale; one in a thousand differs in its
header's version of the pipeline alone, and one in a thousand is unknown to the archive. All other keywords agree. With
fewer than 100,000 files each would be looked at, and be missing.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from catalog.headers.write import ensure_columns
from catalog.store.database import Database, columns_of, quoted
from catalog.store.history.keyword_differences import compared_columns, keep_differences
from catalog.store.history.local_files import note_folders
from catalog.store.history.verdicts import keep_verdicts
from catalog.store.schema.migrate import make_views
from tests.benchmarks.query_catalog import make

ROUNDS = 5
QUESTIONS = ("SELECT * FROM keyword_drift", "SELECT * FROM file_drift", "SELECT * FROM drift")
_FILES = """
    INSERT INTO local_file_version BY NAME
    SELECT i AS file_id, $folder || '/' || name AS path, name AS filename, fileSize AS size, 1 AS mtime_ns, i AS inode,
           CASE WHEN i % 1000 = 1 THEN md5('other') ELSE checksum END AS checksum, dataURI AS data_uri, true AS indexed,
           TIMESTAMP '2026-01-01' AS since_at,
           CASE WHEN i % 1000 = 1 THEN md5('other') ELSE checksum END AS fetched_checksum, fileSize AS fetched_size,
           1 AS fetched_mtime_ns, 6 AS fetched_run
    FROM (SELECT row_number() OVER () AS i, *, CASE WHEN i % 1000 = 2 THEN 'x' || filename ELSE filename END AS name
          FROM (SELECT filename, fileSize, checksum, dataURI FROM file_version WHERE until_run IS NULL))
"""
_HEADERS = """
    INSERT INTO local_header BY NAME
    SELECT {columns} FROM local_file_version l JOIN file_version f ON f.dataURI = l.data_uri AND f.until_run IS NULL
"""


_PRODUCTS = """
    INSERT INTO product_version BY NAME
    SELECT dataURI AS data_uri, filename AS "productFilename", fileSize AS size, cal_ver AS prvversion, obs_id,
           0 AS row_hash, 1 AS since_run
    FROM file_version WHERE until_run IS NULL
"""


def fill(database: Database) -> int:
    """Give every file of the archive a local file; return how many keywords are compared."""
    with database.write() as connection:
        connection.execute("SET memory_limit = '6GB'")
        ensure_columns(connection)
        folder = database.path.parent / "data"
        folder.mkdir()
        connection.execute(_FILES, {"folder": str(folder)})
        status = folder.stat()
        note_folders(connection, {str(folder): (status.st_mtime_ns, status.st_ino)})
        for column in ('"productFilename" VARCHAR', "size BIGINT", "prvversion VARCHAR", "obs_id VARCHAR"):
            connection.execute(f"ALTER TABLE product_version ADD COLUMN {column}")
        make_views(connection)
        connection.execute(_PRODUCTS)
        headers, files = columns_of(connection, "local_header"), columns_of(connection, "file_version")
        shared = [f"f.{quoted(name)}::{kind} AS {quoted(name)}" for name, kind in headers.items() if name in files]
        shared = [column for column in shared if not column.endswith('AS "cal_ver"')]
        moved = "CASE WHEN l.file_id % 1000 = 3 THEN '0.0.1' ELSE f.cal_ver END AS cal_ver"
        connection.execute(_HEADERS.format(columns=", ".join(["l.file_id", moved, *shared])))
    with database.write() as connection:
        connection.execute("SET memory_limit = '6GB'")
        keep_differences(connection)
        began = time.perf_counter()
        keep_verdicts(connection)
        print(f"all files judged in {time.perf_counter() - began:.1f} s")
        return len(compared_columns(connection))


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of a few runs, by the clock and by the processor."""
    wall, worked = [], []
    for _ in range(ROUNDS):
        began, before = time.perf_counter(), _processor()
        run()
        wall.append(time.perf_counter() - began)
        worked.append(_processor() - before)
    return statistics.median(wall), statistics.median(worked)


def _processor() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main(count: int) -> None:
    """Make the catalog, ask, print."""
    program = str(Path(sys.executable).with_name("mastlake"))
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "catalog.duckdb")
        make(database.path, count)
        began = time.perf_counter()
        keywords = fill(database)
        print(f"{count:,} local files, {keywords} keywords compared; made in {time.perf_counter() - began:.0f} s")
        for question in QUESTIONS:
            with database.read() as connection:
                rows = len(connection.execute(question).fetchall())
                took = measured(lambda question=question: connection.execute(question).fetchall())  # type: ignore[misc]
            print(f"{question:40} {rows:8,} rows {took[0]:8.3f} s, {took[1]:.3f} s of processor time", flush=True)
        for words in (["status"], ["outdated", "--why"]):
            command = [program, "--catalog", str(database.path), *words]
            took = measured(lambda command=command: subprocess.run(command, stdout=subprocess.DEVNULL, check=False))  # type: ignore[misc]
            print(f"mastlake {' '.join(words):54} {took[0]:8.3f} s, {took[1]:.3f} s of processor time", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
