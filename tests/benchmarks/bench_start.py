"""What a person waits for first: whole processes, against plain DuckDB that asks the same file the same question.

Processor time, user and system together, of the process and its children: the least of several runs, in turn with the
peer's, so that both see the same machine. The aim is at most twice the peer's.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search

RUNS = 9
FILES = 3000
_PEER = "import duckdb; duckdb.connect({path!r}, read_only=True).sql({sql!r}).fetchall()"
_FOUND = "filename, targname, exp_type, filter, pupil, date_obs, program, productLevel, file_size"
_COUNTED = "SELECT targname, count(*) FROM files GROUP BY ALL"
QUESTIONS: dict[str, tuple[list[str], str]] = {
    "sql": (["sql", _COUNTED], _COUNTED),
    "find": (
        ["find", "-k", "exp_type=NIS_SOSS"],
        f"SELECT {_FOUND} FROM files WHERE lower(exp_type) = 'nis_soss' ORDER BY date_obs_mjd, filename LIMIT 1000",
    ),
    "status": (["status"], "SELECT count(*) FROM files"),
    "products": (
        ["products", "soss", "--subgroup", "X1DINTS"],
        """SELECT "productFilename", "productType", "productSubGroupDescription", calib_level, size, "dataRights"
           FROM products WHERE "productSubGroupDescription" = 'X1DINTS' ORDER BY data_uri""",
    ),
    "changes": (["changes", "1"], "SELECT kind, what, count(*) FROM changes WHERE run = 1 GROUP BY ALL"),
}  # fmt: skip


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Return the processor time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line for each command."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.duckdb"
        with Simulator(files=FILES) as simulator, MastArchive(simulator.url) as archive:
            harvest(Database(path), archive, Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]))
        environment = {**os.environ, "MASTLAKE_CATALOG": str(path), "XDG_CACHE_HOME": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second start finds the modules compiled
        mastlake = str(Path(sys.executable).with_name("mastlake"))
        for name, (words, sql) in QUESTIONS.items():
            peer = [sys.executable, "-c", _PEER.format(path=str(path), sql=sql)]
            seconds([mastlake, *words], environment)  # the dictionary is kept from here on
            pairs = [(seconds([mastlake, *words], environment), seconds(peer, environment)) for _ in range(RUNS)]
            ours, theirs = (min(column) for column in zip(*pairs, strict=True))
            print(f"{name:9} {ours:.3f} s, DuckDB {theirs:.3f} s: {ours / theirs:.2f} times")


if __name__ == "__main__":
    main()
