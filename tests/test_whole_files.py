"""Files that a person asked for are whole or as they were; questions end, and say how."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from catalog import Catalog, atomic_file
from catalog.atomic_file import EXECUTABLE, put_in_place
from catalog.errors import CatalogError, DiskError, UsageError
from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import kept_aside, rows
from catalog.store import work
from catalog.store.database import Database

from .conftest import Command


@contextmanager
def small_disk(most: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)


class TestPutInPlace:
    """The one way in which pictures, scripts, reports and exports are written."""

    def test_a_full_disk_leaves_the_older_file_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"older")
        with small_disk(1000), pytest.raises(DiskError, match="cannot write"), put_in_place(path) as sink:
            sink.write(b"x" * 100_000)
        assert path.read_bytes() == b"older"
        assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]

    def test_an_error_of_who_writes_leaves_the_older_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(b"older")
        with pytest.raises(ZeroDivisionError), put_in_place(path) as sink:
            sink.write(b"newer" * (1 // 0))
        assert path.read_bytes() == b"older"
        assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]

    @pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o027, 0o750)])
    def test_the_users_umask_counts(self, tmp_path: Path, mask: int, mode: int) -> None:
        before = os.umask(mask)
        try:
            for name, wanted in (("a.sh", EXECUTABLE), ("a.csv", 0o666)):
                with put_in_place(tmp_path / name, wanted) as sink:
                    sink.write(b"")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a.sh").stat().st_mode) == mode
        assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == mode & 0o666

    def test_nothing_is_written_through_a_link(self, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        precious.write_bytes(b"mine")
        (tmp_path / "a.csv").symlink_to(precious)
        (tmp_path / ".a.csv.part").symlink_to(precious)
        with put_in_place(tmp_path / "a.csv") as sink:
            sink.write(b"answer")
        assert precious.read_bytes() == b"mine"
        assert (tmp_path / "a.csv").read_bytes() == b"answer"

    def test_a_device_is_written_as_it_is(self) -> None:
        with put_in_place(Path("/dev/null")) as sink:
            sink.write(b"x")
        assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)

    def test_a_pipe_that_is_read_gets_the_answer(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.csv")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit((tmp_path / "a.csv").read_bytes)
            with put_in_place(tmp_path / "a.csv") as sink:
                sink.write(b"x" * 200_000)
            assert answer.result() == b"x" * 200_000
        assert (tmp_path / "a.csv").is_fifo()

    def test_a_pipe_that_nobody_reads_is_not_waited_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(atomic_file, "_LOOK_SECONDS", 0)
        os.mkfifo(tmp_path / "a.csv")
        with pytest.raises(DiskError, match="nobody reads"), put_in_place(tmp_path / "a.csv") as sink:
            sink.write(b"x")

    @pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
    def test_an_open_file_of_the_process_is_written_and_not_replaced(self, tmp_path: Path, folder: str) -> None:
        if not Path(folder).exists():
            pytest.skip(f"no {folder} here")
        with (tmp_path / "a.csv").open("wb") as file:
            file.write(b"before ")
            file.flush()
            with put_in_place(Path(folder, str(file.fileno()))) as sink:
                sink.write(b"x")
        assert (tmp_path / "a.csv").read_bytes() == b"before x"

    def test_a_process_that_leaves_at_once_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(b"older")
        leave = (
            "from pathlib import Path; from catalog.atomic_file import put_in_place; from catalog.cli import main\n"
            "with put_in_place(Path('a.csv')) as sink: sink.write(b'x'); main._leave_at_once(1, 'too large')"
        )
        done = subprocess.run([sys.executable, "-c", leave], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "mastlake: too large\n")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.csv": b"older"}

    def test_a_folder_that_is_not_there_and_a_folder_in_its_place_are_one_line(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none" / "a.csv", tmp_path):
            with pytest.raises(DiskError), put_in_place(path) as sink:
                sink.write(b"x")

    @pytest.mark.parametrize(
        "words",
        [
            ["sql", "SELECT * FROM files", "-o", "a.csv"],
            ["sky", "soss", "-o", "a.png"],
            ["sky", "soss", "-o", "a.pdf"],
            ["script", "soss", "-o", "a.sh"],
        ],
    )
    def test_commands_keep_what_they_cannot_replace(
        self, mastlake: Command, catalog: Database, tmp_path: Path, words: list[str]
    ) -> None:
        older = tmp_path / words[-1]
        older.write_bytes(b"older")
        with small_disk(2000):
            outcome = mastlake(*words)
        assert outcome.code == 1
        assert outcome.err.count("cannot write") == 1
        assert older.read_bytes() == b"older"

    @pytest.mark.parametrize(
        "words", [["sql", "SELECT 1", "--format", "csv"], ["script"], ["sky", "--format", "png"], ["runs", "--json"]]
    )
    def test_no_answer_takes_the_place_of_a_catalog(
        self, mastlake: Command, catalog: Database, tmp_path: Path, words: list[str]
    ) -> None:
        for name in ("catalog.duckdb", "kept.json"):
            if name != "catalog.duckdb":
                (tmp_path / name).write_bytes(catalog.path.read_bytes())
            outcome = mastlake(*words, "-o", name)
            assert outcome.code in (1, 2)
            assert outcome.err.count("\n") == 1
        assert rows(catalog, "FROM runs").num_rows == 2
        (tmp_path / "mastlake.toml").touch()
        assert mastlake(*words[:2], "--format", "csv", "-o", "mastlake.toml").code in (1, 2)
        assert (tmp_path / "mastlake.toml").read_bytes() == b""

    @pytest.mark.long
    def test_a_picture_goes_to_a_name_without_an_ending_in_the_form_that_is_asked_for(
        self, mastlake: Command, catalog: Database, tmp_path: Path
    ) -> None:
        assert mastlake("sky", "-o", "/dev/null", "--format", "svg").code == 0
        assert mastlake("sky", "-o", "picture", "--format", "png").code == 0
        assert (tmp_path / "picture").read_bytes().startswith(b"\x89PNG")
        assert mastlake("sky", "-o", "picture").code == 2

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    @pytest.mark.parametrize(
        "words", [["sql", "SELECT 1 AS a"], ["sql", "SELECT 1", "--format", "csv"], ["runs", "--json"]]
    )
    def test_a_stdout_that_is_full_is_one_line(self, catalog: Database, words: list[str]) -> None:
        with Path("/dev/full").open("w") as full:
            command = [
                sys.executable,
                "-c",
                "from catalog.cli.start import run; run()",
                "--catalog",
                str(catalog.path),
                *words,
            ]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (
            1,
            f"mastlake: cannot write the answer: {os.strerror(errno.ENOSPC)}\n",
        )


class TestStream:
    """Rows that somebody takes one batch after the other."""

    def test_the_catalog_is_free_meanwhile(self, catalog: Database, tmp_path: Path) -> None:
        with Catalog.open(catalog.path, wait=5) as lake, lake.stream("SELECT filename FROM files") as batches:
            first = next(iter(batches))
            assert lake.plan("soss", dest=tmp_path / "data").selected > 0
            with catalog.write() as connection:
                connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (9, 'new', 'file', 'a')")
            assert first.num_rows + sum(batch.num_rows for batch in batches) == len(lake.find())

    def test_one_that_is_left_early_keeps_nobody_waiting(self, catalog: Database) -> None:
        with Catalog.open(catalog.path, wait=5) as lake:
            kept = []
            with lake.stream("SELECT a.filename FROM files a, files b") as batches:
                kept.append(next(iter(batches)))
            with catalog.write():
                pass
            assert kept[0].num_rows > 0
            assert len(lake.sql("SELECT 1 AS a")) == 1

    def test_errors_of_who_takes_the_rows_are_their_own(self, catalog: Database) -> None:
        for error in (ZeroDivisionError, pa.ArrowInvalid, RuntimeError, OSError):
            with pytest.raises(error), Catalog.open(catalog.path).stream("SELECT 1 AS a"):
                raise error("mine")

    def test_an_error_in_the_middle_of_the_rows_is_still_in_our_words(self, catalog: Database) -> None:
        question = "SELECT CASE WHEN range = 60000 THEN error('here') ELSE 'a' END FROM range(100000)"
        with pytest.raises(UsageError, match="here"), Catalog.open(catalog.path).stream(question) as batches:
            batches.read_all()

    def test_no_more_rows_are_kept_than_wanted(self, catalog: Database) -> None:
        with kept_aside(catalog, "FROM range(1000000)", most=15_000) as reader:
            assert reader.read_all().num_rows == 15_000

    def test_a_question_within_a_sealed_block_can_plan(self, catalog: Database, tmp_path: Path) -> None:
        with Catalog.open(catalog.path, wait=5) as lake, lake._database.read(sealed=True):
            assert lake.plan("soss", dest=tmp_path).selected > 0


class TestTypes:
    """Values of DuckDB's types that Arrow has no form for."""

    @pytest.mark.parametrize(
        ("expression", "text"),
        [
            ("{'a': 1}::VARIANT", "{'a': 1}"), ("get_type(1)", "INTEGER"), ("'101'::BIT", "101"),
            ("'POINT (1 2)'::GEOMETRY", "POINT (1 2)"), ("['1'::BIT]", "[1]"),
        ],
    )  # fmt: skip
    def test_they_are_given_as_text(self, catalog: Database, expression: str, text: str) -> None:
        found = rows(catalog, f"SELECT {expression} AS a, 2 AS b, 3 AS b -- here;\n;")
        assert found.column_names == ["a", "b", "b"]
        assert [column.to_pylist() for column in found.columns] == [[text], [2], [3]]

    def test_one_that_has_no_text_is_refused_in_one_line(self, mastlake: Command, catalog: Database) -> None:
        outcome = mastlake("sql", "SELECT sum(i) EXPORT_STATE AS a FROM range(3) t(i)")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)

    @pytest.mark.parametrize("expression", ["{'a': 1}", "[filename]", "map {'a': filename}", "get_type(1)", "'1'::BIT"])
    def test_a_selection_of_them_is_refused_or_finds_nothing(
        self, mastlake: Command, catalog: Database, expression: str
    ) -> None:
        outcome = mastlake("sync", "--dry-run", "--sql", f"SELECT {expression} AS filename FROM files LIMIT 1")
        assert outcome.code in (0, 2)
        assert "Traceback" not in outcome.err


