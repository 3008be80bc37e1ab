"""The catalog from Python: what a notebook does."""

from __future__ import annotations

import doctest
import importlib
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.time import Time
from catalog.cli.main import COMMANDS

import catalog as package
from catalog import Catalog, Search
from catalog.errors import BadValue, CatalogError, NoSuchSearch, UnknownKeyword, UsageError
from catalog.questions.query_errors import BadQuery
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.criteria import criterion

from .conftest import SOSS, Command, copy_of

README = Path(__file__).parent.parent / "README.md"
HEAVY = {"astropy", "astroquery", "duckdb", "sqlalchemy", "matplotlib", "numpy", "pyarrow", "pandas", "polars"}


@pytest.fixture(scope="module")
def _harvested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    with Simulator(files=600) as archive:
        path = tmp_path_factory.mktemp("api") / "catalog.duckdb"
        with Catalog.open(path, server=archive.url) as lake:
            lake.harvest(Search.parse("soss", "niriss", SOSS))
        yield path, archive.url


@pytest.fixture
def lake(_harvested: tuple[Path, str], tmp_path: Path) -> Iterator[Catalog]:
    """A harvested catalog of the test's own, and its archive."""
    harvested, server = _harvested
    path = copy_of(harvested, tmp_path / "catalog.duckdb").path
    with Catalog.open(path, server=server, wait=5) as lake:
        yield lake


def test_public_names_are_sorted_and_each_is_there() -> None:
    assert package.__all__ == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package._HOMES) == set(package.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="Katalog"):
        package.Katalog  # noqa: B018


@pytest.mark.parametrize("statement", ["import catalog", "from catalog.cli.main import app, run; run(['--help'])"])
def test_importing_the_package_and_asking_for_help_load_nothing_heavy(statement: str) -> None:
    watched = f"try:\n    {statement.replace('; ', chr(10) + '    ')}\nexcept SystemExit: pass\n"
    loaded = f"import sys; sys.stderr.write(' '.join({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", watched + loaded], capture_output=True, text=True, check=True)
    assert done.stderr == ""


_LONG_EXAMPLES = frozenset(
    {
        "catalog.answers.ecsv",
        *(
            f"catalog.api.{module}"
            for module in ("catalog", "history", "lakes", "pictures", "publishing", "saved_searches", "sharing")
        ),
    }
)


def _modules_with_examples() -> list[Any]:
    """Return the names of modules; those whose examples draw, harvest or publish are for the long run."""
    root = Path(package.__path__[0])
    found = sorted(path for path in root.rglob("*.py") if ">>> " in path.read_text())
    names = [".".join(("catalog", *path.relative_to(root).with_suffix("").parts)) for path in found]
    return [pytest.param(name, marks=pytest.mark.long if name in _LONG_EXAMPLES else ()) for name in names]


@pytest.mark.parametrize("name", _modules_with_examples())
def test_every_example_in_a_docstring_runs(
    name: str, lake: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTLAKE_SERVER", raising=False)
    monkeypatch.delenv("MASTLAKE_CATALOG", raising=False)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name.removesuffix(".__init__"))
    result = doctest.testmod(module, extraglobs={"catalog": lake, "folder": tmp_path, "Search": Search})
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.long
def test_a_notebook_walks_from_a_search_to_proven_files(tmp_path: Path) -> None:
    dest = tmp_path / "data"
    with Simulator(files=600) as archive, Catalog.open(tmp_path / "c.duckdb", server=archive.url) as lake:
        harvest = lake.harvest(Search.parse("soss", "niriss", SOSS))
        assert repr(harvest).startswith(f"<Run 1 of soss: {harvest.run.files} files ({harvest.run.files} new); ")
        assert harvest.run.files == len(lake.find()) > 0
        assert [search.name for search in lake.searches()] == ["soss"]
        spectra = lake.products("soss", types="SCIENCE", levels=2, subgroups=["X1DINTS"])
        plan = lake.plan("soss", types="SCIENCE", levels=2, subgroups=["X1DINTS"], dest=dest)
        assert plan.selected == len(spectra) == plan.tallies["fetch"].items > 0
        assert repr(plan).startswith(f"<Plan of {len(spectra)} products in {dest}: fetch {len(spectra)} (")
        report = lake.sync("soss", types="SCIENCE", levels=2, subgroups=["X1DINTS"], dest=dest)
        assert (report.fetched, report.failed) == (len(spectra), 0)
        assert lake.index(dest).read == len(spectra)
        assert lake.sql("SELECT count(DISTINCT path) AS n FROM cards WHERE keyword = 'CRDS_CTX'")["n"] == [len(spectra)]
        archive.advance(2)
        assert lake.harvest("soss").run.changed > 0
        stale = lake.outdated().stale
        assert stale
        assert lake.sync("soss", levels=2, subgroups="X1DINTS", dest=dest).replaced == len(stale)


