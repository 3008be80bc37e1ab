"""mastlake.toml: what it may say, and what counts more."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from catalog.config.settings import BadSettings, Defaults, read_defaults
from catalog.errors import UsageError
from catalog.simulator import Simulator
from catalog.store.database import Database

from .conftest import Command

WHOLE = """
server = "http://127.0.0.1:9"
dest = "data"

[sync]
jobs = 4
limit-rate = "20M"
subgroup = "X1DINTS"

[products]
level = [2, 3]

[searches.soss]
instrument = "niriss"
criteria = ["exp_type=NIS_SOSS", "date_obs_mjd=2022-06-01..2022-08-04"]
dest = "data/soss"

[searches.ero]
observations = true
criteria = ["proposal_id=2734"]
cone = "1.046,-47.361,30s"
"""


def written(folder: Path, text: str) -> Path:
    """A catalog's path with this beside it."""
    (folder / "mastlake.toml").write_text(text)
    return folder / "catalog.duckdb"


class TestReading:
    """The file as such."""

    def test_without_a_file_nothing_is_said(self, tmp_path: Path) -> None:
        assert read_defaults(tmp_path / "catalog.duckdb") == Defaults(tmp_path / "mastlake.toml")

    def test_everything_that_it_may_say_is_understood(self, tmp_path: Path) -> None:
        found = read_defaults(written(tmp_path, WHOLE))
        assert found.server == "http://127.0.0.1:9"
        assert found.dest == tmp_path / "data"
        assert found.commands["sync"] == {"jobs": 4, "limit_rate": "20M", "subgroup": "X1DINTS"}
        assert list(found.searches) == ["soss", "ero"]
        soss, ero = found.searches["soss"], found.searches["ero"]
        assert soss.search.service == "Mast.Jwst.Filtered.Niriss"
        assert soss.dest == tmp_path / "data" / "soss"
        assert ero.search.instrument is None
        assert ero.search.cone is not None

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("dest = ", "not TOML"),
            ("dest = 5", "dest in its top must be a folder in quotes"),
            ("local-catalog = 5", "local-catalog in its top must be a file in quotes"),
            ("local-catalog = ''", "local-catalog in its top must be a file in quotes"),
            ('dest = "a\\u0000b"', "dest in its top must be a folder in quotes"),
            ("colour = 'red'", r"says colour; at its top stand server, dest"),
            ("searches = 3", r"\[searches\.soss\]"),
            ("[searches]\nsoss = 3", "must be a table"),
            ("[searches.s]\ninstrment = 'niriss'", "it can say instrument"),
            ("[searches.s]\ncriteria = ['exp_type=NIS_SOSS']", "needs instrument"),
            ("[searches.s]\ninstrument = 'niriss'\ncriteria = 'exp_type=NIS_SOSS'", "a list like"),
            ("[searches.s]\ninstrument = 'niriss'\ncone = '1,2,3'", "observations = true"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(BadSettings, match=says):
            read_defaults(written(tmp_path, text))

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[searches.s]\ninstrument = 'nirisss'", "niriss"),
            ("[searches.s]\ninstrument = 'niriss'\ncriteria = ['exptype=NIS_SOSS']", "exp_type"),
            ("[searches.s]\ninstrument = 'niriss'\ncriteria = ['exp_type=NIS_SOS']", "NIS_SOSS"),
        ],
    )
    def test_criteria_are_checked_as_if_they_were_typed(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(UsageError, match=says):
            read_defaults(written(tmp_path, text))

    @pytest.mark.parametrize("where", ["docs/reference/settings.md", "catalog/config/settings.py"])
    def test_what_the_documentation_shows_is_understood(self, tmp_path: Path, where: str) -> None:
        text = (Path(__file__).parent.parent / where).read_text()
        shown = re.search(r"```toml\n(.*?)```", text, re.DOTALL) or re.search(
            r"::\n\n(.*?)\n\nThe command line", text, re.DOTALL
        )
        assert shown is not None
        found = read_defaults(written(tmp_path, textwrap.dedent(shown[1])))
        assert found.searches
        assert found.commands["sync"]["limit_rate"] == "20M"

    def test_a_file_that_is_not_text_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "mastlake.toml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(BadSettings, match="UTF-8"):
            read_defaults(tmp_path / "catalog.duckdb")


class TestCommands:
    """What commands make of it; the fixture's catalog lies in the current folder."""

    @pytest.fixture
    def served(self, mastlake: Command, sky: Simulator, monkeypatch: pytest.MonkeyPatch) -> Command:
        """Commands that ask the built-in archive."""
        monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
        return mastlake

    @pytest.fixture
    def harvested(self, served: Command, catalog: Database) -> Command:
        """Commands over a catalog of two searches."""
        return served

    @pytest.mark.long
    def test_described_searches_are_harvested_with_the_saved_ones(self, harvested: Command, tmp_path: Path) -> None:
        written(tmp_path, '[searches.ami]\ninstrument = "niriss"\ncriteria = ["exp_type=NIS_AMI"]')
        assert {one["search"] for one in harvested("harvest", "--json").json} == {"ami", "nircam", "soss"}
        assert harvested("harvest", "ami", "--json").json["new"] == 0
        assert harvested("harvest", "amy").code == 2

    @pytest.mark.long
    def test_described_searches_need_no_catalog(self, served: Command, tmp_path: Path) -> None:
        written(tmp_path, '[searches.ami]\ninstrument = "niriss"\ncriteria = ["exp_type=NIS_AMI"]')
        assert served("harvest", "--json").json["search"] == "ami"

    @pytest.mark.long
    def test_files_go_where_the_search_says_then_the_command_then_the_file(
        self, harvested: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dest(*words: str) -> str:
            planned = harvested("sync", *words, "--dry-run", "--json").json["dest"]
            return str(Path(planned).relative_to(tmp_path))

        own = '[searches.soss]\ninstrument = "niriss"\ncriteria = ["exp_type=NIS_SOSS"]\ndest = "own"\n'
        assert dest("soss") == "mast"
        written(tmp_path, 'dest = "all"\n' + own)
        assert (dest("soss"), dest("nircam"), dest()) == ("own", "all", "all")
        assert dest("soss", "--dest", "said") == "said"
        written(tmp_path, 'dest = "all"\n[sync]\ndest = "command"\n' + own)
        assert (dest("soss"), dest("nircam"), dest("nircam", "--dest", "said")) == ("own", "command", "said")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert dest("soss") == "own"  # relative to the file, not to where the command is typed

    @pytest.mark.long
    def test_any_option_has_its_default_there(self, harvested: Command, tmp_path: Path) -> None:
        everything = len(harvested("products", "soss", "--json").json)
        written(tmp_path, '[products]\nsubgroup = "X1DINTS"\nlevel = [3]\n[find]\nlimit = 2')
        found = harvested("products", "soss", "--json").json
        assert 0 < len(found) < everything
        assert {(one["productSubGroupDescription"], one["calib_level"]) for one in found} == {("X1DINTS", 3)}
        assert len(harvested("find", "--json").json) == 2
        assert len(harvested("find", "--limit", 3, "--json").json) == 3

    def test_the_server_is_the_options_then_the_environments_then_the_files(
        self, harvested: Command, sky: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def server(*words: str) -> str:
            return str(harvested(*words, "status", "--json").json["server"])

        written(tmp_path, 'server = "http://127.0.0.1:9/"')
        assert server() == sky.url
        monkeypatch.delenv("MASTLAKE_SERVER")
        assert server() == "http://127.0.0.1:9"
        assert server("--server", "http://127.0.0.1:8") == "http://127.0.0.1:8"

    @pytest.mark.parametrize(
        ("text", "says"),
        [("[snc]\njobs = 1", "did you mean sync?"), ("[sync]\njbos = 1", "did you mean jobs?"), ("x", "not TOML")],
    )
    def test_a_mistake_in_the_file_is_one_line_before_anything_is_done(
        self, served: Command, tmp_path: Path, text: str, says: str
    ) -> None:
        written(tmp_path, text)
        outcome = served("harvest", "a", "--instrument", "niriss")
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert says in outcome.err
        assert not (tmp_path / "catalog.duckdb").exists()

    def test_a_value_of_the_wrong_kind_is_wrong_usage(self, harvested: Command, tmp_path: Path) -> None:
        written(tmp_path, '[sync]\njobs = "many"')
        outcome = harvested("sync", "--dry-run")
        assert outcome.code == 2
        assert "--jobs" in outcome.err
