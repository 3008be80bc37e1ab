"""Saved searches are shown, edited, renamed and removed, and what they were stays known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog import Catalog, Search
from catalog.errors import BadValue, NoSuchSearch
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.store.history.runs import save_search, saved_search
from catalog.store.history.search_edits import edit_search, edits, remove_search, rename_search

from .conftest import Command

CAL = ("harvest", "cal", "--instrument", "niriss", "-k", "productLevel=2b")
RAW = ("harvest", "raw", "--instrument", "niriss", "-k", "productLevel=2a")
NOTHING = ("harvest", "none", "--instrument", "niriss", "-k", "exp_type=NIS_AMI")


@pytest.fixture
def served(mastlake: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A small archive of the test's own, which commands ask."""
    with Simulator(files=20, instruments=["niriss"]) as sky:
        monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
        yield sky


def rows(mastlake: Command, sql: str) -> list[dict[str, object]]:
    """Ask in SQL."""
    return list(mastlake("sql", sql, "--format", "json").json)


class TestManaging:
    """show, edit, rename, remove."""

    @pytest.mark.long
    def test_an_edit_starts_a_new_membership_and_keeps_the_history(self, mastlake: Command, served: Simulator) -> None:
        assert mastlake("-q", *CAL).code == 0
        before = rows(mastlake, "SELECT filename FROM search_files ORDER BY ALL")
        edited = mastlake("searches", "edit", "cal", "-k", "productLevel=2a")
        assert (edited.code, edited.err.count("\n")) == (0, 1)
        assert rows(mastlake, "SELECT filename FROM search_files ORDER BY ALL") == before
        assert mastlake("harvest", "cal", "--json").json["files"] > 0
        after = rows(mastlake, "SELECT filename, since_run FROM search_files ORDER BY ALL")
        assert {row["since_run"] for row in after} == {2}
        assert not {row["filename"] for row in before} & {row["filename"] for row in after}
        then = "SELECT filename FROM search_file_membership WHERE search = 'cal' AND until_run = 2 ORDER BY ALL"
        assert rows(mastlake, then) == before
        shown = mastlake("searches", "show", "cal", "--json").json
        assert shown["criteria"] == ["productLevel=2a"]
        assert [(one["act"], one["criteria"]) for one in shown["edits"]] == [("edited", ["productLevel=2b"])]
        assert [run["kind"] for run in shown["runs"]] == ["full", "full"]
        assert "it was niriss files productLevel=2b" in mastlake("searches", "show", "cal").out
        told = mastlake("changes", "2").out
        assert "left by cal, which was edited" in told
        assert "new to cal, which was edited" in told

    @pytest.mark.long
    def test_a_renamed_search_keeps_its_runs_files_and_changes(self, mastlake: Command, served: Simulator) -> None:
        assert mastlake("-q", *CAL).code == 0
        assert mastlake("searches", "rename", "cal", "mine").code == 0
        assert mastlake("searches", "--json").json[0]["name"] == "mine"
        assert {row["search"] for row in rows(mastlake, "SELECT search FROM search_files")} == {"mine"}
        assert mastlake("harvest", "mine", "--json").json["new"] == 0
        assert [run["kind"] for run in mastlake("runs", "--search", "mine", "--json").json] == ["full", "incremental"]
        assert "1 run of mine" in mastlake("changes", "1").out
        assert "renamed from cal" in mastlake("searches", "show", "mine").out

    @pytest.mark.long
    def test_a_removed_search_leaves_its_history_and_what_others_match(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        both = ("harvest", "both", "--instrument", "niriss", "-k", "productLevel=2a,2b")
        for words in (CAL, both):
            assert mastlake("-q", *words).code == 0
        assert mastlake("-q", "sync", "cal", "--subgroup", "RATEINTS", "--dest", "data").code == 0
        files = rows(mastlake, "SELECT filename FROM files ORDER BY ALL")
        assert mastlake("searches", "remove", "cal").code == 0
        assert rows(mastlake, "SELECT filename FROM files ORDER BY ALL") == files
        assert [one["name"] for one in mastlake("searches", "--json").json] == ["both"]
        assert mastlake("searches", "remove", "both", "--json").json == {"removed": "both"}
        assert (
            rows(mastlake, "FROM files") == rows(mastlake, "FROM products") == rows(mastlake, "FROM observations") == []
        )
        assert rows(mastlake, "SELECT filename FROM files_at(2) ORDER BY ALL") == files
        assert [run["kind"] for run in mastlake("runs", "--json").json] == ["full", "full", "removed", "removed"]
        assert mastlake("changes", "--since", 2).out == ""  # the archive withdrew nothing
        why = {one["reason"] for one in mastlake("outdated", "--json").json["unknown"]}
        assert why <= {"no saved search leads to it any more"}
        assert mastlake("harvest", "both", *both[2:], "--json").json["returned"] == len(files)

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["shwo", "soss"], "did you mean 'show'"),
            (["soss"], "show"),
            (["show"], "mastlake searches show NAME"),
            (["show", "sos"], "did you mean 'soss'"),
            (["edit", "soss"], "-k exp_type=NIS_SOSS"),
            (["edit", "soss", "-k", "exptype=NIS_SOSS"], "exp_type"),
            (["edit", "soss", "--cone", "1,2,3d"], "no cone"),
            (["rename", "soss"], "rename NAME NEW"),
            (["rename", "soss", "nircam"], "another search"),
            (["rename", "soss", "a b"], "cannot name a search"),
            (["remove", "sos"], "did you mean 'soss'"),
            (["show", "soss", "-k", "exp_type=NIS_SOSS"], "belong to edit"),
        ],
    )
    def test_what_makes_no_sense_is_refused_in_one_line(
        self, mastlake: Command, catalog: Database, words: list[str], says: str
    ) -> None:
        outcome = mastlake("searches", *words)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert says in outcome.err

    def test_a_search_for_files_stays_one_for_files(self, catalog: Database) -> None:
        with Catalog.open(catalog.path) as lake, pytest.raises(BadValue, match="is for files"):
            lake.edit_search(Search.observations("soss", ["proposal_id=1"]))

    def test_from_python_searches_are_managed_too(self, catalog: Database) -> None:
        with Catalog.open(catalog.path) as lake:
            lake.edit_search(Search.parse("soss", "niriss", ["exp_type=NIS_AMI"]))
            lake.rename_search("soss", "ami")
            lake.remove_search("nircam")
            assert [(one.name, one.written) for one in lake.searches()] == [("ami", ("exp_type=NIS_AMI",))]
            with pytest.raises(NoSuchSearch):
                lake.remove_search("nircam")

    def test_two_hundred_searches_are_one_line_each(self, mastlake: Command, database: Database) -> None:
        with database.write() as connection:
            for number in range(200):
                save_search(connection, Search.parse(f"s{number:03}", "miri", [f"program={number + 1}"]))
        assert len(mastlake("searches").out.splitlines()) == 201

    def test_what_became_of_a_search_is_kept_in_order(self, database: Database) -> None:
        with database.write() as connection:
            save_search(connection, Search.parse("a", "miri", ["program=1"]))
            edit_search(connection, Search.parse("a", "nircam", ["program=2"]))
            rename_search(connection, "a", "b")
            assert [(one.act, one.instrument, one.criteria) for one in edits(connection, "b")] == [
                ("edited", "miri", ("program=1",)),
                ("renamed", "nircam", ("program=2",)),
            ]
            assert not saved_search(connection, "b").has_run
            remove_search(connection, "b")
            assert edits(connection, "b")[-1].act == "removed"


