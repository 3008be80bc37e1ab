"""Files and folders as they lie on people's disks, under the header index."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from catalog.api.catalog import Catalog
from catalog.errors import DiskError, UsageError
from catalog.fits import associations as reading
from catalog.headers import FilesRead, FoldersWalked, LinksLeftOut, index_folders
from catalog.inodes import signed
from catalog.store.database import Database
from tests.conftest import Command
from tests.fits_samples import block, primary, sample


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "catalog.duckdb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def column(database: Database, question: str) -> list[object]:
    with database.read() as connection:
        return [row[0] for row in connection.execute(question).fetchall()]


def names(database: Database) -> list[object]:
    return column(database, "SELECT filename FROM local_files ORDER BY filename")


HUGE = {
    "an axis": block([f"SIMPLE  = {'T':>20}", f"BITPIX  = {8:20d}", f"NAXIS   = {1:20d}", f"NAXIS1  = {10**20 - 1}"]),
    "a product": block([f"SIMPLE  = {'T':>20}", f"BITPIX  = {64:20d}", f"NAXIS   = {2:20d}",
                        f"NAXIS1  = {10**18:20d}", f"NAXIS2  = {10**18:20d}"]),
    "PCOUNT": primary() + block(["XTENSION= 'BINTABLE'", f"BITPIX  = {8:20d}", f"NAXIS   = {2:20d}",
                                 f"NAXIS1  = {10:20d}", f"NAXIS2  = {1:20d}", f"PCOUNT  = {10**19:20d}",
                                 f"GCOUNT  = {1:20d}"]),
    "an axis of a compressed image": primary() + block([
        "XTENSION= 'BINTABLE'", f"BITPIX  = {8:20d}", f"NAXIS   = {2:20d}", f"NAXIS1  = {0:20d}", f"NAXIS2  = {0:20d}",
        f"PCOUNT  = {0:20d}", f"GCOUNT  = {1:20d}", f"TFIELDS = {0:20d}", f"ZIMAGE  = {'T':>20}", f"ZNAXIS  = {1:20d}",
        f"ZNAXIS1 = {10**20 - 1}"]),
    "a version": primary(f"EXTVER  = {10**19:20d}", f"NINTS   = {10**19:20d}", "EXPSTART= 1E999"),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", HUGE)
def test_a_number_beyond_64_bits_in_one_file_leaves_the_others_alone(
    name: str, folder: Path, database: Database
) -> None:
    (folder / "odd.fits").write_bytes(HUGE[name])
    for n in range(3):
        (folder / f"good{n}.fits").write_bytes(sample(str(n)))
    report = index_folders(database, [folder])
    assert report.read == 4
    assert column(database, "SELECT count(*) FROM local_files WHERE indexed") == [4]


@pytest.mark.long
def test_endings_count_in_capitals_too(folder: Path, database: Database) -> None:
    for name in ("a.FITS", "b.FIT", "c.Fits", "d.fits.fz"):
        (folder / name).write_bytes(sample(name))
    (folder / "e.FITS.GZ").write_bytes(gzip.compress(sample("e")))
    (folder / "f.fits.bz2").write_bytes(bz2.compress(sample("f")))
    (folder / "g.Fits.XZ").write_bytes(lzma.compress(sample("g")))
    (folder / "H_ASN.JSON").write_text('{"products": [{"name": "p", "members": [{"expname": "a.fits"}]}]}')
    report = index_folders(database, [folder])
    assert (report.files, report.read, report.failed, report.hdus) == (7, 7, 0, 14)
    assert len(names(database)) == 8


@pytest.mark.long
def test_a_folder_may_be_named_as_a_file(folder: Path, database: Database) -> None:
    for name, inside in (("run1.fits", "x.fits"), ("pool_asn.json", "y.fits")):
        (folder / name).mkdir()
        (folder / name / inside).write_bytes(sample(inside))
    assert index_folders(database, [folder]).read == 2
    assert names(database) == ["x.fits", "y.fits"]


@pytest.mark.long
def test_a_file_that_is_named_twice_is_one_row(
    folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.fits").write_bytes(sample())
    monkeypatch.chdir(folder.parent)
    for roots in (["disk/a.fits", "disk/../disk/a.fits"], ["disk/a.fits", "disk"], ["disk/../disk", "./disk"]):
        report = index_folders(database, roots)
        assert report.files == 1
    assert column(database, "SELECT path FROM local_files") == [str(folder / "a.fits")]
    assert column(database, "SELECT count(*) FROM local_file_version") == [1]


@pytest.mark.long
def test_two_dots_behind_a_link_lead_where_the_system_leads(folder: Path, database: Database) -> None:
    for name in ("c/real", "c/b", "b"):
        (folder / name).mkdir(parents=True)
    (folder / "c/b/right.fits").write_bytes(sample("right"))
    (folder / "b/wrong.fits").write_bytes(sample("wrong"))
    (folder / "link").symlink_to(folder / "c/real")
    index_folders(database, [folder / "link/../b"])
    assert names(database) == ["right.fits"]


@pytest.mark.long
def test_a_link_to_a_folder_is_told_and_not_followed(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    (folder / "round").symlink_to(folder)
    (folder / "round.fits").symlink_to(folder)
    events: list[object] = []
    assert index_folders(database, [folder], on_event=events.append).files == 1
    (left,) = [event for event in events if isinstance(event, LinksLeftOut)]
    assert sorted(left.paths) == [str(folder / "round"), str(folder / "round.fits")]
    assert index_folders(database, [folder / "round"]).files == 1  # by its own name it is looked into


@pytest.mark.long
def test_a_named_pipe_is_no_regular_file_and_nobody_waits_for_it(folder: Path, database: Database) -> None:
    os.mkfifo(folder / "pipe.fits")
    os.mkfifo(folder / "pipe_asn.json")
    (folder / "a.fits").write_bytes(sample())
    assert index_folders(database, [folder]).failed == 0  # a walk leaves pipes out
    report = index_folders(database, [folder / "pipe.fits", folder / "pipe_asn.json"])
    assert [failure.reason for failure in report.failures] == ["it is not a regular file"] * 2
    assert reading.read_association(str(folder / "pipe_asn.json")).problem == "it is not a regular file"


@pytest.mark.long
def test_what_macos_leaves_beside_a_file_is_no_failure(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    (folder / "._a.fits").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        " + bytes(50))
    (folder / "._real.fits").write_bytes(sample())
    report = index_folders(database, [folder])
    assert (report.files, report.failed) == (2, 0)


def test_a_file_that_is_not_there_is_refused(folder: Path, database: Database) -> None:
    with pytest.raises(DiskError, match="no such folder or file"):
        index_folders(database, [folder / "nowhere" / ".." / "a.fits"])


@pytest.mark.long
@pytest.mark.parametrize("target", ["nowhere.fits", "a.fits"])
def test_a_link_that_leads_nowhere_is_told(target: str, folder: Path, database: Database) -> None:
    (folder / "b.fits").write_bytes(sample())
    (folder / "a.fits").symlink_to(target)
    report = index_folders(database, [folder])
    assert [failure.reason for failure in report.failures] == ["it is a link that leads nowhere"]
    assert report.files == 1
    with pytest.raises(DiskError, match=r"leads nowhere|symbolic links"):
        index_folders(database, [folder / "a.fits"])
    with Catalog.open(database.path) as catalog, pytest.raises(UsageError, match="a link that leads nowhere"):
        catalog.local_file(folder / "a.fits")


def test_a_folder_whose_name_is_no_text_is_told(folder: Path, database: Database) -> None:
    odd = os.fsdecode(os.fsencode(folder) + b"/odd\xff")
    Path(odd).mkdir()
    (Path(odd) / "a.fits").write_bytes(sample())
    for root in (folder, odd):
        report = index_folders(database, [root])
        assert [failure.reason for failure in report.failures] == ["its name is not UTF-8"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("23:59:60.5", datetime(2016, 12, 31, 23, 59, 59, 999999)),
        ("23:59:60", datetime(2016, 12, 31, 23, 59, 59, 999999)),
        ("23:59:59.5", datetime(2016, 12, 31, 23, 59, 59, 500000)),
        ("60:00:00", None),
    ],
)
def test_a_leap_second_keeps_its_day(time: str, expected: datetime | None, folder: Path, database: Database) -> None:
    values = {"DATE_OBS": "'2016-12-31'", "TIME-OBS": f"'{time}'", "DATE_BEG": f"'2016-12-31T{time}'"}
    (folder / "a.fits").write_bytes(sample(**values))
    index_folders(database, [folder])
    assert column(database, "SELECT date_obs FROM headers") == [expected]
    assert column(database, "SELECT date_beg FROM headers") == [expected]
    ((days),) = column(database, "SELECT date_obs_mjd FROM headers")
    assert days is None if expected is None else 57753.99 < float(str(days)) < 57754


def association(members: int = 1) -> str:
    listed = [{"expname": f"a{n}_cal.fits", "exptype": "science"} for n in range(members)]
    return json.dumps({"products": [{"name": "p", "members": listed}]})


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity"])
def test_an_association_with_no_number_is_read_as_the_pipeline_reads_it(
    odd: str, folder: Path, database: Database
) -> None:
    (folder / "a_asn.json").write_text(association().replace("{", f'{{"x": {odd}, ', 1))
    assert index_folders(database, [folder]).failed == 0
    assert column(database, "SELECT input FROM lineage") == ["a0_cal.fits"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"products": 3}', "", '{"products": [{"members": [{}]}]}', "NaN", "\0"]
)
def test_what_is_no_association_is_one_line(text: str, folder: Path, database: Database) -> None:
    (folder / "a_asn.json").write_text(text)
    (failure,) = index_folders(database, [folder]).failures
    assert failure.reason.startswith("not an association")
    assert "\n" not in failure.reason


def test_half_a_surrogate_pair_in_an_association_is_replaced(folder: Path, database: Database) -> None:
    (folder / "a_asn.json").write_text(
        '{"x": NaN, "products": [{"name": "\\ud800", "members": [{"expname": "a.fits"}]}]}'
    )
    assert index_folders(database, [folder]).failed == 0


@pytest.mark.long
def test_associations_are_bounded(folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "many_asn.json").write_text(association(300_000))
    with (folder / "large_asn.json").open("wb") as file:
        file.truncate(8_000_000_000)  # a hole: it takes no room on the disk
    monkeypatch.setattr(reading, "_MEMBERS_TOGETHER", 3)
    for n in range(5):
        (folder / f"{n}_asn.json").write_text(association(2))
    report = index_folders(database, [folder])
    assert [failure.reason for failure in report.failures] == [
        "8.0 GB are no association: at most 64.0 MB are read",
        "not an association: 300,000 members; at most 100,000 are read",
    ]
    assert column(database, "SELECT count(*) FROM association_member") == [10]


@given(st.integers(0, 2**64 - 1))
def test_every_inode_has_a_number_of_its_own(inode: int) -> None:
    assert -(2**63) <= signed(inode) < 2**63
    assert signed(inode) % 2**64 == inode


@pytest.mark.long
def test_inodes_beyond_63_bits_are_kept(folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.fits").write_bytes(sample())
    (folder / "a_asn.json").write_text(association())
    (folder / "named.dat").write_bytes(sample())
    real = os.fstat

    def far(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        return os.stat_result((status[0], 2**64 - 5, *status[2:]), {"st_mtime_ns": status.st_mtime_ns})

    odd = SimpleNamespace(**{**vars(os), "fstat": far})
    monkeypatch.setattr("catalog.fits.scan.os", odd)
    monkeypatch.setattr("catalog.fits.associations.os", odd)
    assert index_folders(database, [folder, folder / "named.dat"]).failed == 0
    assert column(database, "SELECT DISTINCT inode FROM local_files") == [-5]


@pytest.mark.long
def test_the_progress_has_a_total_from_the_first_file_on(folder: Path, database: Database) -> None:
    for n in range(5):
        (folder / f"{n}.fits").write_bytes(sample(str(n)))
    (folder / "a_asn.json").write_text(association())
    events: list[object] = []
    index_folders(database, [folder], on_event=events.append)
    assert FoldersWalked(5, 5, 1) in events
    assert [event for event in events if isinstance(event, FilesRead)] == [
        FilesRead(0, 6), FilesRead(5, 6), FilesRead(6, 6),
    ]  # fmt: skip


@pytest.mark.long
def test_the_command_tells_links_in_one_line(folder: Path, mastlake: Command) -> None:
    for n in range(3):
        (folder / f"link{n}").symlink_to(folder)
    (folder / "a.fits").write_bytes(sample())
    result = mastlake("index", str(folder))
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if "link" in line]
    assert line.endswith("and 2 more are links to folders and were not followed; name them to index them")


@pytest.mark.long
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(card=st.binary(min_size=80, max_size=80), first=st.booleans())
def test_any_80_bytes_may_be_a_card(card: bytes, first: bool, folder: Path, database: Database) -> None:
    content = block([card]) if first else sample()[:2880].replace(b"END".ljust(80), card + b"END".ljust(80), 1)[:2880]
    (folder / "odd.fits").write_bytes(content)
    (folder / "good.fits").write_bytes(sample())
    index_folders(database, [folder])
    assert "good.fits" in names(database)
