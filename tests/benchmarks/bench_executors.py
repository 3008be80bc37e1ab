"""Headers by two processes of this machine and by two workers of Dask, in turn in one run: ``make bench-headers``.

``python -m tests.benchmarks.bench_executors [FILES]``. The workers run already; the processes start with each reading.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from catalog.headers.cluster import connected
from catalog.headers.columns import wanted_keywords
from catalog.headers.pool import extract_all
from tests.benchmarks.exposures import make_templates, write_exposures
from tests.kills_executors import cluster

ROUNDS = 3


def per_second(files: int, read: Callable[[], Iterable[object]]) -> float:
    """Return how many files a second are read."""
    began = time.perf_counter()
    for _ in read():
        pass
    return files / (time.perf_counter() - began)


def main(count: int = 20_000) -> None:
    """Make the files, measure in rounds, print."""
    with tempfile.TemporaryDirectory() as scratch, cluster(Path(scratch)) as dask:
        write_exposures(Path(scratch) / "files", count, make_templates(Path(scratch)))
        paths = sorted(str(path) for path in Path(scratch).glob("files/*/*.fits"))
        keywords, here, there = wanted_keywords(), [], []
        with connected(dask.address) as executor:
            list(extract_all(paths[:1024], keywords, executor=executor))  # the workers have imported all they need
            for _ in range(ROUNDS):
                here.append(per_second(count, lambda: extract_all(paths, keywords, processes=2)))
                there.append(per_second(count, lambda: extract_all(paths, keywords, executor=executor)))
    for name, found in (("two processes of this machine", here), ("two workers of Dask", there)):
        print(f"{name:38} {statistics.median(found):10,.0f} files/s ({min(found):,.0f} to {max(found):,.0f})")
    ratios = [a / b for a, b in zip(there, here, strict=True)]
    print(f"workers of Dask / processes: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
