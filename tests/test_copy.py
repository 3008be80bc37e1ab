"""A copy of a catalog that is cut off leaves no catalog, and the next copy goes on."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from catalog.api.catalog import Catalog
from catalog.store.copies import whole_copy
from catalog.store.copies.whole_copy import CopiedTable
from catalog.store.database import Database
from catalog.store.duckdb_file import one_thread
from catalog.store.memory import READING_MB, WRITING_MB
from tests import kills_copy, sync_catalog
from tests.conftest import Command
from tests.lakes import PREFIXES, name_in

NAMES = [f"jw{i:05d}_nis_x1d.fits" for i in range(3)]


@pytest.fixture
def source(tmp_path: Path) -> Database:
    """A catalog with files, a search and a run."""
    made = sync_catalog.catalog(tmp_path / "from.duckdb")
    sync_catalog.insert(made, {"changes": [{"run": 1, "kind": "new", "what": "file", "key": name} for name in NAMES]})
    sync_catalog.add_search(made, "soss", NAMES)
    sync_catalog.add_run(made, 1, "2026-01-01")
    return made


def cut_off(source: Database, to: str, before: str) -> None:
    """Copy until a table's turn comes."""

    def interrupted(table: str) -> None:
        if table == before:
            raise KeyboardInterrupt

    with Catalog.once(source.path) as catalog, pytest.raises(KeyboardInterrupt):
        catalog.copy_to(to, told=interrupted)
    assert not Catalog.once(to).exists()


def copied(source: Database, to: str) -> dict[str, CopiedTable]:
    """Copy; return the tables."""
    with Catalog.once(source.path) as catalog:
        return {table.table: table for table in catalog.copy_to(to)}


def keys(to: str) -> list[str]:
    with Catalog.once(to) as catalog:
        return sorted(row["key"] for row in catalog.sql("FROM changes").to_arrow().to_pylist())


@pytest.mark.long
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_copy_into_a_lake_goes_on_too(
    source: Database, tmp_path: Path, prefix: str, request: pytest.FixtureRequest
) -> None:
    to = name_in(tmp_path, prefix, request)
    cut_off(source, to, before="runs")
    assert copied(source, to)["changes"].resumed
    assert keys(to) == NAMES
    assert not list(tmp_path.glob(".catalog.lake.new*"))


@pytest.mark.long
def test_the_next_copy_goes_on_after_the_tables_that_are_there(source: Database, tmp_path: Path) -> None:
    to = str(tmp_path / "to")
    cut_off(source, to, before="runs")
    tables = copied(source, to)
    assert tables["changes"].resumed
    assert not tables["runs"].resumed
    assert tables["runs"].rows == 1
    assert keys(to) == NAMES
    assert not list(tmp_path.glob(".to.new*"))


def test_a_copy_tells_how_far_it_has_come(source: Database, tmp_path: Path) -> None:
    told: list[str] = []
    heard: list[tuple[str, int, int]] = []
    with Catalog.once(source.path) as catalog:
        catalog.copy_to(tmp_path / "to", told=told.append, on_rows=lambda *rows: heard.append(rows))
    assert told == sorted({table for table, _, _ in heard})
    assert [rows for rows in heard if rows[0] == "changes"] == [("changes", 0, 3), ("changes", 3, 3)]


@pytest.mark.parametrize(("words", "said"), [([], True), (["-q"], False)])
def test_a_long_copy_says_so_line_by_line(
    source: Database, mastlake: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], said: bool
) -> None:
    monkeypatch.setattr("catalog.cli.progress._SILENT_SECONDS", 0.0)
    outcome = mastlake("copy", source.path, "to.duckdb", *words)
    assert outcome.code == 0
    assert ("copying alembic_version, 0 of 1 row" in outcome.err) is said


GROWTH = """
import resource
from catalog.api.catalog import Catalog
def peak(source, to):
    with Catalog.once(source) as catalog:
        catalog.copy_to(to)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = peak('small.duckdb', {to!r} + '-small')
print(peak('large.duckdb', {to!r}) - start)
"""
"""By how many kB a process grows that copies many wide rows, of which a few thousand were copied before."""


@pytest.mark.long
@pytest.mark.parametrize("to", ["to", "ducklake:to.lake"])
def test_a_catalog_with_more_wide_rows_than_fit_into_memory_is_copied(
    tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("small", 1_000), ("large", 130_000)):
        with sync_catalog.catalog(tmp_path / f"{name}.duckdb").write() as connection, one_thread(connection):
            names = [f"text_{number}" for number in range(120)]
            connection.execute(";".join(f"ALTER TABLE file_version ADD COLUMN {text} VARCHAR" for text in names))
            texts = ", ".join(f"'a text of 22 characters' AS {text}" for text in names)
            connection.execute(
                f"""INSERT INTO file_version BY NAME
                    SELECT i::VARCHAR AS filename, 'niriss' AS instrument, 'JWST' AS mission, i AS row_hash,
                           1 AS checked_run, 1 AS since_run, {texts} FROM range({rows}) r(i)"""
            )
    done = subprocess.run(
        [sys.executable, "-c", GROWTH.format(to=to)], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True
    )
    assert int(done.stdout) < (READING_MB + WRITING_MB) << 10
    monkeypatch.chdir(tmp_path)
    with Catalog.once(to) as catalog:
        assert catalog.sql("SELECT count(DISTINCT filename) AS files FROM files")["files"][0] == 130_000


