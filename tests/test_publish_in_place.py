"""A published catalog that is read where it is: blocks are asked for when a question needs them, and each is proven."""

from __future__ import annotations

import random
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from catalog.api.catalog import Catalog
from catalog.errors import CatalogError, Garbled, Overloaded, Refused, Unreachable, UsageError
from catalog.publish import pull
from catalog.publish.block_file import BlockFile
from catalog.publish.blocks import HEAD_BYTES, block_size, blocks_of
from catalog.publish.manifest import LATEST, sha256_of
from catalog.publish.publishing import publish
from catalog.questions.query_errors import BadQuery
from catalog.store import distant_file
from catalog.store.proven import note_proof
from catalog.store.schema.migrate import make_views
from tests import hostile_sql, sync_catalog
from tests.conftest import Command, copy_of
from tests.kills_publish import add_run
from tests.published_server import Site, showing

pytest.importorskip("duckdb_extension_httpfs", reason="DuckDB's extension httpfs is an extra")

FILES = 20_000
NAME = "run-000001.duckdb"
_ROWS = f"""
    INSERT INTO file_version BY NAME
    SELECT printf('jw%05d_%s_%d.fits', i // 8, md5(i::VARCHAR), i % 8) AS filename, 'jwst' AS mission,
        1 AS since_run, 1 AS checked_run, i AS row_hash, md5((i + 1)::VARCHAR) AS checksum,
        59700 + i // 8 AS date_obs_mjd, md5((i // 8)::VARCHAR) AS targname,
        CASE WHEN i % 100 < 3 THEN NULL ELSE ['NIS_SOSS', 'NRC_IMAGE', 'MIR_MRS'][1 + i // 8 % 3] END AS exp_type,
        'niriss' AS instrument
    FROM range({FILES}) AS of_number(i)"""


@pytest.fixture(scope="module", name="published")
def _published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    database = sync_catalog.catalog(folder / "catalog.duckdb")
    add_run(database, 1)
    with database.write() as connection:
        for column, kind in {"date_obs_mjd": "DOUBLE", "targname": "VARCHAR", "exp_type": "VARCHAR"}.items():
            connection.execute(f"ALTER TABLE file_version ADD COLUMN {column} {kind}")
        make_views(connection)
        connection.execute(_ROWS)
    publish(database, folder / "group")
    return folder


@pytest.fixture
def group(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published catalog of one run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pull, "IN_PLACE_BYTES", 1)
    monkeypatch.setattr(pull, "_ASK_AGAIN", 0.0)
    monkeypatch.setattr(pull, "_MUCH", 0.9)
    monkeypatch.chdir(tmp_path)
    group = Path(shutil.copytree(published / "group", tmp_path / "group"))
    note_proof(group / NAME)  # to prove that it is harmless takes a fifth of a second
    return group


@pytest.fixture
def site(group: Path) -> Iterator[Site]:
    with showing(group) as shown:
        shown.gives_ranges = True
        yield shown


def share(site: Site) -> float:
    """Return the share of the catalog that was asked for."""
    return sum(last - first + 1 for first, last in site.ranges) / (site.folder / NAME).stat().st_size


def cached(tmp_path: Path, name: str) -> list[Path]:
    return list((tmp_path / "cache").rglob(name))


