"""Whoever waits to write a catalog is let in, and what starts at once waits for the first."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from catalog import Catalog
from catalog.archive.client import Archive
from catalog.errors import CatalogLocked, CatalogUnwritable, UsageError
from catalog.harvest.closed_catalog import AskedWhileClosed
from catalog.questions.statement import rows
from catalog.store import database as store
from catalog.store.between import OpenBetween
from catalog.store.database import Database
from catalog.store.turns import LockWait, StillHeld, held, is_held
from catalog.vocabulary.search import Search

WRITE = """
import sys
from catalog.store.database import Database
with Database(sys.argv[1], wait=60).write() as connection:
    connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (1, 'new', 'file', 'a')")
print('written')
"""
TAKE = """
import os, sys
from pathlib import Path
from catalog.store.turns import LockWait, held
path, inside = Path(sys.argv[1]), Path(sys.argv[1] + ".inside")
for _ in range(300):
    with held(path, LockWait(60), "another"):
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        inside.unlink()
print("alone")
"""
READ = """
import sys
from catalog import Catalog
print('reading', flush=True)
with Catalog.open(sys.argv[1], wait=60) as lake:
    while True:
        lake.sql('SELECT count(*) FROM files')
"""


def started(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class TestLockFile:
    """The file that a writer holds."""

    def test_it_is_seen_while_it_is_held_and_gone_afterwards(self, tmp_path: Path) -> None:
        path = tmp_path / "a.writer"
        assert not is_held(path)
        with held(path, LockWait(0), "me"):
            assert is_held(path)
            with pytest.raises(StillHeld), held(path, LockWait(0), "me"):
                pass
        assert not is_held(path)
        assert not path.exists()

    def test_what_a_killed_process_left_is_held_by_nobody_and_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "a.writer"
        path.touch()
        assert not is_held(path)
        assert not path.exists()
        with held(path, LockWait(0), "me"):
            pass

    @pytest.mark.parametrize("taken_anew", [False, True])
    def test_a_lock_of_a_file_that_was_removed_meanwhile_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_anew: bool
    ) -> None:
        path, other = tmp_path / "a.harvest", contextlib.ExitStack()
        first = held(path, LockWait(0), "the first")
        first.__enter__()
        lock = fcntl.flock

        def after_the_first_has_left(handle: int, operation: int) -> None:
            monkeypatch.setattr(fcntl, "flock", lock)
            first.__exit__(None, None, None)
            if taken_anew:
                other.enter_context(held(path, LockWait(0), "another"))
            lock(handle, operation)

        monkeypatch.setattr(fcntl, "flock", after_the_first_has_left)
        with other:
            if taken_anew:
                with pytest.raises(StillHeld), held(path, LockWait(0), "me"):
                    pass
            else:
                with held(path, LockWait(0), "me"), pytest.raises(StillHeld), held(path, LockWait(0), "a third"):
                    pass

    def test_whoever_holds_a_removed_file_leaves_the_file_of_the_next_one(self, tmp_path: Path) -> None:
        path = tmp_path / "a.harvest"
        with contextlib.ExitStack() as next_one:
            with held(path, LockWait(0), "the first"):
                path.unlink()
                next_one.enter_context(held(path, LockWait(0), "the next"))
            assert is_held(path)

    def test_only_one_of_many_processes_has_it_at_any_moment(self, tmp_path: Path) -> None:
        processes = [started(TAKE, tmp_path / "a.harvest") for _ in range(3)]
        assert [process.communicate()[0] for process in processes] == ["alone\n"] * 3

    def test_only_one_of_many_threads_has_it_at_any_moment(self, tmp_path: Path) -> None:
        path, inside, most = tmp_path / "a.writer", [0], [0]

        def take() -> None:
            for _ in range(20):
                with held(path, LockWait(60), "another"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1]

    def test_a_long_wait_is_told_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter([0.0, 0.5, 1.5, 2.5, 99.0])
        monkeypatch.setattr("catalog.store.turns.time.monotonic", lambda: next(clock))
        monkeypatch.setattr("catalog.store.turns.time.sleep", lambda seconds: None)
        told: list[str] = []
        waiting = LockWait(10, told.append)
        assert [waiting.pause("python (PID 3)") for _ in range(4)] == [True, True, True, False]
        assert told == ["python (PID 3)"]


class TestReadersAndWriters:
    """Processes and threads at one catalog."""

    def test_steady_readers_let_a_writer_in(self, catalog: Database) -> None:
        readers = [started(READ, catalog.path) for _ in range(2)]
        try:
            for reader in readers:
                assert reader.stdout is not None
                reader.stdout.readline()
            for _ in range(3):
                told, errors = started(WRITE, catalog.path).communicate(timeout=120)
                assert told == "written\n", errors
            assert all(reader.poll() is None for reader in readers)
        finally:
            for reader in readers:
                reader.kill()
                reader.communicate()

    def test_threads_that_ask_without_a_pause_let_a_writer_in(self, catalog: Database) -> None:
        done = threading.Event()
        with Catalog.open(catalog.path, wait=60) as lake:

            def ask() -> None:
                while not done.is_set():
                    lake.sql("SELECT count(*) FROM files")

            threads = [threading.Thread(target=ask) for _ in range(2)]
            for thread in threads:
                thread.start()
            try:
                told, errors = started(WRITE, catalog.path).communicate(timeout=120)
            finally:
                done.set()
                for thread in threads:
                    thread.join()
        assert told == "written\n", errors

    def test_a_question_within_a_block_does_not_wait_for_a_writer_that_waits_for_the_block(
        self, catalog: Database
    ) -> None:
        with catalog.read() as connection, catalog.engine.lock(catalog.path, LockWait(0), "another"):
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with Database(catalog.path, wait=0).read() as within:
                assert within.execute("SELECT count(*) > 0 FROM files").fetchone() == (True,)

    def test_a_reader_that_is_not_let_in_says_who_writes(self, catalog: Database) -> None:
        with (
            catalog.engine.lock(catalog.path, LockWait(0), "another"),
            pytest.raises(CatalogLocked, match="others that write"),
        ):
            rows(Database(catalog.path, wait=0.1), "SELECT 1")

    def test_a_wait_is_told_in_our_words(self, catalog: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        database = Database(catalog.path, wait=1.2, tell=told.append)
        with catalog.engine.lock(catalog.path, LockWait(0), "another"), pytest.raises(CatalogLocked):
            rows(database, "SELECT 1")
        assert told == [f"waiting for {catalog.path}, in use by another mastlake, which writes; Ctrl-C gives up"]

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", ""])
    def test_a_wait_that_is_no_number_is_wrong_usage(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("MASTLAKE_WAIT", text)
        with pytest.raises(UsageError, match="MASTLAKE_WAIT"):
            Database("a.duckdb")


class TestMaking:
    """The first use of a catalog."""

    @pytest.mark.long
    def test_processes_that_start_at_once_make_one_catalog(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.duckdb"
        processes = [started(WRITE, path) for _ in range(4)]
        for process in processes:
            told, errors = process.communicate(timeout=200)
            assert (process.returncode, told, errors) == (0, "written\n", "")
        assert rows(Database(path), "FROM changes").num_rows == 4
        assert os.listdir(tmp_path) == ["catalog.duckdb"]  # noqa: PTH208 - names are compared

    def test_what_fails_while_it_is_made_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*anything: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.undo()
        path = tmp_path / "catalog.duckdb"
        monkeypatch.setattr("catalog.store.schema.migrate.make_views", fail)
        monkeypatch.setattr(store, "make", MAKE)
        with pytest.raises(CatalogUnwritable, match="no space left"), Database(path).write():
            pass
        assert list(tmp_path.iterdir()) == []
        monkeypatch.undo()
        with Database(path).write():
            pass

    def test_an_empty_file_becomes_a_catalog(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.duckdb"
        path.touch()
        with Database(path).write():
            pass
        assert rows(Database(path), "FROM runs").num_rows == 0


MAKE = store.make
"""As it is; tests copy a catalog that was made once instead."""


class TestOpenBetween:
    """Blocks of one harvest that read share a connection, and let others write."""

    def test_blocks_share_a_connection_until_it_is_let_go_of(self, catalog: Database) -> None:
        known = OpenBetween(catalog)
        with known.read() as first:
            first.execute("CREATE TEMP TABLE noted AS SELECT 7 AS x")
        with known.read() as second, known.read() as third:
            assert second is first
            assert third.execute("FROM noted").fetchone() == (7,)
        known.release()
        with known.read() as later, pytest.raises(duckdb.CatalogException):
            later.execute("FROM noted")
        known.release()

    def test_a_connection_is_let_go_of_before_a_write_and_after_a_fault(self, catalog: Database) -> None:
        known = OpenBetween(catalog)
        with known.read():
            pass
        with known.write() as connection:
            connection.execute("UPDATE runs SET kind = kind")
        with pytest.raises(duckdb.Error), known.read() as connection:
            connection.execute("FROM nothing")
        with Database(catalog.path, wait=0).write():
            pass

    def test_another_who_waits_to_write_is_let_in_after_the_block(self, catalog: Database) -> None:
        known = OpenBetween(catalog)
        with known.read():
            writer = started(WRITE, catalog.path)
            while not known.writer_waits:
                time.sleep(0.01)
        out, _ = writer.communicate(timeout=60)
        assert out.endswith("written\n")


@pytest.mark.parametrize("call", ["count", "rows", "observations", "products", "query"])
def test_no_question_to_the_archive_is_asked_while_the_catalog_is_open(call: str) -> None:
    order: list[str] = []

    class Asked:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments, **named: order.append(name)

    asked = AskedWhileClosed(cast("Archive", Asked()), lambda: order.append("closed"))
    search = Search.observations("o", ["obs_id=jw01366*"])
    values: dict[str, Any] = {"count": [None], "rows": [None], "products": [[]], "query": [search]}
    getattr(asked, call)(*values.get(call, []))
    assert order == ["closed", call]