class TestKeeping:
    """What a harvest saves."""

    @pytest.mark.long
    def test_a_search_that_matched_nothing_is_saved_only_if_one_says_so(
        self, mastlake: Command, served: Simulator
    ) -> None:
        outcome = mastlake(*NOTHING, "--json")
        assert (outcome.code, outcome.json["files"]) == (0, 0)
        assert "--save keeps it" in outcome.err
        assert mastlake("searches", "--json").json == []
        assert mastlake("-q", *NOTHING, "--save").code == 0
        assert [one["name"] for one in mastlake("searches", "--json").json] == ["none"]
        assert mastlake("-q", "harvest").code == 0
        assert [one["name"] for one in mastlake("searches", "--json").json] == ["none"]

    @pytest.mark.long
    def test_a_search_whose_first_run_failed_is_saved_only_if_one_says_so(
        self, mastlake: Command, served: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.archive.retry.Patience._pause", lambda self, state: 0.01)
        for save in ([], ["--save"]):
            served.faults(invoke_500=50)
            outcome = mastlake("-q", *CAL, *save)
            assert (outcome.code, outcome.err.count("\n")) == (1, 1)
            served.faults(invoke_500=0)
            assert [one["name"] for one in mastlake("searches", "--json").json] == (["cal"] if save else [])
        assert mastlake("harvest", "cal", "--json").json["files"] > 0

    @pytest.mark.long
    def test_an_interrupted_first_run_does_not_save_its_search(
        self, mastlake: Command, served: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("catalog.harvest.commit", interrupt)
        outcome = mastlake(*CAL)
        assert outcome.code == 130
        assert "cal was interrupted; the search was not saved" in outcome.err
        assert mastlake("searches", "--json").json == []


class TestDeclared:
    """Searches of mastlake.toml."""

    TOML = '[searches.cal]\ninstrument = "niriss"\ncriteria = ["productLevel={level}"]\n'

    @pytest.mark.long
    def test_one_that_changes_is_edited_and_one_that_vanishes_is_not_run(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        (tmp_path / "mastlake.toml").write_text(self.TOML.format(level="2b"))
        first = mastlake("harvest", "--json")
        assert (first.code, first.err) == (0, "")
        (tmp_path / "mastlake.toml").write_text(self.TOML.format(level="2a"))
        second = mastlake("-q", "harvest")
        assert second.code == 0
        assert second.err == "cal: mastlake.toml describes another search than before, so it was edited\n"
        assert mastlake("searches", "show", "cal", "--json").json["criteria"] == ["productLevel=2a"]
        (tmp_path / "mastlake.toml").write_text("")
        assert mastlake("-q", *RAW).code == 0
        third = mastlake("harvest", "--json")
        assert "cal is no longer in mastlake.toml and was not run" in third.err
        assert third.json["search"] == "raw"
        assert mastlake("-q", "harvest", "cal").code == 0  # a person asked for it, so it is one of the saved again
        assert "no longer" not in mastlake("-q", "harvest").err
