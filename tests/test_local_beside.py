"""Local files of a person who reads a catalog that others published: they lie in a file of the person's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from catalog.api.catalog import Catalog
from catalog.errors import CatalogError, CatalogTooNew, CatalogUnwritable, MastlakeError, NotACatalog
from catalog.publish.following import FollowedKept, FollowedOnce
from catalog.publish.publishing import publish
from catalog.simulator import Simulator
from catalog.store import database as store
from catalog.store.copies.shared_copy import LOCAL
from catalog.store.database import Database
from catalog.store.local_catalog import refuse_hiding
from catalog.store.proven import note_proof
from catalog.store.revision import HEAD
from catalog.sync import Selection, sync
from catalog.sync.rate import SharedPace
from tests import sync_catalog
from tests.conftest import Command
from tests.files_server import Files, fits, md5, serving

Reader = FollowedOnce | FollowedKept
NAMES = [f"jw{i:05d}_nis_x1d.fits" for i in range(4)]


class Group:
    """One who harvests and publishes, and the archive's files."""

    def __init__(self, folder: Path, files: Files) -> None:
        self.folder = folder / "group"
        self.files = files
        self.working = Database(folder / "working.duckdb")

    def reprocess(self, *names: str, publishing: bool = True) -> None:
        """Let the archive have other bytes of the same length, and publish the run that saw it."""
        with self.working.read() as connection:
            run = connection.execute("SELECT max(run) + 1 FROM runs").fetchone()
        assert run is not None
        for name in names:
            uri = f"{sync_catalog.URI}{name}"
            self.files.content[uri] = fits(len(self.files.content[uri]) // 2880 - 1, f"again {run[0]} {name}")
            with self.working.write() as connection:
                connection.execute(
                    """CREATE TEMP TABLE now AS SELECT * REPLACE (? AS since_run, ? AS checksum)
                       FROM file_version WHERE filename = ? AND until_run IS NULL""",
                    [run[0], md5(self.files.content[uri]), name],
                )
                connection.execute(
                    "UPDATE file_version SET until_run = ? WHERE filename = ? AND until_run IS NULL", [run[0], name]
                )
                connection.execute("INSERT INTO file_version FROM now")
        sync_catalog.add_run(self.working, run[0], f"2026-02-{run[0]:02d}")
        if publishing:
            publish(self.working, self.folder)

    def fetch(self, database: Database, dest: Path) -> int:
        report = sync(database, Selection(), server=self.files.address, dest=dest, pace=SharedPace(unit=0.01))
        assert report.failures == ()
        return report.fetched + report.replaced


CONTENT = {f"{sync_catalog.URI}{name}": fits(1, name) for name in NAMES}


@pytest.fixture(scope="module")
def _published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working catalog, and the folder where its first run is published."""
    folder = tmp_path_factory.mktemp("published")
    working = sync_catalog.catalog(folder / "working.duckdb")
    sync_catalog.add_files(working, CONTENT)
    sync_catalog.add_run(working, 1, "2026-01-01")
    publish(working, folder / "group")
    return folder


@pytest.fixture
def group(_published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(_published, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "working.duckdb", tmp_path / "group" / "run-000001.duckdb"):
        note_proof(path)
    files = Files(dict(CONTENT))
    with serving(files):
        yield Group(tmp_path, files)


def reader(group: Group, name: str, kind: type[Reader] = FollowedOnce) -> Reader:
    folder = group.folder.parent / name
    folder.mkdir(exist_ok=True)
    return kind(group.folder, 5, local=folder / "mastlake.local.duckdb")


def outdated(database: Database) -> list[tuple[str, str]]:
    with database.read(sealed=True) as connection:
        return connection.execute("SELECT filename, state FROM file_drift ORDER BY ALL").fetchall()


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestFetching:
    """A sync notes its files in the file of the person."""

    @pytest.mark.long
    def test_a_sync_writes_beside_and_nothing_where_others_publish(self, group: Group, tmp_path: Path) -> None:
        before = content_of(group.folder)
        ada = reader(group, "ada")
        assert group.fetch(ada, tmp_path / "mast") == 4
        assert content_of(group.folder) == before
        with ada.read() as connection:
            rows = connection.execute(
                "SELECT filename, f.checksum = l.checksum FROM local_files l JOIN files f USING (filename)"
            )
            assert sorted(rows.fetchall()) == [(name, True) for name in NAMES]
        assert group.fetch(ada, tmp_path / "mast") == 0

    @pytest.mark.parametrize("kind", [pytest.param(FollowedOnce, marks=pytest.mark.long), FollowedKept])
    def test_what_the_archive_reprocessed_is_stale_as_soon_as_it_is_published(
        self, group: Group, tmp_path: Path, kind: type[Reader]
    ) -> None:
        group.fetch(reader(group, "ada", kind), tmp_path / "mast")
        kept = reader(group, "ada", kind)
        assert outdated(kept) == []
        group.reprocess(*NAMES[:2], publishing=False)
        assert outdated(kept) == []
        group.reprocess(NAMES[3])
        again = kept if kind is FollowedKept else reader(group, "ada", kind)
        assert outdated(again) == [(name, "stale") for name in (*NAMES[:2], NAMES[3])]
        assert group.fetch(again, tmp_path / "mast") == 3
        assert outdated(again) == []

    @pytest.mark.long
    def test_one_who_still_reads_an_older_run_sees_its_own_verdicts(self, group: Group, tmp_path: Path) -> None:
        older = reader(group, "ada")
        group.fetch(older, tmp_path / "mast")
        group.reprocess(NAMES[0])
        newer = reader(group, "ada")
        for _ in range(2):
            assert outdated(newer) == [(NAMES[0], "stale")]
            assert outdated(older) == []

    @pytest.mark.long
    def test_two_readers_have_two_local_catalogs(self, group: Group, tmp_path: Path) -> None:
        ada, bob = reader(group, "ada"), reader(group, "bob")
        group.fetch(ada, tmp_path / "mast")
        assert bob.local_path is None
        with bob.read() as connection:
            assert connection.execute("SELECT count(*) FROM local_files").fetchone() == (0,)
        assert not (tmp_path / "bob" / "mastlake.local.duckdb").exists()
        group.fetch(bob, tmp_path / "other")
        with bob.read() as connection:
            paths = [Path(path).parent for (path,) in connection.execute("SELECT path FROM local_files").fetchall()]
        assert set(paths) == {tmp_path / "other"}

    def test_a_place_that_cannot_be_is_told_before_anything_is_fetched(self, group: Group, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        database = FollowedOnce(group.folder, local=tmp_path / "file" / "mine.duckdb")
        with pytest.raises(CatalogUnwritable, match="cannot write"):
            group.fetch(database, tmp_path / "mast")
        assert group.files.stats["get"] == 0

    def test_the_catalog_itself_still_cannot_be_changed(self, group: Group) -> None:
        ada = reader(group, "ada")
        ada.require_local()
        with pytest.raises(CatalogUnwritable, match="clone"), ada.write():
            pass
        with ada.write_local() as connection, pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM file_version")


class TestJudging:
    """When LATEST moves, the files whose rows moved are judged again."""

    def judged(self, group: Group, tmp_path: Path) -> Path:
        """Let a reader have files with headers, and note a verdict that no judge would give."""
        ada = reader(group, "ada")
        group.fetch(ada, tmp_path / "mast")
        with ada.write_local() as connection:
            connection.execute("ALTER TABLE local_header ADD COLUMN program VARCHAR")
            connection.execute("INSERT INTO local_header BY NAME SELECT file_id, '7' AS program FROM local_files")
            connection.execute("DELETE FROM following")
            connection.execute("INSERT INTO following (schema) VALUES (?)", [HEAD])
        assert outdated(ada) == []
        with ada.write_local() as connection:
            connection.execute("INSERT INTO local_verdict SELECT file_id, 'noted', '', false FROM local_files")
        return ada.path

    def noted(self, group: Group) -> list[str]:
        with reader(group, "ada").read() as connection:
            rows = connection.execute(
                "SELECT filename FROM local_verdict JOIN local_files USING (file_id) WHERE state = 'noted' ORDER BY ALL"
            ).fetchall()
        return [name for (name,) in rows]

    @pytest.mark.long
    def test_files_whose_rows_stayed_keep_their_verdicts(self, group: Group, tmp_path: Path) -> None:
        self.judged(group, tmp_path)
        group.reprocess(NAMES[1], publishing=False)
        group.reprocess(NAMES[2])
        assert self.noted(group) == [NAMES[0], NAMES[3]]
        assert (NAMES[1], "stale") in outdated(reader(group, "ada"))

    @pytest.mark.long
    def test_all_files_are_judged_where_the_noted_run_is_not_published(self, group: Group, tmp_path: Path) -> None:
        with duckdb.connect(self.judged(group, tmp_path)) as connection:
            connection.execute("UPDATE following SET run = '9'")
        assert self.noted(group) == []

    @pytest.mark.long
    def test_all_files_are_judged_where_a_column_is_compared_otherwise(self, group: Group, tmp_path: Path) -> None:
        self.judged(group, tmp_path)
        with group.working.write() as connection:
            connection.execute("ALTER TABLE file_version ALTER program TYPE BIGINT USING NULL")
        group.reprocess(NAMES[1])
        assert self.noted(group) == []

    @pytest.mark.long
    def test_a_file_that_notes_less_is_judged_as_a_whole_and_notes_more(self, group: Group, tmp_path: Path) -> None:
        with duckdb.connect(self.judged(group, tmp_path)) as connection:
            connection.execute("ALTER TABLE following DROP COLUMN compared")
        assert len(self.noted(group)) == 4
        group.reprocess(NAMES[1])
        assert self.noted(group) == []
        assert outdated(reader(group, "ada")) == [(NAMES[1], "stale")]
        with duckdb.connect(tmp_path / "ada" / "mastlake.local.duckdb") as connection:
            assert connection.execute("SELECT compared FROM following").fetchone() == (
                ['"program" VARCHAR "program" VARCHAR'],
            )


class TestReading:
    """Both files answer as if they were one catalog."""

    @pytest.mark.long
    def test_the_commands_of_a_catalog_of_ones_own_work(self, group: Group, mastlake: Command, tmp_path: Path) -> None:
        shared = ["--catalog", f"{group.folder}/", "--server", group.files.address]
        assert mastlake(*shared, "sync").code == 0
        assert mastlake(*shared, "index", "mast", "--verify").code == 0
        row = mastlake(*shared, "sql", "SELECT count(*) AS n FROM headers JOIN files USING (filename)", "--json").json
        assert row == [{"n": 4}]
        status = mastlake(*shared, "status", "--json").json
        assert (status["files"], status["local_files"], status["indexed"], status["current"]) == (4, 4, 4, 4)
        assert status["path"] == str(group.folder / "run-000001.duckdb")
        assert status["local_path"] == str(tmp_path / "mastlake.local.duckdb")
        (tmp_path / "mast" / NAMES[0]).unlink()
        assert mastlake(*shared, "index", "mast").code == 0
        told = mastlake(*shared, "outdated", "--json").json
        assert "missing" in str(told)
        assert mastlake(*shared, "forget", "mast").code == 0
        assert mastlake(*shared, "status", "--json").json["local_files"] == 0
        refused = mastlake(*shared, "harvest", "more", "--instrument", "niriss")
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert "clone" in refused.err

    @pytest.mark.long
    def test_the_file_can_be_elsewhere(
        self, group: Group, mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mast").mkdir()
        monkeypatch.setenv("MASTLAKE_LOCAL_CATALOG", str(tmp_path / "mine.duckdb"))
        assert mastlake("--catalog", f"{group.folder}/", "index", "mast").code == 0
        assert (tmp_path / "mine.duckdb").exists()
        with Catalog.open(group.folder) as lake:
            assert lake.local_path == tmp_path / "mine.duckdb"
        assert mastlake("--local-catalog", "b.duckdb", "--catalog", f"{group.folder}/", "index", "mast").code == 0
        assert (tmp_path / "b.duckdb").exists()
        assert not (tmp_path / "mastlake.local.duckdb").exists()

    @pytest.mark.long
    def test_the_settings_name_the_file_and_what_is_typed_counts_first(
        self, group: Group, mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        shared = ["--catalog", f"{group.folder}/"]
        (tmp_path / "mast").mkdir()
        users = tmp_path / "config" / "mastlake" / "mastlake.toml"
        users.parent.mkdir(parents=True)
        users.write_text(f'local-catalog = "{tmp_path / "all" / "users.duckdb"}"\n')
        (tmp_path / "all").mkdir()
        assert mastlake(*shared, "index", "mast").code == 0
        with Catalog.open(group.folder) as lake:
            assert lake.local_path == tmp_path / "all" / "users.duckdb"
        (tmp_path / "mastlake.toml").write_text('local-catalog = "folders.duckdb"\n')
        assert mastlake(*shared, "index", "mast").code == 0
        assert mastlake(*shared, "status", "--json").json["local_path"] == str(tmp_path / "folders.duckdb")
        assert mastlake(*shared, "--local-catalog", "said.duckdb", "index", "mast").code == 0
        assert (tmp_path / "said.duckdb").exists()
        assert not (tmp_path / "mastlake.local.duckdb").exists()

    @pytest.mark.parametrize("named", ["/srv/files.duckdb", "../files.duckdb", "link/files.duckdb", "~/files.duckdb"])
    def test_a_file_outside_of_a_folder_is_refused_where_the_settings_of_the_folder_name_it(
        self, group: Group, mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
    ) -> None:
        work = tmp_path / "work"
        work.mkdir()
        (work / "link").symlink_to(tmp_path)
        (work / "mastlake.toml").write_text(f'local-catalog = "{named}"\n')
        monkeypatch.chdir(work)
        for words in (["status"], ["index", "."]):
            done = mastlake("--catalog", f"{group.folder}/", *words)
            assert (done.code, done.err.count("\n")) == (2, 1)
            assert "names the file" in done.err
            assert "not within its own" in done.err
        assert mastlake("--catalog", f"{group.folder}/", "--local-catalog", "mine.duckdb", "status").code == 0
        assert not list(tmp_path.glob("**/files.duckdb"))

    def test_no_question_makes_the_file(self, group: Group, mastlake: Command, tmp_path: Path) -> None:
        for words in (["status"], ["find"], ["sql", "FROM local_files"], ["outdated"]):
            assert mastlake("--catalog", f"{group.folder}/", *words).code == 0
        assert mastlake("--catalog", f"{group.folder}/", "forget", "x").code == 2
        assert not (tmp_path / "mastlake.local.duckdb").exists()

    def test_each_table_and_column_is_listed_once(self, group: Group, tmp_path: Path) -> None:
        reader(group, "ada").require_local()
        with Catalog.open(group.folder, local=tmp_path / "ada" / "mastlake.local.duckdb") as lake:
            for names in (lake.ask_tables().result()["name"], lake.ask_columns("local_file_version").result()["name"]):
                assert len(names) == len(set(names))
            columns = lake.sql_names().columns["local_file_version"]
            assert len(columns) == len(set(columns))

    def test_a_long_lived_catalog_sees_files_that_another_command_fetched(self, group: Group, tmp_path: Path) -> None:
        kept = reader(group, "ada", FollowedKept)
        count = "SELECT count(*) FROM local_files"
        with kept.read(sealed=True) as connection:
            assert connection.execute(count).fetchone() == (0,)
        group.fetch(reader(group, "ada"), tmp_path / "mast")
        with kept.read(sealed=True) as connection:
            assert connection.execute(count).fetchone() == (4,)
        kept.release()
        (tmp_path / "ada" / "mastlake.local.duckdb").unlink()
        with kept.read(sealed=True) as connection:
            assert connection.execute(count).fetchone() == (0,)

    def test_a_connection_to_both_reaches_no_third_file(self, group: Group, tmp_path: Path) -> None:
        ada = reader(group, "ada")
        ada.require_local()
        other = tmp_path / "working.duckdb"
        with ada.read(sealed=True) as connection:
            for statement in (
                *(f"ATTACH '{other}'", f"FROM '{other}'", f"FROM '{other}'.main.runs", f"COPY files TO '{other}.csv'"),
                *("FROM read_csv('/etc/passwd')", "SET search_path = 'memory'", "DELETE FROM following"),
            ):
                with pytest.raises(duckdb.Error):
                    connection.execute(statement).fetchall()

    @pytest.mark.long
    def test_a_name_with_quotes_is_a_name(self, group: Group, tmp_path: Path) -> None:
        folder = tmp_path / 'it\'s "odd"; --'
        shutil.copytree(group.folder, folder)
        local = tmp_path / 'o\'dd "one".duckdb'
        database = FollowedOnce(folder, local=local)
        assert group.fetch(database, tmp_path / "mast") == 4
        assert outdated(FollowedOnce(folder, local=local)) == []


class TestCloning:
    """A catalog of one's own takes the local files over."""

    @pytest.mark.long
    def test_a_clone_and_a_copy_have_the_local_files(self, group: Group, mastlake: Command, tmp_path: Path) -> None:
        group.fetch(reader(group, "."), tmp_path / "mast")
        done = mastlake("clone", f"{group.folder}/", "--catalog", "mine.duckdb")
        assert done.code == 0
        assert "the 4 local files of" in done.err
        assert mastlake("--catalog", "mine.duckdb", "status", "--json").json["current"] == 4
        assert mastlake("copy", f"{group.folder}/", "copy.duckdb").code == 0
        assert mastlake("--catalog", "copy.duckdb", "status", "--json").json["current"] == 4

    def test_what_a_killed_clone_left_is_removed(self, group: Group, mastlake: Command, tmp_path: Path) -> None:
        left, fresh = (tmp_path / f".mine.duckdb.{number}.clone" for number in (1, 2))
        for path in (left, fresh):
            path.touch()
        os.utime(left, (0, 0))
        assert mastlake("clone", f"{group.folder}/", "--catalog", "mine.duckdb").code == 0
        assert [path.exists() for path in (left, fresh)] == [False, True]
        assert not list(tmp_path.glob(".mine.duckdb.*[3-9]*"))

    @pytest.mark.long
    def test_local_files_of_another_catalog_are_left_out_and_told(
        self, group: Group, mastlake: Command, tmp_path: Path
    ) -> None:
        ada = reader(group, ".")
        group.fetch(ada, tmp_path / "mast")
        with duckdb.connect(ada.path) as connection:
            connection.execute("UPDATE following SET first = '1990-01-01'")
        done = mastlake("clone", f"{group.folder}/", "--catalog", "mine.duckdb")
        assert done.code == 0
        assert "the clone has no local files" in done.err
        assert mastlake("--catalog", "mine.duckdb", "status", "--json").json["local_files"] == 0

    @pytest.mark.long
    @pytest.mark.parametrize("kind", ["another", "none"])
    def test_a_copy_leaves_them_out_too(self, group: Group, mastlake: Command, tmp_path: Path, kind: str) -> None:
        ada = reader(group, ".")
        group.fetch(ada, tmp_path / "mast")
        if kind == "none":
            ada.path.write_bytes(b"no catalog" * 1000)
        else:
            with duckdb.connect(ada.path) as connection:
                connection.execute("UPDATE following SET first = '1990-01-01'")
        before = ada.path.read_bytes()
        done = mastlake("copy", f"{group.folder}/", "copy.duckdb")
        assert (done.code, done.err.count("the copy has no local files")) == (0, 1)
        assert mastlake("--catalog", "copy.duckdb", "status", "--json").json["local_files"] == 0
        assert ada.path.read_bytes() == before


class TestRefusing:
    """A file that does not belong to the catalog is told in one line."""

    @pytest.mark.long
    def test_the_local_files_of_another_catalog(self, group: Group, tmp_path: Path) -> None:
        group.fetch(reader(group, "ada"), tmp_path / "mast")
        shutil.rmtree(group.folder)
        other = sync_catalog.catalog(tmp_path / "other.duckdb")
        sync_catalog.add_run(other, 1, "2020-01-01")
        publish(other, group.folder)
        with pytest.raises(NotACatalog, match=r"another catalog .* --local-catalog FILE"):
            outdated(reader(group, "ada"))

    def test_a_catalog_in_the_place_of_local_files(self, group: Group, tmp_path: Path) -> None:
        database = FollowedOnce(group.folder, local=tmp_path / "working.duckdb")
        before = (tmp_path / "working.duckdb").read_bytes()
        for use in (lambda: outdated(database), lambda: group.fetch(database, tmp_path / "mast")):
            with pytest.raises(NotACatalog, match="not a file of local files"):
                use()
        assert (tmp_path / "working.duckdb").read_bytes() == before

    @pytest.mark.parametrize("name", ["ducklake:x", "https://www.example.org/", "s3://bucket/x", "folder/"])
    def test_what_is_no_name_of_a_file(self, group: Group, mastlake: Command, tmp_path: Path, name: str) -> None:
        before = set(tmp_path.iterdir())
        done = mastlake("--catalog", f"{group.folder}/", "--local-catalog", name, "status")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "must name a file" in done.err
        assert set(tmp_path.iterdir()) == before

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ("UPDATE following SET schema = NULL", "not a file of local files"),
            ("DELETE FROM following", "not a file of local files"),
            ("ALTER TABLE following DROP COLUMN run", "not a file of local files"),
            ("UPDATE following SET first = 'never'", "another catalog"),
            pytest.param("UPDATE following SET compared = ['; DROP TABLE runs']", None, marks=pytest.mark.long),
            pytest.param("ALTER TABLE following ALTER compared TYPE INT USING 7", None, marks=pytest.mark.long),
            pytest.param("UPDATE following SET run = 'abc'", None, marks=pytest.mark.long),
        ],
    )
    def test_a_row_that_somebody_else_wrote(self, group: Group, tmp_path: Path, change: str, error: str | None) -> None:
        ada = reader(group, "ada")
        with ada.write_local():
            pass
        with duckdb.connect(ada.path) as connection:
            connection.execute(change)
            if error is None:
                connection.execute("UPDATE following SET started_at = '1999-01-01'")
                connection.execute("UPDATE following SET run = '9' WHERE run = '1'")
        store._ready.clear()  # as in another process
        if error is None:
            assert outdated(reader(group, "ada")) == []
        else:
            with pytest.raises(NotACatalog, match=error):
                outdated(reader(group, "ada"))

    def test_a_file_that_is_no_database(self, group: Group, mastlake: Command, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("hello")
        done = mastlake("--catalog", f"{group.folder}/", "--local-catalog", "notes.txt", "index", ".")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "notes.txt is not a file of local files" in done.err
        assert (tmp_path / "notes.txt").read_text() == "hello"

    def test_a_folder_and_the_name_of_the_published_one(self, group: Group, mastlake: Command, tmp_path: Path) -> None:
        (tmp_path / "mast").mkdir()
        for name in (".", "published.duckdb"):
            done = mastlake("--catalog", f"{group.folder}/", "--local-catalog", name, "index", "mast")
            assert (done.code > 0, done.err.count("\n")) == (True, 1)
            assert "--local-catalog FILE" in done.err
        assert not list(tmp_path.glob("*published.duckdb*"))

    def test_local_files_in_the_place_of_a_catalog(self, group: Group, tmp_path: Path) -> None:
        reader(group, "ada").require_local()
        store._ready.clear()  # as in another process
        with pytest.raises(NotACatalog, match="name that one"), Database(tmp_path / "ada/mastlake.local.duckdb").read():
            pass

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("schema", "error", "told"),
        [
            ("0001", CatalogError, "published by an older mastlake"),
            ("9999", CatalogTooNew, "published by a newer mastlake"),
        ],
    )
    def test_what_another_mastlake_published(
        self, group: Group, tmp_path: Path, schema: str, error: type[MastlakeError], told: str
    ) -> None:
        reader(group, "ada").require_local()
        altered = tmp_path / "altered"
        shutil.copytree(group.folder, altered)
        path = altered / "run-000001.duckdb"
        size = path.stat().st_size
        with duckdb.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [schema])
        manifest = altered / "run-000001.json"
        manifest.write_text(manifest.read_text().replace(str(size), str(path.stat().st_size)))
        for local in ("ada/mastlake.local.duckdb", "none.duckdb"):
            with pytest.raises(error, match=told):
                outdated(FollowedOnce(altered, local=tmp_path / local))

    def test_local_files_of_a_newer_mastlake(self, group: Group, tmp_path: Path) -> None:
        reader(group, "ada").require_local()
        with duckdb.connect(tmp_path / "ada" / "mastlake.local.duckdb") as connection:
            connection.execute("UPDATE following SET schema = '9999'")
        store._ready.clear()  # as in another process
        with pytest.raises(CatalogTooNew, match="upgrade this one"):
            outdated(reader(group, "ada"))

    def test_a_view_that_is_not_mastlakes(self, group: Group, tmp_path: Path) -> None:
        reader(group, "ada").require_local()
        with duckdb.connect(tmp_path / "ada" / "mastlake.local.duckdb") as connection:
            connection.execute("CREATE VIEW mine AS FROM read_text('/etc/passwd')")
        store._ready.clear()  # as in another process
        with pytest.raises(NotACatalog, match="view mine"):
            outdated(reader(group, "ada"))

    @pytest.mark.parametrize("statement", ["CREATE TABLE Runs (run INTEGER)", "CREATE VIEW files AS SELECT 1 AS a"])
    def test_a_table_that_hides_one_of_the_published_catalog(
        self, group: Group, tmp_path: Path, statement: str
    ) -> None:
        reader(group, "ada").require_local()
        with duckdb.connect(tmp_path / "ada" / "mastlake.local.duckdb") as connection:
            connection.execute("CREATE TABLE notes (text VARCHAR)")
            connection.execute(statement)
        store._ready.clear()  # as in another process
        with pytest.raises(NotACatalog, match="hides that of the published catalog"):
            outdated(reader(group, "ada"))

    def test_the_files_that_are_made_hide_nothing(self, group: Group) -> None:
        ada = reader(group, "ada")
        ada.require_local()
        with ada.read() as connection:
            refuse_hiding(connection, ada.path)