@pytest.mark.long
def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with Simulator(files=600) as archive:
        monkeypatch.setenv("MASTLAKE_SERVER", archive.url)
        exec(code, {})
    assert list((tmp_path / "data").glob("*_x1dints.fits"))


def test_find_takes_python_values_for_what_the_command_line_writes(lake: Catalog) -> None:
    by_values = lake.find(category=["COM", "ERS"], tsovisit=True, date_obs=(date(2022, 6, 1), "2022-08-04"))
    by_words = lake.find("category=COM,ERS", "tsovisit=T", "date_obs=2022-06-01..2022-08-04")
    assert by_values.rows == by_words.rows
    assert len(by_values) > 0
    assert lake.sql(by_values.sql).rows == by_values.rows


def test_find_gives_all_rows_unless_limited(lake: Catalog) -> None:
    everything = lake.find(everything=True)
    assert len(everything) == lake.sql("SELECT count(*) AS n FROM files")["n"][0]
    assert len(everything.columns) > 190
    assert lake.find(limit=3)["filename"] == everything["filename"][:3]


def test_a_cone_can_be_a_tuple_in_degrees(lake: Catalog) -> None:
    (row,) = lake.sql("SELECT targ_ra AS ra, targ_dec AS dec FROM files LIMIT 1")
    near = lake.find(cone=(row["ra"], row["dec"], 0.01))
    assert len(near) == len(lake.find(cone=f"{row['ra']},{row['dec']},36s")) > 0


def test_a_cone_can_be_a_place_and_an_angle(lake: Catalog) -> None:
    (row,) = lake.sql("SELECT targ_ra AS ra, targ_dec AS dec FROM files LIMIT 1")
    place = SkyCoord(row["ra"], row["dec"], unit="deg")
    expected = lake.find(cone=(row["ra"], row["dec"], 0.01)).rows
    assert lake.find(cone=(place, 36 * units.arcsec)).rows == expected
    assert len(lake.find(cone=(place.galactic, 0.01))) == expected.num_rows > 0


def test_quantities_and_times_are_values(lake: Catalog) -> None:
    by_numbers = lake.find(effexptm=(60, None), date_obs=("2022-06-01", "2022-08-04")).rows
    start, end = Time("2022-06-01"), Time("2022-08-04")
    assert lake.find(effexptm=(1 * units.min, None), date_obs=(start, end)).rows == by_numbers
    assert by_numbers.num_rows > 0
    assert lake.find(since=start, until=end).rows == lake.find(since="2022-06-01", until="2022-08-04").rows


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("effexptm", 3 * units.m, "effexptm is in s"),
        ("nints", 3 * units.s, "nints has no unit"),
        ("effexptm", [1, 2] * units.s, "not an array"),
        ("cone", (SkyCoord([1, 2], [3, 4], unit="deg"), 1 * units.deg), "not an array"),
        ("cone", (SkyCoord(1, 2, unit="deg"), 1 * units.s), "cone is in deg"),
    ],
)
def test_a_quantity_that_does_not_fit_is_refused(lake: Catalog, keyword: str, value: Any, told: str) -> None:
    with pytest.raises(BadValue, match=told):
        lake.find(**{keyword: value})


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("COM,ERS", "k=COM,ERS"),
        (["COM", "ERS"], "k=COM,ERS"),
        (["Batalha, Natalie"], 'k="Batalha, Natalie"'),
        (True, "k=T"),
        (1366, "k=1366"),
        ((1, 5), "k=1..5"),
        ((None, 5.5), "k=..5.5"),
        ((date(2022, 6, 1), None), "k=2022-06-01.."),
    ],
)
def test_a_python_value_is_written_as_on_the_command_line(wanted: object, text: str) -> None:
    assert criterion("k", wanted) == text  # type: ignore[arg-type]


