"""Real headers index to the same cards that astropy reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

from catalog.headers import index_folders
from catalog.store.database import Database
from tests.fits_samples import assert_same, read_reference

FOLDER = Path(__file__).parents[3] / "shared" / "archive" / "data" / "fits"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the record of real headers is not at {FOLDER}")


@pytest.mark.long
def test_real_headers_index_to_the_cards_that_astropy_reads(database: Database) -> None:
    report = index_folders(database, [FOLDER])
    paths = sorted(FOLDER.glob("*.fits"))
    assert (report.files, report.failed) == (len(paths), 0)
    question = "SELECT keyword, kind, text, comment FROM cards WHERE path = ? AND hdu = ? ORDER BY position"
    cards = 0
    for path in paths:
        with fits.open(path, disable_image_compression=True) as hdus, database.read() as connection:
            for number, hdu in enumerate(hdus):
                rows = connection.execute(question, [str(path), number]).fetchall()
                assert_same(rows, read_reference(hdu.header.tostring(padding=False).encode()))
                cards += len(rows)
    assert report.cards == cards


@pytest.mark.long
def test_real_headers_have_the_archives_columns(database: Database) -> None:
    index_folders(database, [FOLDER])
    with database.read() as connection:
        rows = connection.execute(
            """SELECT exp_type, program, tsovisit, date_obs::VARCHAR, round(ra_v1, 6), nints FROM headers
               WHERE filename = 'jw01075001001_03105_00009_nrca2_uncal.fits'"""
        ).fetchall()
    assert rows == [("NRC_CORON", 1075, False, "2022-05-14 18:15:30.545", 245.980218, 1)]
