"""Plans: what is decided, why, and that names cannot lead anywhere else."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import NoSuchSearch, UsageError
from catalog.fits.whole import fits_problem
from catalog.store.database import Database
from catalog.sync import Plan, Selection, make_plan, products
from catalog.sync.decisions import plan
from catalog.sync.disk import DISK, PARTS, listing
from catalog.sync.names import Template, refusal
from catalog.sync.partial import Identity, PartialFile
from tests.conftest import copy_of
from tests.files_server import fits
from tests.sync_catalog import URI, add_files, add_products, add_search, catalog

NOW = dt.datetime(2026, 1, 1)  # UTC, without saying so, as in the catalog
SELECTED = pa.schema(
    [(name, pa.string()) for name in ("data_uri", "filename", "checksum", "program", "obs_id", "dataRights")]
    + [("size", pa.int64()), ("release_at", pa.timestamp("us")), ("calib_level", pa.int64())]
)
LOCAL = pa.schema(
    [(name, pa.string()) for name in ("path", "checksum", "state", "reason", "fetched_checksum")]
    + [("size", pa.int64()), ("mtime_ns", pa.int64()), ("archived", pa.bool_())]
)


def row(name: str = "a.fits", **more: object) -> dict[str, object]:
    return {"data_uri": URI + name, "filename": name, "size": 10, "checksum": "c1", "program": "1366", **more}


Given = Sequence[Mapping[str, object]]


def decide(*rows: dict[str, object], local: Given = (), disk: Given = (), parts: Given = (), **more: Any) -> Plan:
    given = ((rows, SELECTED), (local, LOCAL), (disk, DISK), (parts, PARTS))
    tables = [pa.Table.from_pylist([dict(one) for one in some], schema=schema) for some, schema in given]
    return plan(*tables, dest=Path("/d"), now=NOW, **more)


def only(made: Plan) -> tuple[str, str]:
    """The action of a plan's one item, and the reason."""
    (action,) = [action for action, tally in made.tallies.items() if tally.items]
    return action, next((item.reason for item in made.items()), "")


HERE = {"path": "a.fits", "size": 10, "mtime_ns": 5}
KNOWN = {**HERE, "path": "/d/a.fits", "checksum": "c1"}


def test_what_is_on_disk_as_the_archive_lists_it_is_present() -> None:
    assert only(decide(row(), local=[KNOWN], disk=[HERE])) == ("present", "")


def test_a_stale_file_is_replaced_though_the_size_is_the_same() -> None:
    stale = {**KNOWN, "state": "stale", "reason": "checksum c1 -> c2", "archived": True}
    made = decide(row(checksum="c2"), local=[stale], disk=[HERE])
    assert only(made) == ("replace", "stale: checksum c1 -> c2")
    assert made.needed_bytes == 10


def test_a_persons_own_file_is_left_unless_it_is_to_be_renewed() -> None:
    own = {**KNOWN, "state": "modified", "reason": "changed here since it was fetched", "archived": False}
    assert only(decide(row(), local=[own], disk=[HERE])) == ("modified", "modified: changed here since it was fetched")
    assert only(decide(row(), local=[own], disk=[HERE], renew_modified=True))[0] == "replace"


def test_what_is_not_on_disk_is_fetched_whatever_the_catalog_remembers() -> None:
    assert only(decide(row(), local=[KNOWN])) == ("fetch", "not on disk")


@pytest.mark.parametrize(
    ("disk", "local"),
    [
        pytest.param(HERE, [], id="never recorded"),
        pytest.param({**HERE, "mtime_ns": 6}, [KNOWN], id="touched since"),
        pytest.param(HERE, [{**KNOWN, "checksum": None}], id="never hashed"),
        pytest.param(HERE, [{**KNOWN, "state": "unverified", "reason": "never compared"}], id="unverified"),
        pytest.param({**HERE, "size": 9}, [KNOWN], id="of another size than it was"),
    ],
)
def test_bytes_that_nobody_vouches_for_are_checked(disk: dict[str, object], local: list[dict[str, object]]) -> None:
    assert only(decide(row(), local=local, disk=[disk]))[0] == "check"


