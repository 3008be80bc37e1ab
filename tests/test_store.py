"""The catalog file: opening, locks, migrations, and the merge into versions."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from catalog.errors import CatalogError, CatalogLocked, CatalogTooNew, CatalogUnwritable, NotACatalog, UsageError
from catalog.harvest.outcome import odd_rows
from catalog.questions.statement import rows as rows_of
from catalog.store import database as store_database
from catalog.store.database import Database, columns_of
from catalog.store.duckdb_file import DUCKDB, dialect_of
from catalog.store.engine import Comment
from catalog.store.history import comparison
from catalog.store.history.merge import SEARCH_FILES, merge_links, merge_versions
from catalog.store.history.versions import FILES, Versions, name_in_catalog
from catalog.store.revision import HEAD
from catalog.store.schema.migrate import make_views
from catalog.store.schema.models import metadata
from catalog.store.shared import KeptOpen
from catalog.store.spool import Spool
from catalog.store.turns import LockWait, StillHeld
from tests.sync_catalog import add_run

from .kills_migration import kill_upgrades

pytestmark = pytest.mark.engines("each")

HOLD = """
import duckdb, sys, time
held = duckdb.connect(sys.argv[1])
print('held', flush=True)
time.sleep(float(sys.argv[2]))
"""


def hold(path: Path, seconds: float) -> subprocess.Popen[bytes]:
    """Let another process hold the catalog for a while."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


_TABLES = "SELECT table_name, sql FROM duckdb_tables() WHERE table_name <> 'alembic_version' ORDER BY ALL"