@pytest.mark.long
def test_a_table_that_changed_meanwhile_is_copied_again(source: Database, tmp_path: Path) -> None:
    to = str(tmp_path / "to.duckdb")
    assert not any(table.resumed for table in copied(source, str(tmp_path / "other.duckdb")).values())
    cut_off(source, to, before="runs")
    with source.write() as connection:
        connection.execute("DELETE FROM changes WHERE key = ?", [NAMES[0]])
        connection.execute("ALTER TABLE file_version ADD COLUMN later VARCHAR")
    assert not copied(source, to)["changes"].resumed
    assert keys(to) == NAMES[1:]


@pytest.mark.parametrize(
    "left",
    [
        b"no database",
        *(
            pytest.param(left, marks=pytest.mark.long)
            for left in (
                b"",
                "UPDATE alembic_version SET version_num = '0001'",
                "CREATE TABLE alembic_version (version_num INT)",
                "ALTER TABLE changes ADD COLUMN other INT",
                "ALTER TABLE changes ALTER key TYPE BLOB USING key::BLOB",
            )
        ),
    ],
)
def test_what_cannot_be_gone_on_with_is_begun_anew(source: Database, tmp_path: Path, left: bytes | str) -> None:
    to, partial = tmp_path / "to.duckdb", tmp_path / ".to.duckdb.new"
    if isinstance(left, str):
        if left.startswith("CREATE"):
            partial.unlink(missing_ok=True)
        else:
            cut_off(source, str(to), before="runs")
        with duckdb.connect(partial) as connection:
            connection.execute(left)
    else:
        partial.write_bytes(left)
    assert copied(source, str(to))["changes"].rows == 3
    assert keys(str(to)) == NAMES


@pytest.mark.long
def test_tables_that_others_made_stay_where_they_are(source: Database, tmp_path: Path, mastlake: Command) -> None:
    with duckdb.connect(source.path) as connection:
        connection.execute("CREATE TABLE notes AS SELECT 1 AS one")
    done = mastlake("copy", source.path, tmp_path / "to.duckdb")
    assert done.code == 0
    assert "not copied: notes, which mastlake did not make" in done.err
    assert keys(str(tmp_path / "to.duckdb")) == NAMES


@pytest.mark.parametrize(
    "prefix", ["", *(pytest.param(f"ducklake:{kind}", marks=pytest.mark.long) for kind in ("", "sqlite:"))]
)
@pytest.mark.parametrize("table", ["alembic_version", "runs"])
def test_a_copy_that_cannot_begin_and_one_on_a_full_disk_leave_nothing(
    source: Database, tmp_path: Path, mastlake: Command, monkeypatch: pytest.MonkeyPatch, prefix: str, table: str
) -> None:
    def full(*given: object) -> None:
        if given[-1] == table:
            raise duckdb.IOException("IO Error: No space left on device")
        copy(*given)  # type: ignore[arg-type]

    copy = whole_copy._copy
    monkeypatch.setattr(whole_copy, "_copy", full)
    to = tmp_path / "to"
    to.mkdir()
    done = mastlake("copy", source.path, f"{prefix}{to}/new", "-q")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no space left" in done.err
    assert not list(to.iterdir())
    assert len(Catalog.once(source.path).runs()) == 1


@pytest.mark.long
@pytest.mark.parametrize("existed", [True, False])
def test_a_file_that_somebody_puts_among_the_rows_meanwhile_stays(
    source: Database, tmp_path: Path, mastlake: Command, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    rows = tmp_path / "rows"
    if existed:
        rows.mkdir()

    def full(*given: object) -> None:
        if given[-1] == "runs":
            (rows / "main").mkdir(exist_ok=True)
            (rows / "main" / "thesis.txt").write_text("mine")
            raise duckdb.IOException("IO Error: No space left on device")
        copy(*given)  # type: ignore[arg-type]

    copy = whole_copy._copy
    monkeypatch.setattr(whole_copy, "_copy", full)
    assert mastlake("copy", source.path, f"ducklake:{tmp_path}/new,data={rows}").code == 1
    assert [path for path in rows.rglob("*") if path.is_file()] == [rows / "main" / "thesis.txt"]


@pytest.mark.parametrize(
    "name", ["ducklake:mysql:x", "ducklake:postgres", "ducklake:s3://bucket/x", "ducklake:sqlite:s3://b/x.sqlite"]
)
def test_a_lake_of_no_kind_is_no_file_of_that_name(
    source: Database, tmp_path: Path, mastlake: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    done = mastlake("copy", source.path, name)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "ducklake:sqlite:PATH" in done.err
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.long
def test_columns_in_another_order_are_the_same_columns(source: Database, tmp_path: Path) -> None:
    with duckdb.connect(source.path) as connection:  # as in a catalog to which a revision added a column later
        connection.execute("ALTER TABLE search_edit RENAME TO older")
        columns = [name for name, *_ in connection.execute("DESCRIBE older").fetchall()]
        connection.execute(f"CREATE TABLE search_edit AS SELECT {', '.join(reversed(columns))} FROM older")
        connection.execute("DROP TABLE older")
    assert copied(source, str(tmp_path / "to.duckdb"))["search_edit"].rows == 0


@pytest.mark.long
def test_copies_that_are_killed_leave_no_catalog_and_are_completed(tmp_path: Path) -> None:
    kills_copy.rounds(tmp_path, 2, random.Random(3), seconds=2.0)