def test_a_file_with_broken_bytes_is_replaced() -> None:
    cut = {**KNOWN, "state": "corrupt", "reason": "HDU 0, byte 0: cut", "archived": False}
    assert only(decide(row(), local=[cut], disk=[HERE])) == ("replace", "corrupt: HDU 0, byte 0: cut")


def test_without_a_checksum_the_verdict_decides_and_not_the_listed_size() -> None:
    assert only(decide(row(checksum=None), local=[KNOWN], disk=[HERE]))[0] == "present"
    assert only(decide(row(checksum=None, size=11), local=[KNOWN], disk=[HERE]))[0] == "present"


def test_an_unfinished_file_of_the_same_version_is_resumed_and_of_another_is_not() -> None:
    part = {"path": "a.fits", "have": 4, "uri": f"{URI}a.fits", "checksum": "c1", "length": 10}
    made = decide(row(), parts=[part])
    assert only(made) == ("resume", "4 of 10 bytes are here")
    assert made.needed_bytes == 6
    for other in ({"checksum": "c0"}, {"length": 11}, {"uri": f"{URI}b.fits"}):
        assert only(decide(row(), parts=[{**part, **other}]))[0] == "fetch"


def test_exclusive_products_are_out_of_reach_until_their_date_or_a_token() -> None:
    exclusive = row(dataRights="EXCLUSIVE_ACCESS", release_at=NOW + dt.timedelta(days=9))
    assert only(decide(exclusive)) == ("out of reach", "exclusive to program 1366 until 2026-01-10; needs a token")
    assert only(decide(exclusive, has_token=True))[0] == "fetch"
    assert only(decide({**exclusive, "release_at": NOW - dt.timedelta(days=1)}))[0] == "fetch"
    assert only(decide({**exclusive, "release_at": None})) == (
        "out of reach",
        "exclusive to program 1366; needs a token",
    )


def test_a_name_the_catalog_does_not_know_is_out_of_reach() -> None:
    assert only(decide(row(data_uri=None)))[1] == "the catalog knows no file or product of this name"


def test_files_lie_where_the_template_says() -> None:
    made = decide(row(obs_id="jw1"), row("b.fits"), template="JWST/{program}/{obs_id}/{filename}")
    assert sorted(item.path for item in made.items()) == ["/d/JWST/1366/jw1/a.fits", "/d/JWST/1366/unknown/b.fits"]


def test_two_products_of_one_path_are_refused() -> None:
    other = row(data_uri="mast:HST/product/A.fits", filename="A.FITS")
    with pytest.raises(UsageError, match="would both be"):
        decide(row(), other)
    decide(row(obs_id="o1"), {**other, "obs_id": "o2"}, template="{obs_id}/{filename}")


@pytest.mark.parametrize(
    "text", ["", "x", "/{filename}", "../{filename}", "{nothing}/{filename}", "{filename}/x", "{obs_id/{filename}"]
)
def test_templates_that_cannot_work_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Template(text)


UNSAFE = [
    *("", ".", "..", "../a", "/etc/passwd", "a/b", "a\\b", ".hidden", "-rf", "a\0b", "a\nb", "CON", "nul.fits"),
    *("a.", "x" * 201, "a:b", "é.fits", "a b"),
]


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_out_of_reach_and_say_so(name: str) -> None:
    assert refusal(name)
    assert only(decide(row(name))) == ("out of reach", "its name cannot be that of a file here")


@pytest.mark.long
@given(st.text())
def test_a_name_that_passes_is_one_part_below_its_folder(name: str) -> None:
    if refusal(name) is None:
        joined = os.path.normpath(os.path.join("/root/dest", name))  # noqa: PTH118
        assert joined == f"/root/dest/{name}"
        assert name not in ("", ".", "..")


