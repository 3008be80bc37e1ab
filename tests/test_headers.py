"""The header index: blocks, cards, files, folders."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import example, given, settings

from catalog.errors import DiskError
from catalog.fits.blocks import padded as whole_blocks
from catalog.fits.scan import scan_file
from catalog.headers import FileMoved, IndexReport, index_folders
from catalog.headers.extract import extract
from catalog.headers.pool import extract_all
from catalog.store.database import Database
from catalog.store.schema.migrate import make_views
from tests.conftest import copy_of
from tests.fits_samples import FORMS, assert_same, block, extension, padded, primary, read_ours, read_reference, sample
from tests.fuzz_headers import fuzz


@pytest.fixture(scope="module")
def empty_catalog(tmp_path_factory: Any) -> Any:
    database = Database(tmp_path_factory.mktemp("catalog") / "empty.duckdb")
    folder = tmp_path_factory.mktemp("one")
    (folder / "a.fits").write_bytes(primary())
    index_folders(database, [folder])  # so that its columns are there
    with database.write() as connection:
        for table in ("local_file_version", "local_header", "hdu_header", "card_value", "card_label"):
            connection.execute(f"DELETE FROM {table}")
    return database.path


@pytest.fixture
def database(empty_catalog: Any, tmp_path: Path) -> Any:
    return copy_of(empty_catalog, tmp_path / "catalog.duckdb")


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def rows(database: Database, question: Any, *values: Any) -> Any:
    with database.read() as connection:
        return connection.execute(question, list(values)).fetchall()


def counts(report: IndexReport) -> Any:
    return report.files, report.read, report.unchanged, report.removed, report.failed


# One card


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_card_reads_as_astropy_reads_it(form: Any) -> None:
    image = form.encode("latin1").ljust(80)
    assert_same(read_ours([image])[0], read_reference(image))


def test_cards_in_any_company_read_as_astropy_reads_them() -> None:
    header = b"".join(form.encode("latin1").ljust(80) for form in FORMS)
    assert_same(read_ours([header])[0], read_reference(header))


_printable = st.text(st.characters(min_codepoint=32, max_codepoint=126))
_keyword = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=8)
_number = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: repr(x).upper()),
    st.from_regex(r"[+-]? ?[0-9]{0,3}\.?[0-9]{0,3} ?([EDed] ?[+-]?[0-9]{1,3})?", fullmatch=True),
)
_value = st.one_of(
    _number,
    st.sampled_from(["T", "F", ""]),
    _printable.map(lambda text: "'" + text.replace("'", "''") + "'"),
    _printable.map(lambda text: f"'{text}'"),
    st.tuples(_number, _number).map(lambda pair: f"({pair[0]}, {pair[1]})"),
    _printable,
)
_standard = st.tuples(_keyword, _value, st.sampled_from(["", " ", " / ", "/", "   /"]), _printable).map(
    lambda parts: f"{parts[0]:8}= {parts[1]:>20}{parts[2]}{parts[3] if '/' in parts[2] else ''}"
)
_continued = st.tuples(_printable, st.sampled_from(["&", ""]), st.sampled_from(["", " / "]), _printable).map(
    lambda parts: f"CONTINUE  '{parts[0][:50]}{parts[1]}'{parts[2]}{parts[3] if parts[2] else ''}"
)
_commentary = st.tuples(st.sampled_from(["COMMENT ", "HISTORY ", "        "]), _printable).map("".join)
_hierarch = st.tuples(_printable, _value).map(lambda parts: f"HIERARCH {parts[0][:20]} = {parts[1]}")
_anything = st.one_of(
    _printable, st.text(st.characters(max_codepoint=255)), _keyword.map(lambda word: f"{word.lower()}= 1")
)
_card = st.one_of(_standard, _standard, _continued, _commentary, _hierarch, _anything).map(
    lambda card: card.encode("latin1").ljust(80)[:80]
)


@pytest.mark.long
@settings(max_examples=150, deadline=None)
@given(st.lists(_card, max_size=12))
@example([b"A       = ''  / see 'x'".ljust(80), b"B       = 'x'".ljust(80), b"CONTINUE  'y' / 'z'".ljust(80)])
def test_generated_headers_read_as_astropy_reads_them(cards: Any) -> None:
    header = b"".join(card for card in cards if card != b"END".ljust(80))
    assert_same(read_ours([header])[0], read_reference(header))


@pytest.mark.long
def test_mutated_headers_and_files_read_as_astropy_reads_them() -> None:
    assert fuzz(4000, seed=20220714) == 4000  # `make fuzz` does a million


def test_a_string_over_a_thousand_cards_neither_hangs_nor_loses_text() -> None:
    cards = [b"LONG    = 'x&'".ljust(80), *[b"CONTINUE  'yz&'".ljust(80)] * 1000, b"CONTINUE  'it''s'".ljust(80)]
    plain, quoted = read_ours([b"".join(cards[:-1]), b"".join(cards)])
    assert plain == [("LONG", "text", "x" + "yz" * 1000, "")]
    assert quoted[0][:2] == ("LONG", "unreadable")


# One file


def offsets(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(path.read_bytes()), disable_image_compression=True) as hdus:
            return [(hdu._header_offset, hdu._data_offset, hdu._data_size) for hdu in hdus]


def scanned(path: Path, careful: Any = False) -> Any:
    headers = scan_file(str(path), careful)[0].headers
    return [(header.at, header.data_at, whole_blocks(header.data_size)) for header in headers]


def write_all_kinds(path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("v", "PE()", array=np.array([[1.0], [1.0, 2.0]], object))])
    ascii_table = fits.TableHDU.from_columns([fits.Column("a", "E10.4", array=np.ones(3), ascii=True)])
    image = fits.ImageHDU(np.ones((3, 50, 40), np.float32), name="SCI")
    compressed = fits.CompImageHDU(np.arange(10000, dtype=np.int16).reshape(100, 100), name="COMP")
    fits.HDUList([fits.PrimaryHDU(np.ones((5, 7), np.int16)), image, table, ascii_table, compressed]).writeto(path)


@pytest.mark.parametrize("careful", [False, True])
def test_all_kinds_of_hdus_stand_where_astropy_finds_them(folder: Path, careful: Any) -> None:
    write_all_kinds(folder / "a.fits")
    assert scanned(folder / "a.fits", careful) == offsets(folder / "a.fits")


def test_random_groups_are_measured_as_groups(folder: Path) -> None:
    data = fits.GroupData(np.ones((3, 1, 1, 4), np.float32), bitpix=-32, parnames=["U"], pardata=[np.arange(3)])
    fits.HDUList([fits.GroupsHDU(data)]).writeto(folder / "a.fits")
    assert scanned(folder / "a.fits") == offsets(folder / "a.fits")


def test_a_compressed_file_reads_as_the_plain_one(folder: Path) -> None:
    write_all_kinds(folder / "a.fits")
    with gzip.open(folder / "a.fits.gz", "wb") as file:
        file.write((folder / "a.fits").read_bytes())
    assert scan_file(str(folder / "a.fits"))[0] == scan_file(str(folder / "a.fits.gz"))[0]


def test_a_header_longer_than_one_read_is_read_to_its_end(folder: Path) -> None:
    many = primary(*[f"K{n:07}= {n:20d}" for n in range(2000)])
    (folder / "a.fits").write_bytes(many + extension(axes=(3,)) + padded(b"abc"))
    assert scanned(folder / "a.fits") == offsets(folder / "a.fits")


@pytest.mark.long
def test_the_last_of_repeated_mandatory_keywords_counts_as_in_astropy(folder: Path, database: Database) -> None:
    header = primary("NAXIS1  =                 5760", axes=(10,))
    (folder / "a.fits").write_bytes(header + bytes(5760) + extension())
    assert offsets(folder / "a.fits")[0][2] == 5760
    index_folders(database, [folder])
    assert rows(database, "SELECT data_size FROM hdus ORDER BY hdu") == [(5760,), (0,)]


@pytest.mark.parametrize("end", ["END", "END\0"])  # astropy reads the second with more patience, by other rules
@pytest.mark.parametrize(
    "card",
    [
        "NAXIS = =                    1",
        "NAXIS=  =                    1",
        "NAXIS  =                     1",
        "NAXIS=                       1",
        " NAXIS=                      1",
        " NAXIS  =                    1",
        "naxis   =                    1",
        "= NAXIS =                    1",
        "HIERARCH NAXIS =             1",
    ],
)
def test_a_mandatory_keyword_out_of_its_place_counts_where_it_counts_in_astropy(
    card: Any, end: Any, folder: Path
) -> None:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", card, "NAXIS1  =                 2880"]
    (folder / "a.fits").write_bytes(block([*cards, end], end=False) + bytes(2880) + extension())
    try:
        expected = offsets(folder / "a.fits")
    except (OSError, KeyError):  # astropy gives the file up
        assert scanned(folder / "a.fits")[0][:2] == (0, 2880)
    else:
        assert scanned(folder / "a.fits")[: len(expected)] == expected


BROKEN = {
    "truncated data": (primary() + extension(axes=(9000,)) + bytes(2880), 2, "6120 of 9000 bytes"),
    "no end": (primary() + block(["XTENSION= 'IMAGE   '", "BITPIX  = 8"], end=False), 2, "no END card"),
    "cut header": ((primary() + extension())[:-1000], 2, "cut short"),
    "junk behind": (primary() + b"junk" * 100, 1, "400 bytes after the last HDU are no header"),
    "no FITS": (b"<html>not found</html>" * 200, 0, "not a FITS file"),
    "empty": (b"", 0, "not a FITS file: it is empty"),
    "a web page": (b"\n<!DOCTYPE html><title>404</title>", 0, "not a FITS file: it is a web page"),
    "zeros": (bytes(5760), 0, "not a FITS file: it begins with zeros"),
    "lower case": (primary().replace(b"SIMPLE", b"simple"), 1, "SIMPLE is not in capitals"),
    "as lines of a text": (
        b"\r\n".join(primary()[i : i + 80] for i in range(0, 2880, 80)),
        1,
        "the header has line ends",
    ),
    "as lines without blanks": (b"SIMPLE  = T\nBITPIX  = 8\nNAXIS   = 0\nEND\n", 0, "the header has line ends"),
    "missing axis": (block(["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 3"]), 1, "NAXIS2 is missing"),
    "negative size": (block(["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -3000"]), 1, "negative"),
    "less than a block of negative size": (
        block(["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -1"]) + extension("EXTNAME = 'A'"),
        2,
        "negative",
    ),
    "endless axes": (block(["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 99999999999"]), 1, "NAXIS is 99999999999"),
    "text as size": (block(["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 'two'"]), 1, "not a whole number"),
}


Indexed = tuple[Database, IndexReport, Path]


def indexed_together(empty_catalog: Path, folder: Path, contents: Iterable[bytes]) -> Indexed:
    """Index files that are named by their numbers, all at once."""
    (folder / "disk").mkdir()
    for number, content in enumerate(contents):
        (folder / "disk" / f"{number}.fits").write_bytes(content)
    database = copy_of(empty_catalog, folder / "catalog.duckdb")
    return database, index_folders(database, [folder / "disk"]), folder / "disk"


@pytest.fixture(scope="module")
def broken(empty_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    return indexed_together(empty_catalog, tmp_path_factory.mktemp("broken"), (each[0] for each in BROKEN.values()))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_a_finding_and_indexed_as_far_as_it_goes(name: str, broken: Indexed) -> None:
    database, report, folder = broken
    _, hdus, reason = BROKEN[name]
    path = str(folder / f"{list(BROKEN).index(name)}.fits")
    assert counts(report) == (len(BROKEN), len(BROKEN), 0, 0, len(BROKEN))
    assert reason in "; ".join(failure.reason for failure in report.failures if failure.path == path)
    assert rows(database, "SELECT count(*) FROM hdus WHERE path = ?", path) == [(hdus,)]
    ((problem,),) = rows(database, "SELECT problem FROM local_files WHERE path = ?", path)
    assert reason in problem


NO_FITS = (b"", b"<html>", bytes(3000), b" " * 6000, b"{}", b"PK")


def test_what_is_no_fits_file_is_told_once(empty_catalog: Path, tmp_path: Path) -> None:
    database, _, folder = indexed_together(empty_catalog, tmp_path, NO_FITS)
    for number in range(len(NO_FITS)):
        path = str(folder / f"{number}.fits")
        ((reason,),) = rows(database, "SELECT reason FROM findings WHERE path = ?", path)
        assert reason.startswith("not a FITS file: it ")


HARMLESS = {
    "zeros behind": (primary() + bytes(5760), "5760 bytes after the last HDU are zeros"),
    "no padding": (primary(axes=(4,)) + b"data", "not padded"),
    "not ASCII": (primary("NAME    = 'M\xfcnchen'"), "not ASCII"),
    "junk in END": (primary()[:-2640] + b"END  junk".ljust(2640), "not blank behind END"),
    "unreadable card": (primary("BAD     = 12abc"), "'BAD' cannot be read"),
}


def test_an_oddity_is_a_finding_and_no_failure(empty_catalog: Path, tmp_path: Path) -> None:
    database, report, folder = indexed_together(empty_catalog, tmp_path, (each[0] for each in HARMLESS.values()))
    assert counts(report) == (len(HARMLESS), len(HARMLESS), 0, 0, 0)
    for number, (name, (_, reason)) in enumerate(HARMLESS.items()):
        findings = rows(database, "SELECT reason FROM findings WHERE path = ?", str(folder / f"{number}.fits"))
        assert any(reason in finding for (finding,) in findings), name


def test_a_finding_tells_hdu_and_byte(folder: Path, database: Database) -> None:
    content = primary() + extension("LONG    = 'a&'", "CONTINUE  'b'", "BAD     = 12abc")
    (folder / "a.fits").write_bytes(content)
    index_folders(database, [folder])
    assert rows(database, "SELECT hdu, byte FROM findings") == [(1, content.index(b"BAD"))]


def test_a_broken_gzip_stream_is_a_finding(folder: Path, database: Database) -> None:
    whole = gzip.compress(primary() + extension(axes=(100_000,)) + padded(os.urandom(100_000)))
    (folder / "a.fits.gz").write_bytes(whole[:50_000])
    report = index_folders(database, [folder])
    assert report.failed == 1
    assert report.hdus == 2
    assert any("gzip" in failure.reason for failure in report.failures)


# Folders and the catalog


def test_cards_hdus_and_headers_say_what_the_file_says(folder: Path, database: Database) -> None:
    write_all_kinds(folder / "a.fits")
    report = index_folders(database, [folder])
    with fits.open(folder / "a.fits", disable_image_compression=True) as hdus:
        reference = [read_reference(hdu.header.tostring(padding=False).encode()) for hdu in hdus]
        shapes = [list(getattr(hdu, "shape", ()) or ()) for hdu in hdus]
    assert (report.hdus, report.cards) == (5, sum(map(len, reference)))
    for hdu, cards in enumerate(reference):
        question = "SELECT keyword, kind, text, comment FROM cards WHERE hdu = ? ORDER BY position"
        assert_same(rows(database, question, hdu), cards)
    found = rows(database, "SELECT name, type, shape FROM hdus ORDER BY hdu")
    assert [row[:2] for row in found] == [
        ("PRIMARY", "PRIMARY"), ("SCI", "IMAGE"), ("", "BINTABLE"), ("", "TABLE"), ("COMP", "COMPRESSED"),
    ]  # fmt: skip
    assert [found[n][2] for n in (0, 1, 4)] == [shapes[0], shapes[1], [100, 100]]


def test_headers_have_the_spelling_and_types_of_the_archive(folder: Path, database: Database) -> None:
    values = {
        "PROGRAM": "'01091   '", "TSOVISIT": f"{'T':>20}", "EXPSTART": "59735.5", "DATE": "'2022-08-01T01:02:03.456'",
        "DATE_OBS": "'2022-06-05'", "TIME-OBS": "'12:00:10.430'", "OBS_ID": "'V01091'", "NINTS": "3",
    }  # fmt: skip
    (folder / "a.fits").write_bytes(sample(**values))
    index_folders(database, [folder])
    question = """SELECT program, tsovisit, expstart, date::VARCHAR, date_obs::VARCHAR, round(date_obs_mjd, 8),
                         si_obs_id, nints FROM headers"""
    assert rows(database, question) == [
        (1091, True, 59735.5, "2022-08-01 01:02:03.456", "2022-06-05 12:00:10.43", 59735.50012072, "V01091", 3)
    ]


def test_the_primary_header_wins_over_the_first_science_header(folder: Path, database: Database) -> None:
    content = primary("FILTER  = 'F150W'") + extension("EXTNAME = 'DQ'", "PUPIL   = 'DQ'")
    content += extension("EXTNAME = 'SCI'", "FILTER  = 'F277W'", "PUPIL   = 'GR700XD'")
    (folder / "a.fits").write_bytes(content)
    index_folders(database, [folder])
    assert rows(database, "SELECT filter, pupil FROM headers") == [("F150W", "GR700XD")]


def test_any_keyword_can_be_asked_for(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample(MYWORD="1.5D3 / mine"))
    index_folders(database, [folder])
    assert rows(database, "SELECT filename, number, text, comment FROM header_value('myword')") == [
        ("a.fits", 1500.0, "1.5e3", "mine")
    ]


@pytest.mark.long
def test_unchanged_files_are_not_opened_and_changed_ones_get_a_version(folder: Path, database: Database) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.fits").write_bytes(sample(name))
    assert counts(index_folders(database, [folder])) == (2, 2, 0, 0, 0)
    assert counts(index_folders(database, [folder])) == (2, 0, 2, 0, 0)
    (folder / "b.fits").write_bytes(sample("b", NINTS="4"))
    assert counts(index_folders(database, [folder])) == (2, 1, 1, 0, 0)
    question = "SELECT filename, until_at IS NULL FROM local_file_version ORDER BY filename, file_id"
    assert rows(database, question) == [("a.fits", True), ("b.fits", False), ("b.fits", True)]
    assert rows(database, "SELECT nints FROM headers ORDER BY filename") == [(None,), (4,)]


@pytest.mark.long
def test_deleted_files_close_their_version_but_only_in_the_folders_asked_for(folder: Path, database: Database) -> None:
    (folder / "kept").mkdir()
    (folder / "kept" / "a.fits").write_bytes(sample("a"))
    (folder / "b.fits").write_bytes(sample("b"))
    index_folders(database, [folder])
    (folder / "b.fits").unlink()
    assert index_folders(database, [folder / "kept"]).removed == 0
    assert index_folders(database, [folder]).removed == 1
    assert rows(database, "SELECT filename FROM local_files") == [("a.fits",)]
    assert rows(database, "SELECT DISTINCT filename FROM cards") == [("a.fits",)]


@pytest.mark.long
def test_a_moved_file_keeps_its_headers_and_provenance_without_being_read(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    index_folders(database, [folder])
    with database.write() as connection:
        connection.execute("UPDATE local_file_version SET data_uri = 'mast:JWST/product/a.fits'")
    (folder / "deep").mkdir()
    (folder / "a.fits").rename(folder / "deep" / "b.fits")
    events: list[Any] = []
    assert counts(index_folders(database, [folder], on_event=events.append)) == (1, 0, 1, 0, 0)
    assert FileMoved(str(folder / "a.fits"), str(folder / "deep" / "b.fits")) in events
    assert rows(database, "SELECT filename, data_uri FROM local_files") == [("b.fits", "mast:JWST/product/a.fits")]
    assert rows(database, "SELECT count(*) FROM cards WHERE filename = 'b.fits'")[0][0] > 5
    assert rows(database, "SELECT count(DISTINCT file_id), count(*) FROM local_file_version") == [(1, 2)]


@pytest.mark.long
def test_a_file_copied_away_and_deleted_is_known_by_its_md5(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    index_folders(database, [folder], verify=True)
    shutil.copyfile(folder / "a.fits", folder / "b.fits")
    (folder / "a.fits").unlink()
    assert counts(index_folders(database, [folder])) == (1, 0, 1, 0, 0)
    assert counts(index_folders(database, [folder])) == (1, 0, 1, 0, 0)


def test_a_fetched_file_keeps_what_the_transfer_knew(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    status = (folder / "a.fits").stat()
    with database.write() as connection:
        connection.execute(
            """INSERT INTO local_file_version BY NAME
               SELECT 7 AS file_id, ? AS path, 'a.fits' AS filename, ? AS size, ? AS mtime_ns, ? AS inode,
                      'md5' AS checksum, 'mast:a' AS data_uri, false AS indexed, now()::TIMESTAMP AS since_at""",
            [str(folder / "a.fits"), status.st_size, status.st_mtime_ns, status.st_ino],
        )
    assert counts(index_folders(database, [folder])) == (1, 1, 0, 0, 0)
    assert rows(database, "SELECT file_id, checksum, data_uri, indexed FROM local_file_version") == [
        (7, "md5", "mast:a", True)
    ]
    assert rows(database, "SELECT count(*) FROM hdus") == [(2,)]


@pytest.mark.long
def test_verify_reads_every_byte_once_and_stores_no_header_twice(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    index_folders(database, [folder])
    index_folders(database, [folder], verify=True)
    assert rows(database, "SELECT checksum IS NOT NULL FROM local_files") == [(True,)]
    assert rows(database, "SELECT count(*) FROM hdus") == [(2,)]


def test_verify_compares_with_the_checksum_of_the_archive(folder: Path, database: Database) -> None:
    for name in ("good", "odd"):
        (folder / f"{name}.fits").write_bytes(sample(name))
    good = hashlib.md5((folder / "good.fits").read_bytes()).hexdigest()
    with database.write() as connection:
        connection.execute("ALTER TABLE file_version ADD COLUMN checksum VARCHAR")
        for name, checksum in (("good", good), ("odd", "0" * 32)):
            connection.execute(
                """INSERT INTO file_version BY NAME SELECT ? AS filename, ? AS checksum, 1 AS since_run,
                   'niriss' AS instrument, 0 AS row_hash, 1 AS checked_run""",
                [f"{name}.fits", checksum],
            )
        make_views(connection)
    assert counts(index_folders(database, [folder])) == (2, 2, 0, 0, 0)
    report = index_folders(database, [folder], verify=True)
    assert [Path(failure.path).name for failure in report.failures] == ["odd.fits"]
    assert "the archive never had that" in report.failures[0].reason


@pytest.mark.long
def test_verifying_many_files_stores_no_card_again(folder: Path, database: Database) -> None:
    for n in range(200):
        (folder / f"{n}.fits").write_bytes(sample(str(n), EXPSTART=f"{59000 + n}.5"))
    index_folders(database, [folder])
    ((once,),) = rows(database, "SELECT count(*) FROM card_value")
    index_folders(database, [folder], verify=True)
    assert rows(database, "SELECT count(*) FROM card_value") == [(once,)]


def test_a_slow_disk_is_asked_for_many_files_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [folder / f"{n:02}.fits" for n in range(40)]
    for n, path in enumerate(paths):
        path.write_bytes(sample(NINTS=str(n)))
    quick, waiting, most = os.pread, [0], [0]

    def slow(*arguments: Any) -> Any:
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])
        time.sleep(0.01)
        waiting[0] -= 1
        return quick(*arguments)

    monkeypatch.setattr("catalog.fits.scan.os.pread", slow)
    read = extract([str(path) for path in paths], ["NINTS"])
    assert most[0] > 4
    assert read.keywords.texts.to_pylist() == [str(n) for n in range(40)]


def test_a_file_that_cannot_be_opened_fails_and_is_tried_again(
    folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.fits").write_bytes(sample())

    real = os.open

    def refuse(path: Path, *rest: Any, **named: Any) -> Any:  # the catalog's locks are opened as well
        if str(path).endswith("a.fits"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr("catalog.fits.scan.os.open", refuse)
        report = index_folders(database, [folder])
    assert counts(report) == (1, 0, 0, 0, 1)
    assert report.failures[0].reason == "Permission denied"
    assert counts(index_folders(database, [folder])) == (1, 1, 0, 0, 0)
    assert rows(database, "SELECT problem FROM local_files") == [(None,)]


def test_a_folder_that_is_not_there_is_refused_and_closes_nothing(folder: Path, database: Database) -> None:
    (folder / "a.fits").write_bytes(sample())
    index_folders(database, [folder])
    with pytest.raises(DiskError, match="no such folder"):
        index_folders(database, [folder / "elsewhere"])
    assert rows(database, "SELECT count(*) FROM local_files") == [(1,)]


@pytest.mark.long
def test_each_distinct_card_is_stored_once(folder: Path, database: Database) -> None:
    for n in range(20):
        (folder / f"{n}.fits").write_bytes(sample("same"))
    index_folders(database, [folder / "0.fits"])
    ((once,),) = rows(database, "SELECT count(*) FROM card_value")
    index_folders(database, [folder])
    assert rows(database, "SELECT count(*), count(DISTINCT (label_id, text)) FROM card_value") == [(once, once)]


def test_several_processes_read_the_same_as_one(folder: Path) -> None:
    for n in range(40):
        (folder / f"{n}.fits").write_bytes(sample(str(n), NINTS=str(n)))
    paths = sorted(str(path) for path in folder.iterdir()) * 60
    alone = {tuple(batch): one.cards.text.to_pylist() for batch, one in extract_all(paths, processes=1)}
    shared = {tuple(batch): one.cards.text.to_pylist() for batch, one in extract_all(paths, processes=2)}
    assert alone == shared


def test_stopping_early_leaves_no_process_behind(folder: Path) -> None:
    (folder / "a.fits").write_bytes(sample())
    batches: Any = extract_all([str(folder / "a.fits")] * 4000, processes=2)
    next(batches)
    batches.close()  # a warning about a process that runs on would be an error


# Files of the pipeline's own data models


@pytest.mark.long
@pytest.mark.parametrize("instrument", ["NIRISS", "NIRCAM", "NIRSPEC", "MIRI", "FGS"])
def test_files_of_the_data_models_read_as_astropy_reads_them(instrument: Any, folder: Path, database: Database) -> None:
    from stdatamodels.jwst import datamodels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = datamodels.ImageModel((8, 8))
        model.meta.instrument.name = instrument
        model.meta.program.title = "A long title, " * 10
        model.meta.wcsinfo.s_region = "POLYGON ICRS  " + " ".join(["245.979858401"] * 8)
        model.meta.exposure.start_time = 59735.50012071757
        model.save(str(folder / "a.fits"))
        model.close()
    index_folders(database, [folder])
    with fits.open(folder / "a.fits") as hdus:
        for number, hdu in enumerate(hdus):
            question = "SELECT keyword, kind, text, comment FROM cards WHERE hdu = ? ORDER BY position"
            header = hdu.header.tostring(padding=False).encode()
            assert_same(rows(database, question, number), read_reference(header))
    assert rows(database, "SELECT instrume, expstart FROM headers") == [(instrument, 59735.50012071757)]


def test_the_report_counts_what_the_command_prints() -> None:
    names = ["files", "read", "unchanged", "removed", "failed", "hdus", "cards", "seconds", "failures"]
    names += ["verified", "unverified"]
    assert list(IndexReport.__dataclass_fields__) == names


def test_paths_are_absolute(folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.fits").write_bytes(sample())
    monkeypatch.chdir(folder.parent)
    index_folders(database, [Path("disk")])
    assert rows(database, "SELECT path FROM local_files") == [(str(folder / "a.fits"),)]
