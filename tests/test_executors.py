"""Headers are read by processes of this machine, any executor or a cluster: each file once, whatever ends or hangs."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.errors import ExecutorError, UsageError
from catalog.headers import cluster, index, index_folders, shards
from catalog.headers.cluster import checked, connected
from catalog.headers.local_pool import LocalPool, ProcessEnded
from catalog.headers.pool import extract_all
from catalog.headers.shard import Reading, read_shard
from catalog.headers.shards import MOST_TIMES, Handout, Order
from catalog.store.database import Database
from tests import kills_executors
from tests.fits_samples import sample

from .conftest import Command

CARDS = "SELECT path, hdu, position, keyword, text FROM cards JOIN local_files USING (path) ORDER BY ALL"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    disk = tmp_path / "disk"
    disk.mkdir()
    for n in range(10):
        (disk / f"{n}.fits").write_bytes(sample(str(n), NINTS=str(n)))
    return disk


def paths_in(folder: Path) -> list[str]:
    return sorted(map(str, folder.iterdir()))


def every_card(database: Database) -> list[Any]:
    with database.read() as connection:
        return connection.execute(CARDS).fetchall()


class Losing(Executor):
    """Reads at once; loses a shard as often as it is told, or breaks."""

    def __init__(self, losses: Sequence[int] = (), error: Exception | None = None) -> None:
        self.losses = dict(enumerate(losses))
        self.error = error or ProcessEnded("the worker ended")
        self.asked: Counter[str] = Counter()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        number = int(Path(args[0][0]).stem)
        self.asked[args[0][0]] += 1
        if self.losses.get(number, 0) > 0:
            self.losses[number] -= 1
            future.set_exception(self.error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


class Changing(Executor):
    """Reads at once, and changes what a worker would send back."""

    def __init__(self, change: Callable[[Reading], Reading]) -> None:
        self.change = change

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(self.change(fn(*args, **kwargs)))
        return future


class Silent(Executor):
    """Takes work and never answers."""

    def __init__(self) -> None:
        self.given: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given.append(Future())
        return self.given[-1]


class Cancelling(Executor):
    """Cancels so many calls, as a cluster without its scheduler does; then it reads, or tells that it is gone."""

    def __init__(self, cancels: int, gone: bool = False) -> None:
        self.cancels = cancels
        self.gone = gone

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.cancels > 0:
            self.cancels -= 1
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future

    def fault(self) -> str | None:
        return "the scheduler is gone" if self.gone and self.cancels < 10 else None


def handed_out(executor: Executor, paths: Sequence[str], most_out: int = 3) -> list[tuple[str, str | None]]:
    """Hand out each file alone; return each path and why it was not read, in the order of the results."""
    results = Handout(executor, [[path] for path in paths], Order((), False), most_out).results()
    return [(path, extract.files["unread"][0].as_py()) for (path,), extract in results]


class TestShards:
    """Each shard counts once."""

    @given(losses=st.lists(st.integers(0, 5), min_size=10, max_size=10), most_out=st.integers(1, 12))
    @settings(max_examples=20)
    def test_each_file_comes_once_whatever_is_lost(
        self, tmp_path_factory: pytest.TempPathFactory, losses: list[int], most_out: int
    ) -> None:
        paths = [f"/nowhere/{n}.fits" for n in range(10)]
        executor = Losing(losses)
        results = handed_out(executor, paths, most_out)
        assert sorted(path for path, _ in results) == paths
        given_up = {path for path, reason in results if reason is not None and "the worker ended" in reason}
        assert given_up == {path for path, lost in zip(paths, losses, strict=True) if lost >= MOST_TIMES}
        assert max(executor.asked.values()) <= MOST_TIMES

    def test_what_the_executor_cancels_is_no_fault_of_the_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shards, "_LOOK_SECONDS", 0.001)
        paths = [f"/nowhere/{n}.fits" for n in range(10)]
        results = handed_out(Cancelling(10 * (MOST_TIMES + 1)), paths)
        assert sorted(path for path, _ in results) == paths
        assert not any("given up" in (reason or "") for _, reason in results)

    def test_an_executor_that_cancels_and_then_knows_why_ends_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shards, "_LOOK_SECONDS", 0.001)
        with pytest.raises(ExecutorError, match="the scheduler is gone"):
            handed_out(Cancelling(100, gone=True), [f"/nowhere/{n}.fits" for n in range(10)])

    def test_an_executor_that_only_cancels_ends_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shards, "_LOOK_SECONDS", 0.001)
        monkeypatch.setattr(shards, "_PATIENCE_SECONDS", 0.0)
        with pytest.raises(ExecutorError, match="cancels all work"):
            handed_out(Cancelling(1_000_000), ["/nowhere/0.fits"])

    @pytest.mark.long
    def test_the_files_of_a_shard_that_is_lost_again_and_again_are_named(
        self, folder: Path, database: Database
    ) -> None:
        report = index_folders(database, [folder], executor=Losing([9]))
        assert report.failed == 10
        assert report.failures[0].reason == "not read: the worker ended (given up after 3 times)"
        again = index_folders(database, [folder])
        assert (again.read, again.failed) == (10, 0)

    def test_what_dask_has_given_up_is_not_handed_out_again(self, folder: Path) -> None:
        class KilledWorker(Exception):
            pass

        executor = Losing([9], KilledWorker("the worker died four times"))
        handed_out(executor, paths_in(folder)[:1])
        assert sum(executor.asked.values()) == 1

    def test_an_answer_after_its_shard_was_given_up_is_dropped(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shards, "_PATIENCE_SECONDS", 0.0)
        monkeypatch.setattr(shards, "_LOOK_SECONDS", 0.0)
        executor = Silent()
        ((_, reason),) = handed_out(executor, paths_in(folder)[:1])
        assert reason == "not read: a worker did not answer for 0 s (given up after 3 times)"
        assert len(executor.given) == 3
        assert all(future.cancelled() for future in executor.given)

    def test_a_bug_in_the_reading_is_raised_with_where_it_was(self, folder: Path) -> None:
        fault = Changing(lambda reading: reading._replace(error=ValueError("a bug")))
        with pytest.raises(ValueError, match="a bug"):
            handed_out(fault, paths_in(folder))
        assert read_shard(None, (), False).error.__notes__  # type: ignore[arg-type, union-attr]

    @pytest.mark.long
    @pytest.mark.parametrize("error", [BrokenExecutor("a process ended"), OSError("a process ended")])
    def test_what_was_read_before_an_executor_broke_is_kept(
        self, folder: Path, database: Database, error: Exception
    ) -> None:
        class Breaking(Losing):
            def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
                if len(self.asked) == 4:
                    raise error
                return super().submit(fn, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("catalog.headers.pool.BATCH", 1)
            patch.setattr("catalog.headers.pool._OUT", 1)
            with pytest.raises(ExecutorError, match="takes no more work: a process ended"):
                index_folders(database, [folder], executor=Breaking())
        report = index_folders(database, [folder])
        assert (report.read, report.unchanged) == (6, 4)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda reading: reading._replace(version="0.0.1"), r"has mastlake 0\.0\.1, and this is"),
            (lambda reading: blind(reading, unread="No such file or directory"), "cannot read .*[.]fits .No such file"),
            (lambda reading: blind(reading, size=7), "sees another file at .*[.]fits"),
        ],
    )
    def test_a_worker_that_differs_or_does_not_see_the_files_is_told(
        self, folder: Path, change: Callable[[Reading], Reading], told: str
    ) -> None:
        with pytest.raises(ExecutorError, match=told):
            handed_out(Changing(change), paths_in(folder))

    def test_a_worker_without_mastlake_is_told(self, folder: Path) -> None:
        with pytest.raises(ExecutorError, match=r"a worker cannot run mastlake .*install"):
            handed_out(Losing([1], ModuleNotFoundError("No module named 'catalog'")), paths_in(folder))

    def test_a_file_that_cannot_be_read_here_either_is_its_own_failure(self, folder: Path) -> None:
        ((_, reason),) = handed_out(Losing(), [str(folder / "99.fits")])
        assert reason == "No such file or directory"

    def test_an_executor_may_tell_that_no_answer_will_come(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Deserted(Silent):
            def fault(self) -> str | None:
                return "there are no workers any more" if len(self.given) == 3 else None

        monkeypatch.setattr(shards, "_LOOK_SECONDS", 0.0)
        with pytest.raises(ExecutorError, match="no workers any more"):
            handed_out(Deserted(), paths_in(folder))


def blind(reading: Reading, **values: object) -> Reading:
    """Return a reading with other values in the rows of its files."""
    assert reading.extract is not None
    files = reading.extract.files
    for name, value in values.items():
        place = files.column_names.index(name)
        files = files.set_column(place, name, [[value] * files.num_rows])
    return reading._replace(extract=type(reading.extract)(**{**vars(reading.extract), "files": files}))


class TestLocalPool:
    """Processes of this machine."""

    @pytest.fixture
    def pool(self) -> Iterator[LocalPool]:
        with LocalPool(2) as pool:
            yield pool

    def test_only_the_call_of_a_process_that_ends_fails_and_the_next_call_has_another_process(
        self, pool: LocalPool
    ) -> None:
        ended = [pool.submit(os._exit, 3) for _ in range(2)]
        after = [pool.submit(os.getpid) for _ in range(4)]
        for future in ended:
            with pytest.raises(ProcessEnded, match="code 3"):
                future.result()
        assert os.getpid() not in {future.result() for future in after}

    def test_a_process_that_hangs_is_ended_by_its_call_alone(self, pool: LocalPool) -> None:
        hanging = pool.submit(signal.pause)
        other = pool.submit(os.getpid)
        assert other.result() > 0
        while not hanging.running():
            time.sleep(0.001)
        pool.end_process_of(hanging)
        with pytest.raises(ProcessEnded, match="code -9"):
            hanging.result()

    def test_it_ends_at_once_if_calls_are_cancelled(self) -> None:
        pool = LocalPool(1)
        hanging, waiting = pool.submit(signal.pause), pool.submit(os.getpid)
        while not hanging.running():
            time.sleep(0.001)
        pool.shutdown(cancel_futures=True)
        assert waiting.cancelled()
        with pytest.raises(ProcessEnded):
            hanging.result()
        with pytest.raises(RuntimeError):
            pool.submit(os.getpid)

    def test_a_worker_does_not_hear_ctrl_c_itself(self, pool: LocalPool) -> None:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN

    def test_its_processes_end_when_their_parent_is_killed(self) -> None:
        code = (
            "import os, signal; from catalog.headers.local_pool import LocalPool; pool = LocalPool(1); "
            "print(pool.submit(os.getpid).result(), flush=True); signal.pause()"
        )
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.communicate()
        while (stat := Path(f"/proc/{child}/stat")).exists() and stat.read_text().split()[2] != "Z":
            time.sleep(0.01)


class TestAnyExecutor:
    """What the standard library has, and what others make."""

    def test_threads_read_the_same_as_this_process(self, folder: Path, tmp_path: Path, database: Database) -> None:
        index_folders(database, [folder])
        with ThreadPoolExecutor(3) as threads, Catalog.open(tmp_path / "other.duckdb") as lake:
            report = lake.index(folder, executor=threads)
            assert threads.submit(len, "abc").result() == 3  # it stays open
        assert (report.read, report.failed) == (10, 0)
        assert every_card(Database(tmp_path / "other.duckdb")) == every_card(database)

    @pytest.mark.long
    def test_processes_of_the_standard_library_read_headers(self, folder: Path, database: Database) -> None:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            assert index_folders(database, [folder], executor=processes).read == 10

    @pytest.mark.long
    def test_one_that_is_broken_ends_in_one_line(self, folder: Path, database: Database) -> None:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            processes.submit(os._exit, 1).exception()
            with pytest.raises(ExecutorError, match="takes no more work"):
                index_folders(database, [folder], executor=processes)

    def test_what_is_no_executor_is_wrong_usage(self, folder: Path, database: Database) -> None:
        with pytest.raises(UsageError, match=r"concurrent\.futures\.Executor or dask://HOST:PORT, not 4"):
            index_folders(database, [folder], executor=4)  # type: ignore[arg-type]

    def test_digests_come_from_the_executor_too(self, folder: Path) -> None:
        with ThreadPoolExecutor(2) as threads:
            batches = list(extract_all(paths_in(folder), (), True, executor=threads))
        assert all(len(text) == 32 for _, extract in batches for text in extract.files["checksum"].to_pylist())


class TestDask:
    """A real scheduler on this machine."""

    @pytest.fixture
    def scheduler(self, tmp_path: Path) -> Iterator[str]:
        distributed = pytest.importorskip("distributed")
        with distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            host="127.0.0.1",
            protocol="tcp",
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as local:
            yield local.scheduler_address.replace("tcp://", "dask://")

    @pytest.mark.long
    def test_its_workers_read_the_same_as_this_process(
        self, scheduler: str, folder: Path, tmp_path: Path, database: Database, capfd: pytest.CaptureFixture[str]
    ) -> None:
        index_folders(database, [folder])
        with Catalog.open(tmp_path / "other.duckdb") as lake:
            report = lake.index(folder, executor=scheduler)
        assert (report.read, report.failed) == (10, 0)
        assert every_card(Database(tmp_path / "other.duckdb")) == every_card(database)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        ("scheduler_has", "worker_has", "told"),
        [("0.0.1", None, r"the Dask scheduler at \S+ has mastlake 0\.0\.1, and this is"),
         (None, "0.0.1", r"the worker at \S+ has mastlake 0\.0\.1, and this is"),
         (None, PackageNotFoundError("mastlake"), r"the worker at \S+ has no mastlake, and this is"),
         (PackageNotFoundError("mastlake"), None, r"the Dask scheduler at \S+ has no mastlake, and this is")],
    )  # fmt: skip
    def test_a_scheduler_or_worker_with_another_mastlake_is_told_before_anything_is_handed_out(
        self, scheduler_has: Any, worker_has: Any, told: str
    ) -> None:
        class Client:
            def run_on_scheduler(self, ask: Callable[[str], str], name: str) -> str:
                if isinstance(scheduler_has, Exception):
                    raise scheduler_has
                return scheduler_has or ask(name)

            def run(self, ask: Callable[[str], str], name: str, on_error: str) -> dict[str, Any]:
                assert on_error == "return"
                return {"tcp://127.0.0.1:1": ask(name), "tcp://127.0.0.1:2": worker_has or ask(name)}

        with pytest.raises(ExecutorError, match=told):
            cluster._prove_versions(Client(), "127.0.0.1:8786")

    @pytest.mark.long
    def test_the_command_reads_with_it_and_a_folders_settings_cannot_name_one(
        self, scheduler: str, folder: Path, mastlake: Command
    ) -> None:
        (folder.parent / "mastlake.toml").write_text('[index]\nexecutor = "dask://127.0.0.1:1"\n')
        (folder / "0.fits").touch()
        report = mastlake("index", folder, "--executor", scheduler, "--json")
        assert (report.code, report.json["read"]) == (0, 10)
        (folder / "0.fits").touch()
        without = mastlake("index", folder)
        assert without.code == 0
        assert "mastlake: ignored executor of [index]" in without.err
        watched = mastlake("index", folder, "--watch", "--executor", scheduler)
        assert watched.code == 2
        assert "leave out --executor" in watched.err

    @pytest.mark.parametrize(
        "address",
        ["127.0.0.1:8786", "tcp://127.0.0.1:8786", "dask://127.0.0.1", "dask://:8786", "dask://a b:1", "dask://a:0",
         "dask://a:65536", "dask://u:secret@a:1", "tcp://u:secret@a:1", "u:secret@a:1",
         "dask://a:1/b", "dask://a:1?b", "dask://a\x1b[31m:1", "ucx://a:1"],
    )  # fmt: skip
    def test_another_form_of_address_is_wrong_usage(self, folder: Path, database: Database, address: str) -> None:
        with pytest.raises(UsageError, match="dask://HOST:PORT") as error:
            index_folders(database, [folder], executor=address)
        assert "\x1b" not in str(error.value)
        assert "secret" not in str(error.value)
        assert not database.exists()

    def test_a_scheduler_that_is_not_there_ends_in_one_line(self, folder: Path, database: Database) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(ExecutorError, match=f"no Dask scheduler answers at {place}: Connection refused"):
                index_folders(database, [folder], executor=f"dask://{place}")

    def test_without_dask_one_line_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("catalog.headers.cluster.find_spec", lambda name: None)
        with pytest.raises(ExecutorError, match=r"pip install 'mastlake\[dask\]'"):
            checked("dask://127.0.0.1:8786")

    def test_something_else_at_the_address_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("catalog.headers.cluster._CONNECT_SECONDS", 0.3)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with (
                pytest.raises(ExecutorError, match=r"no Dask scheduler answers at tcp://.*; if it uses TLS, set"),
                connected(f"dask://127.0.0.1:{other.getsockname()[1]}"),
            ):
                pass


@pytest.mark.long
def test_nothing_is_connected_if_there_is_nothing_to_read(folder: Path, database: Database) -> None:
    index_folders(database, [folder])
    assert index_folders(database, [folder], executor="dask://127.0.0.1:1").unchanged == 10
    assert index._TOGETHER > 1


@pytest.mark.long
def test_what_is_killed_while_headers_are_read_loses_and_doubles_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    codes = kills_executors.rounds(tmp_path, 2, random.Random(5), files=2200)
    assert sum(codes.values()) == 2
