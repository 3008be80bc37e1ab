"""Random hostile answers against harvests: no traceback, no crash, memory within a bound, no other row lost.

    python -m tests.fuzz_answers [ANSWERS] [SEED]

A server answers as MAST does, but spoils answers at random: odd cells and rows, other types, columns of any name, wrong
paging, cut and mixed bytes, HTML, deep nesting, wrong encodings. Each round harvests into a catalog of its own, in a
process of its own with a bound on its memory, first spoilt and then again from an honest server. Then the catalog has
every file, and what the archive has of it.
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

MEMORY = 1500 << 20
"""Bytes of address space beside what a process of Python with its libraries maps anyway."""
MAPPED = 6 << 30
ODD = (
    *(
        None,
        True,
        False,
        0,
        -1,
        10.7,
        2**63 - 1,
        2**63,
        10**30,
        1e300,
        float("nan"),
        float("inf"),
        [],
        {},
        [1, {"a": None}],
    ),
    *("", "N/A", "NaN", "\0", "\ud800", "a\nb", "\x1b[31m", "},{", "x" * 100_000, "../../x", "$HOME"),
    *("'; DROP TABLE runs; --", "\"; COPY runs TO 'x'; --"),
    *("/Date(999999999999999999)/", "/Date(x)/", "2022-06-08T07:08:56.1234567"),
)
NAMES = (
    "",
    '"',
    "a\nb",
    "\0",
    "since_run",
    "row_hash",
    "FILENAME",
    "odd_cells",
    "staged_row",
    "x' y",
    "%",
    "parent",
    "é",
    "Obs_Id",
)


class Spoiler:
    """Spoils answers, a share of them, as chance has it."""

    def __init__(self, seed: int, share: float) -> None:
        self.chance = random.Random(seed)
        self.share = share
        self.spoilt = 0
        self._lock = threading.Lock()

    def __call__(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Return what is sent in place of an honest answer, and more headers."""
        with self._lock:
            if self.chance.random() >= self.share:
                return body, {}
            self.spoilt += 1
            ways: list[Callable[[bytes], tuple[bytes, dict[str, str]]]]
            ways = [self._cells, self._cells, self._rows, self._columns, self._envelope, self._bytes, self._encoding]
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                return self.chance.choice(ways)(body)
            return body, {}

    def _cells(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        for _ in range(self.chance.randint(1, 5)):
            row = self.chance.choice(answer["data"] or [{}])
            kept = ("filename", "fileName", "obs_id", "obsid", "dataURI", "parent_obsid")
            names = [name for name in row if name not in kept]
            if names:
                row[self.chance.choice(names)] = self.chance.choice(ODD)
        return json.dumps(answer).encode(), {}

    def _rows(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        row = self.chance.choice((None, 5, "x", [], {}))
        answer["data"].insert(self.chance.randint(0, len(answer["data"])), row)
        return json.dumps(answer).encode(), {}

    def _columns(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        for name in self.chance.sample(NAMES, 3):
            answer["fields"].append(
                {"name": name, "type": self.chance.choice(("string", "int", "date", "?", "boolean"))}
            )
            for row in answer["data"]:
                row.setdefault(name, self.chance.choice(ODD))
        for described in self.chance.sample(answer["fields"], 2):
            described["type"] = self.chance.choice(("string", "int", "float", "date", "boolean"))
        return json.dumps(answer).encode(), {}

    def _envelope(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        name = self.chance.choice(("status", "msg", "data", "fields", "paging"))
        answer[name] = self.chance.choice(ODD)
        return json.dumps(answer).encode(), {}

    def _bytes(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        spoilt = bytearray(body)
        at = self.chance.randrange(len(spoilt))
        way = self.chance.randrange(5)
        if way == 0:
            return bytes(spoilt[:at]), {}
        if way == 1:
            return b"<html>Down for maintenance</html>", {"Content-Type": "text/html"}
        if way == 2:
            return b"[" * 100_000, {}
        if way == 3:
            return b"\xef\xbb\xbf" + body, {}
        spoilt[at : at + self.chance.randint(0, 4)] = self.chance.randbytes(self.chance.randint(0, 4))
        return bytes(spoilt), {}

    def _encoding(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        if self.chance.random() < 0.5:
            return gzip.compress(body), {"Content-Encoding": "gzip"}
        return body, {"Content-Encoding": self.chance.choice(("gzip", "br", "identity", "x"))}


@contextmanager
def spoiling(url: str, spoil: Spoiler) -> Iterator[str]:
    """Stand before an honest server, and spoil its answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            with urlopen(Request(url + self.path, asked, kind)) as honest:
                body, headers = honest.read(), {}
            if urlsplit(self.path).path.endswith("/invoke") and b"COUNT_BIG" not in asked and parse_qs(asked):
                body, headers = spoil(body)
            with suppress(OSError):
                self.send_response(200)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HARVEST = """
import sys
from pathlib import Path
from catalog.archive.client import MastArchive, Waiting
from catalog.archive.retry import Patience
from catalog.errors import MastlakeError
from catalog.harvest import harvest
from catalog.vocabulary.search import Search
from catalog.store.database import Database

path, url, times = sys.argv[1:]
with MastArchive(url, Waiting(total=30)) as archive:
    for _ in range(int(times)):
        try:
            harvest(Database(Path(path)), archive, Search.parse("all", "niriss", []), full=True,
                    patience=Patience(attempts=3, first_pause=0.001, longest_pause=0.002))
        except MastlakeError as error:
            print(type(error).__name__, str(error)[:200], file=sys.stderr)
"""


def harvested(path: Path, url: str, times: int) -> str:
    """Harvest in a process of its own, and return what it says.

    Raises
    ------
    AssertionError
        If it ends otherwise than it should.
    """
    ran = subprocess.run(
        [sys.executable, "-c", HARVEST, str(path), url, str(times)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MAPPED + MEMORY, MAPPED + MEMORY)),
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stderr


def check(catalog: Path, expected: dict[str, dict[str, Any]]) -> None:
    """Prove that a catalog has every file, and nothing beside it on disk."""
    from catalog.store.database import Database

    with Database(catalog).read() as connection:
        rows = connection.execute("SELECT filename, checksum, data_uri, program, targname FROM files").fetchall()
    assert {row[0]: row[1:] for row in rows} == expected
    assert [left.name for left in catalog.parent.iterdir()] == [catalog.name]


def fuzz(
    answers: int, seed: int = 1, files: int = 120, harvests: int = 10, say: Callable[[str], None] = lambda text: None
) -> int:
    """Spoil so many answers, and return how many were."""
    from catalog.simulator import Simulator

    spoilt = 0
    with Simulator(files=files, seed=11) as sky:
        asked = Request(
            f"{sky.url}/api/v0/invoke",
            b"request=" + json.dumps({"service": "Mast.Jwst.Filtered.Niriss", "params": {"columns": "*"}}).encode(),
        )
        with urlopen(asked) as answer:
            rows = json.load(answer)["data"]
        wanted = ("checksum", "dataURI", "program", "targname")
        expected = {row["filename"]: tuple(row[name] for name in wanted) for row in rows}
        while spoilt < answers:
            spoil = Spoiler(seed, 0.5)
            with tempfile.TemporaryDirectory() as folder:
                catalog = Path(folder) / "c.duckdb"
                with spoiling(sky.url, spoil) as url:
                    harvested(catalog, url, harvests)
                harvested(catalog, sky.url, 1)
                check(catalog, expected)
            spoilt, seed = spoilt + spoil.spoilt, seed + 1
            say(f"{spoilt:,} answers spoilt")
    return spoilt


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    fuzz(*(arguments or [10_000]), say=print)