def test_a_range_that_is_no_pair_is_refused() -> None:
    with pytest.raises(BadValue, match="a pair"):
        criterion("nints", (1, 2, 3))


QUESTION = """
    SELECT filename, effexptm, date_obs, date_obs_mjd, tsovisit, nints, obs_id,
           nullif(targname, 'WASP-39') AS targname, nullif(effexptm, effexptm) AS inttime
    FROM files ORDER BY filename LIMIT 50
"""


def test_the_same_rows_reach_every_library(lake: Catalog) -> None:
    result = lake.sql(QUESTION)
    frame, table = result.to_pandas(), result.to_table()
    assert result.to_polars().equals(pl.DataFrame(result))
    assert pa.table(result) == result.to_arrow() == result.rows
    assert duckdb.from_arrow(result.to_arrow()).fetchall() == [tuple(row.values()) for row in result]
    for name in ("filename", "effexptm", "tsovisit", "nints"):
        assert list(frame[name]) == list(result[name]) == list(result.to_polars()[name]) == list(table[name])
    assert isinstance(table, Table)
    assert table["targname"].mask.tolist() == [value is None for value in result["targname"]]


def test_a_qtable_has_units_times_and_masks_only_where_a_value_is_missing(lake: Catalog) -> None:
    result = lake.sql(QUESTION)
    table = result.to_qtable()
    assert table["effexptm"].unit == units.s
    assert table["effexptm"].to_value(units.s).tolist() == result["effexptm"]
    assert isinstance(table["effexptm"], units.Quantity)
    assert not hasattr(table["effexptm"], "mask")
    assert isinstance(table["date_obs"], Time)
    assert abs(table["date_obs"].mjd - table["date_obs_mjd"].value).max() < 1e-6
    assert table["effexptm"].info.description == "Effective exposure time"
    assert table["inttime"].mask.all()


def test_missing_dates_are_masked_times(lake: Catalog) -> None:
    table = lake.sql("SELECT unnest([NULL, TIMESTAMP '2022-06-01']) AS date_obs").to_qtable()
    assert table["date_obs"].mask.tolist() == [True, False]
    assert table["date_obs"][1].isot == "2022-06-01T00:00:00.000"


