"""Random hostile answers against harvests: no traceback, no crash, memory within a bound, no other row lost.

    python -m tests.fuzz_answers [ANSWERS] [SEED]

A server answers as MAST does, but spoils answers at random: odd cells and rows, rows without keys, other types, columns
of any name, wrong paging and counts, cut and mixed bytes, HTML, deep nesting, wrong encodings, drips. Each round
harvests into a catalog of its own, full or not, first spoilt and then once from an honest server, in one process whose
memory has a bound. After each spoilt harvest no row stands twice and no link leads nowhere; in the end the catalog has
every file with every value that the archive has of it, and nothing lies beside it on disk.

To be quick, the harvesting process is kept for many rounds, a new catalog is a copy of an empty one, and honest answers
are remembered. The built-in archive bears few observations a question, so that a harvest has many answers.
"""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode
from urllib.request import Request, urlopen

from catalog.simulator import Simulator
from catalog.vocabulary.spelling import Kind, catalog_name

MEMORY = 1500 << 20
"""Bytes of address space beside what a process of Python with its libraries maps anyway."""
MAPPED = 6 << 30
ODD: tuple[Any, ...] = (
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


KEYS = ("filename", "fileName", "obs_id", "obsid", "dataURI", "parent_obsid")


class Dripping(bytes):
    """An answer that is sent a byte at a time, until the client has had enough."""


class Spoiler:
    """Spoils answers, a share of them, as chance has it."""

    def __init__(self, seed: int, share: float) -> None:
        self.chance = random.Random(seed)
        self.share = share
        self.spoilt = 0
        self._lock = threading.Lock()

    def __call__(self, body: bytes, is_count: bool) -> tuple[bytes, dict[str, str]]:
        """Return what is sent in place of an honest answer, and more headers."""
        with self._lock:
            if self.chance.random() >= self.share:
                return body, {}
            self.spoilt += 1
            ways: list[Callable[[bytes], tuple[bytes, dict[str, str]]]]
            ways = [self._envelope, self._status, self._bytes, self._encoding, self._slowness]
            rows = [self._cells, self._cells, self._rows, self._keys, self._lengths, self._columns, self._fields]
            ways += [self._count] * 3 if is_count else [*rows, self._paging]
            with suppress(ValueError, KeyError, TypeError, AttributeError, IndexError):
                return self.chance.choice(ways)(body)
            return body, {}

    def _cells(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        for _ in range(self.chance.randint(1, 5)):
            row = self.chance.choice(answer["data"] or [{}])
            names = [name for name in row if name not in KEYS]
            if names:
                row[self.chance.choice(names)] = self.chance.choice(ODD)
        return json.dumps(answer).encode(), {}

    def _rows(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        row: Any = self.chance.choice((None, 5, "x", [], {}))
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

    def _keys(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Take the key from a row, or give it another's, or another type."""
        answer = json.loads(body)
        row, other = self.chance.choice(answer["data"]), self.chance.choice(answer["data"])
        name = self.chance.choice([name for name in KEYS if name in row])
        row[name] = self.chance.choice((None, "", 5, True, [], "\0", "x\ny", other[name], "x" * 5000))
        if self.chance.random() < 0.2:
            del row[name]
        return json.dumps(answer).encode(), {}

    def _lengths(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """Let rows have fewer members, or none of one name; repeat rows and leave out others."""
        answer = json.loads(body)
        rows = answer["data"]
        way = self.chance.randrange(4)
        if way == 0:
            name = self.chance.choice(list(rows[0]))
            for row in rows:
                row.pop(name, None)
        elif way == 1:
            row = self.chance.choice(rows)
            for name in self.chance.sample(list(row), len(row) // 2):
                if name not in KEYS:
                    del row[name]
        elif way == 2:
            rows[self.chance.randrange(len(rows))] = self.chance.choice(rows)
        else:
            del rows[self.chance.randrange(len(rows)) :]
        return json.dumps(answer).encode(), {}

    def _fields(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        way = self.chance.randrange(4)
        if way == 0:
            del answer["fields"]
        elif way == 1:
            answer["fields"] *= 2
        elif way == 2:
            answer["fields"] = self.chance.sample(answer["fields"], len(answer["fields"]) // 2)
        else:
            answer["fields"].append(self.chance.choice((None, 5, {}, {"name": None}, {"name": 5}, {"type": "int"}, [])))
        return json.dumps(answer).encode(), {}

    def _paging(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        name = self.chance.choice(("rowsFiltered", "rows", "page", "pageSize", "pagesFiltered", "rowsTotal"))
        answer["paging"][name] = self.chance.choice((*ODD, "7", "-1", 7.0, "7 rows", 10**18))
        if self.chance.random() < 0.2:
            answer["paging"] = self.chance.choice(({}, [], "x", None, 5, {"rowsFiltered": {}}))
        return json.dumps(answer).encode(), {}

    def _count(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        row = answer["data"][0]
        for name in row:
            row[name] = self.chance.choice((*ODD, row[name] + 1, max(0, row[name] - 1), 10**18, "1e3", "٣"))
        if self.chance.random() < 0.2:
            answer["data"] = self.chance.choice(([], [{}], [row, row], None, [5]))
        return json.dumps(answer).encode(), {}

    def _status(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        words: tuple[Any, ...] = ("EXECUTING", "ERROR", "complete", "COMPLETE ", "", "x" * 10_000, None, 5, True, [])
        message: Any = self.chance.choice(("", "Timeout expired.", "a\nb\x1b[31m", "x" * 100_000, None, 5, []))
        return json.dumps({**json.loads(body), "status": self.chance.choice(words), "msg": message}).encode(), {}

    def _envelope(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        answer = json.loads(body)
        name = self.chance.choice(("status", "msg", "data", "fields", "paging"))
        answer[name] = self.chance.choice(ODD)
        if self.chance.random() < 0.3:
            del answer[name]
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

    def _slowness(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        return Dripping(body), {}


KEPT = {
    *("filename", "fileName", "checksum", "isStale", "ingestCompletionDate_mjd", "dataURI", "fileSize", "program"),
    *("targname", "effexptm", "numints", "date_obs", "date_obs_mjd", "tsovisit", "isRestricted", "productLevel"),
    *("exp_type", "obs_id", "ArchiveFileID", "targ_ra", "targ_dec", "s_region", "publicReleaseDate_mjd"),
}
"""Columns of files, some of each type: with all two hundred, a harvest takes three times as long."""


class Honest:
    """Asks the built-in archive, each question once; of files it has the columns `KEPT`, unless told otherwise."""

    def __init__(self, url: str, kept: Container[str] = KEPT) -> None:
        self.url = url
        self.kept = kept
        self._known: dict[str, bytes] = {}

    def __call__(self, path: str, asked: bytes) -> tuple[bytes, bool]:
        """Return an answer, and whether it is a count."""
        request = json.loads(parse_qs(asked.decode()).get("request", ["null"])[0])
        if isinstance(request, dict):
            request.pop("cacheBreaker", None)
        key = f"{path} {json.dumps(request, sort_keys=True)}"
        if key not in self._known:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            with urlopen(Request(self.url + path, asked, kind)) as answer:
                self._known[key] = self._narrowed(answer.read(), key)
        return self._known[key], "COUNT_BIG" in key

    def _narrowed(self, body: bytes, key: str) -> bytes:
        if "Mast.Jwst.Filtered" not in key or "COUNT_BIG" in key:
            return body
        answer = json.loads(body)
        for row in answer.get("data", []):
            for name in [name for name in row if name not in self.kept]:
                del row[name]
        answer["fields"] = [one for one in answer.get("fields", []) if one["name"] in self.kept]
        return json.dumps(answer).encode()


Spoil = Callable[[bytes, bool], tuple[bytes, dict[str, str]]]


def pieces_of(body: bytes) -> Iterator[bytes]:
    """Yield what is sent at once: all, or a byte every 10 ms, for longer than the harvester waits."""
    if not isinstance(body, Dripping):
        yield body
        return
    for at in range(min(len(body), 100)):
        yield body[at : at + 1]
        time.sleep(0.01)


@contextmanager
def serving(honest: Honest) -> Iterator[tuple[str, list[Spoil]]]:
    """Stand before an honest archive; what is in the list spoils its answers."""
    spoilers: list[Spoil] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers: dict[str, str] = {}
            body, is_count = honest(self.path, asked)
            for spoil in spoilers:
                body, headers = spoil(body, is_count)
            with suppress(OSError):
                self.send_response(200)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for piece in pieces_of(body):
                    self.wfile.write(piece)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client may leave in the middle of an answer."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spoilers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HARVEST = """
import json, resource, shutil, sys, warnings
from pathlib import Path
from catalog.archive.client import AnswerLimits, MastArchive
from catalog.archive.retry import Patience
from catalog.errors import MastlakeError
from catalog.harvest import harvest
from catalog.vocabulary.search import Search
from catalog.store import database as store
from catalog.store.database import Database

warnings.simplefilter("error")
url, empty, most = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (int(most), int(most)))
with Database(empty).write():
    pass
store.make = lambda path, engine: shutil.copyfile(empty, path)
searches = Search.parse("all", "niriss", []), Search.observations("seen", ["instrument_name=NIRISS*"])
patience = Patience(attempts=6, first_pause=0.001, longest_pause=0.002)
with MastArchive(url, AnswerLimits(total=0.05, first_pause=0.001, longest_pause=0.01)) as archive:
    for line in sys.stdin:
        path, full, which, is_honest = json.loads(line)
        said = ""
        try:
            how = {"full": full, "allow_empty": True, "patience": patience}
            done = harvest(Database(Path(path)), archive, searches[which], **how)
            assert not is_honest or not (done.unanswered or done.set_aside), done
        except MastlakeError as error:
            assert not is_honest, error
            said = f"{type(error).__name__}: {error}"
        print(json.dumps(said), flush=True)
"""


class Harvester:
    """A process that harvests as it is told, and whose memory has a bound."""

    def __init__(self, url: str, folder: Path) -> None:
        self.errors = (folder / "errors.txt").open("w+", errors="replace")
        self.process = subprocess.Popen(
            [sys.executable, "-c", HARVEST, url, str(folder / "empty.duckdb"), str(MAPPED + MEMORY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def harvest(self, catalog: Path, *, full: bool, which: int = 0, honest: bool = False) -> str:
        """Harvest once, and return what is said of an error.

        Raises
        ------
        AssertionError
            If the process ends, or says more than one line.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([str(catalog), full, which, honest]) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise AssertionError(f"ended with {self.process.returncode}: {self.errors.read()[-4000:]}")
        said = json.loads(line)
        assert "\n" not in said, said
        assert len(said) < 1000, said
        return str(said)

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()
        self.errors.close()


def check(catalog: Path, expected: dict[str, dict[str, Any]]) -> None:
    """Prove that a catalog has every file with every value, and nothing beside it on disk."""
    from catalog.store.database import Database

    with Database(catalog).read() as connection:
        rows = connection.execute("SELECT * FROM files").to_arrow_table().to_pylist()
    found = {row["filename"]: row for row in rows}
    assert set(found) == set(expected)
    for filename, wanted in expected.items():
        got = {name: found[filename][catalog_name(name, "file")] for name in wanted}
        wrong = {name: (got[name], value) for name, value in wanted.items() if got[name] != value}
        assert not wrong, (filename, wrong)
    assert [left.name for left in catalog.parent.iterdir()] == [catalog.name]


def prove_whole(catalog: Path) -> None:
    """Prove that no row stands twice and that no link leads nowhere."""
    from catalog.store.database import Database

    if not catalog.exists():
        return
    with Database(catalog).read() as connection:
        for table, key in (("file", "filename"), ("observation", "obs_id"), ("product", "data_uri")):
            doubled = f"SELECT {key} FROM {table}_version WHERE until_run IS NULL GROUP BY 1 HAVING count(*) > 1"
            assert connection.execute(doubled).fetchall() == [], f"a {table} stands twice"
        orphans = "SELECT count(*) FROM observation_products ANTI JOIN products USING (data_uri)"
        assert connection.execute(orphans).fetchone() == (0,)


def values_of(honest: Honest) -> dict[str, dict[str, Any]]:
    """Return what the archive has of each file, as a catalog keeps it."""
    request = json.dumps({"service": "Mast.Jwst.Filtered.Niriss", "params": {"columns": "*"}})
    rows = json.loads(honest("/api/v0/invoke", urlencode({"request": request}).encode())[0])["data"]
    return {row["filename"]: {name: _kept(value) for name, value in row.items()} for row in rows}


def _kept(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("/Date("):
        return datetime(1970, 1, 1) + timedelta(milliseconds=int(value[6:-2]))
    return {"t": True, "f": False}.get(value, value) if isinstance(value, str) else value


def fuzz_reading(answers: int, seed: int = 1) -> int:
    """Spoil so many answers, one after the other, and read each alone; return how many were read or set aside."""
    from catalog.archive.answer import read_answer, read_count
    from catalog.errors import ArchiveError

    read = 0
    with Simulator(files=20, seed=11, instruments=["niriss", "guidestar"]) as sky:
        honest = Honest(sky.url)
        bodies = [(kind, *honest("/api/v0/invoke", question)) for kind, question in _questions(sky)]
    for number in range(answers):
        spoil = Spoiler(seed + number, 1.0)
        kind, body, is_count = spoil.chance.choice(bodies)
        spoilt, _ = spoil(body, is_count)
        with suppress(ArchiveError):
            if is_count:
                assert read_count(spoilt) >= 0
            else:
                answer = read_answer(spoilt, kind, whole=True)
                assert answer.total >= 0
            read += 1
    return read


def _questions(sky: Simulator) -> list[tuple[Kind, bytes]]:
    with sky.state.reading() as connection:
        numbers = [str(row[0]) for row in connection.execute("SELECT obsid FROM observation").fetchall()]
    asked: list[tuple[Kind, str, dict[str, Any]]] = [
        ("file", "Mast.Jwst.Filtered.Niriss", {"columns": "*"}),
        ("file", "Mast.Jwst.Filtered.GuideStar", {"columns": "*"}),
        ("file", "Mast.Jwst.Filtered.Niriss", {"columns": "COUNT_BIG(*)"}),
        ("observation", "Mast.Caom.Filtered", {"columns": "*"}),
        ("product", "Mast.Caom.Products", {"obsid": ",".join(numbers[:2])}),
    ]
    requests = [(kind, json.dumps({"service": service, "params": params})) for kind, service, params in asked]
    return [(kind, urlencode({"request": request}).encode()) for kind, request in requests]


def fuzz(
    answers: int, seed: int = 1, files: int = 20, harvests: int = 12, say: Callable[[str], None] = lambda text: None
) -> int:
    """Spoil so many answers, and return how many were."""
    spoilt, said = 0, 0
    with (
        Simulator(files=files, seed=11, instruments=["niriss", "guidestar"]) as sky,
        tempfile.TemporaryDirectory() as folder,
        serving(honest := Honest(sky.url)) as (url, spoilers),
    ):
        sky.settings(max_obsids=3)
        expected = values_of(honest)
        harvester = Harvester(url, Path(folder))
        while spoilt < answers:
            chance = random.Random(seed)
            spoiler = Spoiler(seed, chance.choice((0.1, 0.4, 0.6)))
            spoilers[:] = [spoiler]
            with tempfile.TemporaryDirectory(dir=folder) as place:
                catalog = Path(place) / "c.duckdb"
                for _ in range(harvests):
                    how: dict[str, Any] = {"full": chance.random() < 0.5, "which": chance.randrange(2)}
                    error = harvester.harvest(catalog, **how)
                    say(error)
                    prove_whole(catalog)
                spoilers.clear()
                spoilt += spoiler.spoilt
                harvester.harvest(catalog, full=True, honest=True)
                check(catalog, expected)
            seed += 1
            if spoilt - said >= 100:
                said = spoilt
                print(f"{spoilt:,} answers spoilt, seed {seed}", flush=True)
        harvester.close()
    return spoilt


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    answers, *more = arguments or [10_000]
    print(
        f"{fuzz_reading(answers, more[0] if more else 1):,} of {answers:,} spoilt answers can be read, each alone",
        flush=True,
    )
    fuzz(answers, more[0] if more else 1)
