"""A published catalog in the cache: several processes, processes that are killed, and disks that are full."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from catalog.api.catalog import Catalog
from catalog.errors import DiskError, UsageError
from catalog.publish.manifest import LATEST, sha256_of
from catalog.publish.meter import Pull
from catalog.publish.publishing import publish
from catalog.store.database import Database
from tests import kills_publish
from tests.conftest import Command, copy_of
from tests.kills_publish import add_run
from tests.published_server import Shown, Site, showing
from tests.test_whole_files import small_disk

pytest.importorskip("obstore.store", reason="the object-store client is an extra")

_FOLLOW = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"


@dataclass(frozen=True)
class Followed:
    """A published catalog at an address, and what publishes it."""

    address: str
    site: Site
    working: Database
    group: Path
    cache: Path

    def publish(self, run: int) -> None:
        add_run(self.working, run)
        publish(self.working, self.group)

    def started(self) -> subprocess.Popen[bytes]:
        """Start a process that asks for the runs."""
        return subprocess.Popen(
            [sys.executable, "-c", _FOLLOW, "--catalog", self.address, "runs", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def left(self) -> list[str]:
        return [path.name for path in self.cache.rglob(".*") if path.is_file()]


@pytest.fixture(scope="module")
def _working(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kills_publish.working(tmp_path_factory.mktemp("working")).path


@pytest.fixture(params=["http", pytest.param("s3", marks=pytest.mark.long)])
def followed(
    request: pytest.FixtureRequest, _working: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Followed]:
    """A catalog of one run, which a web server or a public bucket shows."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    working, group = copy_of(_working, tmp_path / "working.duckdb"), tmp_path / "store" / "jwst" / "lake"
    publish(working, group)
    with showing(tmp_path / "store") as site:
        address = f"{site.address}jwst/lake/"
        if request.param == "s3":
            monkeypatch.setenv("AWS_ENDPOINT_URL", site.address)
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"):
                monkeypatch.delenv(name, raising=False)
            address = "s3://jwst/lake/"
        yield Followed(address, site, working, group, tmp_path / "cache")


def runs(address: str) -> int:
    with Catalog.open(address) as shared:
        return len(shared.runs())


def test_a_reader_asks_only_for_objects_that_a_public_policy_gives(followed: Followed) -> None:
    assert runs(followed.address) == 1
    assert all(name == "LATEST" or name.startswith("run-") for name in followed.site.asked)


def test_a_catalog_is_shown_by_its_address_without_a_password_and_without_a_request(followed: Followed) -> None:
    with Catalog.open(followed.address.replace("http://", "http://astro:secret@")) as shared:
        asked = len(followed.site.asked)
        assert repr(shared) == f"<Catalog {followed.address}, a copy of {shared.server}>"
        assert len(followed.site.asked) == asked
        with pytest.raises(UsageError, match=f"{followed.address} is no lake"):
            shared.upkeep()


@pytest.mark.long
def test_several_at_once_pull_it_once(followed: Followed) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(runs(followed.address))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 6
    assert followed.site.asked.count("run-000001.duckdb") == 1
    assert followed.left() == []


def test_each_pull_of_a_whole_catalog_tells_how_far_it_is(followed: Followed) -> None:
    told: list[Pull] = []
    size = (followed.group / "run-000001.duckdb").stat().st_size
    assert len(Catalog.once(followed.address, pulled=told.append).runs()) == 1
    assert (told[0].have, told[-1].have, {pull.total for pull in told}) == (0, size, {size})
    assert [pull.is_over for pull in told] == [False] * (len(told) - 1) + [True]
    told.clear()
    Catalog.once(followed.address, pulled=told.append).runs()
    assert told == []
    followed.publish(2)
    followed.site.instead["run-000002.duckdb"] = lambda shown: shown.send(b"half", length=99)
    assert len(Catalog.once(followed.address, pulled=told.append).runs()) == 1
    assert told[-1].is_over
    assert sum(pull.is_over for pull in told) == sum(pull.have == 0 and not pull.is_over for pull in told)