@pytest.mark.long
def test_local_files_of_an_older_schema_are_taken_over(group: Group, tmp_path: Path) -> None:
    group.fetch(reader(group, "ada"), tmp_path / "mast")
    local = tmp_path / "ada" / "mastlake.local.duckdb"
    with duckdb.connect(local) as connection:
        store._ready.clear()  # as in another process
        connection.execute("UPDATE following SET schema = '0001'")
        connection.execute("ALTER TABLE local_header ADD COLUMN oddword VARCHAR")
        connection.execute("DROP VIEW local_files")
        connection.execute("ALTER TABLE local_file_version DROP COLUMN trusted")
    group.reprocess(NAMES[1])
    assert outdated(reader(group, "ada")) == [(NAMES[1], "stale")]
    with duckdb.connect(local) as connection:
        assert connection.execute("SELECT schema FROM following").fetchall() == [(HEAD,)]
        assert connection.execute("SELECT count(oddword) FROM local_header").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM local_folder").fetchone() == (1,)


def test_the_local_catalog_has_the_tables_of_local_files_with_their_comments(group: Group, tmp_path: Path) -> None:
    reader(group, "ada").require_local()
    with duckdb.connect(tmp_path / "ada" / "mastlake.local.duckdb") as connection:
        tables = connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall()
    assert {name for name, _ in tables} == {*LOCAL, "following"}
    assert all(comment for _, comment in tables)


