"""The built-in archive, asked by the real client and by plain HTTP."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table, unique, vstack
from astroquery.mast import Mast, Observations

from catalog.missions import JWST
from catalog.simulator import FAULTS, TOKEN, Rates, Simulator, serve_forever
from catalog.vocabulary.keywords import archive_columns, dictionary

NIRISS = JWST.services["niriss"]
TUTORIAL = [
    {"paramName": "exp_type", "values": ["NIS_SOSS"]},
    {"paramName": "category", "values": ["COM", "ERS"]},
    {"paramName": "tsovisit", "values": ["T"]},
    {"paramName": "date_obs_mjd", "values": [{"min": 59731.0, "max": 59795.0}]},
]


HTTP = httpx.Client(trust_env=False)
"""One client for all tests: making one costs more than most answers here."""


@pytest.fixture(scope="module", autouse=True)
def _connections() -> Iterator[None]:
    yield
    HTTP.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """An archive that no test changes."""
    with Simulator(files=1500, retry_after_s=0) as archive:
        yield archive


@pytest.fixture
def own() -> Iterator[Simulator]:
    """An archive of the test's own."""
    with Simulator(files=130, instruments=["niriss"], retry_after_s=0) as archive:
        yield archive


@pytest.fixture(scope="module")
def spoilt() -> Iterator[Simulator]:
    """An archive for faults, which are over when a test is."""
    with Simulator(files=130, instruments=["niriss"], retry_after_s=0) as archive:
        yield archive


def public(archive: Simulator) -> list[str]:
    return archive.filenames("niriss", "category IN ('COM', 'ERS')")


