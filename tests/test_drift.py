"""The archive against the disk."""

from datetime import datetime
from typing import Any

import pytest

from catalog.headers.write import ensure_columns
from catalog.questions.drift import outdated
from catalog.store.database import Database, columns_of, quoted
from catalog.store.history.keyword_differences import keep_differences
from catalog.store.history.verdicts import STATES, keep_verdicts
from catalog.store.schema.migrate import make_views

THEN = datetime(2022, 8, 1)
pytestmark = pytest.mark.engines


def archive(database: Database, *rows: Any) -> None:
    """Rows of the archive: filename, checksum, cal_ver, crds_ctx, date, since_run, until_run."""
    with database.write() as connection:
        if "checksum" not in columns_of(connection, "file_version"):
            for column in ("checksum VARCHAR", "cal_ver VARCHAR", "crds_ctx VARCHAR", "date TIMESTAMP"):
                connection.execute(f"ALTER TABLE file_version ADD COLUMN {column}")
            make_views(connection)
        for row in rows:
            connection.execute(
                """INSERT INTO file_version BY NAME
                   SELECT ? AS filename, ? AS checksum, ? AS cal_ver, ? AS crds_ctx, ?::TIMESTAMP AS date,
                          ? AS since_run, ? AS until_run, 'niriss' AS instrument, 0 AS row_hash, 1 AS checked_run""",
                row,
            )
        keep_differences(connection)
        keep_verdicts(connection)


def local(
    database: Database,
    filename: str,
    *,
    checksum: Any = None,
    data_uri: Any = None,
    problem: Any = None,
    until_at: Any = None,
    header: Any = None,
    file_id: Any = None,
) -> None:
    with database.write() as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM local_file_version").fetchall()
        file_id = file_id or count + 1
        connection.execute(
            """INSERT INTO local_file_version BY NAME
               SELECT ? AS file_id, ? AS path, ? AS filename, 2880 AS size, 0 AS mtime_ns, 0 AS inode, ? AS checksum,
                      ? AS data_uri, true AS indexed, ? AS problem, ?::TIMESTAMP AS since_at,
                      ?::TIMESTAMP AS until_at""",
            [file_id, f"/data/{filename}", filename, checksum, data_uri, problem, THEN, until_at],
        )
        if header:
            connection.execute(
                "INSERT INTO local_header BY NAME SELECT ? AS file_id, ? AS cal_ver, ? AS crds_ctx, "
                "?::TIMESTAMP AS date",
                [file_id, *header],
            )
        keep_differences(connection)
        keep_verdicts(connection)


def reasons(database: Database) -> Any:
    found = outdated(database)
    return {state: {one.filename: one.reason for one in getattr(found, state)} for state in STATES}


def test_a_catalog_without_harvest_knows_no_local_file(database: Database) -> None:
    local(database, "a.fits")
    assert reasons(database)["unknown"] == {"a.fits": "the archive does not list it"}


def test_a_file_with_the_archives_checksum_is_current_whatever_its_header_says(database: Database) -> None:
    archive(database, ("a.fits", "AB12", "1.9", "jwst_1.pmap", "2022-08-01", 1, None))
    local(database, "a.fits", checksum="ab12", header=("1.8", "jwst_0.pmap", "2022-07-01"))
    assert not any(reasons(database).values())


def test_a_checksum_that_the_archive_had_before_is_stale(database: Database) -> None:
    archive(
        database,
        ("a.fits", "old", "1.8", "jwst_0.pmap", "2022-07-01", 1, 2),
        ("a.fits", "new", "1.9", "jwst_1.pmap", "2022-08-01", 2, None),
    )
    local(database, "a.fits", checksum="old", header=("1.8", "jwst_0.pmap", "2022-07-01"))
    assert reasons(database)["stale"] == {
        "a.fits": "CAL_VER 1.8 -> 1.9; CRDS_CTX jwst_0.pmap -> jwst_1.pmap; "
        "DATE 2022-07-01 00:00:00 -> 2022-08-01 00:00:00; checksum old -> new"
    }


def test_sound_bytes_that_the_archive_never_had_are_a_persons_own(database: Database) -> None:
    archive(database, ("a.fits", "new", None, None, None, 1, None))
    local(database, "a.fits", checksum="odd")
    assert reasons(database)["modified"] == {
        "a.fits": "not the archive's: its MD5 is odd, the archive never had that; it has new"
    }


