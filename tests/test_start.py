"""What a process imports and reads before it answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalog.cli import start
from catalog.cli.main import COMMANDS, application

from catalog.api.catalog import Catalog
from catalog.cache import cached
from catalog.store.database import Database

HEAVY = (
    "pyarrow",
    "numpy",
    "astropy",
    "pydantic",
    "rich",
    "yaml",
    "sqlalchemy",
    "urllib3",
    "matplotlib",
    "msgspec",
    "tenacity",
)
LOADED = """
import sys
from catalog.cli.main import run
try:
    run()
except SystemExit as left:
    assert not left.code
sys.stderr.write(" ".join(sys.modules))
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [
        ["find", "-k", "exp_type=NIS_SOSS"],
        ["sql", "SELECT count(*) FROM files"],
        ["runs"],
        ["status"],
        ["changes", "1"],
        ["products", "soss", "--subgroup", "X1DINTS"],
    ],
)
def test_a_table_needs_none_of_the_heavy_libraries(catalog: Database, tmp_path: Path, words: list[str]) -> None:
    environment = {"PATH": "", "HOME": str(tmp_path), "MASTLAKE_CATALOG": str(catalog.path)}
    for _ in range(2):  # the first may read the schemas, and keeps what it read
        done = subprocess.run(
            [sys.executable, "-c", LOADED, *words], env=environment, capture_output=True, text=True, check=True
        )
    loaded = {module.partition(".")[0] for module in done.stderr.split()} - {"rich"}
    loaded |= {"rich"} if "rich.console" in done.stderr.split() else set()
    assert sorted(loaded & set(HEAVY)) == []
    others = {f"catalog.cli.{module}" for name, module in COMMANDS.items()} - {f"catalog.cli.{COMMANDS[words[0]]}"}
    assert not others & set(done.stderr.split())


def test_find_writes_and_asks_its_question_in_one_opening(
    catalog: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    during: list[bool] = []
    asked = Catalog.ask_files

    def ask(lake: Catalog, *written: str, **wanted: Any) -> Any:
        during.append(lake._database._is_within())
        return asked(lake, *written, **wanted)

    monkeypatch.setattr(Catalog, "ask_files", ask)
    application("find")(["--catalog", str(catalog.path), "find", "--limit", "2"], standalone_mode=False)
    assert during == [True]
    assert not catalog._is_within()
    assert "2 files" in capsys.readouterr().err


@pytest.mark.long
def test_a_process_of_ours_looks_for_unused_objects_seldom_and_another_as_it_did(
    catalog: Database, tmp_path: Path
) -> None:
    for call, seldom in (("run()", True), ("run(sys.argv[1:])", False)):
        script = (
            f"import gc, sys; from catalog.cli.start import run\ntry: {call}\nfinally: print(gc.get_threshold()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "--catalog", str(catalog.path), "sql", "SELECT 1"],
            env={"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert (int(done.stdout.split()[-1]) > 10_000) == seldom


def test_every_command_is_in_the_module_that_is_imported_for_it() -> None:
    for name in COMMANDS:
        assert name in [one.name for one in application(name).registered_commands]
    assert [one.name for one in application().registered_commands] == list(COMMANDS)


def test_what_was_read_is_kept_until_a_source_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.write_text("one")
    reads: list[str] = []

    def read() -> dict[str, str]:
        reads.append(source.read_text())
        return {"text": reads[-1]}

    assert cached("x", [source], read) == cached("x", [source], read) == {"text": "one"}
    assert reads == ["one"]
    source.write_text("another")
    assert cached("x", [source], read) == {"text": "another"}
    file = tmp_path / "cache" / "mastlake" / "x.json"
    for broken in (b"", b"[]", b'{"form":1}', b"\xff", b'{"form":1,"sources":[],"value":{"text":"planted"}}'):
        file.write_bytes(broken)
        assert cached("x", [source], read) == {"text": "another"}


def test_a_cache_that_cannot_be_written_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cached("x", [], lambda: {"a": 1}) == {"a": 1}


def test_a_system_without_posix_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "os", SimpleNamespace(name="nt"))
    with pytest.raises(SystemExit) as left:
        start.run(["status"])
    told = capsys.readouterr().err
    assert left.value.code == 1
    assert told.count("\n") == 1
    assert "Linux" in told
