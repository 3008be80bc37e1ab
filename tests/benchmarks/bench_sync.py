"""Downloads against the tools of the trade, over loopback, in one run: ``make bench-sync``.

Two cases. Many small files, whose first byte takes 50 ms: against ``aria2c -j N``, ``curl --parallel`` and astroquery's
``download_products``. A few large files: against curl, and against curl followed by ``sync``, since ours are on disk
once they have their names; into a folder on disk, and into one in memory where there is enough of it. Everyone gets the
same list, the same server and the same place; tools take turns, and each figure is the median of its turns.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from catalog.store.database import Database
from tests.sync_catalog import URI, catalog, insert

BLOCK = 2880
SMALL = 35 * BLOCK  # 100.8 kB
_MEMORY = Path("/dev/shm")
LARGE = -(-(1 << 30) // BLOCK) * BLOCK  # 1 GiB
_ASTROQUERY = """
import sys, warnings
warnings.simplefilter("ignore")
from astropy.table import Table
from astroquery.mast import Observations
server, folder, names = sys.argv[1], sys.argv[2], open(sys.argv[3]).read().split()
Observations._portal_api_connection.MAST_DOWNLOAD_URL = server + "/api/v0.1/Download/file"
products = Table({"dataURI": ["mast:JWST/product/" + n for n in names], "productFilename": names,
                  "obs_collection": ["JWST"] * len(names), "obs_id": ["o"] * len(names)})
Observations.download_products(products, download_dir=folder, flat=True, verbose=False)
"""


@dataclass(frozen=True)
class Job:
    """What everyone fetches."""

    server: str
    names: tuple[str, ...]
    database: Database
    jobs: int
    folder: Path
    place: Path | None = None
    """Where the files go, if not below the folder."""


@dataclass
class Turns:
    """Wall and CPU seconds of one tool."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


Tool = Callable[[Job, Path], list[str]]


def _address(job: Job, name: str) -> str:
    return f"{job.server}/api/v0.1/Download/file?uri={URI}{name}"


def mastlake(job: Job, dest: Path) -> list[str]:
    """Return our command."""
    program = str(Path(sys.executable).with_name("mastlake"))
    return [program, "--catalog", str(job.database.path), "--server", job.server, "-q", "sync", "--jobs", str(job.jobs),
            "--dest", str(dest)]  # fmt: skip


def curl(job: Job, dest: Path) -> list[str]:
    """Return curl's command, for many files at once over connections that it keeps."""
    lines = [f'url = "{_address(job, name)}"\noutput = "{dest / name}"' for name in job.names]
    listing = job.folder / "curl.txt"
    listing.write_text("\n".join(lines) + "\n")
    parallel = ["--parallel", "--parallel-immediate", "--parallel-max", str(job.jobs)]
    return ["curl", "--silent", "--no-progress-meter", "--fail", "--globoff", *parallel, "--config", str(listing)]


def curl_synced(job: Job, dest: Path) -> list[str]:
    """Return curl's command followed by one that waits until its files are on disk."""
    files = [str(dest / name) for name in job.names]
    return ["sh", "-c", f'"$@" && sync {shlex.join([*files, str(dest)])}', "sh", *curl(job, dest)]


def aria2c(job: Job, dest: Path) -> list[str]:
    """Return aria2c's command."""
    listing = job.folder / "aria2.txt"
    listing.write_text("".join(f"{_address(job, name)}\n  out={name}\n" for name in job.names))
    options = ["--quiet", "--file-allocation=none", "--max-connection-per-server=1", "--split=1"]
    return ["aria2c", *options, f"--max-concurrent-downloads={job.jobs}", f"--dir={dest}", f"--input-file={listing}"]


def astroquery(job: Job, dest: Path) -> list[str]:
    """Return a program that calls astroquery's download_products."""
    listing = job.folder / "names.txt"
    listing.write_text("\n".join(job.names))
    return [sys.executable, "-c", _ASTROQUERY, job.server, str(dest), str(listing)]


def run(job: Job, tool: Tool) -> tuple[float, float]:
    """Run one tool into an empty folder; return wall and CPU seconds."""
    dest = (job.place or job.folder) / "dest"
    shutil.rmtree(dest, ignore_errors=True)
    dest.mkdir()
    with job.database.write() as connection:
        connection.execute("DELETE FROM local_file_version")
    command = tool(job, dest)
    os.sync()
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    there = sum(1 for path in dest.iterdir() if not path.name.startswith("."))
    if process.returncode or there != len(job.names):
        raise SystemExit(f"{tool.__name__} ended with {process.returncode} and {there} files")
    shutil.rmtree(dest)
    return wall, used.ru_utime + used.ru_stime