def test_an_older_header_is_stale_where_no_checksum_is_known(database: Database) -> None:
    archive(database, ("a.fits", "new", "1.9", "jwst_1.pmap", "2022-08-01", 1, None))
    local(database, "a.fits", header=("1.9", "jwst_0.pmap", "2022-08-01"))
    assert reasons(database)["stale"] == {"a.fits": "CRDS_CTX jwst_0.pmap -> jwst_1.pmap"}


def test_a_header_newer_than_the_archive_is_of_a_persons_own_making(database: Database) -> None:
    archive(database, ("a.fits", "new", "1.9", "jwst_1.pmap", "2022-08-01", 1, None))
    local(database, "a.fits", header=("1.10", "jwst_2.pmap", "2022-09-01"))
    assert reasons(database)["modified"] == {
        "a.fits": "not the archive's: its DATE is 2022-09-01 00:00:00, the archive's 2022-08-01 00:00:00"
    }


def test_a_file_with_a_problem_is_corrupt(database: Database) -> None:
    archive(database, ("a.fits", "new", None, None, None, 1, None))
    local(database, "a.fits", problem="HDU 1, byte 2880: truncated")
    assert reasons(database)["corrupt"] == {"a.fits": "HDU 1, byte 2880: truncated"}


def test_a_fetched_file_that_is_gone_is_missing_until_it_is_fetched_again(database: Database) -> None:
    archive(database, ("a.fits", "new", None, None, None, 1, None))
    local(database, "a.fits", checksum="new", data_uri="mast:JWST/product/a.fits", until_at=THEN)
    assert reasons(database)["missing"] == {
        "a.fits": "fetched from mast:JWST/product/a.fits, gone since 2022-08-01 00:00 UTC"
    }
    local(database, "a.fits", checksum="new", data_uri="mast:JWST/product/a.fits")
    assert not any(reasons(database).values())


def test_a_file_that_the_archive_withdrew_is_unknown_and_says_so(database: Database) -> None:
    archive(database, ("a.fits", "old", None, None, None, 1, 2))
    local(database, "a.fits", checksum="old")
    assert reasons(database)["unknown"] == {"a.fits": "the archive lists it no longer"}


def test_the_view_names_each_keyword_that_differs_and_nothing_else(database: Database) -> None:
    archive(database, ("a.fits", "new", "1.9", "jwst_1.pmap", "2022-08-01 00:00:00.0004", 1, None))
    local(database, "a.fits", header=("1.9", "jwst_0.pmap", "2022-08-01"))
    with database.read() as connection:
        rows = connection.execute("SELECT state, keyword, header, archive, reason FROM drift ORDER BY state").fetchall()
    assert rows == [
        (
            "differs",
            "crds_ctx",
            "jwst_0.pmap",
            "jwst_1.pmap",
            "CRDS_CTX is jwst_0.pmap in the file, jwst_1.pmap in the archive",
        ),
        ("stale", None, None, None, "CRDS_CTX jwst_0.pmap -> jwst_1.pmap"),
    ]


VALUES = {"VARCHAR": ("a", "b"), "BIGINT": (1, 2), "DOUBLE": (1.5, 1.6), "BOOLEAN": (True, False), "TIMESTAMP": (THEN,)}


@pytest.mark.long
def test_every_keyword_that_differs_is_named_however_many_keywords_there_are(database: Database) -> None:
    archive(database)
    with database.write() as connection:
        ensure_columns(connection)
        here, there = columns_of(connection, "local_header"), columns_of(connection, "file_version")
        words = {word: kind for word, kind in here.items() if word != "file_id" and not word.endswith("_mjd")}
        for word in words.keys() - there.keys():
            connection.execute(f"ALTER TABLE file_version ADD COLUMN {quoted(word)} {words[word]}")
        make_views(connection)
    for filename in ("a.fits", "b.fits", "c.fits"):
        archive(database, (filename, None, None, None, None, 1, None))
        local(database, filename, header=(None, None, None))
    expected = set()
    with database.write() as connection:
        for number, (word, kind) in enumerate(words.items()):
            first, last = VALUES[kind][0], VALUES[kind][-1]
            differs = first != last and number % 3 != 0
            connection.execute(f"UPDATE file_version SET {quoted(word)} = ?", [first])
            change = f"UPDATE local_header SET {quoted(word)} = CASE file_id WHEN 1 THEN ? WHEN 2 THEN ? END"
            connection.execute(change, [first, last if differs else first])  # the third has none of them
            expected |= {("b.fits", word)} if differs else set()
        keep_differences(connection)
    with database.read() as connection:
        found = connection.execute("SELECT filename, keyword FROM keyword_drift").fetchall()
    assert len(expected) > 100
    assert sorted(found) == sorted(expected)
