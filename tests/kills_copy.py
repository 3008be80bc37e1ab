"""Copies of a catalog that are killed: nothing half done is taken for a catalog, and the next copy goes on.

Run by ``make kills``: ``python -m tests.kills_copy [ROUNDS] [SEED]``. A short form runs with the long tests.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from catalog.api.catalog import Catalog
from catalog.simulator import Simulator
from catalog.vocabulary.search import Search
from tests.lakes import EMBEDDED

_COMMAND = "from catalog.cli.start import run; run()"
_MOST = 20
"""How many times one copy is killed before it is let go on."""


def copy(source: str, to: str) -> subprocess.Popen[str]:
    """Start ``mastlake copy``."""
    words = [sys.executable, "-c", _COMMAND, "copy", source, to]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def killed(source: str, to: str, seconds: float, rng: random.Random) -> int:
    """Kill copies at random moments until one ends; return how many were killed.

    Raises
    ------
    AssertionError
        If a copy that was killed left a catalog, or the last one failed.
    """
    kills = 0
    while True:
        process = copy(source, to)
        try:
            told = process.communicate(timeout=rng.uniform(0.5, seconds * (1 + kills / 4)) if kills < _MOST else 300)[1]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            if Catalog.once(to).exists():
                assert_same(source, to)  # it was killed after the copy got its name
                return kills
            continue
        if process.returncode or "with the same checksums" not in told:
            raise AssertionError(f"copy of {source} to {to}: exit code {process.returncode}, {told}")
        return kills


def assert_same(source: str, to: str) -> None:
    """Prove that both have the same rows, and the same answers of views."""
    asked = ("files", "observations", "products", "runs", "changes", "search_files", "keywords", "local_files")
    with Catalog.open(source) as one, Catalog.open(to) as other:
        for name in asked:
            statement = f"SELECT count(*) AS n, sum(hash(COLUMNS(*)::VARCHAR)) FROM {name}"
            if one.sql(statement).to_arrow().to_pylist() != other.sql(statement).to_arrow().to_pylist():
                raise AssertionError(f"{name} of {to} is not that of {source}")


def rounds(folder: Path, count: int, rng: random.Random, seconds: float = 4.0) -> Counter[str]:
    """Copy so many times, from a file to lakes and back; return how many copies were killed, by direction."""
    kills = Counter[str]()
    file = str(folder / "file.duckdb")
    with Simulator(files=600) as archive, Catalog.open(file, server=archive.url) as catalog:
        catalog.harvest(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]))
    for number in range(count):
        prefix = EMBEDDED[number // 2 % len(EMBEDDED)]
        lake = f"{prefix}{folder / f'{number // 2}.lake'}"
        source, to = (file, lake) if number % 2 == 0 else (lake, str(folder / f"{number}.duckdb"))
        kills[f"{source.partition('/')[0] or 'file'} to {to.partition('/')[0] or 'file'}"] += killed(
            source, to, seconds, rng
        )
        assert_same(source, to)
        if any(folder.glob(".*.new*")):
            raise AssertionError(f"{list(folder.glob('.*.new*'))} was left behind")
    return kills


def main(count: int = 12, seed: int = 1) -> None:
    """Run the long form, and print what was done."""
    with tempfile.TemporaryDirectory() as folder:
        kills = rounds(Path(folder), count, random.Random(seed))
    print(f"{count} copies, each killed until it was done; each was the same as its source:")
    for what, times in sorted(kills.items()):
        print(f"  {what}: {times} kills")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
