"""Questions of the catalog: rows in Arrow, errors in one line, and a file that any DuckDB client understands."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from catalog.errors import CatalogError
from catalog.questions.conditions import condition, written_out
from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows, run_question
from catalog.store.database import Database
from catalog.vocabulary.criteria import parse_criterion
from tests.sync_catalog import add_run

from .conftest import Command, copy_of
from .test_find import HARVESTED, OBSERVED, fill


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    empty = Database(tmp_path_factory.mktemp("lake") / "catalog.duckdb")
    made = fill(empty, pa.Table.from_pylist(HARVESTED), pa.Table.from_pylist(OBSERVED))
    add_run(made, 1, "2026-01-01")
    return made.path


@pytest.fixture
def lake(filled: Path, database: Database) -> Database:
    copy_of(filled, database.path)
    return database


class TestAnswers:
    """Rows stream, values are bound."""

    def test_values_are_bound_and_rows_come_as_arrow(self, lake: Database) -> None:
        answer = rows(lake, "SELECT filename, program FROM files WHERE program = ? ORDER BY 1", [1373])
        assert answer.column("program").to_pylist() == [1373, 1373]
        assert answer.schema.field("program").type == pa.int64()

    def test_rows_come_in_batches(self, lake: Database) -> None:
        with run_question(lake, "SELECT * FROM range(100000)") as reader:
            sizes = [batch.num_rows for batch in reader]
        assert sum(sizes) == 100_000
        assert len(sizes) > 5

    def test_what_follows_the_first_batch_is_not_worked_out_before_it_is_asked_for(self, lake: Database) -> None:
        with run_question(lake, "SELECT x FROM range(1000000000000) t(x)") as reader:
            assert reader.read_next_batch().num_rows > 0

    def test_a_question_within_a_question_shares_the_seal(self, lake: Database) -> None:
        with run_question(lake, "SELECT 1 AS a") as outer:
            assert rows(lake, "SELECT 2 AS b").column("b").to_pylist() == [2]
            assert outer.read_all().column("a").to_pylist() == [1]

    @pytest.mark.parametrize(
        ("sql", "says"),
        [
            ("SELEC 1", "syntax error"),
            ("SELECT targnam FROM files", "targname"),
            ("SELECT * FROM file", "files"),
            ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
            ("SELECT CAST(CASE WHEN x < 50000 THEN '1' ELSE 'x' END AS INTEGER) FROM range(60000) t(x)", "'x'"),
            ("SELECT ?", "parameter"),
            ("SELECT error('mine')", "mine"),
            ("SELECT 1e400", "'inf'::DOUBLE"),
        ],
    )
    def test_an_error_is_one_line(self, lake: Database, sql: str, says: str) -> None:
        with pytest.raises(BadQuery, match=says) as refused:
            rows(lake, sql)
        assert "\n" not in str(refused.value)

    def test_a_question_that_needs_too_much_memory_says_so(self, lake: Database) -> None:
        with pytest.raises(CatalogError, match="more memory"):
            rows(lake, "SELECT string_agg(repeat('x', 1000000), '') FROM range(2000)")
        assert rows(lake, "SELECT 1").num_rows == 1


@pytest.mark.long
def test_an_interrupted_question_is_not_a_traceback(lake: Database) -> None:
    entry = str(Path(sys.executable).with_name("mastlake"))
    question = "SELECT count(*) FROM range(10000000000000) t(x) WHERE x % 7 = 3"
    command = [entry, "--catalog", str(lake.path), "sql", question]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        try:
            for _ in range(20):  # while modules are imported, a signal may be lost
                with contextlib.suppress(subprocess.TimeoutExpired):
                    asking.wait(timeout=3)
                    break
                asking.send_signal(signal.SIGINT)
        finally:
            asking.kill()
        _, err = asking.communicate()
    assert asking.returncode == 130, err
    assert err == "mastlake: interrupted; what was finished is kept\n"


class TestConditions:
    """A criterion as SQL, for the type that the column has."""

    @pytest.mark.parametrize(
        ("criterion", "kind", "sql", "values"),
        [
            ("exp_type=NIS_SOSS", "VARCHAR", "lower(exp_type) = ?", ("nis_soss",)),
            ("category=COM,ERS", None, "lower(category) IN (?, ?)", ("com", "ers")),
            ("program=1366", "BIGINT", "program = ?", (1366,)),
            ("program=1366", "VARCHAR", "TRY_CAST(program AS DOUBLE) = ?", (1366,)),
            ("tsovisit=T", "BOOLEAN", "tsovisit = ?", (True,)),
            ("tsovisit=T", "VARCHAR", "lower(tsovisit) = ?", ("t",)),
            ("isRestricted=false", "BOOLEAN", "isRestricted = ?", (False,)),
            ("exp_type=NIS*", "VARCHAR", "exp_type ILIKE ?", ("NIS%",)),
            ("exp_type=NIS*,MIR_MRS", "VARCHAR", "(lower(exp_type) = ? OR exp_type ILIKE ?)", ("mir_mrs", "NIS%")),
            ("nints=2..", "BIGINT", "nints >= ?", (2.0,)),
            ("nints=..2,5..6", "BIGINT", "(nints <= ? OR nints BETWEEN ? AND ?)", (2.0, 5.0, 6.0)),
            (
                "date_obs=2022-06-01..2022-06-02",
                "DOUBLE",
                "date_obs_mjd BETWEEN ? AND ? /* 2022-06-01T00:00:00 to 2022-06-02T00:00:00 */",
                (59731.0, 59732.0),
            ),
            ("date_obs_mjd=59731.5..", "DOUBLE", "date_obs_mjd >= ? /* 2022-06-01T12:00:00 */", (59731.5,)),
            ("filter-pupil=x", "VARCHAR", 'lower("filter-pupil") = ?', ("x",)),
        ],
    )
    def test_a_criterion_is_short_sql(
        self, criterion: str, kind: str | None, sql: str, values: tuple[object, ...]
    ) -> None:
        found = condition(parse_criterion(criterion), kind=kind)
        assert (found.sql, found.values) == (sql, values)

    def test_written_out_values_are_literals(self) -> None:
        assert written_out("SELECT ?, ?, ?, ?", ["it's ?", 1.5, True, 1]) == "SELECT 'it''s ?', 1.5, TRUE, 1"


class TestOtherClients:
    """The file without mastlake."""

    CLIENT = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    for statement in sys.argv[2:]:
        print(connection.execute(statement).fetchall())
"""

    def test_a_plain_client_reads_views_and_calls_macros(self, lake: Database) -> None:
        statements = [
            "SELECT count(*) FROM files",
            "SELECT count(*) FROM files_at(1)",
            "SELECT round(separation(targ_ra, targ_dec, 217.3, -3.4), 4) FROM files WHERE exp_type = 'NIS_SOSS'",
            "SELECT count(*) FROM files WHERE s_region IN (FROM footprints_overlapping('CIRCLE 217.33 -3.44 0.001'))",
            "SELECT meaning FROM keywords WHERE name = 'exp_type'",
        ]
        command = [sys.executable, "-c", self.CLIENT, str(lake.path), *statements]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            "[(5,)]",
            "[(5,)]",
            "[(0.0518,)]",
            "[(1,)]",
            "[('Type of data in the exposure',)]",
        ]

    def test_every_table_view_and_public_macro_explains_itself(self, lake: Database) -> None:
        with duckdb.connect(str(lake.path), read_only=True) as connection:
            bare = connection.execute(
                """SELECT table_name FROM duckdb_tables() WHERE NOT internal AND comment IS NULL
                   UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"""
            ).fetchall()
            macros = connection.execute(
                "SELECT function_name FROM duckdb_functions() WHERE NOT internal AND comment IS NOT NULL"
            ).fetchall()
        assert bare == []
        assert {("separation",), ("footprints_overlap",), ("footprints_overlapping",), ("files_at",)} <= set(macros)

    def test_every_column_explains_itself(self, lake: Database) -> None:
        with duckdb.connect(str(lake.path), read_only=True) as connection:
            bare = connection.execute(
                """SELECT table_name, column_name FROM duckdb_columns()
                   WHERE NOT internal AND comment IS NULL AND table_name <> 'alembic_version'"""
            ).fetchall()
            units = connection.execute(
                "SELECT comment FROM duckdb_columns() WHERE table_name = 'files' AND column_name = 'targ_ra'"
            ).fetchone()
        assert bare == []
        assert units == ("Target RA at mid time of exposure [deg]",)