@pytest.mark.quick
class TestEngine:
    """What every engine does."""

    def test_a_connection_knows_its_engine(self, database: Database) -> None:
        with database.write() as connection:
            assert dialect_of(connection).name == database.engine.name

    def test_a_column_becomes_wider_and_keeps_its_values(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute("CREATE TABLE t AS SELECT 7::BIGINT AS x")
            database.engine.widen(connection, "t", "x", "DOUBLE")
            assert connection.execute("SELECT x, typeof(x) FROM t").fetchone() == (7.0, "DOUBLE")

    def test_a_comment_is_kept_and_one_of_an_unknown_kind_is_left_out(self, database: Database) -> None:
        told = 'what\'s "it"?'
        with database.write() as connection:
            database.engine.comment(connection, [Comment("TABLE", "runs", told), Comment("INDEX", "runs", "no")])
        with database.read() as connection:
            asked = "SELECT comment FROM duckdb_tables() WHERE table_name = 'runs'"
            assert connection.execute(asked).fetchone() == (told,)

    def test_a_sealed_connection_changes_no_setting(self, database: Database) -> None:
        with database.write():
            pass
        with database.read() as connection:
            database.engine.seal(connection)
            database.engine.seal(connection)
            with pytest.raises(duckdb.InvalidInputException):
                connection.execute("SET threads = 1")

    def test_the_turn_to_write_is_seen_while_it_is_held(self, database: Database) -> None:
        with database.write():
            pass
        with database.engine.lock(database.path, LockWait(0), "me"):
            assert database.writer_waits == database.engine.readers_make_room
            with pytest.raises(StillHeld), database.engine.lock(database.path, LockWait(0), "another"):
                pass
        assert not database.writer_waits

    def test_values_of_types_that_an_engine_does_not_have_are_text(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(comparison, "dialect_of", lambda connection: replace(DUCKDB, types=frozenset({"VARCHAR"})))
        merge(database, 1, row("a", x=1))
        with database.read() as connection:
            assert connection.execute("SELECT x, typeof(x) FROM files").fetchone() == ("1", "VARCHAR")


class TestOpening:
    """One file, many processes."""

    @pytest.mark.quick
    def test_a_new_catalog_has_every_table_view_and_keyword(self, database: Database) -> None:
        with database.write():
            pass
        with database.read() as connection:
            views = {
                row[0]
                for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
            }
            assert {"files", "observations", "products", "observation_products", "search_files", "local_files"} <= views
            assert connection.execute("SELECT kind FROM keywords WHERE name = 'exp_type'").fetchone() == ("text",)

    def test_reading_a_catalog_that_is_not_there_says_how_to_make_one(self, of_file: Database) -> None:
        with pytest.raises(CatalogError, match="mastlake harvest"), of_file.read():
            pass

    def test_the_newest_migration_is_the_one_that_the_code_knows(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
        assert ScriptDirectory.from_config(config).get_heads() == [HEAD]

    def test_the_newest_migration_makes_the_tables_of_the_models(self, of_file: Database) -> None:
        with of_file.write():
            pass
        engine = sa.create_engine(f"duckdb:///{of_file.path}", poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table_pk": False, "compare_type": False})
            assert compare_metadata(context, metadata) == []
        with of_file.read() as connection:
            made = connection.execute(_TABLES).fetchall()
        models = sa.create_engine("duckdb:///:memory:")
        with models.begin() as of_models:
            metadata.create_all(of_models)
            assert made == [tuple(row) for row in of_models.exec_driver_sql(_TABLES).all()]
        models.dispose()
        engine.dispose()

    @pytest.mark.quick
    def test_a_catalog_of_a_newer_mastlake_is_refused(self, database: Database) -> None:
        with database.write():
            pass
        with closing(database.engine.open(database.path, read_only=False)) as connection:  # mastlake does not note it
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        store_database._ready.clear()  # as in another process
        with pytest.raises(CatalogTooNew, match="upgrade"), database.read():
            pass

    def test_a_file_that_is_no_database_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("not a database " * 1000)
        with pytest.raises(NotACatalog, match="not a DuckDB database"), Database(path).write():
            pass
        assert path.read_text().startswith("not a database")

    def test_somebody_elses_database_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "other.duckdb"
        with duckdb.connect(str(path)) as other:
            other.execute("CREATE TABLE mine AS SELECT 1 AS x")
        with pytest.raises(NotACatalog, match="not a mastlake catalog"), Database(path).write():
            pass
        with duckdb.connect(str(path)) as other:
            assert other.execute("SHOW TABLES").fetchall() == [("mine",)]

    def test_a_folder_that_is_not_there_is_one_clear_line(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogUnwritable, match="No such file"), Database(tmp_path / "no" / "x.duckdb").write():
            pass

    def test_who_meets_a_lock_waits_for_it(self, of_file: Database) -> None:
        with of_file.write():
            pass
        other = hold(of_file.path, 0.7)
        start = time.monotonic()
        with of_file.read() as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)
        assert time.monotonic() - start > 0.3
        other.wait()

    def test_a_lock_that_stays_is_reported_with_its_holder(self, of_file: Database) -> None:
        with of_file.write():
            pass
        other = hold(of_file.path, 3)
        try:
            with pytest.raises(CatalogLocked, match=f"PID {other.pid}"), Database(of_file.path, wait=0.3).write():
                pass
        finally:
            other.kill()
            other.wait()

    def test_no_progress_bar_is_drawn_among_the_answers(self, database: Database) -> None:
        asked = "SELECT current_setting('enable_progress_bar')"
        with database.write() as connection:
            assert connection.execute(asked).fetchone() == (False,)
        with database.read(sealed=True) as connection:
            assert connection.execute(asked).fetchone() == (False,)
            assert connection.cursor().execute(asked).fetchone() == (False,)

    def test_all_statements_of_a_question_are_one_transaction(self, database: Database) -> None:
        with database.write():
            pass
        for each in (database, KeptOpen(database.path, engine=database.engine)):
            with each.read(sealed=True) as connection:
                began = connection.execute("SELECT now() FROM runs RIGHT JOIN (SELECT 1) ON true").fetchone()
                with pytest.raises(duckdb.CatalogException):
                    connection.execute("FROM no_such_table")
                assert connection.execute("SELECT now()").fetchone() == began
            each.release()

    @pytest.mark.quick
    def test_a_block_that_fails_leaves_the_catalog_as_it_was(self, database: Database) -> None:
        def fail() -> None:
            with database.write() as connection:
                connection.execute("INSERT INTO changes VALUES (1, 'new', 'file', 'x', NULL)")
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            fail()
        with database.read() as connection:
            assert connection.execute("SELECT count(*) FROM changes").fetchone() == (0,)

    def test_a_second_harvest_of_the_same_catalog_is_turned_away(self, database: Database) -> None:
        with database.harvesting(), pytest.raises(CatalogLocked, match="under way"), database.harvesting():
            pass

    def test_what_a_killed_harvest_left_is_swept(self, database: Database) -> None:
        left = database.path.with_name(f"{database.path.name}.spool-999999999-0123abcd")
        left.mkdir(parents=True)
        with Spool(database.path) as spool:
            spool.add("rows", pa.table({"a": [1]}))
            assert not left.exists()
        assert not list(database.path.parent.glob("*.spool-*"))


def merge(database: Database, run: int, *batches: pa.Table, versions: Versions = FILES) -> dict[str, Any]:
    """Merge rows as files, and return what became of them."""
    with Spool(database.path) as spool, database.write() as connection:
        for batch in batches:
            spool.add("rows", batch)
        spool.offer(connection, "rows")
        if merge_versions(
            connection, versions, spool.staged("rows"), run, {"instrument": "niriss", "checked_run": run}
        ):
            make_views(connection)
        rows = connection.execute("SELECT key, fresh, differing FROM file_merge").fetchall()
        return {key: "new" if fresh else sorted(differing) if differing else "same" for key, fresh, differing in rows}


def row(name: str, **values: Any) -> pa.Table:
    return pa.table({"filename": [name], **{key: [value] for key, value in values.items()}})


class TestMerge:
    """Rows become versions."""

    def test_a_row_opens_a_version_and_the_same_row_again_does_not(self, database: Database) -> None:
        assert merge(database, 1, row("a", x=1, y=None)) == {"a": "new"}
        assert merge(database, 2, row("a", x=1, y=None)) == {"a": "same"}

    @pytest.mark.quick
    def test_a_row_that_differs_closes_a_version_and_opens_another(self, database: Database) -> None:
        merge(database, 1, row("a", x=1, y="p"))
        add_run(database, 1, "2026-01-01")
        assert merge(database, 2, row("a", x=2, y="q")) == {"a": ["x", "y"]}
        with database.read() as connection:
            assert connection.execute("SELECT x, since_run FROM files").fetchall() == [(2, 2)]
            assert connection.execute("SELECT x, since_run FROM files_at(1)").fetchall() == [(1, 1)]
            assert connection.execute("SELECT x, since_run, until_run FROM file_version ORDER BY x").fetchall() == [
                (1, 1, 2),
                (2, 2, None),
            ]

    def test_a_column_that_appears_later_changes_only_rows_that_have_a_value_in_it(self, database: Database) -> None:
        merge(database, 1, pa.table({"filename": ["a", "b"], "x": [1, 1]}))
        later = pa.table({"filename": ["a", "b"], "x": [1, 1], "z": [None, 5.0]})
        assert merge(database, 2, later) == {"a": "same", "b": ["z"]}
        with database.read() as connection:
            assert connection.execute("SELECT filename, z FROM files ORDER BY ALL").fetchall() == [
                ("a", None),
                ("b", 5.0),
            ]

    def test_a_column_that_disappears_changes_only_rows_that_had_a_value_in_it(self, database: Database) -> None:
        merge(database, 1, pa.table({"filename": ["a", "b"], "x": [1, 1], "z": [None, 5.0]}))
        assert merge(database, 2, pa.table({"filename": ["a", "b"], "x": [1, 1]})) == {"a": "same", "b": ["z"]}

    def test_a_value_that_becomes_null_or_stops_being_null_is_a_change(self, database: Database) -> None:
        merge(database, 1, pa.table({"filename": ["a", "b"], "x": pa.array([None, 1], pa.int64())}))
        assert merge(database, 2, pa.table({"filename": ["a", "b"], "x": pa.array([0, None], pa.int64())})) == {
            "a": ["x"],
            "b": ["x"],
        }

    def test_rows_that_come_twice_count_once_and_the_newest_wins(self, database: Database) -> None:
        old = row("a", x=1, ingestCompletionDate_mjd=59000.0)
        new = row("a", x=2, ingestCompletionDate_mjd=60000.0)
        for order in ((old, new), (new, old)):
            merge(database, 1, *order, new)
            with database.read() as connection:
                assert connection.execute("SELECT x FROM files").fetchall() == [(2,)]

    def test_a_column_typed_by_nothing_but_nulls_takes_the_type_of_its_first_value(self, database: Database) -> None:
        merge(database, 1, row("a", x=None))
        merge(database, 2, row("a", x=1.5))
        with database.read() as connection:
            assert columns_of(connection, "file_version")["x"] == "DOUBLE"

    @pytest.mark.parametrize(
        ("first", "then", "kind", "kept", "odd"),
        [
            (1, 1.5, "DOUBLE", [1.0, 1.5], None),
            (2**60, 1.5, "BIGINT", [2**60, None], "1.5"),
            (1, "p", "BIGINT", [1, None], '"p"'),
            (1.5, "2.5", "DOUBLE", [1.5, 2.5], None),
            (1.5, "NaN", "DOUBLE", [1.5, None], '"NaN"'),
            (1.5, True, "DOUBLE", [1.5, None], "true"),
            (True, "p", "BOOLEAN", [True, None], '"p"'),
            (True, "F", "BOOLEAN", [True, False], None),
            (True, 2, "BOOLEAN", [True, None], "2"),
            ("p", 1, "VARCHAR", ["p", "1"], None),
        ],
    )
    def test_one_odd_value_does_not_change_its_column_and_is_kept(
        self, database: Database, first: Any, then: Any, kind: str, kept: list[Any], odd: str | None
    ) -> None:
        merge(database, 1, row("a", x=first))
        merge(database, 2, row("b", x=then))
        with database.read() as connection:
            assert columns_of(connection, "file_version")["x"] == kind
            rows = connection.execute("SELECT x, odd_cells FROM files ORDER BY filename").fetchall()
        assert [x for x, _ in rows] == kept
        assert [json.loads(cells)["x"] if cells else None for _, cells in rows] == [None, odd]

    @pytest.mark.parametrize(
        ("first", "then", "name", "kind"),
        [
            (1, [f"n{number:02}" for number in range(30)], "x%text", "VARCHAR"),
            (True, [number + 0.5 for number in range(30)], "x%number", "DOUBLE"),
            (2**60, [number + 0.5 for number in range(30)], "x%number", "DOUBLE"),
            (1.5, [number % 2 == 0 for number in range(30)], "x%boolean", "BOOLEAN"),
            (dt.datetime(2022, 7, 1), list(range(30)), "x%integer", "BIGINT"),
        ],
    )
    def test_values_of_another_type_stand_in_a_column_beside_when_most_are(
        self, database: Database, first: Any, then: list[Any], name: str, kind: str
    ) -> None:
        merge(database, 1, row("a", x=first))
        with database.read() as connection:
            before = columns_of(connection, "file_version")["x"]
        names = [f"n{number:02}" for number in range(30)]
        came = pa.table({"filename": names, "x": then})
        merge(database, 2, came)
        assert set(merge(database, 3, came).values()) == {"same"}
        with database.read() as connection:
            kinds = columns_of(connection, "files")
            assert (kinds["x"], kinds[name]) == (before, kind)
            rows = f'SELECT x, "{name}", odd_cells FROM files ORDER BY filename'
            assert connection.execute(rows).fetchall() == [(first, None, None), *((None, one, None) for one in then)]
            assert odd_rows(connection, 2) == {"file": 30}
            noted = connection.execute('SELECT run, mission, what, "column", kind, kept_in FROM column_finding')
            assert noted.fetchall() == [(2, "JWST", "file", "x", before, name)]
            meant = "SELECT comment FROM duckdb_columns() WHERE table_name = 'file_version' AND column_name = ?"
            assert connection.execute(meant, [name]).fetchone() == (f"values of x that came as {name[2:]}",)

    @pytest.mark.long
    def test_a_value_beside_that_fits_again_leaves_no_other_behind(self, database: Database) -> None:
        names = [f"n{number:02}" for number in range(30)]
        merge(database, 1, row("a", x=1))
        merge(database, 2, pa.table({"filename": names, "x": names}))
        assert merge(database, 3, row("n07", x="q")) == {"n07": ["x%text"]}
        assert merge(database, 4, row("n07", x=5)) == {"n07": ["x", "x%text"]}
        with database.read() as connection:
            asked = "SELECT x, \"x%text\" FROM files WHERE filename = 'n07'"
            assert connection.execute(asked).fetchall() == [(5, None)]

    @pytest.mark.long
    def test_rows_of_another_mission_touch_no_row_and_no_type_of_this_one(self, database: Database) -> None:
        merge(database, 1, row("a", x=1, y="p"))
        hst = replace(FILES, mission="HST")
        assert merge(database, 2, row("a", x=2.5, y="q"), versions=hst) == {"a": "new"}
        assert merge(database, 3, row("a", x=1, y="p")) == {"a": "same"}
        assert merge(database, 4, row("a", x=2.5, y="r"), versions=hst) == {"a": ["y"]}
        with database.read() as connection:
            assert columns_of(connection, "file_version")["x"] == "BIGINT"
            asked = "SELECT mission, since_run, until_run, x, y, odd_cells FROM file_version ORDER BY ALL"
            assert connection.execute(asked).fetchall() == [
                ("HST", 2, 4, None, "q", '{"x":"2.5"}'),
                ("HST", 4, None, None, "r", '{"x":"2.5"}'),
                ("JWST", 1, None, 1, "p", None),
            ]

    def test_a_column_of_the_archive_that_is_called_mission_is_kept(self, database: Database) -> None:
        merge(database, 1, row("a", **{name_in_catalog(FILES, "mission"): "JWST"}))
        with database.read() as connection:
            assert connection.execute("SELECT si_mission FROM files").fetchall() == [("JWST",)]

    @pytest.mark.long
    def test_an_odd_value_that_is_mended_is_a_change_and_so_is_another(self, database: Database) -> None:
        merge(database, 1, row("a", x=1))
        merge(database, 2, row("a", x="p"))
        merge(database, 3, row("a", x="q"))
        merge(database, 4, row("a", x="q"))
        merge(database, 5, row("a", x=2))
        with database.read() as connection:
            versions = connection.execute("SELECT since_run, x, odd_cells FROM file_version ORDER BY ALL").fetchall()
        assert versions == [(1, 1, None), (2, None, r'{"x":"\"p\""}'), (3, None, r'{"x":"\"q\""}'), (5, 2, None)]

    @pytest.mark.parametrize("then", [("q", "q"), ("q", "p")])
    def test_columns_that_change_alike_or_swap_their_values_are_a_change(
        self, database: Database, then: tuple[str, str]
    ) -> None:
        merge(database, 1, row("a", x="p", y="p" if then == ("q", "q") else "q"))
        merge(database, 2, row("a", x=then[0], y=then[1]))
        with database.read() as connection:
            assert connection.execute("SELECT x, y FROM files").fetchall() == [then]

    def test_a_wrong_hash_heals_and_makes_no_version(self, database: Database) -> None:
        merge(database, 1, pa.table({"filename": ["a", "b"], "x": [1, 2]}))
        with database.write() as connection:
            right = connection.execute("SELECT filename, row_hash FROM file_version ORDER BY ALL").fetchall()
            connection.execute("UPDATE file_version SET row_hash = 7 WHERE filename = 'a'")
        merge(database, 2, pa.table({"filename": ["a", "b"], "x": [1, 2]}))
        with database.read() as connection:
            assert connection.execute("SELECT filename, row_hash FROM file_version ORDER BY ALL").fetchall() == right

    def test_text_that_is_only_ever_t_or_f_is_a_boolean(self, database: Database) -> None:
        merge(database, 1, pa.table({"filename": ["a", "b", "c"], "new_flag": ["t", "f", None]}))
        with database.read() as connection:
            assert columns_of(connection, "file_version")["new_flag"] == "BOOLEAN"

    def test_the_archives_obs_id_stands_beside_the_one_of_caom(self, database: Database) -> None:
        merge(database, 1, row("a", **{name_in_catalog(FILES, "obs_id"): "V01366001001P0000000004101"}))
        with database.read() as connection:
            assert connection.execute("SELECT si_obs_id, obs_id FROM files").fetchall() == [
                ("V01366001001P0000000004101", None)
            ]

    def test_names_that_need_quoting_are_columns_like_others(self, database: Database) -> None:
        merge(database, 1, pa.table({"filename": ["a"], 'filter-"pupil': ["x"], "select": [1]}))
        with database.read() as connection:
            assert connection.execute('SELECT "filter-""pupil", "select" FROM files').fetchall() == [("x", 1)]


class TestLinks:
    """Memberships and links open, close and return."""

    def link(self, database: Database, run: int, *names: str, scope: str = "true") -> dict[str, str]:
        values = " UNION ALL ".join(f"SELECT 's', '{name}'" for name in names) or "SELECT NULL, NULL WHERE false"
        with database.write() as connection:
            merge_links(connection, SEARCH_FILES, values, scope, run)
            return dict(connection.execute('SELECT "right", kind FROM search_file_membership_merge').fetchall())

    def test_a_link_is_new_then_withdrawn_then_returned(self, database: Database) -> None:
        assert self.link(database, 1, "a", "b") == {"a": "new", "b": "new"}
        assert self.link(database, 2, "a") == {"b": "withdrawn"}
        assert self.link(database, 3, "a", "b") == {"b": "returned"}
        with database.read() as connection:
            assert connection.execute("SELECT count(*) FROM search_file_membership").fetchone() == (3,)

    def test_links_outside_the_scope_are_left_alone(self, database: Database) -> None:
        self.link(database, 1, "a", "b")
        assert self.link(database, 2, scope="filename = 'a'") == {"a": "withdrawn"}


def test_views_can_be_made_again_at_any_time(database: Database) -> None:
    with database.write() as connection:
        make_views(connection)
        make_views(connection)


@pytest.mark.long
def test_an_upgrade_that_is_killed_is_completed_by_the_next_open_and_no_row_is_lost(tmp_path: Path) -> None:
    _, faults = kill_upgrades(tmp_path, kills=2, rng=random.Random(1), files=200)
    assert faults == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own is for its user alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_another_user() -> Iterator[None]:
    """Let the system ask for permission as it does of users who are not root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("of_folder", "of_file"), [(0o000, 0o644), (0o755, 0o000), (0o555, 0o444)])
@pytest.mark.parametrize("writes", [False, True])
def test_a_catalog_or_folder_without_permission_is_one_line(
    catalog_file: Database, open_folder: Path, of_folder: int, of_file: int, writes: bool
) -> None:
    folder = open_folder / "inner"
    folder.mkdir()
    path = Path(shutil.copy(catalog_file.path, folder / "catalog.duckdb"))
    with Database(path).read(), catalog_file.write():
        pass  # so that everything is imported as the user who may read it
    path.chmod(of_file)
    folder.chmod(of_folder)
    may_read = not writes and of_file == 0o444
    try:
        with as_another_user():
            if may_read:
                with Database(path).read() as connection:
                    assert connection.execute("SELECT count(*) > 0 FROM files").fetchone() == (True,)
                return
            other = Database(path)
            with pytest.raises(CatalogError) as refused, other.write() if writes else other.read():
                pass
    finally:
        folder.chmod(0o755)
    assert "\n" not in str(refused.value)
    assert "ermission" in str(refused.value) or "Read-only" in str(refused.value)


def test_a_damaged_block_that_a_question_meets_is_one_line(catalog_file: Database) -> None:
    size = catalog_file.path.stat().st_size
    with catalog_file.path.open("r+b") as file:
        for at in range(size // 4, size, 65536):  # the headers stay
            file.seek(at)
            file.write(b"\xff" * 64)
    with pytest.raises(CatalogError, match="is damaged") as refused:
        rows_of(catalog_file, "SELECT * FROM files")
    assert "\n" not in str(refused.value)


def test_a_catalog_at_a_name_that_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / os.fsdecode(b"\xff.duckdb"), tmp_path / os.fsdecode(b"\xfe") / "c.duckdb"):
        with pytest.raises(UsageError, match="is not UTF-8") as refused:
            Database(path)
        str(refused.value).encode()
    assert list(tmp_path.iterdir()) == []
