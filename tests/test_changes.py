"""What changed, told to a person: since the last look, as a net effect, in groups, and as a page."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import Catalog
from catalog.archive.client import MastArchive
from catalog.changes import changes
from catalog.changes.groups import _natural
from catalog.changes.report import Report, Section, as_html, as_markdown, as_text
from catalog.harvest import harvest
from catalog.headers import index_folders
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.search import Search
from tests.fits_samples import sample

from .conftest import QUICK, Command
from .lakes import catalog_in

CAL = ("harvest", "cal", "--instrument", "niriss", "-k", "productLevel=2b")
RAW = ("harvest", "raw", "--instrument", "niriss", "-k", "productLevel=2a")


@pytest.fixture(scope="module")
def _harvested_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("changes") / "catalog.duckdb"
    with Simulator(files=20, instruments=["niriss"]) as sky, MastArchive(sky.url) as archive:
        for name, level in (("cal", "2b"), ("raw", "2a")):
            harvest(Database(path), archive, Search.parse(name, "niriss", [f"productLevel={level}"]), patience=QUICK)
    return path


@pytest.fixture
def database(engine: str, _harvested_once: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A catalog with two searches."""
    return catalog_in(tmp_path, engine, request, _harvested_once)


@pytest.fixture
def served(mastlake: Command, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A small archive of the test's own, which commands ask, and two searches harvested from it."""
    with Simulator(files=20, instruments=["niriss"]) as sky:
        monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
        with database.write() as connection:  # the same sky, which another port serves
            connection.execute("UPDATE runs SET server = ?", [sky.url])
        yield sky


def renew(sky: Simulator, names: list[str], version: str) -> None:
    """Process files again with another version of the pipeline and of its reference files."""
    sky.reprocess(names)
    for name in names:
        sky.edit(name, "cal_ver", version)
        sky.edit(name, "crds_ctx", f"jwst_{version}.pmap")


def files_of(mastlake: Command, search: str) -> list[str]:
    """The files that a search matches, by name."""
    sql = f"SELECT filename FROM search_files WHERE search = '{search}' ORDER BY filename"
    return [row["filename"] for row in mastlake("sql", sql, "--format", "json").json]


class TestSinceTheLastLook:
    """Without a date, `changes` goes on where a person stopped."""

    @pytest.mark.engines
    @pytest.mark.long
    def test_changes_of_several_searches_are_told_together_and_once(self, mastlake: Command, served: Simulator) -> None:
        first = mastlake("changes")
        assert "since the first harvest: 2 runs of cal, raw" in first.out
        assert "mastlake changes --since 0" in first.err
        renew(served, [files_of(mastlake, "cal")[0], files_of(mastlake, "raw")[0]], "9.1")
        assert mastlake("-q", "harvest").code == 0
        second = mastlake("changes")
        assert "since run 2" in second.out
        assert re.search(r"^  2 .*reprocessed, CAL_VER .+ -> .+, CRDS_CTX .+ -> ", second.out, re.MULTILINE)
        third = mastlake("changes")
        assert (third.code, third.out) == (0, "")
        assert "nothing changed since run 4" in third.err
        assert mastlake("changes", "--since", 2).out == second.out

    @pytest.mark.engines
    @pytest.mark.long
    def test_only_a_look_at_everything_moves_the_mark(self, mastlake: Command, served: Simulator) -> None:
        for words in (["1"], ["--since", "0"], ["--local"], ["--what", "file"]):
            assert mastlake("changes", *words).code == 0
        assert "of cal" in mastlake("changes", "--search", "cal").out
        assert mastlake("changes", "--search", "cal").out == ""
        assert "2 runs of cal, raw" in mastlake("changes").out

    @pytest.mark.engines
    @pytest.mark.long
    def test_where_nothing_changed_cron_has_nothing_to_mail(self, mastlake: Command, served: Simulator) -> None:
        told = mastlake("-q", "changes")
        assert (told.code, told.err) == (0, "")
        assert told.out
        for words in (["-q", "harvest"], ["-q", "changes"], ["changes", "-q"]):
            assert mastlake(*words) == type(told)(0, "", "")

    @pytest.mark.long
    def test_a_mark_of_another_catalog_of_that_name_does_not_count(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        mastlake("changes")
        (tmp_path / "catalog.duckdb").unlink()
        assert mastlake("-q", *RAW).code == 0
        assert mastlake("-q", *CAL).code == 0
        assert "since the first harvest: 2 runs" in mastlake("changes").out

    @pytest.mark.long
    def test_a_damaged_mark_does_not_count(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        mastlake("changes")
        (mark,) = tmp_path.glob("catalog.duckdb.looked-*")
        for text in ("", "[]", '{"run": "x"}', '{"run": 1}', "\x00"):
            mark.write_text(text)
            assert "since the first harvest" in mastlake("changes").out, text

    @pytest.mark.long
    def test_where_the_folder_cannot_be_written_the_mark_is_in_the_persons_own(
        self, mastlake: Command, served: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / f"catalog.duckdb.looked-{os.getuid()}").mkdir()  # root may write everywhere, but no folder
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        assert mastlake("changes").out
        assert mastlake("changes").out == ""
        assert list((tmp_path / "state" / "mastlake").iterdir())

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["99"], "mastlake runs"),
            (["--since", "99"], "mastlake runs"),
            (["--since", "yesterday-ish"], "is not a date like"),
            (["1", "--since", "1"], "not both"),
            (["--search", "sos"], "soss"),
        ],
    )
    def test_what_there_is_not_is_refused_in_one_line(
        self, mastlake: Command, catalog: Database, words: list[str], says: str
    ) -> None:
        outcome = mastlake("changes", *words)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert says in outcome.err


