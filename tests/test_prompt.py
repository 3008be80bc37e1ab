"""The prompt of ``mastlake sql``."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from catalog.cli.prompt import SqlCompleter, converse
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from catalog import Catalog
from catalog.errors import CatalogError
from catalog.store.database import Database

from .test_find import HARVESTED, OBSERVED, fill

SERVER = "https://mast.stsci.edu"


@pytest.fixture
def lake(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return fill(database, pa.Table.from_pylist(HARVESTED), pa.Table.from_pylist(OBSERVED))


@pytest.fixture
def completer(lake: Database) -> SqlCompleter:
    return SqlCompleter(Catalog(lake, SERVER))


def offered(completer: SqlCompleter, before: str, after: str = "") -> list[str]:
    document = Document(before + after, cursor_position=len(before))
    return [one.text for one in completer.get_completions(document, CompleteEvent())]


def typed(database: Database, *lines: str) -> None:
    """Type lines, and the end of the input."""
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("".join(f"{line}\r" for line in lines) + "\x04")
        converse(Catalog(database, SERVER))


class TestCompletion:
    """What the tab key offers."""

    def test_tables_after_from(self, completer: SqlCompleter) -> None:
        assert "files" in offered(completer, "SELECT * FROM fi")
        assert "observations" in offered(completer, "select 1 from files join o")
        assert offered(completer, ".columns obs")[:1] == ["observation_product_link"]

    def test_columns_of_the_tables_that_are_named(self, completer: SqlCompleter) -> None:
        assert set(offered(completer, "SELECT targ_", " FROM files")) == {"targ_ra", "targ_dec"}
        assert "s_ra" in offered(completer, "SELECT s_", " FROM observations")
        assert "s_ra" not in offered(completer, "SELECT s_", " FROM files")
        assert "target_name" in offered(completer, "FROM observations WHERE observations.targ")

    def test_words_and_functions_of_sql(self, completer: SqlCompleter) -> None:
        assert "SELECT" in offered(completer, "sel")
        assert {"separation", "footprints_overlap"} & set(
            offered(completer, "SELECT sepa") + offered(completer, "foot")
        )

    def test_values_of_a_column_within_quotes(self, completer: SqlCompleter) -> None:
        assert offered(completer, "SELECT * FROM files WHERE exp_type = 'N") == [
            "NRC_IMAGE",
            "NIS_SOSS",
            "NRS_BRIGHTOBJ",
        ]
        assert offered(completer, "WHERE targname IN ('WASP-39', 'jup") == ["JUPITER"]
        assert offered(completer, "WHERE nonsense = 'a") == []


class TestConversation:
    """Questions and commands, one after the other."""

    @pytest.mark.long
    def test_questions_are_answered_and_mistakes_explained(
        self, lake: Database, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        typed(
            lake,
            "SELECT count(*) AS n",
            "FROM files;",
            "SELECT targnam FROM files;",
            "DELETE FROM files;",
            ".columns files",
            ".tables",
            ".nonsense",
            "SELECT filename FROM files ORDER BY 1;",
            ".save names.csv",
            ".save names.txt",
            "EXPLAIN SELECT 1;",
        )
        out, err = capfd.readouterr()
        assert "\n5\n" in out
        assert "1 row" in err
        assert 'Candidate bindings: "targname"' in err
        assert "DELETE is not a question" in err
        assert "Target RA at mid time of exposure" in out
        assert "footprints_overlapping(region)" in out
        assert "no command .nonsense" in err
        assert "5 rows in names.csv" in err
        assert "names.txt names no format; end it in .csv" in err
        assert "DUMMY_SCAN" in out
        assert len((tmp_path / "names.csv").read_text().splitlines()) == 6

    def test_questions_are_kept_for_the_next_time(self, lake: Database, tmp_path: Path) -> None:
        typed(lake, "SELECT 41 + 1;", ".quit", "SELECT 'never';")
        kept = (tmp_path / "config" / "mastlake" / "sql_history").read_text()
        assert "SELECT 41 + 1;" in kept
        assert "never" not in kept

    @pytest.mark.long
    def test_the_catalog_is_free_between_questions(self, lake: Database) -> None:
        typed(lake, "SELECT 1;")
        with lake.write() as connection:
            connection.execute("DELETE FROM changes")

    def test_without_a_catalog_no_prompt_opens(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogError, match="mastlake harvest"):
            typed(Database(tmp_path / "none.duckdb"))


@pytest.mark.long
def test_a_terminal_gets_the_prompt_and_pages_what_is_long(lake: Database) -> None:
    """A real terminal: what is longer than a screen goes through the pager, and the prompt comes back."""
    entry = str(Path(sys.executable).with_name("mastlake"))
    terminal, other_end = pty.openpty()
    given = {
        **os.environ,
        "MASTLAKE_CATALOG": str(lake.path),
        "PAGER": "sed s/^/paged:/",
        "TERM": "xterm",
        "LINES": "24",
    }
    asking = subprocess.Popen(
        [entry, "sql"], stdin=other_end, stdout=other_end, stderr=other_end, env=given, start_new_session=True
    )
    os.close(other_end)
    try:
        seen = _until(terminal, b"mastlake>")
        os.write(terminal, b"SELECT x FROM range(100) t(x);\r")
        seen = _until(terminal, b"100 rows")
        assert b"paged:99" in seen
        os.write(terminal, b"SELECT 6 * 7 AS answer;\r")
        seen = _until(terminal, b"1 row")
        assert b"42" in seen
        assert b"paged:42" not in seen
        for _ in range(60):  # the key counts only once the prompt is back
            with contextlib.suppress(OSError):  # the terminal goes with the process
                os.write(terminal, b"\x04")
                if select.select([terminal], [], [], 0.5)[0]:
                    os.read(terminal, 65536)
            if asking.poll() is not None:
                break
        assert asking.wait(timeout=5) == 0
    finally:
        asking.kill()
        asking.wait()
        os.close(terminal)


def _until(terminal: int, mark: bytes) -> bytes:
    seen, end = b"", time.monotonic() + 60
    while mark not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    return seen