@pytest.mark.long
def test_a_local_catalog_that_was_cut_off_while_it_was_made_is_made_again(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("catalog.store.local_catalog._create_tables", "catalog.publish.with_local_files.judge_anew"):
        with monkeypatch.context() as patch:
            patch.setattr(place, cut)
            with pytest.raises(KeyboardInterrupt), reader(group, "ada").write_local():
                pass
        assert {path.name for path in (tmp_path / "ada").iterdir()} <= {"mastlake.local.duckdb"}
    assert outdated(reader(group, "ada")) == []
    assert group.fetch(reader(group, "ada"), tmp_path / "mast") == 4


@pytest.mark.long
def test_outdated_lists_exactly_the_files_whose_bytes_the_archive_changed(
    own_sky: Simulator, mastlake: Command, tmp_path: Path
) -> None:
    archive = ["--server", own_sky.url]
    reads = [*archive, "--catalog", "group/"]
    assert mastlake(*archive, "harvest", "soss", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS").code == 0
    assert mastlake("publish", "group").code == 0
    assert mastlake(*reads, "sync", "soss", "--subgroup", "X1DINTS").code == 0
    assert mastlake(*reads, "index", "mast").code == 0
    assert not mastlake(*reads, "outdated", "--json").json["stale"]
    names = sorted(path.name for path in (tmp_path / "mast").iterdir() if path.suffix == ".fits")
    own_sky.reprocess(names[1:4])
    own_sky.reprocess(names[4:6], keep_size=True)
    assert mastlake(*archive, "harvest", "soss").code == 0
    assert not mastlake(*reads, "outdated", "--json").json["stale"]
    assert mastlake("publish", "group").code == 0
    stale = mastlake(*reads, "outdated", "--json").json["stale"]
    assert sorted(file["filename"] for file in stale) == names[1:6]
    assert mastlake(*reads, "sync", "soss", "--subgroup", "X1DINTS", "--json").json["replaced"] == 5
    assert mastlake(*reads, "index", "mast", "--verify").code == 0
    found = mastlake(*reads, "outdated", "--json").json
    assert not any(found.values()), found
