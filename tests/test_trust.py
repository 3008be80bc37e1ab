"""What a file of settings may do that came with a folder, and what only the user's own may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer
from catalog.cli.main import app

from catalog.config.settings import BadSettings, read_defaults
from catalog.config.trust import MAY_SET, WITHIN, user_folder
from catalog.errors import UsageError
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.sync import OldBytes, Plan, make_plan

from .conftest import Command

EXCLUSIVE = """
    SELECT filename FROM products WHERE dataRights = 'EXCLUSIVE_ACCESS' AND size < 100000 ORDER BY size LIMIT 1
"""


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def folders_file(folder: Path, text: str) -> Path:
    """A file beside the catalog."""
    (folder / "mastlake.toml").write_text(text)
    return folder / "mastlake.toml"


def users_file(text: str) -> Path:
    """The user's own."""
    user_folder().mkdir(parents=True, exist_ok=True)
    path = user_folder() / "mastlake.toml"
    path.write_text(text)
    return path


def options_of_commands() -> dict[str, set[str]]:
    """The long names of every option, by command."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: {option.lstrip("-").replace("-", "_") for one in command.params for option in one.opts}
        for name, command in commands.items()
    }


def test_no_option_that_writes_sends_or_confirms_may_be_set_by_a_folder() -> None:
    may_not = {
        "output", "o", "dir", "store", "file", "server", "catalog", "token", "host", "executor", "report",
        "overwrite_modified", "allow_empty", "server_moved", "trust_length",
    }  # fmt: skip
    assert not may_not & (MAY_SET | WITHIN)


@pytest.mark.long
@pytest.mark.parametrize("command", ["sql", "find", "script", "plot", "preview", "sky", "timeline"])
def test_an_output_is_ignored_in_a_line_and_the_file_there_stays(
    mastlake: Command, catalog: Database, tmp_path: Path, command: str
) -> None:
    assert "output" in options_of_commands()[command]
    precious = tmp_path / "precious.png"
    precious.write_text("alias x=y")
    folders_file(tmp_path, f'[{command}]\noutput = "{precious}"\n')
    words = {"sql": ["SELECT 1 AS a", "--json"], "plot": ["none.fits"], "preview": ["none"]}.get(command, ["--json"])
    outcome = mastlake(command, *words)
    assert precious.read_text() == "alias x=y"
    assert f"mastlake: ignored output of [{command}]" in outcome.err
    assert outcome.err.count("mastlake: ignored") == 1


def test_only_the_command_at_hand_tells_what_was_ignored(mastlake: Command, catalog: Database, tmp_path: Path) -> None:
    folders_file(tmp_path, '[script]\noutput = "x.sh"\n')
    assert mastlake("runs").err == ""


@pytest.mark.long
@pytest.mark.parametrize("dest", ["/srv/elsewhere", "../elsewhere", "within/../../elsewhere", "link", "~/elsewhere"])
@pytest.mark.parametrize("where", ["{}", "[sync]\n{}", '[searches.soss]\ninstrument = "niriss"\n{}'])
def test_a_destination_outside_of_the_folder_is_refused_where_it_would_be_used(
    mastlake: Command, catalog: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dest: str, where: str
) -> None:
    home = tmp_path / "home"
    folder = tmp_path / "clone"
    for one in (home, folder):
        one.mkdir()
    (folder / "link").symlink_to(home)
    (folder / "catalog.duckdb").write_bytes((tmp_path / "catalog.duckdb").read_bytes())
    monkeypatch.setenv("MASTLAKE_CATALOG", str(folder / "catalog.duckdb"))
    monkeypatch.setenv("HOME", str(home))
    folders_file(folder, where.format(f'dest = "{dest}"\n'))
    if dest == "~/elsewhere" and where.startswith("[sync]"):
        return  # a folder called ~, within
    outcome = mastlake("sync", "soss", "--dry-run")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "not within its own" in outcome.err
    assert mastlake("sync", "soss", "--dry-run", "--dest", tmp_path / "said").code == 0
    assert mastlake("searches").code == 0


def test_old_bytes_are_kept_in_the_folder_that_its_file_names_and_in_no_other(
    mastlake: Command, catalog: Database, tmp_path: Path
) -> None:
    made: dict[str, Path | None] = {}

    def seen(*args: object, old_bytes: OldBytes, **more: object) -> Plan:
        made["keep"] = old_bytes.keep
        return make_plan(*args, old_bytes=old_bytes, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("catalog.sync.make_plan", seen)
        folders_file(tmp_path, '[sync]\nkeep-old = "old"\n')
        assert mastlake("sync", "soss", "--dry-run", "-q").err == ""
        assert made["keep"] == tmp_path / "old"
        folders_file(tmp_path, '[sync]\nkeep-old = "../old"\n')
        assert "ignored keep_old of [sync]" in mastlake("sync", "soss", "--dry-run", "-q").err
        assert made["keep"] is None


def test_the_users_own_file_may_do_both(mastlake: Command, catalog: Database, tmp_path: Path) -> None:
    users_file(f'dest = "{tmp_path / "all"}"\n[sql]\noutput = "{tmp_path / "answer.csv"}"\n')
    assert mastlake("sql", "SELECT 1 AS a").code == 0
    assert (tmp_path / "answer.csv").read_text() == '"a"\n1\n'
    assert mastlake("sync", "soss", "--dry-run", "--json").json["dest"] == str(tmp_path / "all")


@pytest.mark.long
def test_the_folders_file_counts_before_the_users(mastlake: Command, catalog: Database, tmp_path: Path) -> None:
    users_file('server = "http://127.0.0.1:8"\n[find]\nlimit = 1\n[products]\nsubgroup = "X1DINTS"\n')
    folders_file(tmp_path, 'server = "http://127.0.0.1:9"\n[find]\nlimit = 2\n')
    assert len(mastlake("find", "--json").json) == 2
    shown = mastlake("products", "soss", "--json").json
    assert {one["productSubGroupDescription"] for one in shown} == {"X1DINTS"}
    assert mastlake("status", "--json").json["server"] == "http://127.0.0.1:9"


@pytest.mark.long
def test_a_server_that_only_the_folder_names_gets_no_token(
    mastlake: Command, catalog: Database, tmp_path: Path, sky: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAST_API_TOKEN", sky.token)
    folders_file(tmp_path, f'server = "{sky.url}"\n')
    exclusive = ["--sql", EXCLUSIVE]
    outcome = mastlake("sync", *exclusive)
    assert outcome.err.count(f"name it yourself: --server {sky.url}") == 1
    assert outcome.code == 1
    assert mastlake("script", *exclusive).code == 2
    assert mastlake("--server", sky.url, "sync", *exclusive).code == 0


def test_the_users_own_server_gets_the_token(
    mastlake: Command, catalog: Database, sky: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAST_API_TOKEN", sky.token)
    users_file(f'server = "{sky.url}"\n')
    assert mastlake("sync", "--sql", EXCLUSIVE).code == 0


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "# " + "x" * (1 << 20)])
def test_a_file_that_no_person_wrote_is_one_line(tmp_path: Path, text: str) -> None:
    folders_file(tmp_path, text)
    with pytest.raises(UsageError):
        read_defaults(tmp_path / "catalog.duckdb")


def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mastlake.toml")
    with pytest.raises(BadSettings, match="is not a text file"):
        read_defaults(tmp_path / "catalog.duckdb")
