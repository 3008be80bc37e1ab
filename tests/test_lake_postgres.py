"""A lake whose metadata are in PostgreSQL: the server's faults, rights and locks, and what a statement cannot see."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from catalog.errors import CatalogError, CatalogLocked, CatalogUnwritable, UsageError
from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows
from catalog.store.database import Database
from catalog.store.lakes.address import lake_address
from catalog.store.lakes.lake import lake_of
from catalog.store.lakes.server import LakeServer
from catalog.store.turns import LockWait, StillHeld

from . import hostile_sql
from .conftest import Command
from .kills_lake import killed, killed_at_birth
from .lakes import POSTGRES, lake_in
from .postgres_server import PASSWORD, PostgresServer, postgres_server

NOTED = "INSERT INTO changes VALUES (?, 'new', 'file', 'a.fits', NULL)"
pytestmark = pytest.mark.postgres


@pytest.fixture
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """An empty lake."""
    return lake_in(tmp_path, POSTGRES, request)


@pytest.fixture
def server(lake: Database) -> LakeServer:
    """The server of that lake, as mastlake asks it."""
    _, engine = lake_of(lake.named)
    return LakeServer("a lake", engine.address.server)


def commit(lake: Database, run: int, meanwhile: Callable[[], object]) -> None:
    """Write a row, and let something happen before the commit."""
    with lake.write() as connection:
        connection.execute(NOTED, [run])
        meanwhile()


class TestFaults:
    """Each fault of the server is one line, and the code is 1."""

    @pytest.fixture
    def refused(self, mastlake: Command, postgres: PostgresServer) -> Iterator[object]:
        """Run ``status`` on a lake, and return the line that says why it cannot be used."""

        def told(words: str, command: str = "status") -> str:
            outcome = mastlake("--catalog", f"{POSTGRES}{words}", command)
            assert (outcome.code, outcome.err.count("\n"), outcome.out) == (1, 1, ""), outcome.err
            assert PASSWORD not in outcome.err
            return outcome.err

        return told  # type: ignore[return-value]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("host=127.0.0.1,port=1,dbname=jwst,user=astro", "Connection refused"),
            ("service=nobody_has_this", 'definition of service "nobody_has_this" not found'),
            ("service=mastlake,dbname=missing", 'database "missing" does not exist'),
            ("service=mastlake,user=nobody", 'password authentication failed for user "nobody"'),
            ("service=mastlake,sslmode=require,host=127.0.0.1", "server does not support SSL"),
        ],
    )
    def test_a_server_that_cannot_be_reached(self, refused: Command, words: str, said: str) -> None:
        assert said in str(refused(words))

    def test_a_wrong_password(self, refused: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", "another-secret")
        said = str(refused("service=mastlake"))
        assert 'password authentication failed for user "astro"' in said
        assert "another-secret" not in said

    def test_a_server_that_does_not_answer(self, refused: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            assert "does not answer" in str(refused(f"host=127.0.0.1,port={port},dbname=jwst,user=astro"))

    def test_a_server_that_speaks_another_protocol(self, refused: Command) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:

            def answer() -> None:
                caller, _ = other.accept()
                with caller:
                    caller.recv(1000)
                    caller.sendall(b"HTTP/1.1 400 \x1b[31mBad\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            port = other.getsockname()[1]
            said = str(refused(f"host=127.0.0.1,port={port},dbname=jwst,user=astro"))
            thread.join()
        assert "\x1b" not in said

    def test_a_server_that_stops_in_the_middle_of_a_question(
        self, lake: Database, server: LakeServer, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.store.lakes.server._ANSWER_SECONDS", 0.2)
        with pytest.raises(CatalogError, match="does not answer"):
            server.ask("SELECT pg_sleep(30)")
        assert server.ask("SELECT 1") == [("1",)]

    def test_without_a_folder_for_the_rows_nothing_is_made(self, postgres: PostgresServer, mastlake: Command) -> None:
        name = f"{POSTGRES}service=mastlake,schema={postgres.new_schema()}"
        outcome = mastlake("--catalog", name, "index", ".")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert f"{name},data=FOLDER" in outcome.err

    def test_a_folder_with_other_files_is_refused(
        self, postgres: PostgresServer, tmp_path: Path, mastlake: Command
    ) -> None:
        (tmp_path / "notes.txt").touch()
        name = f"{POSTGRES}service=mastlake,schema={postgres.new_schema()},data={tmp_path}"
        outcome = mastlake("--catalog", name, "index", ".")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "is not empty" in outcome.err

    @pytest.mark.long
    def test_a_user_without_rights_is_told_so(
        self, postgres: PostgresServer, tmp_path: Path, lake: Database, mastlake: Command
    ) -> None:
        postgres.run_as_admin(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
        try:
            schema = lake_address(lake.named).schema
            for words, command in ((f"schema={schema}", "runs"), (f"schema=guests,data={tmp_path}/new", "index")):
                name = f"{POSTGRES}service=mastlake,user=guest,{words}"
                outcome = mastlake("--catalog", name, command, *(["."] if command == "index" else []))
                assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
                assert "permission denied for" in outcome.err
        finally:
            postgres.run_as_admin("DROP ROLE guest")

    @pytest.mark.long
    def test_a_user_who_may_only_read_reads(self, postgres: PostgresServer, lake: Database, mastlake: Command) -> None:
        schema = lake_address(lake.named).schema
        postgres.run_as_admin(
            f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA {schema} TO reader;"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader"
        )
        try:
            name = f"{POSTGRES}service=mastlake,user=reader,schema={schema}"
            assert mastlake("--catalog", name, "sql", "SELECT 42 AS a", "--format", "csv").out.endswith("\n42\n")
            outcome = mastlake("--catalog", name, "index", ".")
            assert (outcome.code, outcome.err.count("\n")) == (1, 1), outcome.err
        finally:
            postgres.run_as_admin("DROP OWNED BY reader; DROP ROLE reader")

    def test_a_schema_with_other_tables_stays_as_it_is(self, postgres: PostgresServer, tmp_path: Path) -> None:
        schema = postgres.new_schema()
        postgres.run_as_admin(f"CREATE SCHEMA {schema} AUTHORIZATION astro; CREATE TABLE {schema}.mine (a int)")
        path, engine = lake_of(f"{POSTGRES}service=mastlake,schema={schema},data={tmp_path}/rows")
        with pytest.raises(CatalogError, match="other objects depend on it"):
            engine.make(path, lambda connection: connection.close())
        assert postgres.run_as_admin(f"SELECT tablename FROM pg_tables WHERE schemaname LIKE '{schema}%'") == [
            ("mine",)
        ]


HOLD = """
import time
from catalog.store.lakes.server import LakeServer
from catalog.store.turns import LockWait
with LakeServer('x', {'service': 'mastlake'}).turn('commit x', LockWait(0)):
    print('held', flush=True)
    time.sleep(60)
