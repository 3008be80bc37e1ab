"""Statements that try to write, read files, load extensions or call out: none of them does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from catalog.errors import UsageError
from catalog.publish.following import FollowedOnce
from catalog.publish.publishing import publish
from catalog.questions.statement import rows
from catalog.store.database import Database
from catalog.store.lakes.lake import data_of

from . import hostile_sql, sync_catalog
from .conftest import Command, copy_of
from .lakes import BUCKET, FILE, catalog_in

COUNT = int(os.environ.get("MASTLAKE_HOSTILE", "1000"))

ASK = """
import json, sys
from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows
from catalog.publish.following import FollowedOnce
from catalog.store.database import Database
from catalog.store.lakes.address import is_lake
from catalog.store.lakes.lake import lake_of
if sys.argv[3:]:
    database = FollowedOnce(sys.argv[1], local=sys.argv[3])
elif is_lake(sys.argv[1]):
    path, engine = lake_of(sys.argv[1])
    database = Database(path, engine=engine)
else:
    database = Database(sys.argv[1])
with database.read(sealed=True):  # all statements share what it opens, so that one may also harm the next
    for statement in json.load(open(sys.argv[2])):
        try:
            answer = f'answered {rows(database, statement).to_pylist()}'
        except BadQuery as refused:
            answer = 'refused' if '\\n' not in str(refused) else f'refused in several lines {refused}'
        except BaseException as error:
            answer = f'{type(error).__name__} {error}'
        print(json.dumps(answer), flush=True)
    assert rows(database, 'FROM changes').num_rows == 1
"""
"""Asked in a process of its own: a crash is a result, too."""


@pytest.fixture
def traps(tmp_path: Path) -> hostile_sql.Traps:
    return hostile_sql.lay(tmp_path / "traps")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = Database(tmp_path_factory.mktemp("filled") / "catalog.duckdb")
    with database.write() as connection:
        connection.execute("INSERT INTO changes VALUES (1, 'new', 'file', 'a.fits', NULL)")
    return database.path


@pytest.fixture
def kept(engine: str, filled: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    (tmp_path / "kept").mkdir()
    return catalog_in(tmp_path / "kept", engine, request, filled)


def fingerprint(database: Database) -> dict[str, str]:
    """The catalog's bytes, and those of all that lies beside it."""
    files = (path for path in database.path.parent.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def place_of_rows(database: Database) -> str:
    """The folder or prefix with the rows of a lake; of a file, its folder."""
    with database.read() as connection:
        return data_of(connection) if database.engine.name == "ducklake" else f"{database.path.parent}/"


@dataclass(frozen=True)
class Asked:
    """A catalog; or the folder where it is published, and the local files of somebody who reads it."""

    place: Path
    local: Path

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (*self.place.iterdir(), self.local)}