@pytest.mark.long
@settings(max_examples=20, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_values_of_the_archive_make_a_path_that_leaves_the_destination(obs_id: str, program: str) -> None:
    made = decide(row(obs_id=obs_id, program=program), template="{program}/{obs_id}/{filename}")
    for item in made.items("fetch"):
        assert os.path.normpath(item.path) == item.path
        assert item.path.startswith("/d/")


def test_a_plan_can_be_written_as_json() -> None:
    made = decide(row(), row("b.fits", data_uri=None)).as_dict()
    again = json.loads(json.dumps(made))
    assert again["selected"] == 2
    assert again["fetch"] == {"items": 1, "bytes": 10}
    assert {item["action"] for item in again["items"]} == {"fetch", "out of reach"}


# --- selections ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = catalog(tmp_path_factory.mktemp("filled") / "c.duckdb")
    add_products(database, {f"{URI}jw1_x1d.fits": fits(1)})
    add_products(database, {f"{URI}jw1_gs-track_cal.fits": fits(2)}, productType="AUXILIARY",
                 productSubGroupDescription="GS-TRACK", calib_level=1)  # fmt: skip
    add_products(database, {f"{URI}jw2_asn.json": b"{}"}, obs_id="obs2", productType="INFO", calib_level=3)
    unlinked = {f"{URI}jw3_rate.fits": fits(3)}
    add_files(database, {**unlinked, f"{URI}jw1_x1d.fits": fits(1)}, productLevel="2a")
    add_search(database, "s", ["jw3_rate.fits", "jw1_x1d.fits"], ["obs1"])
    return database.path


@pytest.fixture
def filled(_filled_once: Path, tmp_path: Path) -> Database:
    """Two products and one file that no product row lists, in a search; one product outside it."""
    return copy_of(_filled_once, tmp_path / "c.duckdb")


def names(database: Database, tmp_path: Path, **chosen: object) -> set[str]:
    made = make_plan(database, Selection(**chosen), dest=tmp_path / "d")  # type: ignore[arg-type]
    return {item.filename.removesuffix(".fits") for item in made.items()}


def test_a_search_means_its_observations_products_and_its_files(filled: Database, tmp_path: Path) -> None:
    assert names(filled, tmp_path, search="s") == {"jw1_x1d", "jw1_gs-track_cal", "jw3_rate"}
    listed = products(filled, Selection("s"))["filename"].to_pylist()
    assert listed == ["jw1_gs-track_cal.fits", "jw1_x1d.fits"]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"types": ("science",)}, {"jw1_x1d", "jw3_rate"}),
        ({"types": ("Science", "INFO")}, {"jw1_x1d", "jw3_rate", "jw2_asn.json"}),
        ({"levels": (3,)}, {"jw2_asn.json"}),
        ({"levels": (2,)}, {"jw1_x1d", "jw3_rate"}),
        ({"subgroups": ("rate",)}, {"jw3_rate"}),
        ({"dataproducts": ("SPECTRUM",)}, {"jw1_x1d", "jw1_gs-track_cal", "jw2_asn.json"}),
        ({"extensions": ("json",)}, {"jw2_asn.json"}),
        ({"extensions": ("_RATE.fits", "_asn.json")}, {"jw3_rate", "jw2_asn.json"}),
        ({"guide_stars": True}, {"jw1_gs-track_cal"}),
        ({"guide_stars": False, "levels": (1, 2)}, {"jw1_x1d", "jw3_rate"}),
        ({"max_size": 5760}, {"jw1_x1d", "jw2_asn.json"}),
        ({"sql": "SELECT filename FROM files"}, {"jw1_x1d", "jw3_rate"}),
        ({"sql": "SELECT data_uri, 1 AS x FROM products", "levels": (3,)}, {"jw2_asn.json"}),
        ({"sql": f"SELECT '{URI}new.fits' AS data_uri"}, {"new"}),
        ({"sql": "SELECT 'nosuch' AS filename"}, {"nosuch"}),
        ({"sql": "FROM files SELECT filename WHERE false"}, set()),
    ],
)
def test_selections_narrow_without_regard_to_case(
    filled: Database, tmp_path: Path, chosen: dict[str, object], expected: set[str]
) -> None:
    assert names(filled, tmp_path, **chosen) == expected


