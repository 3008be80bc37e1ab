"""A plan over a million products with nothing to do, against the bare SQL join of the same tables.

``make bench-sync`` runs it. Everything selected is on disk, as the catalog last saw it; both sides open the catalog
anew and take turns, and each figure is the median of its turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from catalog.store.database import Database
from catalog.sync import Selection, make_plan
from tests.sync_catalog import catalog

_JOIN = """
    SELECT count(l.path), sum(p.size) FROM products p FULL JOIN files f ON f."dataURI" = p.data_uri
    LEFT JOIN local_files l ON l.path = $dest || '/' || f.filename
"""
"""What was fetched beside what is listed: without looking at the disk, without a decision and without a reason."""


def fill(database: Database, dest: Path, count: int) -> None:
    """Make so many products, file rows and local files, and empty files of those names on disk."""
    with database.write() as connection:
        values = {"count": count}
        connection.execute(
            """INSERT INTO file_version BY NAME
               SELECT printf('jw%011d_nis_x1d.fits', n) AS filename, 'niriss' AS instrument, 0 AS row_hash,
                   1 AS checked_run, 1 AS since_run, 'mast:JWST/product/' || filename AS "dataURI", 0 AS "fileSize",
                   md5(n::VARCHAR) AS checksum, '1366' AS program
               FROM range($count) t(n)""",
            values,
        )
        connection.execute(
            """INSERT INTO product_version BY NAME
               SELECT "dataURI" AS data_uri, 0 AS row_hash, 1 AS since_run, filename AS "productFilename", 0 AS size,
                   'SCIENCE' AS "productType", 'obs' AS obs_id, 2 AS calib_level, '1366' AS proposal_id,
                   'PUBLIC' AS "dataRights"
               FROM file_version"""
        )
        connection.execute(
            """INSERT INTO local_file_version (file_id, path, filename, size, mtime_ns, inode, checksum, data_uri,
                   indexed, since_at)
               SELECT row_number() OVER (), $dest || '/' || filename, filename, 0, 0, 0, checksum, "dataURI", false,
                   TIMESTAMP '2023-01-01' FROM file_version""",
            {"dest": str(dest)},
        )
        names = [str(name) for (name,) in connection.execute("SELECT filename FROM file_version").fetchall()]
    dest.mkdir()
    for name in names:
        (dest / name).touch()
        os.utime(dest / name, ns=(0, 0))


def timed_plan(database: Database, dest: Path, count: int) -> float:
    """Return the seconds of a plan, having looked that it is what it should be."""
    began = time.perf_counter()
    plan = make_plan(database, Selection(), dest=dest)
    seconds = time.perf_counter() - began
    assert plan.tallies["present"].items == plan.selected == count, plan.tallies
    return seconds


def timed_join(database: Database, dest: Path, count: int) -> float:
    """Return the seconds of the bare join."""
    began = time.perf_counter()
    with database.read() as connection:
        row = connection.execute(_JOIN, {"dest": str(dest)}).fetchone()
    seconds = time.perf_counter() - began
    assert row is not None
    assert row[0] == count
    return seconds


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        database, dest = catalog(Path(name) / "c.duckdb"), Path(name) / "mast"
        fill(database, dest, given.products)
        turns = [
            (timed_join(database, dest, given.products), timed_plan(database, dest, given.products))
            for _ in range(given.turns)
        ]
    join, plan = (statistics.median(column) for column in zip(*turns, strict=True))
    print(
        f"a plan over {given.products:,} products: {plan:.2f} s; the bare join: {join:.2f} s; {plan / join:.2f} times"
    )


if __name__ == "__main__":
    main()