@pytest.mark.engines
class TestNetEffect:
    """Several runs come to one effect."""

    @pytest.mark.long
    def test_what_changed_twice_counts_once_from_the_oldest_to_the_newest(
        self, mastlake: Command, served: Simulator
    ) -> None:
        name = files_of(mastlake, "cal")[0]
        values = [_value(mastlake, name, "cal_ver")]
        for version in ("9.1", "9.2"):
            renew(served, [name], version)
            assert mastlake("-q", "harvest").code == 0
            values.append(_value(mastlake, name, "cal_ver"))
        answer = mastlake("changes", "--since", 2, "--json").json
        assert list(answer) == ["since", "until", "groups", "rows"]
        assert (answer["since"], answer["until"]) == (2, 6)
        (row,) = [row for row in answer["rows"] if row["what"] == "file"]
        assert list(row) == ["run", "search", "kind", "what", "key", "columns"]
        assert (row["run"], row["search"], row["kind"], row["key"]) == (5, "cal", "changed", name)
        assert row["columns"]["cal_ver"] == [values[0], values[2]]
        assert all(old != new for old, new in row["columns"].values())
        (group,) = [group for group in answer["groups"] if group["what"] == "file"]
        assert (group["count"], group["change"]) == (1, "reprocessed")

    @pytest.mark.long
    def test_what_came_and_went_is_told_as_that(self, mastlake: Command, served: Simulator) -> None:
        name = files_of(mastlake, "cal")[0]
        served.withdraw([name])
        assert mastlake("-q", "harvest").code == 0
        served.restore([name])
        assert mastlake("-q", "harvest").code == 0
        assert kinds(mastlake("changes", "--since", 2, "--what", "file", "--json").json) == {}
        assert kinds(mastlake("changes", "--since", 4, "--what", "file", "--json").json) == {name: {"returned"}}
        served.withdraw([name])
        assert mastlake("-q", "harvest").code == 0
        assert kinds(mastlake("changes", "--since", 4, "--what", "file", "--json").json) == {name: {"came and went"}}
        assert kinds(mastlake("changes", "--since", 2, "--what", "file", "--json").json) == {name: {"withdrawn"}}

    @pytest.mark.long
    def test_a_change_counts_for_every_search_that_matches_the_file(self, mastlake: Command, served: Simulator) -> None:
        all_files = ("harvest", "all", "--instrument", "niriss", "-k", "productLevel=2a,2b")
        name = files_of(mastlake, "cal")[0]
        served.reprocess([name])
        assert mastlake("-q", *all_files).code == 0  # it sees the file for the first time, and changed
        assert mastlake("-q", "harvest", "cal").code == 0
        rows = mastlake("changes", "--since", 2, "--search", "cal", "--what", "file", "--json").json["rows"]
        assert [(row["key"], row["kind"], row["search"]) for row in rows] == [(name, "changed", "cal")]
        assert "new to all, known before" in mastlake("changes", "--since", 2).out

    @pytest.mark.long
    def test_a_run_alone_is_told_without_what_came_later(self, mastlake: Command, served: Simulator) -> None:
        cal = files_of(mastlake, "cal")
        served.reprocess(cal[:2])
        assert mastlake("-q", "harvest", "cal").code == 0
        served.reprocess(cal[1:3])
        assert mastlake("-q", "harvest", "cal").code == 0
        assert set(kinds(mastlake("changes", 3, "--what", "file", "--json").json)) == set(cal[:2])
        assert set(kinds(mastlake("changes", 4, "--what", "file", "--json").json)) == set(cal[1:3])
        assert set(kinds(mastlake("changes", 1, "--what", "file", "--json").json)) == set(cal)


