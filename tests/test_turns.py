"""Whoever waits to write a catalog is let in, and what starts at once waits for the first."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from catalog import Catalog
from catalog.archive.client import Archive
from catalog.errors import CatalogLocked, CatalogUnwritable, UsageError
from catalog.harvest.closed_catalog import AskedBetweenBlocks
from catalog.questions.statement import rows
from catalog.store import database as store
from catalog.store import shared
from catalog.store.between import OpenBetween
from catalog.store.database import Database
from catalog.store.queue import Queue
from catalog.store.turns import LockWait, StillHeld, held
from catalog.vocabulary.search import Search
from tests import kills_turns

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


def started(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class TestLockFile:
    """A file that one process holds."""

    def test_it_is_held_once_and_gone_afterwards(self, tmp_path: Path) -> None:
        path = tmp_path / "a.harvest"
        with held(path, LockWait(0), "me"), pytest.raises(StillHeld), held(path, LockWait(0), "me"):
            pass
        assert not path.exists()

    def test_what_a_killed_process_left_is_held_by_nobody(self, tmp_path: Path) -> None:
        path = tmp_path / "a.harvest"
        path.touch()
        with held(path, LockWait(0), "me"):
            pass
        assert not path.exists()

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
            assert path.exists()

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


class InQueue:
    """A thread that takes a turn, and keeps it until it is told to leave."""

    def __init__(self, queue: Queue, name: str, order: list[str], reads: bool = False) -> None:
        self._leave = threading.Event()
        self._arguments = (queue, name, order, reads)
        self._thread = threading.Thread(target=self._take)
        before = len(tickets(queue))
        self._thread.start()
        while len(tickets(queue)) == before:
            time.sleep(0.001)

    def _take(self) -> None:
        queue, name, order, reads = self._arguments
        with queue.turn(LockWait(60), reads):
            order.append(name)
            self._leave.wait()

    def leave(self) -> None:
        self._leave.set()
        self._thread.join()


def tickets(queue: Queue) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(queue._path)  # noqa: PTH208 - names are compared
    return []


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.001)


class TestQueue:
    """First come, first served, between processes and threads."""

    @pytest.fixture
    def queue(self, tmp_path: Path) -> Queue:
        return Queue(tmp_path / "a.queue")

    def test_those_who_write_come_one_by_one_in_the_order_in_which_they_asked(self, queue: Queue) -> None:
        order: list[str] = []
        names = ["first", "second", "third", "fourth"]
        waiting = [InQueue(queue, name, order) for name in names]
        for count, each in enumerate(waiting, 1):
            until(lambda count=count: len(order) == count)  # type: ignore[misc]
            assert order == names[:count]
            each.leave()
        assert tickets(queue) == []
        assert not queue._path.exists()

    def test_a_reader_waits_for_earlier_writers_and_the_next_writer_for_the_reader(self, queue: Queue) -> None:
        order: list[str] = []
        first = InQueue(queue, "writes", order)
        until(lambda: order == ["writes"])
        readers = [InQueue(queue, "reads", order, reads=True) for _ in range(2)]
        second = InQueue(queue, "writes again", order)
        late = InQueue(queue, "reads late", order, reads=True)
        assert order == ["writes"]
        first.leave()
        until(lambda: len(order) == 3)
        assert order == ["writes", "reads", "reads"]
        for reader in readers:
            reader.leave()
        until(lambda: len(order) == 4)
        assert order[3] == "writes again"
        second.leave()
        until(lambda: len(order) == 5)
        late.leave()

    def test_readers_do_not_wait_for_readers_and_do_not_count_as_writers(self, queue: Queue) -> None:
        with queue.turn(LockWait(0), reads=True), queue.turn(LockWait(0), reads=True):
            assert not queue.has_writer()
            with pytest.raises(StillHeld, match="another mastlake, which reads"), queue.turn(LockWait(0)):
                pass
        with queue.turn(LockWait(0)):
            assert queue.has_writer()

    def test_whoever_gives_up_leaves_the_place_to_the_next(self, queue: Queue) -> None:
        with queue.turn(LockWait(0)), pytest.raises(StillHeld) as by, queue.turn(LockWait(0)):
            pass
        assert re.fullmatch(rf"another mastlake, which writes \(PID {os.getpid()} on \S+, since \S+Z\)", str(by.value))
        with queue.turn(LockWait(0)):
            pass
        assert not queue._path.exists()

    @pytest.mark.parametrize("name", ["000000001.writes", "000000001.reads"])
    def test_the_ticket_of_a_process_that_was_killed_is_removed(self, queue: Queue, name: str) -> None:
        queue._path.mkdir()
        (queue._path / name).write_text("1 elsewhere 2026-11-28T15:00:00Z")
        assert not queue.has_writer()
        with queue.turn(LockWait(0)):
            assert tickets(queue) in (["000000001.writes"], ["000000002.writes"])
        assert not queue._path.exists()

    def test_a_writer_that_is_killed_while_it_waits_lets_the_next_one_in(self, catalog: Database) -> None:
        queue = Queue(Path(f"{catalog.path}.queue"))
        with catalog.engine.lock(catalog.path, LockWait(0), "another"):
            killed = started(WRITE, catalog.path)
            until(lambda: len(tickets(queue)) == 2)
            killed.kill()
            killed.communicate()
        with Database(catalog.path, wait=0).write():
            pass
        assert not queue._path.exists()

    def test_what_is_no_ticket_is_left_alone_and_does_no_harm(self, queue: Queue) -> None:
        queue._path.mkdir()
        for name in ("notes", "1.writes", "000000001.writes.bak", "x" * 200):
            (queue._path / name).touch()
        os.mkfifo(queue._path / "000000007.reads")
        with queue.turn(LockWait(0)):
            assert queue.has_writer()
        assert "notes" in tickets(queue)

    def test_only_one_form_of_text_names_the_owner(self, queue: Queue) -> None:
        with queue.turn(LockWait(0)):
            (ticket,) = queue._path.iterdir()
            ticket.write_text("7 \x1b[31mhost 2026\n")
            with pytest.raises(StillHeld) as by, queue.turn(LockWait(0)):
                pass
        assert str(by.value) == "another mastlake, which writes"

    def test_a_place_without_locks_is_told_and_nothing_stays(
        self, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*anything: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        with pytest.raises(OSError, match="No locks"), queue.turn(LockWait(0)):
            pass
        assert not queue._path.exists()

    def test_a_full_disk_leaves_the_owner_unnamed(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*anything: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", refuse)
            turn = queue.turn(LockWait(0))
            turn.__enter__()
        with pytest.raises(StillHeld, match=r"^another mastlake, which writes$"), queue.turn(LockWait(0)):
            pass
        turn.__exit__(None, None, None)

    def test_a_link_in_the_place_of_the_queue_is_not_followed(self, queue: Queue, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        queue._path.symlink_to("other")
        assert not queue.has_writer()
        with pytest.raises(OSError, match=r"a\.queue"), queue.turn(LockWait(0)):
            pass
        with queue.turn(LockWait(0), reads=True):
            assert list((tmp_path / "other").iterdir()) == []

    def test_a_reader_who_may_not_make_a_ticket_waits_as_well(
        self, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*anything: object) -> None:
            raise PermissionError

        with queue.turn(LockWait(0)):
            monkeypatch.setattr(queue, "_draw", refuse)
            with pytest.raises(StillHeld), queue.turn(LockWait(0), reads=True):
                pass
            with pytest.raises(PermissionError), queue.turn(LockWait(0)):
                pass
        with queue.turn(LockWait(0), reads=True):
            pass


class TestReadersAndWriters:
    """Processes and threads at one catalog."""

    def test_no_later_question_comes_before_a_writer_and_each_answer_is_the_state_after_one_commit(
        self, tmp_path: Path
    ) -> None:
        commits, answers = kills_turns.beside_readers(tmp_path, readers=2, commits=3)
        assert len(commits) == 3
        assert max(answer.run for answer in answers) > 1
        assert kills_turns.overtaking(commits, answers) <= 2  # each reader may have looked just before

    def test_a_catalog_that_is_idle_in_another_process_is_closed_when_a_writer_comes(
        self, catalog: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shared, "_IDLE_SECONDS", 1e6)
        with Catalog.open(catalog.path) as lake:
            lake.sql("SELECT 1")
            told, errors = started(WRITE, catalog.path).communicate(timeout=120)
        assert told == "written\n", errors

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
            pytest.raises(CatalogLocked, match=r"in use by another mastlake, which writes \(PID"),
        ):
            rows(Database(catalog.path, wait=0.1), "SELECT 1")

    def test_a_wait_is_told_in_our_words(self, catalog: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        database = Database(catalog.path, wait=1.2, tell=told.append)
        with catalog.engine.lock(catalog.path, LockWait(0), "another"), pytest.raises(CatalogLocked):
            rows(database, "SELECT 1")
        (line,) = told
        assert line.startswith(
            f"waiting for {catalog.path}, in use by another mastlake, which writes (PID {os.getpid()} "
        )
        assert line.endswith("Z); Ctrl-C gives up")

    def test_a_wait_in_python_is_a_warning_of_the_logger(
        self, catalog: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (
            Catalog.open(catalog.path, wait=1.2) as lake,
            catalog.engine.lock(catalog.path, LockWait(0), "another"),
            pytest.raises(CatalogLocked),
        ):
            lake.sql("SELECT 1")
        assert [record.name for record in caplog.records] == ["mastlake"]
        assert caplog.messages[0].startswith(f"waiting for {catalog.path}, in use by another mastlake, which writes")

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
        known.make_room()
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
def test_room_is_made_before_each_question_to_the_archive(call: str) -> None:
    order: list[str] = []

    class Asked:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments, **named: order.append(name)

    asked = AskedBetweenBlocks(cast("Archive", Asked()), lambda: order.append("room"))
    search = Search.observations("o", ["obs_id=jw01366*"])
    values: dict[str, Any] = {"count": [None], "rows": [None], "products": [[]], "query": [search]}
    getattr(asked, call)(*values.get(call, []))
    assert order == ["room", call]
