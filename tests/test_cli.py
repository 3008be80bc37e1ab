"""The command line: what a user types, sees and gets back."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from catalog.simulator import Simulator

from .conftest import SOSS, Command
from .test_store import hold

ENTRY = str(Path(sys.executable).with_name("mastlake"))
SEARCH = ["harvest", "soss", "--instrument", "niriss", *(word for text in SOSS for word in ("-k", text))]
HARVEST_KEYS = {
    "run", "search", "files", "new", "changed", "withdrawn", "returned", "unchanged",
    "observations", "products", "linked", "requests", "seconds",
}  # fmt: skip


@pytest.fixture
def served(sky: Simulator, monkeypatch: pytest.MonkeyPatch, mastlake: Command) -> Simulator:
    """Make the built-in archive the one that commands ask."""
    monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
    return sky


@pytest.fixture
def html_server() -> Iterator[str]:
    """A server that is under maintenance."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            page = b"<html><body>Down for maintenance</body></html>"
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class TestStart:
    """Before any catalog."""

    def test_help_imports_nothing_heavy(self) -> None:
        code = (
            "import sys\nfrom catalog.cli.main import run\n"
            "try: run(['--help'])\nexcept SystemExit: pass\n"
            "heavy = ('astropy', 'astroquery', 'duckdb', 'sqlalchemy', 'matplotlib', 'numpy', 'pyarrow', 'httpx')\n"
            "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]"

    def test_every_command_explains_itself(self, mastlake: Command) -> None:
        from catalog.cli.main import app

        for info in app.registered_commands:
            outcome = mastlake(str(info.name), "--help")
            assert outcome.code == 0
            assert "Usage: mastlake" in outcome.out

    def test_the_version_is_the_packages(self, mastlake: Command) -> None:
        from importlib.metadata import version

        assert mastlake("--version").out.strip() == f"mastlake {version('mastlake')}"

    def test_a_catalog_that_is_not_there_is_said_in_one_line(self, mastlake: Command) -> None:
        for words in (
            ["sql", "SELECT 1"],
            ["status"],
            ["products"],
            ["searches"],
            ["runs"],
            ["outdated"],
            ["harvest", "x"],
        ):
            outcome = mastlake(*words)
            assert outcome.code == 1, words
            assert outcome.out == ""
            assert outcome.err.count("\n") == 1
            assert "mastlake harvest" in outcome.err

    @pytest.mark.long
    def test_global_options_may_stand_anywhere(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        other = tmp_path / "other.duckdb"
        assert mastlake(*SEARCH, "--catalog", other, "--server", served.url).code == 0
        assert mastlake("--catalog", other, "searches").code == 0
        assert mastlake("searches").code == 1

    def test_the_keyword_dictionary_needs_no_catalog(self, mastlake: Command) -> None:
        assert "NIS_SOSS" in mastlake("keywords", "exp_type").out
        assert mastlake("keywords", "exp_type", "--json").json[0]["name"] == "exp_type"
        assert "did you mean" in mastlake("keywords", "exptype").err


class TestWrongUsage:
    """Exit code 2, one line, nothing asked, nothing changed."""

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["harvest", "s", "--instrument", "niriss", "-k", "exptype=NIS_SOSS"], "exp_type"),
            (["harvest", "s", "--instrument", "niriss", "-k", "exp_type=NIS_SOS"], "NIS_SOSS"),
            (["harvest", "s", "--instrument", "niriss", "-k", "nints=5..1"], "ends before"),
            (["harvest", "s", "--instrument", "niriss", "-k", "date_obs_mjd=June"], "a date like"),
            (["harvest", "s", "--instrument", "nirisss"], "niriss"),
            (["harvest", "s", "-k", "exp_type=NIS_SOSS"], "--instrument"),
            (["harvest", "a", "b", "--instrument", "niriss"], "name the search"),
            (["harvest"], "no catalog yet"),
            (["sync", "--level", "two"], "--level"),
            (["sync", "--max-size", "big"], "size"),
            (["find", "--cone", "1,2"], "RA,DEC,RADIUS"),
        ],
    )
    def test_a_wrong_word_is_refused_before_any_request(
        self, mastlake: Command, sky: Simulator, words: list[str], says: str
    ) -> None:
        before = sky.stats().get("invoke", 0)
        outcome = mastlake("--server", sky.url, *words)
        assert outcome.code == 2
        assert outcome.out == ""
        assert outcome.err.count("\n") == 1
        assert says in outcome.err
        assert sky.stats().get("invoke", 0) == before
        assert not Path("catalog.duckdb").exists()

    def test_an_unknown_command_or_option_is_wrong_usage(self, mastlake: Command) -> None:
        assert mastlake("harvst").code == 2
        assert mastlake("sql", "--no-such-option").code == 2

    @pytest.mark.long
    def test_bad_sql_is_one_line_that_helps(self, mastlake: Command, served: Simulator) -> None:
        mastlake(*SEARCH)
        outcome = mastlake("sql", "SELECT targnam FROM files")
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert "targname" in outcome.err
        assert mastlake("sql", "DELETE FROM changes").code == 2
        assert mastlake("sql", "SELECT 1; SELECT 2").code == 2

    @pytest.mark.long
    def test_an_unknown_search_is_refused_with_the_nearest(self, mastlake: Command, served: Simulator) -> None:
        mastlake(*SEARCH)
        for words in (["harvest", "sos"], ["products", "sos"], ["sync", "sos", "--dry-run"], ["script", "sos"]):
            outcome = mastlake(*words)
            assert outcome.code == 2, words
            assert "soss" in outcome.err


