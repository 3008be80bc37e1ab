"""The built-in archive answers what other clients of MAST send, and misbehaves to order as MAST does."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.parse
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from catalog.archive.client import MastArchive, Query
from catalog.archive.partition import WholeQueries
from catalog.errors import Incomplete
from catalog.simulator import Simulator
from catalog.vocabulary.search import Search

from .conftest import QUICK

NIRISS = "Mast.Jwst.Filtered.Niriss"

MASTQUERY: list[dict[str, Any]] = [
    {
        "service": NIRISS,
        "params": {
            "columns": "*",
            "filters": [
                {"paramName": "productLevel", "values": ["2a", "2b"]},
                {"paramName": "expstart", "values": [{"min": 50000.0, "max": 70000.0}]},
                {"paramName": "filename", "values": [], "freeText": "%.fits"},
            ],
        },
        "format": "json",
        "pagesize": 100000,
    },
    {
        "service": "Mast.Jwst.Filtered.Nircam",
        "params": {
            "columns": "ArchiveFileID,filename,program,dataURI",
            "filters": [{"paramName": "program", "values": ["1366"]}],
        },
        "format": "json",
        "pagesize": 100000,
    },
    {
        "service": "Mast.Caom.Filtered",
        "params": {
            "columns": "*",
            "filters": [
                {"paramName": "obs_collection", "values": ["JWST"]},
                {"paramName": "t_exptime", "values": [{"min": 1, "max": 100000}]},
            ],
        },
        "format": "json",
        "pagesize": 100000,
        "page": 1,
        "removenullcolumns": True,
        "timeout": 300,
        "removecache": True,
    },
]
"""What gbrammer/mastquery sends, as a form with one field ``request``."""

JWST_MAST_QUERY: list[dict[str, Any]] = [
    {
        "service": "Mast.Caom.Filtered.JwstOps",
        "params": {
            "columns": "dataURL,obsid,obs_id,proposal_id,t_min,t_exptime,instrument_name,calib_level,s_region",
            "filters": [
                {"paramName": "t_min", "values": [{"min": 50000.0, "max": 70000.0}]},
                {"paramName": "obs_collection", "values": ["JWST"]},
                {"paramName": "instrument_name", "values": [], "freeText": "%NIRISS%"},
            ],
        },
        "format": "json",
    },
    {"service": "Mast.Caom.Products.JwstOps", "params": {"obsid": "", "format": "json"}, "format": "json"},
]
"""What spacetelescope/jwst_mast_query sends, to addresses below ``/portal_jwst`` and ``/jwst``."""


def post(url: str, request: object, path: str = "/api/v0/invoke") -> dict[str, Any]:
    answer = requests.post(url + path, data={"request": json.dumps(request)}, timeout=60)
    assert answer.status_code == 200
    return dict(answer.json())


@pytest.mark.parametrize("request_", MASTQUERY, ids=lambda one: one["service"])
def test_requests_of_mastquery_are_answered(sky: Simulator, request_: dict[str, Any]) -> None:
    answer = post(sky.url, request_)
    assert answer["status"] == "COMPLETE"
    assert answer["paging"]["rowsFiltered"] == len(answer["data"])


def test_requests_of_jwst_mast_query_are_answered(sky: Simulator) -> None:
    portal = "/portal_jwst/Mashup/Mashup.asmx/invoke"
    found = post(sky.url, JWST_MAST_QUERY[0], portal)
    assert found["data"]
    products = {**JWST_MAST_QUERY[1], "params": {"obsid": ",".join(row["obsid"] for row in found["data"][:3])}}
    rows = post(sky.url, products, portal)["data"]
    assert {row["parent_obsid"] for row in rows} == {row["obsid"] for row in found["data"][:3]}
    public = next(row for row in rows if row["dataRights"] == "PUBLIC")
    address = f"{sky.url}/jwst/api/v0.1/download/file?uri={public['dataURI']}"
    assert len(requests.get(address, timeout=60).content) == public["size"]


def found(sky: Simulator, service: str, filters: list[dict[str, Any]], columns: object = "*") -> list[dict[str, Any]]:
    answer = post(sky.url, {"service": service, "params": {"columns": columns, "filters": filters}, "format": "json"})
    assert answer["status"] == "COMPLETE", answer
    return list(answer["data"])


def test_names_of_services_have_no_case(sky: Simulator) -> None:
    assert len(found(sky, NIRISS.upper(), [])) == len(found(sky, NIRISS.lower(), [])) == len(sky.filenames("niriss"))


def test_columns_may_be_a_list(sky: Simulator) -> None:
    assert {tuple(row) for row in found(sky, NIRISS, [], ["filename", "program"])} == {("filename", "program")}


def test_a_number_of_a_program_may_have_leading_zeros(sky: Simulator) -> None:
    (plain, *_) = sorted({row["proposal_id"] for row in found(sky, "Mast.Caom.Filtered", [])})
    ask = [{"paramName": "proposal_id", "values": [plain.zfill(5)]}]
    assert {row["proposal_id"] for row in found(sky, "Mast.Caom.Filtered", ask)} == {plain}


def test_patterns_know_sets_and_single_characters(sky: Simulator) -> None:
    names = sky.filenames("niriss")

    def like(pattern: str) -> set[str]:
        ask = [{"paramName": "filename", "values": [], "freeText": pattern}]
        return {row["filename"] for row in found(sky, NIRISS, ask, "filename")}

    first = sorted(names)[0]
    assert like(first.replace("_", "?")) == set()
    assert first in like(first.replace("n", "_"))
    assert like("jw0[0-9]%") == {name for name in names if name.startswith("jw0")}
    assert like("[^j]%") == set()


def test_a_filter_with_a_separator_matches_one_of_several_values(sky: Simulator) -> None:
    rows = found(sky, "Mast.Caom.Filtered", [], "obs_id,filters")
    several = next(row["filters"] for row in rows if ";" in (row["filters"] or ""))
    ask = [{"paramName": "filters", "values": [several.split(";")[0]], "separator": ";"}]
    assert several in {row["filters"] for row in found(sky, "Mast.Caom.Filtered", ask, "filters")}


def test_all_collections_are_listed(sky: Simulator) -> None:
    answer = post(sky.url, {"service": "Mast.Caom.All", "params": {}, "format": "extjs"})
    (column,) = answer["data"]["Tables"][0]["Columns"]
    assert sorted(column["ExtendedProperties"]["histObj"]) == ["JWST", "hist"]


@pytest.mark.parametrize(
    "body", [b"", b"request=", b"request={", b"request=[1]", b"\xff\xfe", b"request=%7B%22params%22%3A3%7D"]
)
def test_a_request_that_is_no_json_is_an_error(sky: Simulator, body: bytes) -> None:
    answer = requests.post(f"{sky.url}/api/v0/invoke", data=body, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ERROR"


@pytest.mark.parametrize(
    "params", [{"filters": 5}, {"filters": [5]}, {"filters": [{"paramName": None}]}, {"columns": {}, "filters": [{}]}]
)
def test_parameters_that_are_none_are_an_error(sky: Simulator, params: dict[str, Any]) -> None:
    assert post(sky.url, {"service": NIRISS, "params": params})["status"] == "ERROR"


@pytest.mark.parametrize("kind", ["sh", "zip", "tar.gz"])
@pytest.mark.parametrize("path", ["/api/v0.1/Download/bundle", "/jwst/api/v0.1/download/bundle"])
def test_bundles_hold_the_products(sky: Simulator, kind: str, path: str) -> None:
    file = f"{sky.url}/api/v0.1/Download/file?uri="
    rows = sorted(found(sky, NIRISS, []), key=lambda row: row["fileSize"])[:8]
    uris = [row["dataURI"] for row in rows if requests.head(file + row["dataURI"], timeout=60).ok][:2]
    body = requests.post(
        f"{sky.url}{path}.{kind}", data=urllib.parse.urlencode({"uri": uris}, doseq=True), timeout=60
    ).content
    if kind == "sh":
        assert all(uri in body.decode() for uri in uris)
        return
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            names = packed.namelist()
    else:
        with tarfile.open(fileobj=io.BytesIO(body)) as tape:
            names = tape.getnames()
    assert sorted(name.rsplit("/", 1)[-1] for name in names) == sorted(uri.rsplit("/", 1)[-1] for uri in uris)


class TestFaults:
    """Bad habits, and what a search makes of them."""

    @pytest.fixture
    def own(self) -> Iterator[Simulator]:
        with Simulator(files=400, seed=3) as one:
            yield one

    def read(self, own: Simulator, limit: int = 60) -> list[str]:
        search = Search.parse("all", "niriss", [])
        with MastArchive(own.url) as archive:
            parts = list(WholeQueries(archive, QUICK).rows(archive.query(search), limit=limit))
        return sorted(name for part in parts for name in part["filename"].to_pylist())

    @pytest.mark.long
    @pytest.mark.parametrize(
        "fault", ["lost_and_doubled", "odd_cells", "invoke_gzip", "count_refused", "invoke_redirect"]
    )
    @pytest.mark.parametrize("times", [1, 3])
    def test_no_bad_habit_loses_or_doubles_a_file(self, own: Simulator, fault: str, times: int) -> None:
        expected = sorted(own.filenames("niriss"))
        own.faults(**{fault: times})
        assert self.read(own) == expected

    @pytest.mark.long
    def test_answers_that_always_repeat_one_row_and_lose_another_are_never_whole(self, own: Simulator) -> None:
        own.faults(lost_and_doubled=10_000)
        with pytest.raises(Incomplete):
            self.read(own)

    @pytest.mark.long
    def test_counts_that_are_always_refused_are_read_from_pages(self, own: Simulator) -> None:
        own.faults(count_refused=10_000)
        assert self.read(own) == sorted(own.filenames("niriss"))
        assert own.stats()["invoke"] < 200

    def test_a_pattern_brings_what_it_means_and_not_what_the_archive_makes_of_it(self, own: Simulator) -> None:
        names = sorted(own.filenames("niriss"))
        meant = f"{names[0][:-6]}_.fits"
        query = Query(NIRISS, ({"paramName": "filename", "values": [], "freeText": meant},))
        with MastArchive(own.url) as archive:
            assert archive.count(query) >= 1
            (table,) = WholeQueries(archive, QUICK).rows(query, ("checksum", "filename"))
            assert table.num_rows == 0
            wider = Query(NIRISS, ({"paramName": "fileSetName", "values": [], "freeText": names[0][:16] + "%"},))
            (table,) = WholeQueries(archive, QUICK).rows(wider, ("filename",))
        assert table.column_names == ["filename"]
        assert table["filename"].to_pylist()
        assert all(name.startswith(names[0][:16]) for name in table["filename"].to_pylist())

    def test_sizes_of_products_without_a_checksum_are_stale(self, own: Simulator) -> None:
        rows = found(own, "Mast.Caom.Filtered", [])
        ask = {"service": "Mast.Caom.Products", "params": {"obsid": rows[0]["obsid"]}}
        right = {row["dataURI"]: row["size"] for row in post(own.url, ask)["data"]}
        own.faults(stale_sizes=1)
        stale = {row["dataURI"]: row["size"] for row in post(own.url, ask)["data"]}
        differing = {uri for uri in right if stale[uri] != right[uri]}
        assert differing == {uri for uri in right if not uri.endswith(".fits")} != set()

    @pytest.mark.long
    def test_a_download_may_be_redirected(self, own: Simulator) -> None:
        row = next(row for row in found(own, NIRISS, []) if not row["isRestricted"])
        own.faults(file_redirect=1)
        address = f"{own.url}/api/v0.1/Download/file?uri={row['dataURI']}"
        assert len(requests.get(address, timeout=60).content) == row["fileSize"]
        assert own.stats()["file_get"] == 2
