"""mastlake.toml counts for Python as it does for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog import Catalog
from catalog.api.arguments import Filters
from catalog.config.settings import BadSettings
from catalog.defaults import SERVER
from catalog.simulator import Simulator

from .conftest import SOSS


@pytest.fixture(scope="module")
def archive() -> Iterator[Simulator]:
    with Simulator(files=300) as archive:
        yield archive


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for variable in ("MASTLAKE_SERVER", "MASTLAKE_CATALOG", "MAST_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "config" / "mastlake"
    folder.mkdir(parents=True)
    return folder / "mastlake.toml"


def test_the_address_is_what_is_given_then_the_environment_then_the_folders_file_then_the_users(
    users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.duckdb"
    assert Catalog.open(path).server == SERVER
    users.write_text('server = "http://127.0.0.1:1"')
    assert Catalog.open(path).server == "http://127.0.0.1:1"
    (tmp_path / "mastlake.toml").write_text('server = "http://127.0.0.1:2"')
    assert Catalog.open(path).server == "http://127.0.0.1:2"
    monkeypatch.setenv("MASTLAKE_SERVER", "http://127.0.0.1:3")
    assert Catalog.open(path).server == "http://127.0.0.1:3"
    assert Catalog.open(path, server="http://127.0.0.1:4").server == "http://127.0.0.1:4"


def test_a_server_that_only_a_folders_file_names_gets_no_token(
    users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAST_API_TOKEN", "abc")
    (tmp_path / "mastlake.toml").write_text('server = "http://127.0.0.1:2"')
    lake = Catalog.open(tmp_path / "c.duckdb")
    assert lake.withholds_token
    assert not lake.server_is_trusted
    users.write_text('server = "http://127.0.0.1:2"')
    assert not Catalog.open(tmp_path / "c.duckdb").withholds_token
    assert not Catalog.open(tmp_path / "c.duckdb", server="http://127.0.0.1:2").withholds_token


@pytest.mark.long
@pytest.mark.usefixtures("users")
def test_a_search_and_its_folder_and_the_options_of_sync_come_from_the_file(archive: Simulator, tmp_path: Path) -> None:
    criteria = ", ".join(f'"{written}"' for written in SOSS)
    (tmp_path / "mastlake.toml").write_text(
        f"""
        dest = "all"
        [sync]
        template = "{{program}}/{{filename}}"
        limit-rate = "200M"
        jobs = 2
        [searches.soss]
        instrument = "niriss"
        criteria = [{criteria}]
        dest = "spectra"
        """
    )
    with Catalog.open(tmp_path / "c.duckdb", server=archive.url) as lake:
        assert lake.harvest("soss").run.files > 0
        filters: Filters = {"subgroups": "X1DINTS", "max_size": 50_000}
        plan = lake.plan("soss", **filters)
        assert plan.dest == tmp_path / "spectra"
        assert all(len(Path(item.path).relative_to(plan.dest).parts) == 2 for item in plan.items())
        assert lake.plan(**filters).dest == tmp_path / "all"
        assert lake.plan("soss", dest=tmp_path / "said", **filters).dest == tmp_path / "said"
        assert lake.sync("soss", **filters).failed == 0
        assert lake.plan("soss", **filters).tallies["present"].items == plan.selected > 0


@pytest.mark.usefixtures("users")
def test_a_folder_outside_of_its_own_that_a_folders_file_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    lake = Catalog.open(tmp_path / "here" / "c.duckdb")
    (tmp_path / "here" / "mastlake.toml").write_text('[sync]\ndest = "../there"')
    lake = Catalog.open(tmp_path / "here" / "c.duckdb")
    with pytest.raises(BadSettings, match="not within its own"):
        lake.sync("soss")


@pytest.mark.usefixtures("users")
def test_a_file_that_is_not_understood_is_an_error_of_usage(tmp_path: Path) -> None:
    (tmp_path / "mastlake.toml").write_text("dest =")
    with pytest.raises(BadSettings, match="not TOML"):
        Catalog.open(tmp_path / "c.duckdb")