class TestArchiveFaults:
    """Exit code 1, one line, the catalog as it was."""

    def test_a_server_that_is_down(self, mastlake: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("catalog.archive.retry.Patience._pause", lambda self, state: 0.01)
        outcome = mastlake("--server", "http://127.0.0.1:9", *SEARCH)
        assert outcome.code == 1
        assert outcome.err.splitlines()[-1].startswith("mastlake: soss: 127.0.0.1:9 gave no answer: connection refused")

    def test_a_server_that_answers_html(
        self, mastlake: Command, html_server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.archive.retry.Patience._pause", lambda self, state: 0.01)
        outcome = mastlake("--server", html_server, *SEARCH)
        assert outcome.code == 1
        assert "HTML" in outcome.err

    @pytest.mark.long
    def test_one_failing_search_does_not_stop_the_others(
        self, mastlake: Command, own_sky: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MASTLAKE_SERVER", own_sky.url)
        monkeypatch.setattr("catalog.archive.retry.Patience._pause", lambda self, state: 0.01)
        assert mastlake("harvest", "a", "--instrument", "niriss", "-k", "exp_type=NIS_AMI").code == 0
        assert mastlake("harvest", "b", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS").code == 0
        own_sky.faults(invoke_500=5)
        outcome = mastlake("harvest", "--json")
        assert outcome.code == 1
        assert "mastlake: a:" in outcome.err
        assert [one["search"] for one in outcome.json] == ["b"]


class TestCatalogFaults:
    """The catalog file in the way."""

    @pytest.mark.long
    def test_a_catalog_that_another_process_holds(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        mastlake(*SEARCH)
        other = hold(tmp_path / "catalog.duckdb", 30)
        try:
            environment = {**os.environ, "MASTLAKE_WAIT": "1"}
            done = subprocess.run(
                [ENTRY, "sql", "SELECT 1"], capture_output=True, text=True, env=environment, check=False
            )
            assert done.returncode == 1
            assert f"PID {other.pid}" in done.stderr
            assert done.stderr.count("\n") == 1
        finally:
            other.kill()
            other.wait()
        assert mastlake("sql", "SELECT 1").code == 0

    def test_a_file_that_is_not_a_catalog(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        (tmp_path / "catalog.duckdb").write_text("hello " * 1000)
        for words in (["status"], SEARCH):
            outcome = mastlake(*words)
            assert outcome.code == 1
            assert "not a DuckDB database" in outcome.err
            assert outcome.err.count("\n") == 1
        assert (tmp_path / "catalog.duckdb").read_text().startswith("hello")

    def test_a_folder_that_cannot_be_written(self, mastlake: Command, served: Simulator) -> None:
        outcome = mastlake("--catalog", "/proc/nowhere/catalog.duckdb", *SEARCH)
        assert outcome.code == 1
        assert outcome.err.count("\n") == 1

    @pytest.mark.long
    @pytest.mark.parametrize("limit", [50_000, 300_000])
    def test_a_disk_that_is_full_changes_nothing(
        self, mastlake: Command, served: Simulator, tmp_path: Path, limit: int
    ) -> None:
        mastlake(*SEARCH)
        before = mastlake("sql", "SELECT count(*) AS n FROM files", "--format", "json").json

        def small_disk() -> None:  # no file can grow beyond the limit
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        done = subprocess.run(
            [ENTRY, "harvest", "all", "--instrument", "nirspec"],
            capture_output=True, text=True, check=False, preexec_fn=small_disk,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert "nothing was changed" in done.stderr
        assert mastlake("sql", "SELECT count(*) AS n FROM files", "--format", "json").json == before
        assert mastlake("harvest", "all", "--instrument", "nirspec").code == 0

    def test_a_second_harvest_at_the_same_time_is_turned_away(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        with (tmp_path / "catalog.duckdb.harvest").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            outcome = mastlake(*SEARCH)
        assert outcome.code == 1
        assert "under way" in outcome.err


class TestAnswers:
    """What commands print."""

    @pytest.mark.long
    def test_the_whole_job_in_json(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        report = mastlake(*SEARCH, "--json").json
        assert set(report) >= HARVEST_KEYS
        assert report["linked"] == report["files"] == report["new"] > 0
        plan = mastlake("sync", "soss", "--subgroup", "X1DINTS", "--dry-run", "--json").json
        synced = mastlake("sync", "soss", "--subgroup", "X1DINTS", "--json").json
        assert plan["selected"] == synced["selected"] == synced["fetched"] > 0
        assert set(synced) >= {"present", "resumed", "replaced", "failed", "bytes", "seconds", "failures"}
        again = mastlake("sync", "soss", "--subgroup", "X1DINTS", "--json").json
        assert (again["present"], again["fetched"]) == (synced["fetched"], 0)
        indexed = mastlake("index", "mast", "--json").json
        assert indexed["read"] == indexed["files"] == synced["fetched"]
        assert mastlake("index", "mast", "--json").json["unchanged"] == indexed["files"]
        states = ("stale", "missing", "corrupt", "modified", "unverified", "unknown")
        assert mastlake("outdated", "--json").json == {state: [] for state in states}
        assert mastlake("status", "--json").json["indexed"] == indexed["files"]
        assert mastlake("runs", "--json").json[0]["files"] == report["files"]
        assert mastlake("changes", "1", "--json").json
        assert mastlake("products", "soss", "--json").json
        assert mastlake("find", "-k", "exp_type=NIS_SOSS", "--json").json
        assert mastlake("searches", "--json").json[0]["name"] == "soss"

    def test_a_token_can_come_through_a_pipe(
        self, mastlake: Command, served: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{served.token}\n"))
        assert mastlake("login", "--no-store", "--json").json["kept"] is False
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        nobody = mastlake("login", "--no-store")
        assert (nobody.code, nobody.err.count("\n")) == (2, 1)
        assert "MAST_API_TOKEN" in nobody.err

    @pytest.mark.long
    def test_what_needs_a_token_is_followed_by_what_to_do(self, mastlake: Command, served: Simulator) -> None:
        mastlake("harvest", "all", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS")
        for words, code in ((["--dry-run"], 0), ([], 1)):
            outcome = mastlake("sync", "all", "--subgroup", "X1DINTS", *words)
            assert outcome.code == code
            assert outcome.err.count("run mastlake login, or set MAST_API_TOKEN") == 1
        public = mastlake("sync", "--sql", "SELECT filename FROM files WHERE publicReleaseDate < now() LIMIT 1")
        assert "mastlake login" not in public.err

    @pytest.mark.long
    def test_ctrl_c_says_what_is_done_and_what_is_left(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        mastlake(*SEARCH)

        def press() -> None:
            while not list(tmp_path.glob("mast/.*.part")):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        presser = threading.Thread(target=press)
        presser.start()
        outcome = mastlake("sync", "soss", "--limit-rate", "20K")
        presser.join()
        assert outcome.code == 130
        assert re.search(r"\d products left; the same command goes on with them\n", outcome.err)
        assert outcome.err.endswith("mastlake: interrupted; what was finished is kept\n")

    @pytest.mark.long
    def test_a_plan_says_what_it_cannot_know_yet(self, mastlake: Command, served: Simulator) -> None:
        mastlake(*SEARCH)
        plan = mastlake("sync", "soss", "--level", "3", "--with-inputs", "--dry-run")
        assert "association files are not here yet" in plan.err

    def test_a_dry_run_shows_the_request_and_changes_nothing(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        outcome = mastlake(*SEARCH, "--dry-run")
        request = json.loads(outcome.out)
        assert request["service"] == "Mast.Jwst.Filtered.Niriss"
        assert request["params"]["filters"][3] == {
            "paramName": "date_obs_mjd",
            "values": [{"min": 59731.0, "max": 59795.0}],
        }
        assert "rows at" in outcome.err
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.long
    def test_stdout_is_clean_data(self, mastlake: Command, served: Simulator) -> None:
        mastlake(*SEARCH)
        outcome = mastlake("sql", "SELECT filename, tsovisit FROM files ORDER BY 1", "--format", "csv")
        lines = outcome.out.splitlines()
        assert lines[0] == '"filename","tsovisit"'
        assert len(lines) == 1 + mastlake("sql", "SELECT count(*) AS n FROM files", "--format", "json").json[0]["n"]

    @pytest.mark.long
    def test_local_files_that_the_archive_renewed_are_outdated_then_replaced(
        self, mastlake: Command, own_sky: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MASTLAKE_SERVER", own_sky.url)
        mastlake("harvest", "n", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS")
        mastlake("sync", "n", "--subgroup", "X1DINTS")
        mastlake("index", "mast")
        renewed = own_sky.filenames("niriss", "exp_type = 'NIS_SOSS' AND filename LIKE '%x1dints.fits'")[:2]
        own_sky.reprocess(renewed, keep_size=True)
        mastlake("harvest")
        assert sorted(one["filename"] for one in mastlake("outdated", "--json").json["stale"]) == sorted(renewed)
        assert "checksum" in mastlake("outdated", "--why").out
        synced = mastlake("sync", "n", "--subgroup", "X1DINTS", "--json").json
        assert synced["replaced"] == 2
        assert mastlake("outdated", "--json").json["stale"] == []

    @pytest.mark.long
    def test_a_deleted_file_is_missing_and_a_strange_one_unknown(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        mastlake(*SEARCH)
        mastlake("sync", "soss", "--subgroup", "X1DINTS")
        files = sorted((tmp_path / "mast").glob("*.fits"))
        files[1].rename(tmp_path / "mast" / "mine.fits")
        files[0].unlink()
        mastlake("index", "mast")
        found = mastlake("outdated", "--json").json
        assert {one["filename"] for one in found["missing"]} >= {files[0].name}
        assert [one["filename"] for one in found["unknown"]] == ["mine.fits"]

    @pytest.mark.long
    def test_a_plot_is_a_picture(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        mastlake(*SEARCH)
        mastlake("sync", "soss", "--subgroup", "CALINTS,X1DINTS")
        for ending in ("calints", "x1dints"):
            source = next((tmp_path / "mast").glob(f"*_{ending}.fits"))
            assert mastlake("plot", source, "-o", f"{ending}.png").code == 0
            assert (tmp_path / f"{ending}.png").read_bytes().startswith(b"\x89PNG")
        assert mastlake("plot", "nothing.fits").code == 2

    @pytest.mark.long
    def test_the_demo_runs_and_shows_its_commands(self, mastlake: Command, tmp_path: Path) -> None:
        folder = tmp_path / "demo"
        folder.mkdir()
        for name in (".mastlake-demo", "mastlake.duckdb"):  # of an earlier demo, in whose folder one stands
            (folder / name).touch()
        with chdir(folder):
            outcome = mastlake("demo", "--dir", folder)
        assert outcome.code == 0, outcome.err
        assert "$ mastlake harvest soss --instrument niriss" in outcome.err
        assert (tmp_path / "demo" / "spectrum.png").exists()
        assert "stale" in outcome.out

    def test_the_demo_never_overwrites_a_folder_of_the_users(self, mastlake: Command, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").touch()
        assert mastlake("demo", "--dir", tmp_path / "mine").code == 1
        assert (tmp_path / "mine" / "thesis.tex").exists()
        assert mastlake("demo", "--dir", tmp_path / "mine" / "thesis.tex").code == 1