def asked(database: Database | Asked, statements: list[str], folder: Path, *before: str) -> list[str]:
    (folder / "statements.json").write_text(json.dumps(statements))
    places = [database.named] if isinstance(database, Database) else [database.place, database.local]
    command = [
        *before,
        sys.executable,
        "-c",
        ASK,
        str(places[0]),
        str(folder / "statements.json"),
        *map(str, places[1:]),
    ]
    home = {**os.environ, "HOME": str(folder / "home")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=home, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (statements[len(answers)], done.stderr)
    return answers


@pytest.mark.engines("each")
@pytest.mark.long
def test_no_hostile_statement_writes_reads_a_file_or_calls_out(
    kept: Database, engine: str, traps: hostile_sql.Traps, tmp_path: Path
) -> None:
    working = tmp_path / "working"
    working.mkdir()
    before, count = fingerprint(kept), COUNT if engine == FILE else COUNT // 3
    with hostile_sql.watched(traps):
        statements = [*hostile_sql.statements(traps, count), *hostile_sql.on_lakes(place_of_rows(kept))]
        answers = asked(kept, statements, working)
    assert len(set(statements)) > count
    wrong = [(s[:200], a) for s, a in zip(statements, answers, strict=True) if a != "refused"]
    assert wrong == [], wrong
    assert traps.touched == []
    assert traps.calls == 0
    assert fingerprint(kept) == before
    assert [path.name for path in working.iterdir()] == ["statements.json"]


@pytest.fixture
def beside(filled: Path, tmp_path: Path) -> Asked:
    """A published catalog, and local files beside it."""
    working = copy_of(filled, tmp_path / "working.duckdb")
    sync_catalog.add_run(working, 1, "2026-01-01")
    publish(working, tmp_path / "group")
    (tmp_path / "own").mkdir()
    made = Asked(tmp_path / "group", tmp_path / "own" / "mastlake.local.duckdb")
    with FollowedOnce(made.place, local=made.local).write_local():
        pass
    return made


@pytest.mark.long
def test_no_hostile_statement_gets_out_of_a_published_catalog_and_local_files(
    beside: Asked, traps: hostile_sql.Traps, tmp_path: Path
) -> None:
    working = tmp_path / "working"
    working.mkdir()
    before = beside.files()
    third = [
        f"{reach} '{path}'"
        for path in (beside.place / "LATEST", tmp_path / "working.duckdb", beside.local)
        for reach in ("FROM", "ATTACH", "COPY changes TO", "FROM read_text(", "EXPORT DATABASE")
    ] + ["DETACH published", "USE published", "DELETE FROM published.main.changes", "DELETE FROM following"]
    with hostile_sql.watched(traps):
        statements = [*third, *hostile_sql.statements(traps, COUNT, seed=2)]
        answers = asked(beside, statements, working)
    wrong = [(s[:200], a) for s, a in zip(statements, answers, strict=True) if a != "refused"]
    assert wrong == [], wrong
    assert traps.touched == []
    assert traps.calls == 0
    assert beside.files() == before
    assert [path.name for path in working.iterdir()] == ["statements.json"]


@pytest.mark.engines("each")
@pytest.mark.long
def test_odd_statements_neither_crash_nor_show_a_traceback(kept: Database, tmp_path: Path) -> None:
    answers = asked(kept, list(hostile_sql.ODD), tmp_path)
    assert len(answers) == len(hostile_sql.ODD)
    assert [a for a in answers if a != "refused" and not a.startswith("answered")] == []


def test_the_traps_notice_what_an_open_connection_can_do(traps: hostile_sql.Traps) -> None:
    with hostile_sql.watched(traps), duckdb.connect() as unsealed:
        assert hostile_sql.SECRET in str(unsealed.execute(f"FROM read_text('{traps.bait}/secret.txt')").fetchall())
        unsealed.execute(f"COPY (SELECT 1) TO '{traps.loot}/a.csv'")
        unsealed.execute(f"ATTACH '{traps.bait}/secret.duckdb' AS other (READ_ONLY)")
        socket.create_connection(("127.0.0.1", int(traps.url.rpartition(":")[2]))).close()
    assert {"secret.txt opened", "a.csv made", "a.csv written", "secret.duckdb opened"} <= set(traps.touched)
    assert traps.calls == 1


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_the_kernel_sees_no_file_opened_and_no_socket_made(
    kept: Database, traps: hostile_sql.Traps, tmp_path: Path
) -> None:
    log = tmp_path / "calls.txt"
    probe = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("strace may not trace here")
    with hostile_sql.watched(traps):
        statements = hostile_sql.statements(traps, 250, seed=1)
        tracing = ("strace", "-f", "--seccomp-bpf", "-e", "trace=open,openat,creat,connect,socket,unlink,rename,mkdir")
        answers = asked(kept, ["SELECT 'warm'", *statements], tmp_path, *tracing, "-o", str(log))
    assert set(answers[1:]) == {"refused"}
    calls = log.read_text()
    assert "/etc/passwd" not in calls
    assert str(traps.folder) not in calls
    assert "AF_INET" not in calls
    assert "httpfs" not in calls


@pytest.mark.engines("each")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) AS n FROM changes",
        "FROM changes", "FROM main.Changes", "FROM information_schema.tables", "WITH main AS (FROM changes) FROM main",
        "WITH a AS (FROM changes) SELECT max(run) OVER (ORDER BY run) FROM a QUALIFY row_number() OVER () = 1",
        "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 3) FROM a",
        "SELECT * FROM files_at(0)",
        "SELECT unnest([1, 2]), list_transform([1], lambda x: x + 1)",
        "SELECT x FROM range(3) t(x), generate_series(1, 2)",
        "DESCRIBE files", "SHOW TABLES", "SHOW ALL TABLES", "SUMMARIZE changes", "TABLE changes", "VALUES (1)",
        "PIVOT changes ON kind IN ('new') USING count(*)",
        "EXPLAIN SELECT 1", "explain analyze\nSELECT count(*) FROM changes", "/* why */ EXPLAIN -- this\n SELECT 1;",
        "SELECT comment FROM duckdb_columns()", "SELECT 'read_csv(''/etc/passwd'')' AS harmless; -- ;",
        "SELECT j.value FROM changes, json_each('{\"a\": 1}') AS j",
        "FROM query_table('changes')",
    ],
)  # fmt: skip
def test_a_question_is_answered(kept: Database, statement: str) -> None:
    assert rows(kept, statement).num_rows >= 0


@pytest.mark.engines("each")
@pytest.mark.long
def test_a_file_beside_the_rows_is_no_table(
    kept: Database, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept.path.parent if engine in (FILE, BUCKET) else Path(place_of_rows(kept)) / "main"
    monkeypatch.chdir(folder)
    with duckdb.connect() as other:
        other.execute(f"COPY (SELECT '{hostile_sql.SECRET}' AS a) TO '{folder}/main.parquet'")
    with kept.read(sealed=True):
        for source in ("main.parquet", "'main.parquet'", f"'{folder}/main.parquet'", "query_table('main.parquet')"):
            with pytest.raises(UsageError, match="parquet"):
                rows(kept, f"FROM {source}")


def test_a_variable_of_the_program_is_not_a_table(kept: Database) -> None:
    import pyarrow as pa

    mine = pa.table({"a": [1]})
    assert mine.num_rows == 1
    with pytest.raises(UsageError, match="mine"):
        rows(kept, "SELECT * FROM mine")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM files", "DELETE is not a question"),
        ("SELECT 1; SELECT 2", "one statement at a time, not 2"),
        ("PIVOT changes ON kind", "must name its values"),
        ("  ", "there is no statement"),
        ("SELECT * FROM read_csv('/etc/passwd')", r"read_csv\(\) is not answered here"),
        ("SELECT * FROM '/etc/passwd'", "does not exist"),
    ],
)  # fmt: skip
def test_a_refusal_says_why_in_one_line(mastlake: Command, kept: Database, statement: str, says: str) -> None:
    outcome = mastlake("--catalog", kept.path, "sql", statement)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    with pytest.raises(UsageError, match=says):
        rows(kept, statement)


def test_the_password_of_a_proxy_is_not_shown(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:of-the-proxy@127.0.0.1:9")
    with database.write():
        pass
    assert "of-the-proxy" not in repr(rows(database, "FROM duckdb_settings()").to_pylist())
