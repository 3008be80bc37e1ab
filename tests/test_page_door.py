"""What the page lets in, and what it lets a browser do: hosts, methods, tokens, policy, and text from strangers."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("starlette", reason="the page is an extra: pip install 'mastlake[page]'")

from catalog import Catalog
from catalog.page.guard import Door
from catalog.store.database import Database
from tests.fuzz_page import SECRET, fuzz
from tests.page_server import Served, served

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NAMED = 'SELECT targname, targname AS "<b>x" FROM files'
TOKEN = "a-long-word-of-mine"


@pytest.fixture
def page(catalog: Database) -> Iterator[Served]:
    with served(catalog.path) as one:
        yield one


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:1234", "[::1]:99", "LOCALHOST:8000"])
def test_names_of_this_machine_are_answered(page: Served, host: str) -> None:
    assert page.get("/sql", Host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.5",
        "",
        "[",
        "0.0.0.0",
    ],
)
def test_a_name_that_leads_here_by_dns_rebinding_is_refused(page: Served, host: str) -> None:
    got = page.get("/find.json", Host=host)
    assert got.status in (400, 421)
    assert b"filename" not in got.content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused_and_nothing_changes(page: Served, method: str) -> None:
    before = _bytes_of(page.lake.path.parent)
    assert page.get("/find", method).status == 405
    assert page.get("/sql?sql=SELECT+1", method).status == 405
    assert _bytes_of(page.lake.path.parent) == before


@pytest.mark.long
def test_no_get_changes_the_catalog_or_its_folder(page: Served) -> None:
    before = _bytes_of(page.lake.path.parent)
    for address in ("/find?f_exp_type=NIS_SOSS", "/changes", "/status", "/sql?sql=FROM+files", "/export/csv", "/wall"):
        assert page.get(address).status == 200
    assert _bytes_of(page.lake.path.parent) == before


def _bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(one): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in folder.rglob("*")
        if one.is_file() and not one.name.endswith((".writes", ".reads", ".harvest"))
    }


def test_what_another_site_embeds_or_fetches_is_refused_and_a_link_is_not(page: Served) -> None:
    foreign = {"Sec_Fetch_Site": "cross-site"}
    assert page.get("/sql.json?sql=SELECT+1", **foreign, Sec_Fetch_Mode="no-cors").status == 403
    assert page.get("/picture?name=x", **foreign, Sec_Fetch_Mode="cors").status == 403
    assert page.get("/find", **foreign, Sec_Fetch_Mode="navigate").status == 200


def test_every_answer_has_the_policy(page: Served) -> None:
    for address in ("/", "/find.json", "/nothing", "/static/page.js", "/export/uris", "/file/none"):
        got = page.get(address)
        policy = got.headers["content-security-policy"]
        assert "default-src 'none'" in policy, address
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in got.headers or "uvicorn" in got.headers["server"]


@pytest.mark.long
def test_no_page_has_a_script_or_style_in_it_or_names_another_host(page: Served) -> None:
    name = page.lake.sql("SELECT min(filename) AS f FROM files")["f"][0]
    for address in ("/", f"/file/{name}", "/sql?sql=SELECT+1", "/status", "/runs", "/wall", "/keywords"):
        text = page.get(address).text
        assert re.findall(r"<script(?! type=\"module\" src=\"/static/page.js\")", text) == [], address
        assert re.findall(r"<style| style=| on[a-z]+=\"", text) == [], address
        assert [one for one in re.findall(r"(?:src|href|action)=\"([^\"]*)", text) if not re.match(r"[/#]", one)] == []


def test_from_elsewhere_a_token_is_needed_and_leaves_the_address(catalog: Database) -> None:
    with served(catalog.path, Door("0.0.0.0", TOKEN)) as page:
        assert page.get("/find").status == 401
        assert page.get("/find?token=wrong").status == 401
        assert page.get("/static/page.css").status == 401
        got = page.get(f"/find?token={TOKEN}&since=2022-07-01")
        assert (got.status, got.headers["location"]) == (303, "/find?since=2022-07-01")
        cookie = got.headers["set-cookie"]
        assert TOKEN not in cookie
        assert "httponly" in cookie.lower()
        assert page.get("/find", Cookie=cookie.partition(";")[0]).status == 200
        assert page.get("/find", Cookie="mastlake-1=x; a=b").status == 401
        assert page.get("/find.json", Authorization=f"Bearer {TOKEN}").status == 200
        assert page.get("/find.json", Authorization=f"Bearer {TOKEN}", Host="192.168.1.5:80").status == 200
        assert page.get("/find.json", Authorization=f"Bearer {TOKEN}", Host="evil.example").status == 421
        assert page.get(f"//evil.example/?token={TOKEN}").headers.get("location", "/").startswith("/evil") is True


@pytest.mark.long
def test_markup_in_names_values_and_headers_is_text(catalog: Database, tmp_path: Path) -> None:
    with catalog.write() as connection:
        connection.execute(
            "UPDATE file_version SET targname = ?, pi_name = ? WHERE exp_type = 'NIS_SOSS'", [MARKUP] * 2
        )
    hdu = fits.PrimaryHDU(np.ones((8, 8)))
    hdu.header["TARGNAME"] = ("<script>alert(3)</script>", "<b>bold</b>")
    (tmp_path / "data").mkdir()
    hdu.writeto(tmp_path / "data" / "x<i>y_cal.fits")
    with Catalog.open(catalog.path) as lake:
        lake.index(tmp_path / "data")
    with served(catalog.path) as page:
        name = page.lake.sql("SELECT min(filename) AS f FROM files WHERE exp_type = 'NIS_SOSS'")["f"][0]
        local = quote("x<i>y_cal.fits")
        pages = ["/find?f_exp_type=NIS_SOSS", f"/file/{name}", f"/target/{quote(MARKUP, safe='')}", f"/file/{local}",
                 f"/find?{urlencode({'q': MARKUP})}", f"/sql?{urlencode({'sql': NAMED})}",
                 f"/find?{urlencode({'k': MARKUP})}", f"/nothing{quote(MARKUP)}", "/status", "/wall"]  # fmt: skip
        for address in pages:
            got = page.follow(address)
            assert "<script>alert" not in got.text, address
            assert "<img src=x" not in got.text, address
            assert not re.search(r"<(b|i)>", got.text), address
        found = page.get(f"/target/{quote(MARKUP, safe='')}.json")
        assert (found.status, found.json["target"]) == (200, MARKUP)
        cards = page.get(f"/file/{local}.json?card=targname").json["cards"]
        assert [one["text"] for one in cards] == ["<script>alert(3)</script>"]


@pytest.mark.long
def test_pictures_are_drawn_kept_beside_the_catalog_and_nothing_else_is_handed_out(
    catalog: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    fits.PrimaryHDU(np.arange(64.0).reshape(8, 8)).writeto(folder / "a_cal.fits")
    (tmp_path / "secret.jpg").write_text(SECRET)
    with Catalog.open(catalog.path) as lake:
        lake.index(folder)
    with catalog.write() as connection:
        connection.execute(
            """INSERT INTO local_file_version BY NAME
               SELECT * REPLACE (? AS path, 'secret.jpg' AS filename, 99 AS file_id) FROM local_file_version LIMIT 1""",
            [str(tmp_path / "secret.jpg")],
        )
    with served(catalog.path) as page:
        first = page.get("/picture?name=a_cal.fits&small=1")
        assert (first.status, first.content[:4]) == (200, b"\x89PNG")
        kept = list((catalog.path.parent / f"{catalog.path.name}.pictures").iterdir())
        assert [one.read_bytes() for one in kept] == [first.content]
        assert page.get("/picture?name=a_cal.fits&small=1").content == first.content
        refused = page.get("/picture?name=secret.jpg")
        assert refused.status == 404
        assert SECRET.encode() not in refused.content
        for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "none.fits", ""):
            assert page.get(f"/picture?{urlencode({'name': name})}").status == 404
        shutil.rmtree(folder)
        assert page.get("/picture?name=a_cal.fits").status == 404


@pytest.mark.long
def test_hostile_addresses_do_no_harm(page: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    fuzz(page, 120, secret, seed=7)