@pytest.mark.engines
@pytest.mark.long
@settings(max_examples=1, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from("rwsb"), st.integers(0, 10**6)), min_size=2, max_size=4))
def test_the_net_effect_is_what_two_moments_differ_in(
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    steps: list[tuple[str, int]],
) -> None:
    database = catalog_in(tmp_path_factory.mktemp("law"), engine, request)
    search, gone = Search.parse("all", "niriss", []), []
    with Simulator(files=20, instruments=["niriss"]) as sky, MastArchive(sky.url) as archive:
        harvest(database, archive, search, patience=QUICK)
        for act, pick in steps:
            names = sky.filenames("niriss")
            some = [names[pick % len(names)], names[pick // 7 % len(names)]] if names else []
            if act == "w":
                gone += some
                sky.withdraw(sorted(set(some)))
            elif act == "b":
                sky.restore(sorted(set(gone)))
                gone = []
            else:
                (sky.reprocess if act == "r" else sky.stale)(sorted(set(some)))
            harvest(database, archive, search, patience=QUICK)
    last = len(steps) + 1
    for since in range(last):
        _is_what_two_moments_differ_in(database, since)


def _is_what_two_moments_differ_in(database: Database, since: int) -> None:
    found = changes(database, since=str(since), what="file")
    with database.read() as connection:
        before, after = (
            {row["filename"]: row for row in connection.execute(f"FROM files_at({run})").to_arrow_table().to_pylist()}
            for run in (since, found.until)
        )
    told = {row.key: row for row in found if row.kind != "came and went"}
    own = {"since_run", "footprint", "obs_id", "instrument", "data_uri", "file_size", "is_stale", "ingest_mjd"}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            kind = told.pop(name).kind
            assert kind == "withdrawn" if new is None else kind in ("new", "returned")
            continue
        differ = {c for c in new if c not in own and old.get(c) != new[c]}
        row = told.pop(name, None)
        assert set(row.columns if row else ()) == differ, (since, name)
        for column in differ:
            assert row is not None
            if not isinstance(new[column] or old[column], datetime):
                assert row.columns[column] == (old[column], new[column])
    assert told == {}


def kinds(answer: dict[str, Any]) -> dict[str, set[str]]:
    """What became of each row of an answer."""
    found: dict[str, set[str]] = {}
    for row in answer["rows"]:
        found.setdefault(row["key"], set()).add(row["kind"])
    return found


def _value(mastlake: Command, name: str, column: str) -> Any:
    return mastlake("sql", f"SELECT {column} FROM files WHERE filename = '{name}'", "--format", "json").json[0][column]


class TestLocal:
    """What of it is on this disk, and what that means for the person's own work."""

    @pytest.mark.long
    def test_only_files_on_this_disk_are_told_and_what_is_to_be_reduced_again(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        assert mastlake("-q", "sync", "cal", "--subgroup", "CALINTS", "--dest", "data").code == 0
        here, other = sorted((tmp_path / "data").iterdir())[:2]
        other.unlink()
        product = {"name": "my_own", "members": [{"expname": here.name, "exptype": "science"}]}
        (tmp_path / "data" / "my_asn.json").write_text(json.dumps({"products": [product]}))
        (tmp_path / "data" / "my_own_x1dints.fits").write_bytes(sample("mine"))
        assert mastlake("-q", "index", "data").code == 0
        assert mastlake("changes", "--since", 2, "--local").out == ""
        served.reprocess([here.name, other.name])
        assert mastlake("-q", "harvest").code == 0
        answer = mastlake("changes", "--since", 2, "--local", "--json").json
        assert kinds(answer)[here.name] == {"changed"}
        assert kinds(answer)["my_own_x1dints.fits"] == {"reduce again"}
        assert other.name not in kinds(answer)
        text = mastlake("changes", "--since", 2, "--local").out
        assert "my_own_x1dints.fits: 1 input stale" in text


class TestReports:
    """Pages that can be mailed."""

    SCRIPT = "<script>alert('x')</script>"

    @pytest.mark.long
    def test_every_form_escapes_the_names_that_come_from_outside(
        self, mastlake: Command, served: Simulator, tmp_path: Path
    ) -> None:
        name = files_of(mastlake, "cal")[0]
        served.edit(name, "targname", f"{self.SCRIPT}\x1b[2J|*`_a_`*")
        served.reprocess([name])
        for ending in ("html", "md", "txt"):
            assert mastlake("-q", "harvest", "--report", f"changes.{ending}").code == 0
            page = (tmp_path / f"changes.{ending}").read_text()
            served.reprocess([name])
            assert "\x1b" not in page
            assert ("<script>" in page) == (ending == "txt")
            assert "reprocessed" in page
            assert name in page
        assert "&lt;script&gt;" in (tmp_path / "changes.html").read_text()

    @pytest.mark.long
    def test_html_loads_nothing_and_is_well_formed(self, mastlake: Command, served: Simulator, tmp_path: Path) -> None:
        served.reprocess(files_of(mastlake, "cal"))
        assert mastlake("-q", "harvest", "--report", "changes.html").code == 0
        parser = Tags()
        parser.feed((tmp_path / "changes.html").read_text())
        assert parser.open == []
        assert parser.addresses == []

    @pytest.mark.long
    def test_a_reprocessing_of_everything_is_one_page(
        self, mastlake: Command, served: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.changes.report.ROWS", 5)
        served.reprocess(served.filenames("niriss"))
        assert mastlake("-q", "harvest", "--report", "changes.md").code == 0
        assert len(mastlake("changes", "--since", 2).out.splitlines()) < 20
        lines = (tmp_path / "changes.md").read_text().splitlines()
        assert len(lines) < 40
        assert "more: `mastlake changes -v --since 2`" in lines[-1]

    @pytest.mark.long
    def test_a_search_that_failed_is_told_in_the_report_too(
        self, mastlake: Command, served: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.archive.retry.Patience._pause", lambda self, state: 0.01)
        served.faults(invoke_500=5)
        outcome = mastlake("-q", "harvest", "--report", "changes.txt")
        assert outcome.code == 1
        assert outcome.err.count("\n") == 1
        page = (tmp_path / "changes.txt").read_text()
        assert "Could not be done\n  cal: " in page
        assert "Nothing changed" in page

    def test_an_ending_without_a_form_is_refused_before_anything_is_asked(
        self, mastlake: Command, served: Simulator
    ) -> None:
        before = served.stats().get("invoke", 0)
        outcome = mastlake("harvest", "--report", "changes.pdf")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert ".txt, .md or .html" in outcome.err
        assert served.stats().get("invoke", 0) == before

    @pytest.mark.long
    def test_a_report_that_cannot_be_written_is_one_line(self, mastlake: Command, served: Simulator) -> None:
        outcome = mastlake("-q", "harvest", "--report", "nowhere/changes.html")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)

    @settings(max_examples=30)
    @given(text=st.text(max_size=40))
    def test_no_text_becomes_markup_or_moves_a_terminal(self, text: str) -> None:
        page = Report(text, text, (Section(text, (text,)),), ((text, text, text),))
        parser = Tags()
        parser.feed(as_html(page))
        assert set(parser.seen) <= {
            "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "table", "tr", "td", "th",
        }  # fmt: skip
        assert parser.open == []
        assert not re.search(r"<[A-Za-z/!?]", as_markdown(page))
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", as_text(page))
        assert as_text(page).count("\n") == as_text(Report("", "", (Section("", ("",)),), (("", "", "x"),))).count("\n")


class Tags(HTMLParser):
    """The tags of a page, those left open, and the addresses that it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_versions_are_sorted_by_their_numbers() -> None:
    assert sorted(["1.10.1", "1.8.2", "1.9", "jwst_1"], key=_natural) == ["1.8.2", "1.9", "1.10.1", "jwst_1"]


@pytest.mark.engines
@pytest.mark.long
def test_from_python_changes_are_groups_and_rows(catalog: Database) -> None:
    with Catalog.open(catalog.named) as lake:
        found = lake.changes(search="soss")
        assert {group.change for group in found.groups} == {"new"}
        assert len([row for row in found.rows if row.what == "file"]) == sum(
            group.count for group in found.groups if group.what == "file"
        )
        assert not lake.changes(since=found.until)
        assert "since the first harvest" in repr(found)


@pytest.mark.long
def test_an_index_without_a_harvest_has_no_changes(of_file: Database, tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(sample())
    index_folders(of_file, [tmp_path / "a.fits"])
    assert not changes(of_file, local=True)
