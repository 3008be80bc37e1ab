"""The page: what it shows, as people and scripts read it."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

pytest.importorskip("starlette", reason="the page is an extra: pip install 'mastlake[page]'")

from catalog import Catalog
from catalog.simulator import Simulator
from catalog.store.database import Database
from tests.conftest import Command
from tests.page_server import Served, served


@pytest.fixture
def page(catalog: Database) -> Iterator[Served]:
    with served(catalog.path) as one:
        yield one


def test_the_first_page_counts_every_file_and_offers_facets(page: Served) -> None:
    found = page.get("/find.json").json
    files = len(page.lake.find())
    assert found["total"] == files
    assert sum(one["files"] for one in found["facets"]["instrument"]) == files
    assert {"exp_type", "filter", "pupil", "program", "target", "level", "access", "disk"} <= set(found["facets"])
    html = page.get("/").text
    assert f"{files:,}" in html
    assert "NIS_SOSS" in html


@pytest.mark.parametrize("facet", ["instrument", "exp_type", "filter", "pupil", "program", "target", "level", "disk"])
def test_each_value_of_a_facet_leads_to_as_many_files_as_it_counts(page: Served, facet: str) -> None:
    for one in page.get("/find.json").json["facets"][facet][:3]:
        picked = page.get(f"/find.json?{urlencode({f'f_{facet}': one['value']})}").json
        assert picked["total"] == one["files"]
        assert {v["value"]: v["files"] for v in picked["facets"][facet]}[one["value"]] == one["files"]


def test_access_is_counted_as_find_tells_it(page: Served) -> None:
    for one in page.get("/find.json").json["facets"]["access"]:
        assert len(page.lake.find(release=one["value"])) == one["files"]
        assert page.get(f"/find.json?release={one['value']}").json["total"] == one["files"]


@pytest.mark.parametrize("sort", ["date_obs_mjd", "-date_obs_mjd", "targname", "-file_size", "filename"])
def test_pages_that_follow_each_other_hold_every_file_once(page: Served, sort: str) -> None:
    names: list[str] = []
    address = f"/find.json?n=100&sort={sort}&columns=targname"
    while address:
        leaf = page.get(address).json
        names += [row["filename"] for row in leaf["rows"]]
        address = leaf["next"]
    key = sort.lstrip("-")
    direction = "DESC" if sort.startswith("-") else "ASC"
    right = page.lake.sql(f'SELECT filename FROM files ORDER BY "{key}" {direction} NULLS LAST, filename')["filename"]
    assert names == right


@pytest.mark.parametrize(
    ("typed", "where"),
    [
        ("WASP-39", "target=WASP-39"),
        ("wasp", "target=%2Awasp%2A"),
        ("NIS_SOSS", "k=exp_type%3DNIS_SOSS"),
        ("exp_type=NIS_SOSS", "k=exp_type%3DNIS_SOSS"),
        ("10.5 -47.2", "cone=10.5%2C-47.2%2C1m"),
        ("10.5, -47.2, 2d", "cone=10.5%2C-47.2%2C2d"),
        ("jw01366*", "k=filename%3Djw01366%2A"),
    ],
)
def test_the_search_box_understands(page: Served, typed: str, where: str) -> None:
    got = page.get(f"/find?{urlencode({'q': typed})}")
    assert got.status == 303
    assert got.headers["location"] == f"/find?{where}"
    assert page.get(got.headers["location"]).status == 200


def test_a_program_number_and_a_word_of_the_dictionary_are_understood(page: Served) -> None:
    program = str(page.lake.sql("SELECT min(program)::VARCHAR AS p FROM files")["p"][0])
    assert page.get(f"/find?q={program}").headers["location"] == f"/find?k=program%3D{int(program)}"
    words = page.get("/find.json?q=readout").json
    assert {"readpatt"} <= {one["name"] for one in words["keywords"]}
    assert "readpatt" in page.get("/find?q=readout").text


def test_time_and_sky_regions_mean_what_find_means(page: Served) -> None:
    got = page.get("/find.json?since=2022-07-01&until=2022-08-01").json
    assert got["total"] == len(page.lake.find(since="2022-07-01", until="2022-08-01"))
    got = page.get("/find.json?ra=0..180&dec=-90..0").json
    assert got["total"] == len(page.lake.find("targ_ra=0..180", "targ_dec=-90..0"))
    got = page.get("/find.json?ra=200..83.5").json  # over 0
    assert got["total"] == len(page.lake.find("targ_ra=200..360")) + len(page.lake.find("targ_ra=0..83.5")) > 0


def test_the_shown_sql_python_and_command_give_the_same_files(page: Served, mastlake: Command) -> None:
    address = "/find.json?f_exp_type=NIS_SOSS&f_filter=CLEAR&since=2022-06-15&n=250"
    found = page.get(address).json
    names = [row["filename"] for row in found["rows"]]
    assert [row["filename"] for row in page.lake.sql(found["way_back"]["sql"])] == names
    told = mastlake(*found["way_back"]["command"].split()[1:], "--json")
    assert [row["filename"] for row in told.json] == names
    scope: dict[str, Any] = {}
    exec(found["way_back"]["python"], scope)
    assert scope["found"]["filename"] == names


@pytest.mark.long
def test_every_page_has_a_twin_with_the_same_facts(page: Served) -> None:
    name = page.lake.sql("SELECT min(filename) AS f FROM files")["f"][0]
    target = page.lake.sql("SELECT min(targname) AS t FROM files")["t"][0]
    pages = ["/find", f"/file/{name}", f"/target/{quote(target)}", "/runs", "/run/1", "/changes", "/status",
             "/keywords", "/wall", "/sql"]  # fmt: skip
    for one in pages:
        html, twin = page.get(one), page.get(f"{one}.json")
        assert (html.status, twin.status) == (200, 200), one
        assert html.headers["content-type"].startswith("text/html")
        assert isinstance(twin.json, dict)
        assert f'href="{one}.json"' in html.text


def test_a_file_tells_what_it_is_and_where_it_leads(page: Served) -> None:
    row = next(iter(page.lake.find("exp_type=NIS_SOSS", limit=1)))
    found = page.get(f"/file/{row['filename']}.json").json
    assert row["targname"] in found["words"]
    assert found["versions"][0]["since_run"] == 1
    html = page.get(f"/file/{row['filename']}").text
    assert f'href="/target/{quote(row["targname"])}"' in html
    assert f'href="/program/{row["program"]}"' in html
    assert page.get(f"/target/{quote(row['targname'])}.json").json["total"] > 0
    assert page.get(f"/program/{row['program']}.json").json["total"] > 0


def test_what_is_not_there_is_said_in_one_line(page: Served) -> None:
    for address in ("/file/none.fits", "/target/none", "/program/99999", "/run/999", "/nothing", "/export/docx"):
        got = page.get(address)
        assert got.status == 404, address
        assert "Traceback" not in got.text
    assert page.get("/file/none.fits.json").json == {"error": "the catalog knows no file none.fits"}
    assert page.get("/find.json?k=exptype=NIS").json["error"].endswith("did you mean 'exp_type'?")


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "votable", "ecsv"])
def test_an_export_reads_back_with_as_many_rows(page: Served, form: str) -> None:
    import pyarrow.csv
    import pyarrow.parquet
    from astropy.table import Table

    got = page.get(f"/export/{form}?f_exp_type=NIS_SOSS")
    assert got.status == 200
    assert "attachment" in got.headers["content-disposition"]
    content = io.BytesIO(got.content)
    counts = {
        "csv": lambda: pyarrow.csv.read_csv(content).num_rows,
        "json": lambda: len(got.json),
        "jsonl": lambda: len(got.content.splitlines()),
        "parquet": lambda: pyarrow.parquet.read_table(content).num_rows,
        "votable": lambda: len(Table.read(content, format="votable")),
        "ecsv": lambda: len(Table.read(got.text, format="ascii.ecsv")),
    }
    assert counts[form]() == len(page.lake.find("exp_type=NIS_SOSS"))


def test_uris_and_a_script_are_offered(page: Served) -> None:
    uris = page.get("/export/uris?f_exp_type=NIS_SOSS").text.splitlines()
    assert len(uris) == len(page.lake.find("exp_type=NIS_SOSS"))
    assert uris[0].startswith("mast:JWST/")
    script = page.get("/export/script?f_exp_type=NIS_SOSS").text
    assert script.startswith("#!/usr/bin/env bash")
    assert uris[0] in script


def test_sql_is_answered_under_the_seal_and_within_limits(page: Served) -> None:
    found = page.get(f"/sql.json?{urlencode({'sql': 'SELECT 1 AS a, 2 AS a'})}").json
    assert (found["columns"], found["rows"]) == (["a", "a"], [[1, 2]])
    for hostile in ("DROP TABLE files", "SELECT * FROM read_text('/etc/passwd')", "COPY files TO 'x'", "ATTACH 'y'",
                    "SET threads=1", "SELECT 1; SELECT 2", "INSTALL httpfs", "FROM '/etc/passwd'"):  # fmt: skip
        got = page.get(f"/sql.json?{urlencode({'sql': hostile})}")
        assert got.status == 400
        assert got.json["error"]
        assert got.json["rows"] == []
    many = page.get(f"/sql.json?{urlencode({'sql': 'FROM range(1000)', 'limit': 10})}").json
    assert len(many["rows"]) == 10
    assert many["more"] is True


_ENDLESS = "SELECT count(*) FROM range(10000000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1"


def test_a_question_that_takes_too_long_is_ended(catalog: Database) -> None:
    with served(catalog.path, seconds=0.5) as page:
        got = page.get(f"/sql.json?{urlencode({'sql': _ENDLESS})}")
        assert got.status == 503
        assert "longer than 0.5 seconds" in got.json["error"]
        assert page.get("/sql.json?sql=SELECT+1").json["rows"] == [[1]]


def test_a_browser_that_goes_away_ends_its_question(page: Served) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as asking:
        query = urlencode({"sql": _ENDLESS})
        asking.sendall(f"GET /sql.json?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        _until(lambda: any("question" in one.name for one in threading.enumerate()))
    _until(lambda: not any("question" in one.name for one in threading.enumerate()))


def _until(holds: Any) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to be so")


def test_completion_knows_views_columns_and_words(page: Served) -> None:
    words = {one["word"] for one in page.get("/complete?text=SELECT+exp_ty").json["words"]}
    assert "exp_type" in words
    assert "ORDER BY" in {one["word"] for one in page.get("/complete?text=ord").json["words"]}


@pytest.mark.long
def test_readers_meet_no_error_while_a_harvest_commits(tmp_path: Path, own_sky: Simulator) -> None:
    from catalog.vocabulary.search import Search

    path = tmp_path / "catalog.duckdb"
    with Catalog.open(path, server=own_sky.url) as lake:
        lake.harvest(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]))
    with served(path) as page:
        before = page.get("/find.json").json["total"]
        done = threading.Event()
        statuses: list[int] = []

        def read() -> None:
            while not done.is_set():
                statuses.extend(page.get(one).status for one in ("/find.json", "/runs.json"))
                time.sleep(0.02)

        readers = [threading.Thread(target=read) for _ in range(8)]
        for one in readers:
            one.start()
        harvest = subprocess.run(
            [sys.executable, "-c", _HARVEST, str(path), own_sky.url],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        done.set()
        for one in readers:
            one.join()
        assert harvest.returncode == 0, harvest.stderr
        assert set(statuses) == {200}
        assert page.get("/find.json").json["total"] > before


_HARVEST = """
import sys
from catalog import Catalog
from catalog.vocabulary.search import Search
with Catalog.open(sys.argv[1], server=sys.argv[2]) as lake:
    lake.harvest(Search.parse("image", "niriss", ["exp_type=NIS_IMAGE,NIS_WFSS,NIS_AMI"]))