@pytest.mark.long
def test_times_are_utc_wherever_one_is(lake: Database, tmp_path: Path) -> None:
    code = """if True:
        from catalog import Catalog
        question = '''SELECT current_setting('TimeZone') AS zone, now() = now()::TIMESTAMP AS same,
                              TIMESTAMP '2022-06-01' = TIMESTAMPTZ '2022-06-01 00:00:00Z' AS also'''
        with Catalog.open("catalog.duckdb") as lake:
            for _ in range(2):
                print(*next(iter(lake.sql(question))).values())
    """
    environment = {"PATH": "", "HOME": str(tmp_path), "TZ": "America/New_York"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert done.stdout == "UTC True True\n" * 2


def test_a_table_shows_values_of_any_type(mastlake: Command, lake: Database) -> None:
    every = mastlake("sql", "FROM test_all_types()")
    assert (every.code, every.err) == (0, "")
    question = "SELECT DATE '2022-06-01', TIME '12:30:00.5', INTERVAL 36 HOUR, TIMESTAMPTZ '2022-06-01 00:00:00+02'"
    shown = re.split(" {2,}", mastlake("sql", question).out.splitlines()[1])
    assert shown == ["2022-06-01", "12:30:00", "1 day, 12:00:00", "2022-05-31 22:00:00+00:00"]


@pytest.mark.parametrize("statement", ["DESCRIBE files", "desc files;", 'SHOW "files"', "DESCRIBE SELECT * FROM files"])
def test_describe_tells_unit_and_meaning(catalog: Database, statement: str) -> None:
    told = rows(catalog, statement).to_pylist()
    names = rows(catalog, "FROM files").column_names
    assert [one["column_name"] for one in told] == names
    by_name = {one["column_name"]: one for one in told}
    assert by_name["effexptm"]["unit"] == "s"
    assert "xposure" in by_name["effexptm"]["meaning"]
    assert by_name["effexptm"]["column_type"] == "DOUBLE"
    assert by_name["file_size"]["meaning"]


@pytest.mark.parametrize("view", ["products", "observations", "runs", "local_files", "exposures", "cards"])
def test_describe_names_each_column_once(catalog: Database, view: str) -> None:
    told = rows(catalog, f"DESCRIBE {view}")
    assert told["column_name"].to_pylist() == rows(catalog, f"FROM {view}").column_names
    assert set(told["meaning"].to_pylist()) != {None}