@pytest.fixture
def client(shared: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Point the real client at the shared archive."""
    for one in (Mast, Observations):
        api = one._portal_api_connection
        monkeypatch.setattr(api, "MAST_REQUEST_URL", f"{shared.url}/api/v0/invoke")
        monkeypatch.setattr(api, "COLUMNS_CONFIG_URL", f"{shared.url}/portal/Mashup/Mashup.asmx/columnsconfig")
        monkeypatch.setattr(api, "MAST_DOWNLOAD_URL", f"{shared.url}/api/v0.1/Download/file")
        monkeypatch.setattr(api, "MAST_BUNDLE_URL", f"{shared.url}/api/v0.1/Download/bundle")
        monkeypatch.setattr(api, "_column_configs", {})
    return shared


def invoke(archive: Simulator, service: str, params: dict[str, Any], **more: Any) -> httpx.Response:
    request = {"service": service, "params": params, "format": "json", "pagesize": 50_000, "page": 1, **more}
    return HTTP.post(f"{archive.url}/api/v0/invoke", data={"request": json.dumps(request)})


def rows(archive: Simulator, service: str = NIRISS, filters: Any = (), columns: str = "*", **more: Any) -> list[Any]:
    answer = invoke(archive, service, {"columns": columns, "filters": list(filters)}, **more).json()
    assert answer["status"] == "COMPLETE", answer["msg"]
    return list(answer["data"])


def listed_by_all(archive: Simulator) -> set[str]:
    """Return the files in the product lists of all observations."""
    archive.settings(max_obsids=0)
    ids = ",".join(row["obsid"] for row in rows(archive, "Mast.Caom.Filtered", columns="obsid"))
    found = invoke(archive, "Mast.Caom.Products", {"obsid": ids}).json()["data"]
    return {row["productFilename"] for row in found}


def count(archive: Simulator, service: str = NIRISS, filters: Any = ()) -> int:
    return int(rows(archive, service, filters, "COUNT_BIG(*)")[0]["Column1"])


def fetch(archive: Simulator, name: str, **headers: str) -> httpx.Response:
    uri = name if name.startswith("mast:") else f"mast:JWST/product/{name}"
    return HTTP.get(f"{archive.url}/api/v0.1/Download/file", params={"uri": uri}, headers=headers)


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


# --- the real client ---------------------------------------------------------------------------


@pytest.mark.long
def test_the_tutorials_plain_steps_find_every_file(client: Simulator, tmp_path: Path) -> None:
    found = Mast.service_request(NIRISS, {"columns": "*", "filters": TUTORIAL})
    assert 50 < len(found) < 150
    assert set(found["targprop"]) == {"WASP-39", "WASP-96", "HAT-P-14", "HAT-P-18", "BD+60-1753"}
    assert set(found["program"]) == {1091, 1092, 1366, 1541, 2734}
    ids = sorted({name.rsplit("_", 1)[0] for name in found["filename"]})
    observations = Observations.query_criteria(instrument_name="NIRISS*", obs_id=ids)
    assert 0 < len(observations) < len(ids)  # the others are among the products of these
    fives = [observations[at : at + 5] for at in range(0, len(observations), 5)]
    products = unique(vstack([Observations.get_product_list(five) for five in fives]), keys="productFilename")
    chosen = Observations.filter_products(
        products, productType=["SCIENCE", "INFO"], dataproduct_type="spectrum", calib_level=[2, 3]
    )
    assert set(found["filename"][found["productLevel"] != "1b"]) <= set(chosen["productFilename"])
    status, message, _ = Observations.download_file(
        str(found["dataURI"][0]), local_path=str(tmp_path / "one.fits"), verbose=False
    )
    assert (status, message) == ("COMPLETE", None)
    assert md5((tmp_path / "one.fits").read_bytes()) == found["checksum"][0]


def test_the_client_reads_whole_tables_over_several_pages(client: Simulator) -> None:
    table = Mast.service_request(NIRISS, {"columns": "filename,nints", "filters": []}, pagesize=100)
    assert sorted(table["filename"]) == sorted(client.filenames("niriss"))


@pytest.mark.long
def test_criteria_with_a_place_are_answered_by_cone(client: Simulator) -> None:
    place = SkyCoord(217.32665, -3.4445, unit="deg")
    near = Observations.query_criteria(coordinates=place, radius="0.1 deg", calib_level=[2, 3])
    assert set(near["target_name"]) == {"WASP-39"}
    assert len(near) == Observations.query_criteria_count(coordinates=place, radius="0.1 deg", calib_level=[2, 3])
    around = Observations.query_region(place, radius="0.1 deg")
    assert set(near["obs_id"]) <= set(around["obs_id"])
    assert Observations.query_region_count(place, radius="0.1 deg") == len(around)


def test_planned_observations_have_level_minus_one(client: Simulator) -> None:
    planned = Observations.query_criteria(calib_level=[-1])
    assert len(planned) > 0
    assert all("_xx1" in name for name in planned["obs_id"])


@pytest.mark.long
def test_the_client_logs_in_with_the_token_only(client: Simulator) -> None:
    assert HTTP.get(f"{client.url}/whoami", headers={"Cookie": f"mast_token={TOKEN}"}).json()["anon"] is False
    assert HTTP.get(f"{client.url}/whoami", headers={"Authorization": "token wrong"}).json()["anon"] is True


def test_bundles_list_a_curl_command_for_every_uri(client: Simulator) -> None:
    uris = ["mast:JWST/product/a.fits", "mast:JWST/product/b.fits"]
    script = HTTP.post(f"{client.url}/api/v0.1/Download/bundle.sh", data={"uri": uris}).text
    assert script.startswith("#!/bin/bash")
    assert script.count("curl ") == 2


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("instrument", JWST.services)
def test_every_search_answers_with_its_own_columns_and_types(shared: Simulator, instrument: str) -> None:
    answer = invoke(shared, JWST.services[instrument], {"columns": "*", "filters": []}, pagesize=20).json()
    columns = archive_columns(instrument)
    assert answer["fields"] == [{"name": column.name, "type": column.type} for column in columns]
    python = {"string": str, "int": int, "float": float, "date": str, "boolean": bool}
    for row in answer["data"]:
        assert list(row) == [column.name for column in columns]
        for column in columns:
            assert row[column.name] is None or type(row[column.name]) is python[column.type]


@pytest.mark.parametrize("instrument", JWST.services)
def test_every_value_is_one_that_the_schemas_allow(shared: Simulator, instrument: str) -> None:
    allowed = {name: set(word.allowed) for name, word in dictionary().items() if word.allowed}
    for row in rows(shared, JWST.services[instrument]):
        wrong = {n: row[n] for n in row if row[n] is not None and n in allowed and str(row[n]) not in allowed[n]}
        assert not wrong


def test_dates_have_a_twin_in_mjd(shared: Simulator) -> None:
    row = rows(shared, pagesize=1)[0]
    for name in ("date_obs", "ingestCompletionDate", "publicReleaseDate"):
        ms = int(row[name].removeprefix("/Date(").removesuffix(")/"))
        assert row[f"{name}_mjd"] == pytest.approx(ms / 86_400_000 + 40_587, abs=1e-9)


def test_values_match_without_regard_to_case_and_numbers_may_be_strings(shared: Simulator) -> None:
    by_number = count(shared, filters=[{"paramName": "program", "values": ["1366"]}])
    assert by_number == count(shared, filters=[{"paramName": "PROGRAM", "values": [1366]}]) > 0
    by_word = count(shared, filters=[{"paramName": "exp_type", "values": ["nis_soss"]}])
    assert by_word == count(shared, filters=[{"paramName": "exp_type", "values": [], "freeText": "NIS_S%"}]) > 0


def test_many_values_and_single_ones_agree(shared: Simulator) -> None:
    names = shared.filenames("niriss")[:40]
    filters = [{"paramName": "filename", "values": names}]
    assert sorted(row["filename"] for row in rows(shared, filters=filters, columns="filename")) == sorted(names)
    assert count(shared, filters=[{"paramName": "filename", "values": names[:1]}]) == 1
    assert count(shared, filters=[{"paramName": "filename", "values": []}]) == 0


def test_wildcards_are_those_of_sql(shared: Simulator) -> None:
    def like(pattern: str) -> int:
        return count(shared, filters=[{"paramName": "filename", "values": [], "freeText": pattern}])

    assert like("jw0%") == like("jw0____%") == like("jw[0]%") > 0
    assert like("jw0?%") == like("jw[a-z]%") == 0


@pytest.mark.parametrize(
    ("service", "params", "message"),
    [
        (NIRISS, {"columns": "*", "filters": [{"paramName": "nope", "values": [1]}]}, "Invalid column name"),
        (NIRISS, {"columns": "filename,nope", "filters": []}, "Invalid column name"),
        ("Mast.Nothing", {}, "Unknown service"),
        ("Mast.Caom.Filtered.Position", {"columns": "*", "filters": [], "position": "x"}, "Error converting"),
    ],
)
def test_a_wrong_question_gets_status_error(shared: Simulator, service: str, params: Any, message: str) -> None:
    answer = invoke(shared, service, params).json()
    assert answer["status"] == "ERROR"
    assert message in answer["msg"]


def test_order_differs_between_queries_but_not_between_pages(shared: Simulator) -> None:
    def names(page: int, breaker: str) -> list[str]:
        return [r["filename"] for r in rows(shared, columns="filename", page=page, pagesize=90, cacheBreaker=breaker)]

    whole = [name for page in range(1, 10) for name in names(page, "one")]
    assert len(whole) == len(set(whole))
    assert whole[:90] != names(1, "two")
    assert whole[:90] == names(1, "one")


def test_a_page_says_where_it_is(shared: Simulator) -> None:
    total = count(shared)
    paging = invoke(shared, NIRISS, {"columns": "filename", "filters": []}, page=2, pagesize=50).json()["paging"]
    assert paging == {
        "page": 2, "pageSize": 50, "pagesFiltered": -(-total // 50), "rows": 50, "rowsFiltered": total,
        "rowsTotal": total,
    }  # fmt: skip


def test_product_queries_for_many_observations_time_out(own: Simulator) -> None:
    ids = ",".join(row["obsid"] for row in rows(own, "Mast.Caom.Filtered", columns="obsid")[:4])
    own.settings(max_obsids=3)
    answer = invoke(own, "Mast.Caom.Products", {"obsid": ids}).json()
    assert answer["status"] == "ERROR"
    assert answer["msg"].startswith("Timeout expired")
    own.settings(max_obsids=0)
    assert invoke(own, "Mast.Caom.Products", {"obsid": ids}).json()["status"] == "COMPLETE"


def test_guide_stars_and_pools_come_back_for_many_observations(shared: Simulator) -> None:
    filters = [{"paramName": "proposal_id", "values": ["1366"]}, {"paramName": "calib_level", "values": [2, 3]}]
    ids = [row["obsid"] for row in rows(shared, "Mast.Caom.Filtered", filters, "obsid")]
    found = invoke(shared, "Mast.Caom.Products", {"obsid": ",".join(ids)}).json()["data"]
    pools = [row for row in found if row["productSubGroupDescription"] == "POOL"]
    assert len(pools) > len({row["productFilename"] for row in pools})
    assert {"GS-FG", "GS-TRACK", "GS-ACQ1"} <= {row["productSubGroupDescription"] for row in found}
    assert any(row["obsID"] != row["parent_obsid"] for row in found)


@pytest.mark.long
def test_the_same_arguments_make_the_same_archive_and_another_seed_another() -> None:
    def everything(seed: int) -> list[Any]:
        with Simulator(files=80, seed=seed, instruments=["niriss"]) as archive:
            archive.advance()
            return sorted(rows(archive, cacheBreaker="x"), key=lambda row: str(row["filename"]))

    first = everything(3)
    assert first == everything(3)
    assert first != everything(4)


def test_a_sky_can_be_of_one_instrument_and_has_the_files_it_was_asked_for() -> None:
    with Simulator(files=2000, instruments=["miri"]) as archive:
        counts = archive.counts()
    assert counts.pop("miri") >= 2000
    assert set(counts.values()) == {0}


def test_several_archives_run_at_once(own: Simulator, shared: Simulator) -> None:
    own.withdraw(own.filenames("niriss")[:1])
    assert own.url != shared.url
    assert count(own) == len(own.filenames("niriss"))
    assert count(shared) == len(shared.filenames("niriss"))


# --- files -------------------------------------------------------------------------------------


@pytest.mark.long
def test_every_file_of_every_kind_is_valid_and_has_its_size_and_digest(shared: Simulator) -> None:
    seen = set()
    for instrument, service in JWST.services.items():
        for row in sorted(rows(shared, service), key=lambda one: str(one["dataURI"])):
            kind = (instrument, row["exp_type"], str(row["dataURI"]).rsplit("_", 1)[-1], row["productLevel"] == "3")
            if kind in seen:
                continue
            seen.add(kind)
            body = fetch(shared, row["dataURI"], Authorization=f"token {TOKEN}").content
            assert (len(body), md5(body)) == (row["fileSize"], row["checksum"])
            with warnings.catch_warnings(), fits.open(io.BytesIO(body)) as hdus:
                warnings.simplefilter("error")
                hdus.verify("exception")
                assert all(hdu.data is not None for hdu in hdus[1:])
                assert hdus[0].header["EXP_TYPE"] == row["exp_type"]
    assert len(seen) > 40


def test_a_header_carries_the_keywords_of_its_row(shared: Simulator) -> None:
    name = {"paramName": "filename", "values": [], "freeText": "jw01366-o001%clear%x1dints.fits"}
    (row,) = rows(shared, filters=[*TUTORIAL, name])
    header = fits.getheader(io.BytesIO(fetch(shared, row["dataURI"]).content))
    assert (header["PROGRAM"], header["OBSERVTN"], header["VISIT"]) == ("01366", "001", "001")
    assert (header["TARGPROP"], header["TSOVISIT"], header["NGROUPS"]) == ("WASP-39", True, row["ngroups"])
    assert header["DATE-OBS"] == "2022-07-26"
    assert header["EXPSTART"] == row["expstart"]


def test_spectra_have_a_feature_and_images_a_trace(shared: Simulator) -> None:
    names = shared.filenames("niriss", "exp_type = 'NIS_SOSS' AND program = 1366")
    spectrum = next(name for name in names if name.endswith("x1dints.fits"))
    table = Table.read(io.BytesIO(fetch(shared, spectrum).content), hdu="EXTRACT1D")
    smooth = table["FLUX"] * table["WAVELENGTH"] ** 1.5
    assert np.median(smooth) > 1.2 * smooth.min()
    with fits.open(io.BytesIO(fetch(shared, next(n for n in names if n.endswith("calints.fits"))).content)) as hdus:
        image = hdus["SCI"].data[0]
        ridge = image.argmax(axis=0)
        assert image.max() > 10 * np.median(image)
        assert ridge[200] != ridge[64]  # the trace is curved


def test_products_that_are_no_searched_files_have_their_size_too(shared: Simulator) -> None:
    filters = [{"paramName": "proposal_id", "values": ["1366"]}, {"paramName": "calib_level", "values": [3]}]
    ids = [row["obsid"] for row in rows(shared, "Mast.Caom.Filtered", filters, "obsid")]
    found = invoke(shared, "Mast.Caom.Products", {"obsid": ",".join(ids)}).json()["data"]
    for ending in ("_asn.json", "_pool.csv", ".jpg", "_whtlt.ecsv"):
        product = next(row for row in found if row["productFilename"].endswith(ending))
        assert len(fetch(shared, product["dataURI"]).content) == product["size"]
    members = {row["productFilename"] for row in found}
    name = next(row["productFilename"] for row in found if "_tso3_" in row["productFilename"])
    association = json.loads(fetch(shared, name).content)
    assert {one["expname"] for one in association["products"][0]["members"]} <= members
    table = Table.read(fetch(shared, next(n for n in members if n.endswith(".ecsv"))).text, format="ascii.ecsv")
    assert min(table["flux"]) < 0.99


def test_ranges_are_parts_of_the_version_they_name(shared: Simulator) -> None:
    name = public(shared)[0]
    whole = fetch(shared, name)
    part = fetch(shared, name, Range="bytes=100-299")
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(whole.content)}"
    tail = fetch(shared, name, Range="bytes=5000-", **{"If-Range": whole.headers["ETag"]})
    assert (tail.status_code, tail.content) == (206, whole.content[5000:])
    other = fetch(shared, name, Range="bytes=5000-", **{"If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
    beyond = fetch(shared, name, Range=f"bytes={len(whole.content)}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole.content)}")
    assert fetch(shared, name, Range="bytes=-10").content == whole.content[-10:]


def test_head_says_the_length_and_unknown_files_are_not_found(shared: Simulator) -> None:
    name = public(shared)[0]
    url = f"{shared.url}/api/v0.1/Download/file?uri=mast:JWST/product/{name}"
    head = HTTP.head(url)
    assert int(head.headers["Content-Length"]) == len(HTTP.get(url).content)
    assert head.headers["Accept-Ranges"] == "bytes"
    assert fetch(shared, "nothing.fits").status_code == 404


def test_exclusive_files_need_the_token(own: Simulator) -> None:
    name = public(own)[0]
    stem = name.rsplit("_", 1)[0]
    assert fetch(own, name).status_code == 200
    own.rights([stem], exclusive=True)
    assert fetch(own, name).status_code == 401
    assert fetch(own, name, Authorization="token wrong").status_code == 401
    assert fetch(own, name, Cookie=f"mast_token={TOKEN}").status_code == 200
    own.rights([stem], exclusive=False)
    assert fetch(own, name).status_code == 200


@pytest.mark.long
def test_large_files_are_filled_up_without_being_held() -> None:
    with Simulator(files=60, instruments=["niriss"], file_bytes=5_000_000) as archive:
        row = rows(archive, pagesize=1, columns="filename,fileSize,checksum")[0]
        body = fetch(archive, row["filename"]).content
        assert abs(len(body) - 5_000_000) < 30_000
        assert (len(body), md5(body)) == (row["fileSize"], row["checksum"])
        assert archive.state.find_file(f"mast:JWST/product/{row['filename']}").body.memory < 1_000_000  # type: ignore[union-attr]


def test_nominal_digests_cost_nothing_and_say_nothing_of_the_bytes() -> None:
    with Simulator(files=60, instruments=["niriss"], digests="nominal") as archive:
        row = rows(archive, pagesize=1)[0]
        assert len(row["checksum"]) == 32
        assert md5(fetch(archive, row["filename"]).content) != row["checksum"]


# --- time and edits ----------------------------------------------------------------------------


def by_name(archive: Simulator) -> dict[str, Any]:
    return {row["filename"]: row for row in rows(archive)}


@pytest.mark.long
def test_time_ingests_reprocesses_withdraws_and_flips() -> None:
    with Simulator(files=3000, instruments=["niriss"], digests="nominal") as archive:
        before = by_name(archive)
        cursor = max(row["ingestCompletionDate_mjd"] for row in before.values())
        archive.advance()
        after = by_name(archive)
    both = before.keys() & after.keys()
    changed = [name for name in both if before[name]["checksum"] != after[name]["checksum"]]
    kept_size = [name for name in changed if before[name]["fileSize"] == after[name]["fileSize"]]
    flipped = [n for n in both - set(changed) if before[n]["isStale"] != after[n]["isStale"]]
    assert after.keys() - before.keys()
    assert before.keys() - after.keys()
    assert flipped
    assert 0.05 < len(changed) / len(both) < 0.25
    assert 0.3 < len(kept_size) / len(changed) < 0.6
    for name in {*changed, *(after.keys() - before.keys())}:
        assert after[name]["ingestCompletionDate_mjd"] > cursor
    for name in both - set(changed) - set(flipped):
        assert before[name] == after[name]


def test_time_changes_rights_and_numbers_of_observations() -> None:
    with Simulator(files=3000, instruments=["niriss"], digests="nominal") as archive:
        before = {row["obs_id"]: row for row in rows(archive, "Mast.Caom.Filtered")}
        archive.advance(rates=Rates(closed=0.1))
        after = {row["obs_id"]: row for row in rows(archive, "Mast.Caom.Filtered")}
    both = before.keys() & after.keys()
    moves = {(before[n]["dataRights"], after[n]["dataRights"]) for n in both}
    assert {("PUBLIC", "EXCLUSIVE_ACCESS"), ("EXCLUSIVE_ACCESS", "PUBLIC")} <= moves
    assert any(before[name]["obsid"] != after[name]["obsid"] for name in both)


@pytest.mark.long
def test_bytes_follow_their_rows_through_time(own: Simulator) -> None:
    for _ in range(3):
        own.advance(rates=Rates(reprocessed=0.5))
        for row in rows(own)[:15]:
            body = fetch(own, row["filename"], Authorization=f"token {TOKEN}").content
            assert (len(body), md5(body)) == (row["fileSize"], row["checksum"])


@pytest.mark.long
def test_going_back_in_time_gives_the_archive_as_it_was(own: Simulator) -> None:
    before = by_name(own)
    own.advance(2)
    assert by_name(own) != before
    own.move_to(0)
    assert by_name(own) == before


def test_withdrawn_files_are_gone_until_they_are_restored(own: Simulator) -> None:
    before, name = by_name(own), public(own)[3]
    own.withdraw([name])
    assert by_name(own) == {key: row for key, row in before.items() if key != name}
    assert fetch(own, name).status_code == 404
    own.restore([name])
    assert by_name(own) == before


@pytest.mark.parametrize("keep_size", [True, False])
def test_a_reprocessed_file_has_other_bytes_under_its_name(own: Simulator, keep_size: bool) -> None:
    name = public(own)[3]
    before, old = by_name(own), fetch(own, name)
    own.reprocess([name], keep_size=keep_size)
    after, new = by_name(own), fetch(own, name)
    assert {key for key in before if before[key] != after[key]} == {name}
    assert (len(old.content) == len(new.content)) is keep_size
    assert md5(new.content) == after[name]["checksum"] != before[name]["checksum"]
    assert new.headers["ETag"] != old.headers["ETag"]
    assert after[name]["ingestCompletionDate_mjd"] > max(row["ingestCompletionDate_mjd"] for row in before.values())


def test_staleness_and_silent_edits_leave_ingest_time_and_bytes_alone(own: Simulator) -> None:
    name = public(own)[3]
    before, body = by_name(own)[name], fetch(own, name).content
    own.stale([name], stale=not before["isStale"])
    own.edit(name, "targprop", 'a "quoted" \\ name')
    own.edit(name, "telescop", None)
    after = by_name(own)[name]
    expected = {"isStale": not before["isStale"], "targprop": 'a "quoted" \\ name', "telescop": None}
    assert after == {**before, **expected}
    assert fetch(own, name).content == body
    own.reprocess([name])
    assert md5(fetch(own, name).content) == by_name(own)[name]["checksum"]


def test_files_and_columns_can_be_added(own: Simulator) -> None:
    like = public(own)[3]
    new = "jw09999001001_04101_00001_nis_" + like.rsplit("_", 1)[1]
    own.add_file(new, like, targprop="NOWHERE")
    own.add_column("niriss", "newkey", "float", 1.5, [new])
    row = by_name(own)[new]
    assert (row["targprop"], row["newkey"], row["dataURI"]) == ("NOWHERE", 1.5, f"mast:JWST/product/{new}")
    assert by_name(own)[like]["newkey"] is None
    assert md5(fetch(own, new).content) == row["checksum"]
    assert {"name": "newkey", "type": "float"} in invoke(own, NIRISS, {"columns": "*", "filters": []}).json()["fields"]


def test_edits_of_unknown_files_are_refused(own: Simulator) -> None:
    with pytest.raises(ValueError, match=r"no such file: nothing\.fits"):
        own.withdraw(["nothing.fits"])


def test_an_archive_is_controlled_over_http_too(own: Simulator) -> None:
    name = public(own)[0]
    order = {"at": 1, "faults": {"file_503": 1, "max_obsids": 7}, "edits": [{"do": "withdraw", "filenames": [name]}]}
    answer = HTTP.post(f"{own.url}/_control", json=order).json()
    assert answer == {"at": 1, "faults": {"file_503": 1}}
    assert own.state.max_obsids == 7
    assert name not in own.filenames("niriss")
    for wrong in ({"faults": {"nope": 1}}, {"edits": [{"do": "nope"}]}, {"at": -1}):
        assert HTTP.post(f"{own.url}/_control", json=wrong).status_code == 400


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("invoke_500", 500, "Internal"),
        ("invoke_429", 429, "later"),
        ("invoke_503", 503, "later"),
        ("invoke_error", 200, "Timeout expired"),
        ("invoke_executing", 200, "EXECUTING"),
        ("invoke_html", 200, "<html>"),
    ],
)
def test_a_spoiled_query_is_answered_well_the_next_time(spoilt: Simulator, fault: str, code: int, text: str) -> None:
    spoilt.faults(**{fault: 1})
    answer = invoke(spoilt, NIRISS, {"columns": "COUNT_BIG(*)", "filters": []})
    assert (answer.status_code, text in answer.text) == (code, True)
    assert ("Retry-After" in answer.headers) is (code in (429, 503))
    assert count(spoilt) == len(spoilt.filenames("niriss"))


def test_a_cut_answer_is_half_an_answer(spoilt: Simulator) -> None:
    spoilt.faults(invoke_cut=1)
    with pytest.raises(httpx.RemoteProtocolError):
        rows(spoilt)
    assert rows(spoilt)


def test_rows_can_be_lost_and_doubled_and_counts_can_move(spoilt: Simulator) -> None:
    total = len(spoilt.filenames("niriss"))
    spoilt.faults(lost_page=1)
    answer = invoke(spoilt, NIRISS, {"columns": "filename", "filters": []}).json()
    assert len(answer["data"]) < total == answer["paging"]["rows"]
    spoilt.faults(doubled_rows=1)
    names = [row["filename"] for row in rows(spoilt, columns="filename")]
    assert len(names) > len(set(names)) == total
    spoilt.faults(count_moves=1)
    assert count(spoilt) == total + 1
    assert count(spoilt) == total


def test_a_slow_answer_is_whole(spoilt: Simulator) -> None:
    spoilt.faults(invoke_slow=1)
    assert len(rows(spoilt, columns="filename")) == len(spoilt.filenames("niriss"))


@pytest.mark.parametrize(
    ("fault", "code"),
    [("file_503", 503), ("file_429", 429), ("file_html", 200), ("file_empty", 200), ("file_corrupt", 200)],
)
def test_a_spoiled_download_is_right_the_next_time(spoilt: Simulator, fault: str, code: int) -> None:
    name = public(spoilt)[0]
    right = fetch(spoilt, name).content
    spoilt.faults(**{fault: 1})
    spoiled = fetch(spoilt, name)
    assert spoiled.status_code == code
    assert spoiled.content != right
    assert (len(spoiled.content) == len(right)) is (fault == "file_corrupt")
    assert fetch(spoilt, name).content == right


def test_a_cut_download_ends_early(spoilt: Simulator) -> None:
    name = public(spoilt)[0]
    spoilt.faults(file_cut=1)
    with pytest.raises(httpx.RemoteProtocolError):
        fetch(spoilt, name)
    assert fetch(spoilt, name).status_code == 200


def test_a_wrong_range_is_of_another_version(spoilt: Simulator) -> None:
    name = public(spoilt)[0]
    whole = fetch(spoilt, name)
    spoilt.faults(file_wrong_range=1)
    assert fetch(spoilt, name).content == whole.content  # only ranges are spoiled
    part = fetch(spoilt, name, Range="bytes=100-", **{"If-Range": whole.headers["ETag"]})
    assert part.status_code == 206
    assert md5(whole.content[:100] + part.content) != md5(whole.content)


def test_a_slow_download_is_whole(spoilt: Simulator) -> None:
    name = next(name for name in public(spoilt) if name.endswith("x1dints.fits"))
    right = fetch(spoilt, name).content
    spoilt.faults(file_slow=1)
    assert fetch(spoilt, name, Range="bytes=0-4999").content == right[:5000]


def test_only_known_faults_can_be_ordered(spoilt: Simulator) -> None:
    with pytest.raises(ValueError, match="no fault nope"):
        spoilt.faults(nope=1)
    assert "file_cut" in FAULTS


def test_latency_is_a_pause_before_the_first_byte(spoilt: Simulator) -> None:
    spoilt.settings(latency_ms=60)
    assert fetch(spoilt, "nothing.fits").elapsed.total_seconds() >= 0.06
    spoilt.settings(latency_ms=0)


def test_stats_count_what_was_served(spoilt: Simulator) -> None:
    name = public(spoilt)[0]
    spoilt.reset_stats()
    found, body = rows(spoilt), fetch(spoilt, name).content
    stats = HTTP.get(f"{spoilt.url}/_stats").json()
    assert stats == spoilt.stats()
    assert (stats["invoke"], stats[NIRISS], stats["file_get"]) == (1, 1, 1)
    assert (stats["rows"], stats["bytes"]) == (len(found), len(body))


@pytest.mark.long
def test_cached_answers_change_when_the_archive_does() -> None:
    with Simulator(files=60, instruments=["niriss"], cache_answers=True) as archive:
        first = rows(archive)
        assert rows(archive) == first
        archive.withdraw(archive.filenames("niriss")[:1])
        assert len(rows(archive)) == len(first) - 1


@pytest.mark.long
def test_answers_from_before_a_return_in_time_are_not_given_again() -> None:
    with Simulator(files=60, instruments=["niriss"], cache_answers=True) as archive:
        name = archive.filenames("niriss")[0]
        archive.advance()
        assert name in {row["filename"] for row in rows(archive)}
        assert name in listed_by_all(archive)
        archive.move_to(0)
        archive.withdraw([name])
        assert name not in {row["filename"] for row in rows(archive)}
        assert name not in listed_by_all(archive)


def test_serving_forever_says_its_address_and_stops_when_interrupted() -> None:
    seen: list[str] = []

    def ready(url: str) -> None:
        seen.append(url)
        raise KeyboardInterrupt

    serve_forever(files=60, instruments=["niriss"], ready=ready)
    assert seen[0].startswith("http://127.0.0.1:")