@pytest.mark.long
@pytest.mark.parametrize(("quiet", "drawn"), [(["-q"], False), ([], True)])
def test_a_pull_draws_a_bar_on_a_terminal_alone(followed: Followed, quiet: list[str], drawn: bool) -> None:
    words = [*quiet, "--catalog", followed.address, "runs"]
    asked = pexpect.spawn(sys.executable, ["-c", _FOLLOW, *words], timeout=60, encoding="utf-8")
    asked.expect(pexpect.EOF)
    assert ("MB" in asked.before or "kB" in asked.before) is drawn
    for path in followed.cache.rglob("run-*"):
        path.unlink()
    done = followed.started()
    assert b"B/s" not in done.communicate()[1]


@pytest.mark.long
def test_several_processes_at_once_pull_it_once(followed: Followed) -> None:
    processes = [followed.started() for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert all(b'"run": 1' in (process.stdout.read() if process.stdout else b"") for process in processes)
    for process in processes:
        process.communicate()
    assert followed.site.asked.count("run-000001.duckdb") == 1


@pytest.mark.long
def test_what_a_killed_process_left_is_removed_by_the_next(followed: Followed) -> None:
    assert runs(followed.address) == 1
    (kept,) = followed.cache.glob("mastlake/published/*")
    for name in (".run-000001.duckdb.part", ".run-000009.json.part", ".LATEST.part"):
        (kept / name).write_bytes(b"half")
    (kept / ".pulling").touch()
    followed.publish(2)
    assert runs(followed.address) == 2
    assert followed.left() == []


@pytest.mark.long
def test_a_pull_that_is_killed_at_any_moment_leaves_the_older_copy(followed: Followed) -> None:
    rng = random.Random(1)
    assert runs(followed.address) == 1

    def slow(shown: Shown) -> None:
        body = (followed.group / shown.path.rpartition("/")[2]).read_bytes()
        shown.send_response(200)
        shown.send_header("Content-Length", str(len(body)))
        shown.end_headers()
        for at in range(0, len(body), 1 << 17):
            time.sleep(0.02)
            try:
                shown.wfile.write(body[at : at + (1 << 17)])
            except OSError:
                return

    for run in (2, 3, 4):
        followed.publish(run)
        followed.site.instead[f"run-{run:06}.duckdb"] = slow
        process = followed.started()
        while f"run-{run:06}.duckdb" not in followed.site.asked:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.communicate()
        followed.site.instead.clear()
        (kept,) = followed.cache.glob("mastlake/published/*")
        newest = kept / (kept / LATEST).read_text().strip()
        assert sha256_of(newest.with_suffix(".duckdb")) in newest.read_text()
        assert runs(followed.address) == run
        assert followed.left() == []


def test_a_full_disk_is_one_line_and_leaves_nothing(followed: Followed, mastlake: Command) -> None:
    with small_disk(100_000):
        done = mastlake("--catalog", followed.address, "runs", "--json")
    assert (done.code, done.err.count("\n"), done.out) == (1, 1, ""), done.err
    assert "cannot keep the catalog of" in done.err
    assert list(followed.cache.glob("mastlake/published/*/*")) == []
    assert len(mastlake("--catalog", followed.address, "runs", "--json").json) == 1


@pytest.mark.long
def test_with_a_full_disk_the_older_copy_answers_and_says_so(followed: Followed, mastlake: Command) -> None:
    ask = ["--catalog", followed.address, "runs", "--json"]
    mastlake(*ask)
    followed.publish(2)
    with small_disk(100_000):
        done = mastlake(*ask)
    assert len(done.json) == 1
    assert done.err.count("\n") == 1
    assert "the answer is from the copy" in done.err
    assert len(mastlake(*ask).json) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_one_line(followed: Followed) -> None:
    followed.cache.mkdir(mode=0o500)
    with pytest.raises(DiskError, match="cannot keep the catalog"):
        runs(followed.address)