@contextmanager
def serving(folder: Path, delay: float) -> Iterator[str]:
    """Run the server in a process of its own."""
    program = Path(__file__).with_name("quick_server.py")
    process = subprocess.Popen(
        [sys.executable, str(program), str(folder), str(delay)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def make_file(path: Path, size: int, seed: int) -> str:
    """Write a FITS file of so many bytes, and return its MD5."""
    axis = size - BLOCK
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    1",
             f"NAXIS1  = {axis:20d}", f"SEED    = {seed:20d}", "END"]  # fmt: skip
    md5, block, left = hashlib.md5(usedforsecurity=False), os.urandom(1 << 20), axis
    with path.open("wb") as file:
        for piece in ["".join(card.ljust(80) for card in cards).ljust(BLOCK).encode()]:
            file.write(piece)
            md5.update(piece)
        while left:
            piece = block[: min(left, len(block))]
            file.write(piece)
            md5.update(piece)
            left -= len(piece)
    return md5.hexdigest()


def prepare(folder: Path, count: int, size: int, distinct: int) -> tuple[tuple[str, ...], Database]:
    """Make the files, some of them links to others, and the catalog that lists them."""
    served = folder / "served"
    served.mkdir()
    names = tuple(f"jw{n:08d}_nis_x1d.fits" for n in range(count))
    digests: list[str] = []
    for n, name in enumerate(names):
        if n < distinct:
            digests.append(make_file(served / name, size, n))
        else:
            (served / name).hardlink_to(served / names[n % distinct])
            digests.append(digests[n % distinct])
    database = catalog(folder / "c.duckdb")
    rows = [{"filename": name, "instrument": "niriss", "row_hash": 0, "checked_run": 1, "since_run": 1,
             "dataURI": URI + name, "fileSize": size, "checksum": digest, "program": "1366"}
            for name, digest in zip(names, digests, strict=True)]  # fmt: skip
    insert(database, {"file_version": rows})
    return names, database


def measure(title: str, job: Job, tools: list[tuple[Tool, int]], size: int) -> None:
    """Let tools take turns, and print a table: seconds, MB/s, CPU seconds a GiB, and our speed as a ratio."""
    found = {tool.__name__: Turns() for tool, _ in tools}
    for turn in range(max(turns for _, turns in tools)):
        for tool, turns in tools:
            if turn < turns:
                wall, cpu = run(job, tool)
                found[tool.__name__].wall.append(wall)
                found[tool.__name__].cpu.append(cpu)
    total = len(job.names) * size
    ours = statistics.median(found["mastlake"].wall)
    print(f"\n{title}, {job.jobs} at once\n{'':12}{'seconds':>9}{'MB/s':>8}{'CPU s/GiB':>11}{'our speed':>12}")
    for name, measured in found.items():
        wall, cpu = statistics.median(measured.wall), statistics.median(measured.cpu)
        rate, per_gib = total / wall / 1e6, cpu / total * (1 << 30)
        print(f"{name:12}{wall:9.2f}{rate:8.0f}{per_gib:11.2f}{wall / ours:11.2f}x", flush=True)


@contextmanager
def in_memory(size: int) -> Iterator[Path | None]:
    """Give a folder in memory for so many bytes; None where that cannot be had."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < 2 * size:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        yield Path(name)


def main() -> None:
    """Run both cases, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=["small", "large"])
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], help="tools to leave out")
    parser.add_argument("--files", type=int, default=2000)
    given = parser.parse_args()

    def chosen(*tools: tuple[Tool, int]) -> list[tuple[Tool, int]]:
        return [(tool, turns) for tool, turns in tools if tool.__name__ not in given.without]

    for case in given.cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if case == "small":
                names, database = prepare(folder, given.files, SMALL, given.files)
                tools = chosen((mastlake, given.turns), (aria2c, given.turns), (curl, given.turns), (astroquery, 1))
                size, delay, title = SMALL, 0.05, f"{given.files} files of 100 kB, 50 ms to the first byte"
            else:
                names, database = prepare(folder, 4, LARGE, 1)
                tools = chosen((mastlake, given.turns), (curl, given.turns), (curl_synced, given.turns))
                size, delay, title = LARGE, 0.0, "4 files of 1 GiB"
            with serving(folder / "served", delay) as server:
                job = Job(server, names, database, given.jobs, folder)
                measure(title, job, tools, size)
                if case == "large":
                    with in_memory(4 * LARGE) as place:
                        if place:
                            measure(f"{title}, in memory", replace(job, place=place), tools, size)


if __name__ == "__main__":
    main()
