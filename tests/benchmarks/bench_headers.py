"""The header index against its peers, all measured in turn in one run: ``make bench-headers``.

``python -m tests.benchmarks.bench_headers [FILES]``. Files are as `stdatamodels` writes them (see `exposures`), and
in the page cache. Peers read the same cards and store nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from astropy.io import fits

from catalog.fits.scan import scan_file
from catalog.headers.pool import available_processes
from tests.benchmarks.exposures import make_templates, write_exposures

ROUNDS = 3
_BLOCK = 2880
_END = b"END".ljust(80)


def read_with_astropy(paths: Sequence[str]) -> float:
    """Read keyword, value and comment of every card; return the processor time."""
    began = time.process_time()
    for path in paths:
        with fits.open(path, memmap=False, disable_image_compression=True) as hdus:
            for hdu in hdus:
                for card in hdu.header.cards:
                    _ = card.keyword, card.value, card.comment
    return time.process_time() - began


def scan_with_ours(paths: Sequence[str]) -> float:
    """Our own block scanner, without what follows; return the processor time."""
    began = time.process_time()
    for path in paths:
        scan_file(path)
    return time.process_time() - began


def scan_bare(paths: Sequence[str]) -> float:
    """Find the END of every header, and leap over the data; return the processor time."""
    began = time.process_time()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        size = os.fstat(descriptor).st_size
        at = 0
        while at < size:
            header = os.pread(descriptor, 8 * _BLOCK, at)
            while (end := header.find(_END)) < 0:
                header += os.pread(descriptor, 8 * _BLOCK, at + len(header))
            at += (end // _BLOCK + 1) * _BLOCK + _padded_data(header)
        os.close(descriptor)
    return time.process_time() - began


def _padded_data(header: bytes) -> int:
    axes = int(header[170:190])
    if not axes:
        return 0
    elements = 1
    for n in range(axes):
        elements *= int(header[250 + 80 * n : 270 + 80 * n])
    size = abs(int(header[90:110])) // 8 * elements
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def walk_bare(folder: str) -> None:
    """A walk with the status of every file, and nothing else."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                walk_bare(entry.path)
            else:
                entry.stat()


def in_own_time(run: Callable[[], object]) -> float:
    """Run something in this process; return its processor time."""
    began = time.process_time()
    run()
    return time.process_time() - began


@dataclass
class Rates:
    """Files per second of each measured thing, one entry a round; and per second of processor time."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, name: str, files: int, run: Callable[[], float]) -> None:
        """Time one run, which returns its processor time."""
        began = time.perf_counter()
        worked = run()
        self.of.setdefault(name, []).append(files / (time.perf_counter() - began))
        self.of.setdefault(f"{name}, by processor", []).append(files / worked)

    def ratio(self, ours: str, theirs: str) -> str:
        """Return the median of the rounds' ratios, and their range."""
        ratios = [a / b for a, b in zip(self.of[ours], self.of[theirs], strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def index(folder: Path, catalog: Path, watch: Callable[[int], None] | None = None) -> float:
    """Run the command, as a user would; return the processor time of all its processes."""
    command = [str(Path(sys.executable).parent / "mastlake"), "--catalog", str(catalog), "-q", "index", str(folder)]
    process = subprocess.Popen(command)
    if watch:
        threading.Thread(target=watch, args=(process.pid,), daemon=True).start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


class Memory:
    """The proportional set size of a process and all it started, watched until it ends."""

    def __init__(self) -> None:
        self.peak = 0

    def __call__(self, pid: int) -> None:
        while total := sum(_proportional_size(one) for one in [pid, *_children(pid)]):
            self.peak = max(self.peak, total)
            time.sleep(0.05)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return found
    return found


def _proportional_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _split(paths: Sequence[str], parts: int) -> list[Sequence[str]]:
    return [paths[n::parts] for n in range(parts)]


def _dfits(paths: Sequence[str]) -> float:
    process = subprocess.Popen(["dfits", *paths], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _one_round(rates: Rates, folder: Path, paths: Sequence[str], catalog: Path, pool: ProcessPoolExecutor) -> None:
    processes = available_processes()
    few, some = paths[:: -(-len(paths) // 150)], paths[:: -(-len(paths) // 300)]
    catalog.unlink(missing_ok=True)
    rates.measure("index", len(paths), lambda: index(folder, catalog))
    rates.measure("astropy, one process", len(few), lambda: read_with_astropy(few))
    parts = _split(some, 4 * processes)
    rates.measure("astropy, a pool", len(some), lambda: sum(pool.map(read_with_astropy, parts)))
    parts = _split(paths, 8 * processes)
    rates.measure("bare scan, a pool", len(paths), lambda: sum(pool.map(scan_bare, parts)))
    rates.measure("our scanner, a pool", len(paths), lambda: sum(pool.map(scan_with_ours, parts)))
    if shutil.which("dfits"):
        rates.measure("dfits (primary header)", len(some), lambda: _dfits(some))
    rates.measure("bare walk", len(paths), lambda: in_own_time(lambda: walk_bare(str(folder))))
    from catalog.headers import index_folders
    from catalog.store.database import Database

    rates.measure("second index", len(paths), lambda: in_own_time(lambda: index_folders(Database(catalog), [folder])))


def main(count: int) -> None:
    """Make the files, measure in rounds, print."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(available_processes(), mp_context=get_context("spawn")) as pool,
    ):
        folder, catalog = Path(scratch) / "files", Path(scratch) / "catalog.duckdb"
        header_bytes = write_exposures(folder, count, make_templates(Path(scratch)))
        paths = sorted(str(path) for path in folder.glob("*/*.fits"))
        sum(pool.map(scan_bare, _split(paths, 2)))  # the page cache is warm now, and the pool awake
        rates = Rates()
        for _ in range(ROUNDS):
            _one_round(rates, folder, paths, catalog, pool)
        stored = catalog.stat().st_size
        memory = Memory()
        catalog.unlink()
        index(folder, catalog, memory)
    print(f"{count} files, {header_bytes / 1e6:.0f} MB of headers, {available_processes()} processors")
    for name, found in rates.of.items():
        print(f"{name:38} {statistics.median(found):10,.0f} files/s ({min(found):,.0f} to {max(found):,.0f})")
    for theirs in rates.of:
        by = ", by processor" if theirs.endswith("by processor") else ""
        if not theirs.startswith(("index", "second index", "bare walk")):
            print(f"index / {theirs:38} {rates.ratio('index' + by, theirs)}")
    for by in ("", ", by processor"):
        print(f"time of a second index / of a bare walk{by}: {rates.ratio('bare walk' + by, 'second index' + by)}")
    print(f"headers' bytes / catalog's bytes: {header_bytes / stored:.1f}; peak memory {memory.peak / 2**20:.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
