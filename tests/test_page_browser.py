"""The page in a real browser: search, facets, drags, a walk to an input, cards, exports, SQL, the keyboard alone."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("starlette", reason="the page is an extra: pip install 'mastlake[page]'")
pytest.importorskip("playwright", reason="Playwright drives the browser")

from catalog import Catalog
from catalog.store.database import Database
from tests.page_server import Served, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; apt-get install chromium brings it")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(catalog: Database, tmp_path: Path) -> Iterator[Served]:
    """A catalog with a local file that was made from another by an association."""
    folder = tmp_path / "data"
    folder.mkdir()
    with Catalog.open(catalog.path) as lake:
        names = lake.sql("SELECT filename FROM files WHERE exp_type = 'NIS_SOSS' ORDER BY filename LIMIT 2")["filename"]
        hdu = fits.PrimaryHDU(np.ones((8, 8)))
        hdu.header["ASNTABLE"] = "jw1_asn.json"
        hdu.header["OBSERVER"] = ("<b>Ada</b>", "who asked for it")
        hdu.writeto(folder / names[1])
        member = {"expname": names[0], "exptype": "science"}
        association = {"products": [{"name": names[1][:-5], "members": [member]}]}
        (folder / "jw1_asn.json").write_text(json.dumps(association))
        lake.index(folder)
    with served(catalog.path) as one:
        yield one


@pytest.fixture
def tab(chromium: Any, page: Served) -> Iterator[Any]:
    """A window whose console must stay silent, and which must ask nobody else."""
    context = chromium.new_context(
        viewport={"width": 1400, "height": 900}, base_url=page.address, accept_downloads=True
    )
    made = context.new_page()
    told: list[str] = []
    made.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: told.append(str(error)))
    made.on("request", lambda asked: None if asked.url.startswith(page.address) else told.append(asked.url))
    yield made
    context.close()
    assert [one for one in told if "400" not in one] == []


def count(tab: Any) -> int:
    return int(tab.locator("h1 .count").inner_text().replace(",", ""))


@pytest.mark.long
def test_a_person_searches_picks_sorts_drags_and_goes_back(tab: Any, page: Served) -> None:
    tab.goto("/")
    everything = count(tab)
    tab.fill("#q", "NIS_SOSS")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/find?k=exp_type*")
    assert count(tab) == len(page.lake.find("exp_type=NIS_SOSS")) < everything
    tab.locator(".facets a", has_text="CLEAR").first.click()
    tab.wait_for_url("**f_*=CLEAR*")
    tab.locator("th a", has_text="file_size").click()
    tab.wait_for_url("**sort=file_size*")
    assert tab.locator("th[aria-sort=ascending]").inner_text().startswith("file_size")
    before = count(tab)
    box = tab.locator("[data-chart=time] svg").bounding_box()
    tab.mouse.move(box["x"] + 2, box["y"] + 30)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 3, box["y"] + 40, steps=4)
    tab.mouse.up()
    tab.wait_for_url("**since=*")
    since, until = (tab.locator(f"[data-chart=time] [name={name}]").input_value() for name in ("since", "until"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", since)
    assert 0 < count(tab) <= before
    assert count(tab) == len(page.lake.find("exp_type=NIS_SOSS", filter="CLEAR", since=since, until=until))
    tab.go_back()
    assert count(tab) == before
    tab.go_forward()
    assert "since=" in tab.url


@pytest.mark.long
def test_a_box_dragged_on_the_sky_is_a_range_of_both_coordinates(tab: Any, page: Served) -> None:
    tab.goto("/find")
    box = tab.locator("[data-chart=sky] svg").bounding_box()
    tab.mouse.move(box["x"] + 1, box["y"] + 1)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 1, steps=4)
    tab.mouse.up()
    tab.wait_for_url("**ra=*dec=*")
    ra, dec = (tab.locator(f"[data-chart=sky] [name={name}]").input_value() for name in ("ra", "dec"))
    assert count(tab) == len(page.lake.find(f"targ_ra={ra}", f"targ_dec={dec}")) > 0


@pytest.mark.long
def test_a_person_opens_a_file_walks_to_its_input_and_reads_a_card(tab: Any, page: Served) -> None:
    name = page.lake.sql("SELECT filename FROM local_files WHERE filename LIKE '%.fits'")["filename"][0]
    tab.goto(f"/file/{name}")
    tab.fill("[data-filter=cards]", "observer")
    shown = tab.locator("#cards tbody tr:visible")
    assert "<b>Ada</b>" in shown.first.inner_text()
    assert shown.count() == 1
    assert tab.locator(".quicklook img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    tab.locator(".graph a").first.click()
    tab.wait_for_url("**/file/*")
    assert tab.locator("h1").inner_text() != name


@pytest.mark.long
def test_an_export_reads_back(tab: Any, page: Served) -> None:
    tab.goto("/find?f_exp_type=NIS_SOSS")
    tab.locator("summary", has_text="Export").click()
    with tab.expect_download() as waited:
        tab.get_by_role("link", name="CSV", exact=True).click()
    with Path(waited.value.path()).open() as file:
        assert len(list(csv.DictReader(file))) == count(tab)


@pytest.mark.long
def test_columns_are_chosen_by_their_meaning(tab: Any) -> None:
    tab.goto("/find")
    tab.locator("summary", has_text="Columns").click()
    tab.fill("#column-filter", "effective exposure")
    tab.locator(".pick li:visible input").first.check()
    tab.locator("button", has_text="Show these").click()
    tab.wait_for_url("**columns=*")
    assert "exposure" in (tab.locator("thead th").last.get_attribute("title") or "").lower()


@pytest.mark.long
def test_sql_is_run_refused_completed_and_cancelled(tab: Any) -> None:
    tab.goto("/sql")
    tab.fill("#statement", "SELECT count(*) AS n FROM files")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_selector("#answer table")
    assert tab.locator("#answer th").inner_text() == "n"
    tab.fill("#statement", "DROP TABLE files")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_selector("#answer .error")
    assert "read only" in tab.locator("#answer .error").inner_text()
    tab.fill("#statement", "")
    tab.locator("#statement").press_sequentially("SELECT exp_ty")
    tab.wait_for_selector("#words li")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    assert tab.locator("#statement").input_value() == "SELECT exp_type"
    tab.fill(
        "#statement", "SELECT count(*) FROM range(10000000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1"
    )
    tab.keyboard.press("Control+Enter")
    tab.locator(".cancel").click()
    tab.wait_for_function("document.querySelector('.progress').textContent === 'cancelled'")


@pytest.mark.long
def test_the_keyboard_alone_is_enough(tab: Any) -> None:
    tab.goto("/find")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("/")
    tab.keyboard.type("NIS_SOSS")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**k=exp_type*")
    for _ in range(80):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.closest('.facets li') !== null"):
            break
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    tab.keyboard.press("Enter")
    tab.wait_for_url("**f_*")


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_at_any_width(chromium: Any, page: Served, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="it brings axe-core").Axe()
    name = page.lake.sql("SELECT filename FROM local_files WHERE filename LIKE '%.fits'")["filename"][0]
    context = chromium.new_context(base_url=page.address, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    made = context.new_page()
    pages = [(1600, "/find?f_exp_type=NIS_SOSS"), (400, "/find"), (900, f"/file/{name}"), (400, "/sql?sql=SELECT+1")]
    pages += [(900, "/status"), (1600, "/wall"), (400, "/keywords?q=exp")] if scheme == "light" else []
    for width, address in pages:
        made.set_viewport_size({"width": width, "height": 900})
        made.goto(address)
        wide = made.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found = axe.run(made).response["violations"]
        serious = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found
                   if one["impact"] in ("serious", "critical")]  # fmt: skip
        assert serious == [], address
        assert wide <= 0, (address, width)
    context.close()