"""


def test_the_command_says_where_it_is_and_ends_with_ctrl_c(catalog: Database) -> None:
    command = [str(Path(sys.executable).with_name("mastlake"))]
    with subprocess.Popen(
        [*command, "serve", "--catalog", str(catalog.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        ready = re.fullmatch(r"READY http://127\.0\.0\.1:(\d+)\n", first)
        assert ready is not None
        with socket.create_connection(("127.0.0.1", int(ready[1]))) as asking:
            query = urlencode({"sql": _ENDLESS})
            asking.sendall(f"GET /sql.json?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("mastlake: interrupted")
    assert process.returncode == 130


def test_a_port_in_use_an_open_door_and_no_catalog_are_one_line(mastlake: Command, catalog: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = mastlake("serve", "--port", taken.getsockname()[1])
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "port" in told.err
    told = mastlake("serve", "--host", "0.0.0.0")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "--token" in told.err
    told = mastlake("serve", "--token", "short")
    assert told.code == 2
    told = mastlake("serve", "--catalog", str(catalog.path) + ".none")
    assert (told.code, told.err.count("\n")) == (1, 1)
    assert "no catalog" in told.err


def test_without_its_packages_one_line_says_what_to_install(
    mastlake: Command, catalog: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "uvicorn" else real(name, *rest)
    )
    told = mastlake("serve")
    assert (told.code, told.err) == (1, "mastlake: the page needs uvicorn: pip install 'mastlake[page]'\n")


def test_help_imports_nothing_of_the_page() -> None:
    code = "import sys; from catalog.cli.main import run\ntry: run(['serve', '--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('starlette', 'uvicorn', 'jinja2', 'duckdb') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert told.stdout.splitlines()[-1] == "[]", told.stdout