class TestQuestions:
    """Questions have the answers of the file, and ask for a part of it."""

    FIND = ("find", "-k", "exp_type=NIS_SOSS", "--limit", "20")

    def test_the_first_answer_asks_for_a_part_and_the_next_one_for_nothing(
        self, site: Site, group: Path, mastlake: Command, tmp_path: Path
    ) -> None:
        first = mastlake("--catalog", site.address, *self.FIND)
        assert "reading" in first.err
        assert 0 < share(site) < 0.8  # most blocks of a small catalog have what each question needs
        assert site.asked.count(NAME) == len(site.ranges)
        site.ranges.clear()
        again = mastlake("--catalog", site.address, *self.FIND)
        assert first.out == again.out == mastlake("--catalog", f"{group}/", *self.FIND).out
        assert "reading" not in again.err
        assert site.ranges == []
        assert cached(tmp_path, NAME) == []

    @pytest.mark.parametrize("words", [["exp_type=NIS_SOSS"], []])
    def test_the_first_rows_are_those_of_the_file(self, site: Site, group: Path, words: list[str]) -> None:
        with Catalog.open(site.address) as distant, Catalog.open(f"{group}/") as here:
            for limit in (1, 8, 9, 30, 1000, 3000):
                asked = (one.find(*words, limit=limit).to_arrow().to_pylist() for one in (distant, here))
                assert next(asked) == next(asked), limit

    @pytest.mark.parametrize("command", [["runs"], ["status"], ["keywords", "exp_type"], ["searches"], ["changes"]])
    def test_commands_answer_as_from_the_file(
        self, site: Site, group: Path, mastlake: Command, command: list[str]
    ) -> None:
        distant, here = (mastlake("--catalog", named, *command, "--json") for named in (site.address, f"{group}/"))
        assert (distant.code, here.code) == (0, 0), distant.err
        assert distant.out.replace(site.address, "") == here.out.replace(f"{group}/", "") or command == ["status"]

    def test_many_threads_ask_at_once(self, site: Site, group: Path) -> None:
        asked = [
            f"SELECT count(*), max(checksum) FROM files WHERE since_run = 1 AND hash(filename) % {n} = 0"
            for n in range(2, 8)
        ]
        with Catalog.open(f"{group}/") as here:
            right = [here.sql(sql).to_arrow().to_pylist() for sql in asked]
        with Catalog.open(site.address) as distant, ThreadPoolExecutor(6) as pool:
            assert list(pool.map(lambda sql: distant.sql(sql).to_arrow().to_pylist(), asked)) == right