"""


class TestTurns:
    """One process commits at a time."""

    def test_the_holder_is_named_to_a_process_that_waits(self, server: LakeServer) -> None:
        other = LakeServer("a lake", {"service": "mastlake"})
        waits = server.turn("commit x", LockWait(0.1))
        with other.turn("commit x", LockWait(0)), pytest.raises(StillHeld) as refused, waits:
            pass
        assert re.search(rf"PID {os.getpid()} on \S+, since 2\S+Z", str(refused.value))

    def test_turns_of_two_lakes_and_of_two_kinds_do_not_meet(self, server: LakeServer) -> None:
        with server.turn("commit x", LockWait(0)), server.turn("commit y", LockWait(0), is_of_writer=False):
            pass
        with server.turn("commit x", LockWait(0)):
            pass

    def test_a_name_that_another_user_chose_is_not_shown(self, server: LakeServer, postgres: PostgresServer) -> None:
        other = LakeServer("a lake", {"service": "mastlake"})
        with other.turn("commit x", LockWait(0)):
            assert other._turn is not None
            other._turn.exec_(b"SET application_name = 'mastlake 1 \x1b[31mevil 2'")
            with pytest.raises(StillHeld) as refused, server.turn("commit x", LockWait(0.1)):
                pass
        assert str(refused.value) == "another mastlake, which writes"

    def test_a_process_that_is_killed_loses_its_turn(self, server: LakeServer) -> None:
        with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            with pytest.raises(StillHeld, match=f"PID {holder.pid}"), server.turn("commit x", LockWait(0)):
                pass
            holder.send_signal(signal.SIGKILL)
            with server.turn("commit x", LockWait(30)):
                pass

    @pytest.mark.long
    def test_a_turn_that_the_server_ended_commits_nothing(self, lake: Database, postgres: PostgresServer) -> None:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mastlake %'"
        with pytest.raises(CatalogUnwritable, match="nothing was changed"):
            commit(lake, 1, lambda: postgres.run_as_admin(ended))
        with lake.read() as connection:
            assert connection.execute("FROM changes").fetchall() == []

    @pytest.mark.long
    def test_of_two_commits_at_once_one_is_refused(self, lake: Database) -> None:
        def past_the_lock() -> None:
            with closing(lake.engine.open(Path(f"{lake.path}-aside"), read_only=False)) as aside:
                aside.execute(NOTED, [2])

        with pytest.raises(CatalogError, match="nothing was changed") as refused:
            commit(lake, 1, past_the_lock)
        assert "\n" not in str(refused.value)
        with lake.read() as connection:
            assert connection.execute("SELECT run FROM changes").fetchall() == [(2,)]

    def test_a_second_harvest_is_refused_on_any_machine(self, lake: Database) -> None:
        other = Database(lake.path, engine=lake_of(lake.named)[1])
        refused = pytest.raises(CatalogLocked, match="another harvest of ducklake:postgres:")
        with lake.harvesting(), refused, other.harvesting():
            pass


class TestSealed:
    """A statement sees the lake's rows, and nothing of the server."""

    STATEMENTS = (
        "FROM postgres_query('__ducklake_metadata_lake', 'SELECT * FROM public.secret')",
        "FROM postgres_query('lake', 'SELECT 1')",
        "CALL postgres_execute('__ducklake_metadata_lake', 'CREATE TABLE public.loot (a int)')",
        "FROM postgres_execute('__ducklake_metadata_lake', 'CREATE TABLE public.loot (a int)')",
        "FROM postgres_scan('service=admin', 'public', 'secret')",
        "FROM postgres_scan_pushdown('service=admin', 'public', 'secret')",
        "FROM postgres_attach('service=admin')",
        "FROM pg_clear_cache()",
        "FROM postgres_configure_pool()",
        "ATTACH 'service=admin' AS other (TYPE postgres)",
        "ATTACH 'ducklake:postgres:service=admin' AS other",
        "FROM __ducklake_metadata_lake.public.secret",
        "FROM __ducklake_metadata_lake.pg_catalog.pg_authid",
        "FROM \"__ducklake_metadata_lake\".information_schema.tables",
        "FROM query_table('__ducklake_metadata_lake.public.secret')",
        "FROM query('FROM postgres_query(''__ducklake_metadata_lake'', ''SELECT 1'')')",
        "FROM public.secret",
        "FROM secret",
        "SELECT pg_read_file('/etc/passwd')",
        "FROM pg_read_file('/etc/passwd')",
        "SELECT * FROM dblink('service=admin', 'SELECT 1') AS t(a int)",
        "SELECT lo_import('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'",
        "SELECT current_setting('is_superuser')",
        "SELECT pg_advisory_lock(1)",
        "SELECT set_config('a', 'b', false)",
        "FROM pg_roles",
        "FROM pg_shadow",
        "SET pg_debug_show_queries = true",
        "LOAD postgres_scanner",
        "CREATE SECRET s (TYPE postgres, HOST 'x')",
        "FROM duckdb_secrets()",
        "FROM ducklake_settings('lake')",
        "CALL ducklake_set_option('lake', 'data_path', '/tmp')",
        "FROM which_secret('postgres:service=admin', 'postgres')",
        "DETACH lake",
        "USE __ducklake_metadata_lake",
    )  # fmt: skip

    @pytest.mark.long
    def test_no_statement_reaches_the_server(self, lake: Database, postgres: PostgresServer) -> None:
        postgres.run_as_admin("CREATE TABLE IF NOT EXISTS public.secret AS SELECT 'the-secret' AS a")
        postgres.run_as_admin("GRANT ALL ON TABLE public.secret TO astro; GRANT CREATE ON SCHEMA public TO astro")
        with lake.read(sealed=True):
            for statement in self.STATEMENTS:
                with pytest.raises(BadQuery):
                    rows(lake, statement)
        assert postgres.run_as_admin("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("secret",)]

    @pytest.mark.long
    def test_no_list_names_what_else_the_server_has(self, lake: Database, postgres: PostgresServer) -> None:
        postgres.run_as_admin("CREATE TABLE IF NOT EXISTS public.secret AS SELECT 'the-secret' AS a")
        listing = [
            "FROM duckdb_tables()", "FROM duckdb_schemas()", "FROM duckdb_columns()", "FROM duckdb_views()",
            "FROM duckdb_databases()", "FROM duckdb_settings()", "FROM information_schema.tables",
            "FROM information_schema.schemata", "FROM pg_catalog.pg_tables", "FROM pg_catalog.pg_class",
            "FROM pg_catalog.pg_namespace", "FROM pg_catalog.pg_database", "FROM duckdb_constraints()",
            "FROM pragma_database_size()", "SHOW ALL TABLES", "SHOW DATABASES",
        ]  # fmt: skip
        with lake.read(sealed=True):
            for statement in listing:
                try:
                    answer = str(rows(lake, statement).to_pylist())
                except BadQuery:
                    continue
                assert not re.search(f"secret'|'public'|'admin'|{PASSWORD}|ducklake_data_file", answer), statement

    @pytest.mark.long
    @pytest.mark.parametrize("relative", ["false", "true"])
    def test_metadata_that_name_another_file_do_not_open_it(
        self, lake: Database, postgres: PostgresServer, tmp_path: Path, mastlake: Command, relative: str
    ) -> None:
        commit(lake, 1, lambda: None)
        traps = hostile_sql.lay(tmp_path / "traps")
        schema = lake_address(lake.named).schema
        there = f"{traps.bait}/secret.parquet" if relative == "false" else "../../../traps/bait/secret.parquet"
        postgres.run_as_admin(
            f"UPDATE {schema}.ducklake_data_file SET path = '{there}', path_is_relative = {relative} WHERE table_id = "
            f"(SELECT table_id FROM {schema}.ducklake_table WHERE table_name = 'changes')"
        )
        with hostile_sql.watched(traps):
            outcome = mastlake("--catalog", lake.named, "sql", "FROM changes")
        assert (outcome.code > 0, outcome.err.count("\n")) == (True, 1), outcome
        assert hostile_sql.SECRET not in outcome.out + outcome.err
        assert traps.touched == []

    @pytest.mark.long
    def test_even_a_connection_that_reads_cannot_write_at_the_server(self, lake: Database) -> None:
        with lake.read() as connection, pytest.raises(Exception, match="read-only transaction"):
            connection.execute("CALL postgres_execute('__ducklake_metadata_lake', 'CREATE TABLE public.loot (a int)')")

    @pytest.mark.long
    def test_the_password_is_nowhere(self, lake: Database, tmp_path: Path) -> None:
        ask = "import sys; from catalog.cli.main import run; run(sys.argv[1:])"
        words = ["--catalog", lake.named, "-v", "sql", "FROM duckdb_databases()"]
        with subprocess.Popen(
            [sys.executable, "-c", ask, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as asked:
            shown = Path(f"/proc/{asked.pid}/cmdline").read_bytes() + Path(f"/proc/{asked.pid}/environ").read_bytes()
            out, err = asked.communicate()
        assert asked.returncode == 0, err
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert PASSWORD.encode() not in shown + out + err + kept


_WAITS = """
    SELECT pid FROM pg_stat_activity
    WHERE (wait_event_type = 'Lock' OR wait_event = 'PgSleep') AND strpos(query, '{schema}') > 0
"""
Stuck = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def stuck(lake: Database, postgres: PostgresServer, tmp_path: Path) -> Iterator[Stuck]:
    """Run a command until DuckDB waits for the server to read, or to write; return the command and its backend."""
    import psycopg

    schema = lake_address(lake.named).schema
    with ExitStack() as until_the_end, psycopg.connect("service=mastlake") as other:

        def started(*words: str) -> tuple[subprocess.Popen[str], int]:
            if words[0] == "upkeep":
                for run in range(3):
                    commit(lake, run, lambda: None)
                other.execute(f"LOCK TABLE {schema}.ducklake_files_scheduled_for_deletion IN SHARE MODE".encode())
            else:
                other.execute(
                    f"ALTER TABLE {schema}.ducklake_tag RENAME TO tags; CREATE VIEW {schema}.ducklake_tag AS "
                    f"SELECT * FROM {schema}.tags WHERE pg_sleep(600) IS NULL; COMMIT".encode()
                )
            command = [sys.executable, "-c", "from catalog.cli.start import run; run()", "--catalog", lake.named]
            asking = subprocess.Popen([*command, *words], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
            until_the_end.callback(asking.kill)
            while not (found := postgres.run_as_admin(_WAITS.format(schema=schema))):
                assert asking.poll() is None
            return asking, int(found[0][0])

        yield started


@pytest.mark.long
@pytest.mark.parametrize("words", [["status"], ["upkeep"]])
def test_ctrl_c_ends_a_command_that_waits_for_a_frozen_server(words: list[str], stuck: Stuck) -> None:
    asking, backend = stuck(*words)
    os.kill(backend, signal.SIGSTOP)
    try:
        asking.send_signal(signal.SIGINT)
        _, err = asking.communicate(timeout=30)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert (asking.returncode, err) == (130, "mastlake: interrupted; what was finished is kept\n")


@pytest.mark.long
def test_upkeep_that_loses_the_server_says_what_is_kept(lake: Database, stuck: Stuck, postgres: PostgresServer) -> None:
    asking, _ = stuck("upkeep", "--reading", "0")
    waits = _WAITS.format(schema=lake_address(lake.named).schema)
    while asking.poll() is None:  # DuckDB tries again over a new connection
        postgres.run_as_admin(f"SELECT pg_terminate_backend(pid) FROM ({waits}) AS waits")
    _, err = asking.communicate()
    assert (asking.returncode, err.count("\n")) == (1, 1)
    assert "nothing was changed" not in err  # merges may be committed
    with lake.read() as connection:
        assert len(connection.execute("FROM changes").fetchall()) == 3


class TestServerDies:
    """The server is killed and comes back."""

    @pytest.mark.long
    def test_a_commit_is_whole_or_there_is_none_and_the_next_attempt_completes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with postgres_server() as own:
            for variable, value in own.environment.items():
                monkeypatch.setenv(variable, value)
            path, engine = lake_of(f"{POSTGRES}service=mastlake,data={tmp_path / 'rows'}")
            lake = Database(path, engine=engine)
            with lake.write() as connection:
                connection.execute(NOTED, [1])
            with pytest.raises(CatalogError) as lost:
                commit(lake, 2, lambda: own.stop(signal.SIGKILL))
            assert "\n" not in str(lost.value)
            with pytest.raises(CatalogError, match="cannot reach"), lake.read():
                pass
            own.start()
            with lake.write() as connection:
                connection.execute(NOTED, [3])
                assert connection.execute("SELECT run FROM changes ORDER BY run").fetchall() == [(1,), (3,)]

    @pytest.mark.long
    def test_of_killed_processes_and_servers_the_last_whole_run_stands(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with postgres_server() as own:
            for variable, value in own.environment.items():
                monkeypatch.setenv(variable, value)
            assert killed(own, tmp_path, 3, 0.3, random.Random(5)) == {"committer": 1, "upkeep": 1, "server": 1}
            killed_at_birth(own, tmp_path, 1, 2.0, random.Random(5))


def test_a_lake_without_a_server_needs_one() -> None:
    with pytest.raises(UsageError, match="service=NAME"):
        lake_of(f"{POSTGRES}schema=a")