class TestEnds:
    """Questions that would take the machine."""

    def test_a_value_beyond_memory_ends_the_question(self, catalog: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes = iter([0])
        monkeypatch.setattr(work, "_memory", lambda: next(sizes, 1 << 40))
        with pytest.raises(CatalogError, match="too large"):
            rows(catalog, "SELECT count(*) FROM range(100000000) a, range(1000) b WHERE a.range % 7 = b.range")

    @pytest.mark.parametrize(
        "large",
        [
            "repeat('x', 2000000000)",
            "repeat('x', 2 * 1000 * 1000 * 1000)",
            "repeat(repeat('x', 100000), 100000)",
            "len(range(1000000000))",
            "list_sum(generate_series(0, 4000000000, 2))",
            "rpad('x', 1e9::INT, ' ')",
            "list_resize([1], 500000000)",
            "(SELECT max(n) FROM range(len(repeat('x', 3000000000))) r(n))",
        ],
    )
    def test_a_value_that_is_too_large_in_so_many_words_is_refused_before_it_is_made(
        self, catalog: Database, large: str
    ) -> None:
        with pytest.raises(BadQuery, match="bytes, and 268,435,456 are the most"):
            rows(catalog, f"SELECT {large}")

    @pytest.mark.parametrize(
        "small",
        [
            "repeat('xyz', 1000)",
            "range(10, 0, -1)",
            "range(0, 1000000000, 500000)",
            "range(DATE '2020-01-01', DATE '2020-02-01', INTERVAL 1 DAY)",
            "(SELECT count(*) FROM range(1000000))",
        ],
    )
    def test_a_value_of_a_bearable_size_is_made(self, catalog: Database, small: str) -> None:
        assert rows(catalog, f"SELECT {small}").num_rows == 1

    def test_a_call_that_hears_no_interrupt_is_abandoned_where_the_process_is_anothers(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = iter([0])
        monkeypatch.setattr(work, "_memory", lambda: next(sizes, 1 << 40))
        monkeypatch.setattr(work, "_UNHEARD_SECONDS", 0.01)
        connection, ends = duckdb.connect(), threading.Event()
        with pytest.raises(CatalogError, match="too large"), work.at_work(connection) as at_work:
            at_work(ends.wait)
        assert at_work.is_abandoned
        work.close(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)  # still open
        (thread,) = [one for one in threading.enumerate() if one.name == "mastlake-question"]
        ends.set()
        thread.join()
        with pytest.raises(duckdb.ConnectionException):
            connection.execute("SELECT 1")

    def test_ctrl_c_ends_a_question_with_130(self, catalog: Database) -> None:
        code = "from catalog.cli.start import run; print('begun', flush=True); run()"
        question = "SELECT count(*) FROM range(1000000000) a, range(1000) b WHERE a.range % 7 = b.range"
        command = [sys.executable, "-c", code, "--catalog", str(catalog.path), "sql", question]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
        assert (process.returncode, told.count("\n")) == (130, 1)
