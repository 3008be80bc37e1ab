"""A law of verdicts: whatever happens on disk and in the archive, they agree with the bytes of both."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.headers import index_folders
from catalog.questions.drift import outdated
from catalog.questions.status import overview
from catalog.simulator import Simulator
from catalog.sync import OldBytes, Selection, Token, make_plan, sync
from catalog.sync.rate import SharedPace
from catalog.vocabulary.search import Search

from .conftest import QUICK, NewCatalog
from .fits_samples import sample
from .laws import EngineStateMachine, hold

SEARCHES = (Search.parse("all", "niriss", []), Search.parse("stage3", "niriss", ["productLevel=3"]))
ACTIONS = {"stale": {"replace"}, "corrupt": {"replace"}, "modified": {"modified"}, "unverified": {"check"}}
CHOSEN = Selection(max_size=100_000)
some = st.integers(0, 10**6)
pytestmark = pytest.mark.engines("each")


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


class BytesHereAndThere(EngineStateMachine):
    """Files are fetched, edited, cut, deleted, moved and indexed here, and processed again and withdrawn there."""

    @initialize(seed=st.integers(1, 20))
    def begin(self, seed: int) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.dest = Path(self.scratch.name) / "disk"
        self.sky = Simulator(files=5, seed=seed, instruments=["niriss"], retry_after_s=0)
        self.sky.start()
        self.archive = MastArchive(self.sky.url)
        self.database = self.new_catalog(Path(self.scratch.name))
        self.gone: list[str] = []
        self.kept: set[str] = set()  # MD5 of everything that a person made
        self.bytes_of = cache(self._bytes_of)
        self.followed: list[Search] = []
        self.follow(SEARCHES[0], full=True)
        self.fetch(overwrite=False)

    def teardown(self) -> None:
        if hasattr(self, "scratch"):
            self.archive.close()
            self.sky.stop()
            self.scratch.cleanup()

    def _bytes_of(self, name: str) -> str | None:
        """The MD5 of what the archive sends now; None where it has no such file."""
        query = urllib.parse.urlencode({"uri": f"mast:JWST/product/{name}"})
        request = urllib.request.Request(f"{self.sky.url}/api/v0.1/Download/file?{query}")
        request.add_header("Authorization", f"token {self.sky.token}")
        try:
            with urllib.request.urlopen(request) as answer:
                return md5(answer.read())
        except urllib.error.HTTPError:
            return None

    def follow(self, search: Search, full: bool = False) -> None:
        self.bytes_of.cache_clear()
        self.followed += [search] if search not in self.followed else []
        harvest(self.database, self.archive, search, full=full, patience=QUICK)

    def follow_all(self) -> None:
        """Harvest every search again: a file that one of them has not seen leave is listed still."""
        for search in self.followed:
            self.follow(search)

    def pick(self, number: int) -> Path | None:
        there = sorted(path for path in self.dest.iterdir() if path.is_file() and not path.name.startswith("."))
        return there[number % len(there)] if there else None

    @rule(overwrite=st.booleans())
    def fetch(self, overwrite: bool) -> None:
        sync(
            self.database, CHOSEN, server=self.sky.url, dest=self.dest,
            token=Token(self.sky.token), pace=SharedPace(unit=0.01), jobs=2,
            old_bytes=OldBytes(Path(self.scratch.name) / "kept" if overwrite else None),
        )  # fmt: skip

    @rule(number=some, how=st.sampled_from(["sample", "append", "flip"]))
    def edit(self, number: int, how: str) -> None:
        if (path := self.pick(number)) is None:
            return
        body = path.read_bytes()
        if how == "sample":
            body = sample(f"{path.name} {number}")
        elif how == "append":
            body += bytes(2880)
        else:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.kept.discard(md5(path.read_bytes()))  # the person's own earlier edit, which this one ends
        path.write_bytes(body)
        os.utime(path, ns=(number, number))
        self.kept.add(md5(body))

    @rule(number=some)
    def cut(self, number: int) -> None:
        if (path := self.pick(number)) is not None:
            body = path.read_bytes()
            self.kept.discard(md5(body))
            path.write_bytes(body[: 2880 + number % 100])

    @rule(number=some)
    def touch(self, number: int) -> None:
        if (path := self.pick(number)) is not None:
            os.utime(path)

    @rule(number=some)
    def delete(self, number: int) -> None:
        if (path := self.pick(number)) is not None:
            self.kept.discard(md5(path.read_bytes()))
            path.unlink()

    @rule(number=some)
    def reprocess(self, number: int) -> None:
        self.sky.reprocess(self.sky.filenames("niriss")[number % 3 :: 3], keep_size=[None, True, False][number % 3])
        self.follow_all()

    @rule(number=some)
    def withdraw(self, number: int) -> None:
        left = self.sky.filenames("niriss")[number % 5 :: 5]
        self.sky.withdraw(left)
        self.gone += left
        self.follow_all()

    @rule()
    def restore(self) -> None:
        self.sky.restore(self.gone)
        self.gone = []
        self.follow_all()

    @rule(search=st.sampled_from(SEARCHES), full=st.booleans())
    def harvest_again(self, search: Search, full: bool) -> None:
        self.follow(search, full)

    @rule(verify=st.booleans())
    def index(self, verify: bool) -> None:
        index_folders(self.database, [self.dest], verify=verify, processes=1)

    @invariant()
    def verdicts_agree_with_the_bytes(self) -> None:
        if not hasattr(self, "database") or not self.database.exists():
            return
        found = outdated(self.database)
        states = {one.path: state for state in vars(found) for one in getattr(found, state)}
        with self.database.read() as connection:
            query = "SELECT filename FROM files WHERE checksum IS NOT NULL"
            listed = {str(name) for (name,) in connection.execute(query).fetchall()}
        for path in self.dest.iterdir():
            if not path.is_file() or path.name.startswith("."):
                continue
            here, there, state = md5(path.read_bytes()), self.bytes_of(path.name), states.get(str(path), "current")
            case = (path.name, state)
            if here == there:
                assert state not in ("stale", "corrupt", "modified", "missing"), case
            elif path.name in listed:
                assert state not in ("current", "missing", "unknown"), case

    @invariant()
    def every_command_tells_the_same(self) -> None:
        if not hasattr(self, "database") or not self.database.exists():
            return
        index_folders(self.database, [self.dest], processes=1)
        found = outdated(self.database)
        states = {one.path: state for state in vars(found) for one in getattr(found, state)}
        counts = overview(self.database)
        assert {state: len(getattr(found, state)) for state in vars(found)} == {
            s: getattr(counts, s) for s in vars(found)
        }
        plan = make_plan(self.database, CHOSEN, dest=self.dest, has_token=True)
        actions = {item.path: item.action for item in plan.items()}
        for path in self.dest.iterdir():
            if path.is_file() and str(path) in actions and actions[str(path)] != "out of reach":
                state = states.get(str(path), "current")
                assert actions[str(path)] in ACTIONS.get(state, set()), (path.name, state, actions[str(path)])

    @invariant()
    def nothing_of_a_persons_own_is_lost(self) -> None:
        if hasattr(self, "database"):
            places = [*self.dest.rglob("*"), *(self.dest.parent / "kept").rglob("*")]
            everywhere = {md5(path.read_bytes()) for path in places if path.is_file()}
            assert self.kept - everywhere == set()


@pytest.mark.law
def test_verdicts_agree_with_the_bytes(engine: str, new_catalog: NewCatalog) -> None:
    hold(BytesHereAndThere, engine, new_catalog, steps=7)