@pytest.mark.parametrize(
    "sql",
    ["SELECT 1 AS x", "DROP TABLE runs", "SELECT filename FROM nosuch", "SELECT 1; SELECT 2", "FROM '/etc/passwd'", ""],
)
def test_sql_that_does_not_select_files_is_refused(filled: Database, tmp_path: Path, sql: str) -> None:
    with pytest.raises(UsageError):
        make_plan(filled, Selection(sql=sql or ";"), dest=tmp_path)


def test_a_search_that_was_never_saved_names_the_nearest(filled: Database, tmp_path: Path) -> None:
    with pytest.raises(NoSuchSearch, match="there is s"):
        make_plan(filled, Selection("S"), dest=tmp_path)


def test_an_empty_catalog_has_an_empty_plan(tmp_path: Path) -> None:
    database = Database(tmp_path / "new.duckdb")
    with database.write():
        pass
    assert make_plan(database, Selection(), dest=tmp_path / "d").selected == 0
    assert products(database, Selection()).num_rows == 0


# --- the disk, and FITS structure ---------------------------------------------------------------


def test_a_listing_has_files_and_unfinished_files_apart(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"123")
    (tmp_path / ".b.fits.part").write_bytes(b"without identity")
    part = PartialFile(tmp_path / "c.fits", Identity("mast:c", "00", 9))
    part.start(Identity("mast:c", "00", 9, '"tag"'))
    part.write(b"1234")
    part.close()
    disk, parts = listing(tmp_path, [""])
    assert disk.to_pylist() == [{"path": "a.fits", "size": 3, "mtime_ns": (tmp_path / "a.fits").stat().st_mtime_ns}]
    assert parts.to_pylist() == [{"path": "c.fits", "have": 4, "uri": "mast:c", "checksum": "00", "length": 9}]


def test_a_folder_that_leads_out_by_a_link_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.fits").touch()
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest" / "link").symlink_to(tmp_path / "out")
    assert listing(tmp_path / "dest", ["link", "..", "../out", "none"])[0].num_rows == 0


def structure(tmp_path: Path, content: bytes) -> str | None:
    (tmp_path / "x.fits").write_bytes(content)
    with (tmp_path / "x.fits").open("rb") as file:
        return fits_problem(file.fileno(), len(content))


def test_whole_fits_files_have_no_problem(tmp_path: Path) -> None:
    from astropy.io import fits as reference

    pixels = np.arange(12.0).reshape(3, 4)
    image = reference.ImageHDU(data=pixels)
    table = reference.BinTableHDU.from_columns([reference.Column("a", "PJ()", array=[[1, 2], [3]])])
    packed = reference.CompImageHDU(data=pixels)
    reference.HDUList([reference.PrimaryHDU(), image, table, packed]).writeto(tmp_path / "y.fits")
    whole = (tmp_path / "y.fits").read_bytes()
    assert structure(tmp_path, whole) is None
    assert structure(tmp_path, fits(3)) is None
    assert structure(tmp_path, whole[:-2880])


@settings(deadline=None)
@given(st.integers(0, 14400))
def test_no_cut_of_a_file_passes_for_whole(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    content = fits(4)[:cut]
    assert (structure(tmp_path_factory.getbasetemp(), content) is None) == (cut == 14400)


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 2880))
def test_any_bytes_are_judged_without_an_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    content = bytearray(fits(1))
    content[at : at + len(noise)] = noise
    structure(tmp_path_factory.getbasetemp(), bytes(content))