def test_a_result_shows_itself_in_a_terminal_and_in_a_notebook(lake: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = lake.sql("SELECT filename, effexptm, '<b>&' AS text FROM files")
    assert repr(result).startswith(f"{len(result)} rows, the first 20\n")
    assert max(map(len, repr(result).splitlines())) <= 80
    html = result._repr_html_()
    assert "&lt;b&gt;&amp;" in html
    assert "<b>" not in html
    assert "<th>s</th>" in html
    assert html.count("<tr>") == 22
    assert "nowrap" in html
    moments = lake.sql("SELECT TIMESTAMP '2022-07-26 20:45:18.72' AS date_obs, 0.1 + 0.2 AS sum, NULL AS nothing")
    assert "<td>2022-07-26 20:45:18</td><td>0.3</td><td></td>" in moments._repr_html_()
    assert repr(lake.sql("SELECT 1 AS one WHERE false")).startswith("0 rows")


def test_what_is_none_is_not_asked_for_and_a_list_is_any_of_it(lake: Catalog) -> None:
    assert len(lake.find(exp_type=None, target=None)) == len(lake.find()) > 0
    (program, *_) = lake.sql("SELECT DISTINCT program FROM files ORDER BY 1")["program"]
    assert len(lake.find(program=[program])) == len(lake.find(program=program)) > 0


def test_a_filter_that_there_is_not_is_refused(lake: Catalog) -> None:
    with pytest.raises(TypeError, match="did you mean 'levels'"):
        lake.products("soss", level=3)  # type: ignore[call-arg]


@pytest.mark.long
def test_pictures_of_a_choice_are_drawn(lake: Catalog, tmp_path: Path) -> None:
    for draw in (lake.sky, lake.timeline):
        draw("soss", target="WASP*", since="2022-06-01").write(tmp_path / "x.png")
        assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
        with pytest.raises(UsageError, match="matches"):
            draw(exp_type="NIS_WFSS", program=1)


def test_a_result_of_any_type_shows_itself(lake: Catalog) -> None:
    every = lake.sql("FROM test_all_types()")
    assert repr(every).startswith("3 rows\n")
    assert every._repr_html_().count("<tr>") == 4
    parts = lake.sql("SELECT DATE '2022-06-01' AS day, TIME '12:30:00.5' AS time, INTERVAL 36 HOUR AS span")
    assert "<td>2022-06-01</td><td>12:30:00</td><td>1 day, 12:00:00</td>" in parts._repr_html_()


def test_a_result_is_written_by_the_ending_of_its_file(lake: Catalog, tmp_path: Path) -> None:
    result = lake.find(limit=7)
    assert result.write(tmp_path / "found.parquet") == 7
    assert pl.read_parquet(tmp_path / "found.parquet").equals(result.to_polars())
    assert result.write(tmp_path / "found.txt", "csv") == 7
    with pytest.raises(UsageError, match="names no format"):
        result.write(tmp_path / "found.txt")


def test_a_column_that_is_not_there_is_named_with_those_that_are(lake: Catalog) -> None:
    with pytest.raises(KeyError, match="there are filename"):
        lake.find(limit=1)["nothing"]


def test_rows_stream_in_batches(lake: Catalog) -> None:
    with lake.stream("SELECT range AS n FROM range(50000)") as batches:
        counts = [batch.num_rows for batch in batches]
    assert sum(counts) == 50000
    assert len(counts) > 1


def test_wrong_questions_are_refused_in_the_words_of_the_command_line(lake: Catalog, tmp_path: Path) -> None:
    with pytest.raises(UnknownKeyword, match="'exp_type'"):
        lake.find(exptype="NIS_SOSS")
    with pytest.raises(BadQuery):
        lake.sql("DROP VIEW files")
    with pytest.raises(NoSuchSearch, match="soss"):
        lake.harvest("sos")
    with pytest.raises(UsageError, match="name a folder"):
        lake.index()
    with pytest.raises(CatalogError, match="no catalog"):
        Catalog.open(tmp_path / "none.duckdb").find()


def test_the_environment_says_where_catalog_and_archive_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASTLAKE_CATALOG", str(tmp_path / "there.duckdb"))
    monkeypatch.setenv("MASTLAKE_SERVER", "http://127.0.0.1:1/")
    lake = Catalog.open()
    assert (lake.path, lake.server) == (tmp_path / "there.duckdb", "http://127.0.0.1:1")
    assert repr(lake) == f"<Catalog {tmp_path / 'there.duckdb'}, a copy of http://127.0.0.1:1>"


def test_questions_in_quick_succession_share_a_connection(lake: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.find(limit=1)
    monkeypatch.setattr(Database, "_open", _refuse)
    assert len(lake.find(limit=2)) == 2


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("opened again")


@pytest.mark.long
def test_a_catalog_that_is_written_between_two_questions_answers_with_what_is_new(lake: Catalog) -> None:
    before = lake.sql("SELECT count(*) AS n FROM searches")["n"]
    lake.harvest(Search.parse("fgs", "fgs", ["category=COM"]))
    assert lake.sql("SELECT count(*) AS n FROM searches")["n"] == [before[0] + 1]


def test_a_harvest_lays_files_down_by_time_and_place_so_that_questions_pass_over_most(lake: Catalog) -> None:
    order = "floor(date_obs_mjd / 32), floor(targ_dec / 10), filename"
    with lake._database.read() as connection:
        stored = connection.execute("SELECT filename FROM file_version ORDER BY rowid").fetchall()
        sorted_ = connection.execute(f"SELECT filename FROM file_version ORDER BY {order}").fetchall()
    assert stored == sorted_


def test_another_process_can_write_soon_after_the_last_question(lake: Catalog, mastlake: Command) -> None:
    lake.find(limit=1)
    script = f"""
from catalog.store.database import Database
with Database({str(lake.path)!r}, wait=20).write() as connection:
    connection.execute("DELETE FROM pending")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert len(lake.find(limit=1)) == 1


@pytest.mark.long
def test_another_process_gets_its_turn_under_steady_questions(lake: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.store.shared._LONGEST_SECONDS", 0.2)
    script = f"""
from catalog.store.database import Database
with Database({str(lake.path)!r}, wait=20).write() as connection:
    connection.execute("DELETE FROM pending")
"""
    writer = subprocess.Popen([sys.executable, "-c", script])
    while writer.poll() is None:
        assert len(lake.find(limit=1)) == 1
    assert writer.returncode == 0


def test_a_catalog_that_was_replaced_is_opened_anew(lake: Catalog, tmp_path: Path) -> None:
    assert len(lake.find()) > 0
    lake.path.rename(tmp_path / "old.duckdb")
    with pytest.raises(CatalogError, match="no catalog"):
        lake.find()
    with Database(lake.path).write():
        pass
    assert lake.sql("SELECT count(*) AS n FROM runs")["n"] == [0]


@pytest.mark.long
def test_what_is_being_read_keeps_no_writer_waiting_and_is_read_to_its_end(lake: Catalog) -> None:
    lake._database.wait = 5
    with lake.stream("SELECT range AS n FROM range(30000)") as batches:
        assert lake.harvest("soss").run.unchanged > 0
        assert sum(batch.num_rows for batch in batches) == 30000


def test_threads_can_share_a_catalog(lake: Catalog) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(len(lake.find()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [len(lake.find())] * 8


@pytest.mark.long
@pytest.mark.parametrize("kind", ["file", "ducklake:", "ducklake:sqlite:", "published"])
def test_another_process_can_be_given_a_catalog(kind: str, lake: Catalog, tmp_path: Path) -> None:
    given = lake
    if kind == "published":
        lake.publish(tmp_path / "published")
        given = Catalog.open(tmp_path / "published", local=tmp_path / "mine.duckdb")
    elif kind != "file":
        lake.copy_to(f"{kind}{tmp_path / 'c.lake'}")
        given = Catalog.open(f"{kind}{tmp_path / 'c.lake'}", server="https://bob:secret@mirror.example.org")
    assert b"secret" not in pickle.dumps(given)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with given, ProcessPoolExecutor(1, get_context("spawn"), os.chdir, (elsewhere,)) as executor:
        there = executor.submit(methodcaller("status"), given).result()
        assert executor.submit(attrgetter("server"), given).result() == given.server
        assert executor.submit(attrgetter("name"), given).result() == given.name
        assert there.searches == given.status().searches
    assert list(elsewhere.iterdir()) == []


def test_every_command_has_its_method() -> None:
    elsewhere = {"demo", "login", "serve", "simulate"}
    methods = {"copy": "copy_to", "preview": "previews"}
    for command in set(COMMANDS) - elsewhere:
        assert callable(getattr(Catalog, methods.get(command, command))), command


def test_a_plan_that_was_shown_is_what_is_applied(lake: Catalog, tmp_path: Path) -> None:
    plan = lake.plan("soss", subgroups="X1DINTS", levels=2, dest=tmp_path / "data")
    shown = {item.filename for item in plan.items("fetch")}
    report = lake.apply(plan)
    assert {path.name for path in (tmp_path / "data").iterdir() if not path.name.startswith(".")} == shown
    assert report.fetched == len(shown) > 0
    assert lake.apply(lake.plan("soss", subgroups="X1DINTS", levels=2, dest=tmp_path / "data")).present == len(shown)


@pytest.mark.long
def test_a_plan_from_before_a_harvest_is_refused(lake: Catalog, tmp_path: Path) -> None:
    plan = lake.plan("soss", subgroups="X1DINTS", dest=tmp_path / "data")
    lake.harvest("soss")
    with pytest.raises(UsageError, match="make it again"):
        lake.apply(plan)
    assert not (tmp_path / "data").exists()


@pytest.mark.long
def test_applying_a_plan_leaves_what_a_person_changed_meanwhile(lake: Catalog, tmp_path: Path) -> None:
    kept: dict[str, Any] = {"subgroups": "X1DINTS", "levels": 2, "dest": tmp_path / "data"}
    lake.sync("soss", **kept)
    path = next(path for path in sorted((tmp_path / "data").iterdir()) if path.suffix == ".fits")
    path.unlink()
    plan = lake.plan("soss", **kept)
    path.write_bytes(b"a person's own notes")
    lake.apply(plan)
    assert b"a person's own notes" in {file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()}