class TestMoving:
    """After a quarter, the rest is pulled; and what an older run has is not asked for again."""

    def test_after_a_part_the_rest_is_pulled_and_proven(
        self, site: Site, mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mastlake("--catalog", site.address, "runs")
        before = share(site)
        monkeypatch.setattr(pull, "_MUCH", 0.0)
        assert len(mastlake("--catalog", site.address, "runs", "--json").json) == 1
        (whole,) = cached(tmp_path, NAME)
        assert sha256_of(whole) == sha256_of(site.folder / NAME)
        assert share(site) < 1 + before
        assert cached(tmp_path, "*.blocks") == []

    def test_clone_pulls_the_rest(self, site: Site, mastlake: Command, tmp_path: Path) -> None:
        mastlake("--catalog", site.address, "runs")
        assert mastlake("clone", site.address, "--catalog", tmp_path / "mine.duckdb").code == 0
        assert share(site) < 1.1
        assert len(mastlake("--catalog", tmp_path / "mine.duckdb", "runs", "--json").json) == 1

    @pytest.mark.long
    def test_a_newer_run_takes_the_blocks_of_the_older_one(
        self, site: Site, published: Path, tmp_path: Path, mastlake: Command
    ) -> None:
        find = ("find", "-k", "exp_type=NIS_SOSS", "--limit", "20", "--json")
        first = mastlake("--catalog", site.address, *find)
        read = share(site)
        working = copy_of(published / "catalog.duckdb", tmp_path / "working.duckdb")
        add_run(working, 2)
        publish(working, site.folder)
        site.ranges.clear()
        assert mastlake("--catalog", site.address, *find).out == first.out
        assert 0 < share(site) < read
        assert "run-000002.duckdb" in site.asked

    def test_local_files_need_the_whole(self, site: Site, mastlake: Command, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        assert mastlake("--catalog", site.address, "index", tmp_path / "data").code == 0
        assert len(cached(tmp_path, NAME)) == 1
        assert mastlake("--catalog", site.address, "outdated").code == 0

    def test_without_the_packages_the_whole_is_pulled_and_a_line_says_what_to_install(
        self, site: Site, mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(distant_file, "can_read_in_place", lambda: False)
        done = mastlake("--catalog", site.address, "runs")
        assert (done.code, done.err.count("\n")) == (0, 1)
        assert "mastlake[web]" in done.err
        assert len(cached(tmp_path, NAME)) == 1


class TestFaults:
    """What goes wrong is one line, and no byte is used that is not the manifest's."""

    def test_other_bytes_are_not_used(self, site: Site) -> None:
        with Catalog.open(site.address) as shared:
            shared.runs()
            site.part = lambda body: bytes(len(body))
            with pytest.raises(Garbled, match="not what its manifest says"):
                shared.find("exp_type=NIS_SOSS", limit=3)
            site.part = bytes
            assert len(shared.find("exp_type=NIS_SOSS", limit=3)) == 3

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (lambda shown: shown.send(b"", 503), Overloaded),
            (lambda shown: shown.send(b"", 403), Refused),
            (lambda shown: shown.send(b"", 302, Location="http://localhost:1/x"), Refused),
            (lambda shown: shown.send(b"all of it"), Refused),
            (lambda shown: shown.send(b"", 206, Content_Range="bytes 0-1/2"), Refused),
            (lambda shown: shown.connection.close(), Unreachable),
        ],
    )
    def test_a_host_that_fails_in_the_middle(self, site: Site, answer: object, error: type[Exception]) -> None:
        with Catalog.open(site.address) as shared:
            shared.runs()
            site.instead[NAME] = answer  # type: ignore[assignment]
            with pytest.raises(error):
                shared.find("exp_type=NIS_SOSS", limit=3)
            assert len(shared.runs()) == 1  # this part is in the cache
            del site.instead[NAME]
            assert len(shared.find("exp_type=NIS_SOSS", limit=3)) == 3

    def test_a_fault_is_one_line(self, site: Site, mastlake: Command) -> None:
        mastlake("--catalog", site.address, "runs")
        site.instead[NAME] = lambda shown: shown.send(b"", 500)
        done = mastlake("--catalog", site.address, "sql", "SELECT max(checksum) FROM files")
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done.err
        assert "cannot answer now" in done.err

    def test_ctrl_c_is_heard_while_the_host_is_silent(self, site: Site) -> None:
        asked, released = threading.Event(), threading.Event()

        def silent(_: object) -> None:
            asked.set()
            released.wait(20)

        def press() -> None:
            asked.wait(20)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        with Catalog.open(site.address) as shared:
            shared.runs()
            site.instead[NAME] = silent
            pressing = threading.Thread(target=press)
            pressing.start()
            try:
                with pytest.raises(KeyboardInterrupt):
                    shared.find("exp_type=NIS_SOSS", limit=3)
                assert not released.is_set()
            finally:
                released.set()
                pressing.join()
            del site.instead[NAME]
            assert len(shared.find("exp_type=NIS_SOSS", limit=3)) == 3

    def test_a_short_answer_is_asked_for_again(self, site: Site) -> None:
        cut = iter([True])

        def part(body: bytes) -> bytes:
            return body[: len(body) // 2] if next(cut, False) else body

        with Catalog.open(site.address) as shared:
            shared.runs()
            site.part = part
            assert len(shared.find("exp_type=NIS_SOSS", limit=3)) == 3

    def test_without_a_network_what_was_read_answers(self, site: Site, mastlake: Command) -> None:
        ask = ("--catalog", site.address, "runs", "--json")
        mastlake(*ask)
        for name in (LATEST, NAME):
            site.instead[name] = lambda shown: shown.connection.close()
        done = mastlake(*ask)
        assert len(done.json) == 1
        assert "the answer is from the copy" in done.err

    def test_a_block_that_another_program_changed_is_asked_for_again(
        self, site: Site, mastlake: Command, tmp_path: Path
    ) -> None:
        ask = ("--catalog", site.address, "runs", "--json")
        first = mastlake(*ask)
        (kept,) = cached(tmp_path, "*.blocks")
        with kept.open("r+b") as file:
            file.write(b"\0" * HEAD_BYTES)
        site.ranges.clear()
        assert mastlake(*ask).out == first.out
        assert site.ranges == [(0, HEAD_BYTES - 1)]


class TestSeal:
    """The connection reaches the one file, and nothing else."""

    @pytest.mark.parametrize(
        "statement",
        [
            "FROM read_text('/etc/passwd')",
            "FROM read_csv('https://example.org/x.csv')",
            "FROM read_blob('https://published.invalid/catalog.duckdb')",
            "FROM read_parquet('s3://bucket/x.parquet')",
            "COPY runs TO 'https://published.invalid/x.csv'",
            "ATTACH 'x.duckdb'",
            "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
            "SET enable_external_access = true",
        ],
    )
    def test_no_statement_gets_out(self, site: Site, statement: str) -> None:
        with Catalog.open(site.address) as shared:
            shared.runs()
            asked = len(site.asked)
            with pytest.raises(BadQuery):
                shared.sql(statement)
            with shared._database.read(sealed=True) as connection, suppress(duckdb.Error):
                assert connection.execute(statement).fetchall() == []  # a list of no files
        assert {name for name in site.asked[asked:] if name != LATEST} == set()

    def test_the_settings_show_no_key(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, f"private-{name}")
        with Catalog.open(site.address) as catalog:
            assert "private-" not in repr(list(catalog.sql("FROM duckdb_settings()")))

    @pytest.mark.long
    def test_no_hostile_statement_gets_out(self, site: Site, tmp_path: Path) -> None:
        traps = hostile_sql.lay(tmp_path / "traps")
        with hostile_sql.watched(traps), Catalog.open(site.address) as shared:
            own = [
                "ATTACH 'https://published.invalid/catalog.duckdb' AS a",
                "DETACH published",
                "LOAD httpfs",
                "USE memory",
            ]
            for statement in [*own, *hostile_sql.statements(traps, 300, seed=3)]:
                with pytest.raises((UsageError, CatalogError)):
                    shared.sql(statement)
        assert (traps.touched, traps.calls) == ([], 0)

    def test_the_databases_show_no_address(self, site: Site) -> None:
        with Catalog.open(site.address) as shared, shared._database.read() as connection:
            paths = {path for (path,) in connection.execute("SELECT path FROM duckdb_databases()").fetchall()}
        assert paths == {None, "https://published.invalid/catalog.duckdb"}


@pytest.mark.parametrize("seed", range(3))
def test_any_reads_by_any_threads_are_the_bytes_of_the_file(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    content = rng.randbytes(HEAD_BYTES + rng.randrange(1, 9) * (1 << 16) + rng.randrange(70_000))
    (tmp_path / "file").write_bytes(content)
    asked: list[tuple[int, int]] = []

    def fetch(start: int, length: int) -> Iterator[bytes]:
        asked.append((start, length))
        rest = content[start : start + length]
        while rest:
            size = rng.randrange(1, 100_000)
            yield rest[:size]
            rest = rest[size:]

    blocks = blocks_of(tmp_path / "file", block_size(len(content)))
    file = BlockFile(tmp_path / "blocks", len(content), blocks, fetch, "it")
    places = [(rng.randrange(len(content)), rng.randrange(200_000)) for _ in range(30)]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda place: file.read(*place), places))
    assert read == [content[start : start + length] for start, length in places]
    assert sum(length for _, length in asked) <= len(content)  # no block twice
    again = BlockFile(tmp_path / "blocks", len(content), blocks, fetch, "it")
    before = len(asked)
    assert again.read(*places[0]) == read[0]
    assert len(asked) == before
    assert (tmp_path / "blocks").stat().st_size == len(content)
