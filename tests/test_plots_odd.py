"""Pictures of what is not as it should be: damaged files, odd cards, impossible places and dates."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import itertools
import os
import warnings
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from matplotlib.text import Text

from catalog.errors import DiskError, UsageError
from catalog.plots import FilesToDraw, draw_file, draw_sky, draw_timeline
from catalog.plots.outside_text import without_markup
from catalog.plots.previews import draw_pictures
from catalog.plots.sky import Footprint, Sky, draw_footprints
from catalog.plots.timeline import read_timeline
from catalog.questions.find import Criteria
from catalog.store.database import Database
from catalog.vocabulary.region import corners
from tests.fits_samples import block, extension, padded, primary
from tests.fuzz_pictures import drawn, finished, fuzz

from . import pictured_files as files
from .conftest import Command


def written(path: Path, *hdus: Any, card: tuple[str, str] | None = None) -> Path:
    """A file of some HDUs, with the first card of a keyword replaced."""
    buffer = io.BytesIO()
    fits.HDUList([*hdus]).writeto(buffer)
    content = buffer.getvalue()
    if card:
        at = content.index(card[0].ljust(8).encode())
        content = content[:at] + card[1].ljust(80).encode() + content[at + 80 :]
    path.write_bytes(content)
    return path


def image(pixels: Any = None, **cards: object) -> fits.ImageHDU:
    return fits.ImageHDU(np.arange(400.0).reshape(20, 20) if pixels is None else pixels, fits.Header(cards), name="SCI")


def spectrum(**cards: object) -> fits.BinTableHDU:
    wavelength = np.linspace(1, 2, 9)
    columns = [fits.Column(name, "D", array=wavelength) for name in ("WAVELENGTH", "FLUX")]
    return fits.BinTableHDU.from_columns(columns, fits.Header(cards), name="EXTRACT1D")


def time_series(order: int, wavelength: Any) -> fits.BinTableHDU:
    many = wavelength.shape[1]
    columns = [
        fits.Column("INT_NUM", "J", array=np.arange(1, 6)),
        fits.Column("MJD-AVG", "D", array=59751 + np.arange(5) * 0.01),
        fits.Column("WAVELENGTH", f"{many}D", "um", array=wavelength),
        fits.Column("FLUX", f"{many}D", "Jy", array=np.ones((5, many))),
    ]
    return fits.BinTableHDU.from_columns(columns, fits.Header({"SPORDER": order}), name="EXTRACT1D")


class TestCards:
    """Cards that a picture could do without."""

    @pytest.mark.parametrize(
        ("hdus", "card"),
        [
            ((image(),), ("TARGNAME", "TARGNAME= 'WASP-39")),
            ((image(BUNIT="x"),), ("BUNIT", "BUNIT   = MJy per sr")),
            ((image(CTYPE1="RA---TAN", CTYPE2="DEC--TAN"),), ("TELESCOP", "EXP_TYPE= NRC IMAGE")),
            ((image(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CDELT1=1.0),), ("CDELT1", "CDELT1  =                  0.0")),
            ((image(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=1.0),), ("CRVAL1", "CRVAL1  =                1E300")),
            ((spectrum(SPORDER=1), spectrum(SPORDER=2)), ("SPORDER", "SPORDER = one 1")),
            ((spectrum(**{"MJD-AVG": 1.5}), spectrum()), ("MJD-AVG", "MJD-AVG =                  NaN")),
            ((spectrum(**{"MJD-AVG": 1.5}), spectrum()), ("MJD-AVG", "MJD-AVG =                1E300")),
            ((spectrum(INT_NUM=1), spectrum(INT_NUM=2)), ("INT_NUM", "INT_NUM = 'first'")),
        ],
        ids=lambda value: value[0] if isinstance(value[0], str) else "",
    )
    def test_a_card_that_cannot_be_read_costs_no_more_than_itself(
        self, tmp_path: Path, hdus: Any, card: tuple[str, str]
    ) -> None:
        drawing = draw_file(written(tmp_path / "a.fits", files.primary(), *hdus, card=card))
        finished(drawing)
        assert drawing.left_out == ()

    def test_what_the_values_need_is_told_where_it_is_broken(self, tmp_path: Path) -> None:
        packed = image(np.zeros((9, 9), "i2"), BSCALE=2.0)
        packed.header["BZERO"] = "a"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = written(tmp_path / "a.fits", files.primary(), packed)
        content = path.read_bytes().replace(b"BSCALE  =                  1.0", b"BSCALE  = 'a'                 ")
        path.write_bytes(content.replace(b"BITPIX  =                  -64", b"BITPIX  =                   16"))
        assert drawn(path)

    @pytest.mark.parametrize(
        "name", ["A$_{b$C", "$", "$$", r"a\$b", "$x$", "two\nlines", "\x1b[31m", "<b>&amp;", "星$"]
    )
    def test_names_are_shown_as_they_are(self, tmp_path: Path, name: str) -> None:
        card = f"TARGNAME= '{name}'" if name.isascii() and name.isprintable() else "TARGNAME= 'x'"
        path = tmp_path / (f"{name.replace('/', '')}.fits")
        drawing = draw_file(written(path, files.primary(), image(), card=("TARGNAME", card)))
        drawing.write(tmp_path / "picture.svg")
        if name.isprintable() and name.isascii() and "<" not in name:
            assert (
                f">{name}  " in (tmp_path / "picture.svg").read_text()
                or f">{name}<" in (tmp_path / "picture.svg").read_text()
            )

    @given(st.text())
    def test_any_text_can_be_written_on_a_picture(self, text: str) -> None:
        from matplotlib.cbook import is_math_text

        shown = without_markup(text)
        assert not is_math_text(shown)
        assert "\n" not in shown
        assert len(shown.replace(r"\$", "$")) <= 70


class TestFiles:
    """Files that are damaged, of odd proportions, or no files at all."""

    @pytest.mark.parametrize("shape", [(9, 213_358), (1, 5000), (5000, 1), (1, 1), (3, 2401), (2401, 3)])
    def test_an_image_of_any_proportions_is_drawn(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        pixels = np.ones(shape, "u1") * np.arange(shape[1], dtype="u1")
        told = drawn(written(tmp_path / "a.fits", files.primary(), image(pixels)))
        assert told.startswith(f"image of {shape[1]:,} x {shape[0]:,} pixels")

    def test_a_file_cut_in_a_later_hdu_is_drawn_without_it(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.fits", files.primary(), image(), fits.ImageHDU(np.ones((50, 50)), name="ERR"))
        path.write_bytes(path.read_bytes()[:-5760])
        drawing = draw_file(path)
        assert drawing.told.startswith("image of 20 x 20 pixels")
        assert drawing.left_out == ("HDU 2: truncated: 5600 of 20000 bytes of data are missing",)

    def test_a_file_cut_in_its_second_header_is_told_as_such(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.fits", files.primary(), image())
        path.write_bytes(path.read_bytes()[: 2880 + 400])
        with pytest.raises(DiskError, match="HDU 1: the header has no END card"):
            draw_file(path)

    @pytest.mark.parametrize(
        "axes",
        [[("NAXIS", 10**18)], [("NAXIS", 2), ("NAXIS1", 200_000), ("NAXIS2", 200_000)],
         [("NAXIS", 1), ("NAXIS1", -2880)], [("NAXIS", 1), ("NAXIS1", "1E300")], [("NAXIS", "2.0")]],
    )  # fmt: skip
    def test_malformed_sizes_are_told_at_once(self, tmp_path: Path, axes: list[tuple[str, object]]) -> None:
        cards = [f"SIMPLE  = {'T':>20}", f"BITPIX  = {-64:20d}", *(f"{key:8}= {value!s:>20}" for key, value in axes)]
        (tmp_path / "a.fits").write_bytes(block(cards) + bytes(2880))
        with pytest.raises(DiskError, match=r"as FITS: HDU 0: "):
            draw_file(tmp_path / "a.fits")

    def test_a_compressed_image_of_absurd_size_is_told_at_once(self, tmp_path: Path) -> None:
        packed = fits.CompImageHDU(np.arange(900.0, dtype="f4").reshape(30, 30), name="SCI")
        path = written(tmp_path / "a.fits", files.primary(), packed, card=("ZNAXIS1", f"ZNAXIS1 = {10**12:20d}"))
        assert drawn(path).startswith("cannot read")

    def test_a_compressed_file_is_drawn(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.fits", files.primary(), image())
        (tmp_path / "a.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
        assert draw_file(tmp_path / "a.fits.gz").told.startswith("image of 20 x 20")

    def test_a_table_without_its_columns_names_is_told(self, tmp_path: Path) -> None:
        path = written(tmp_path / "a.fits", files.primary(), spectrum(), card=("TTYPE1", "COMMENT"))
        assert drawn(path)

    @pytest.mark.long
    def test_an_order_without_wavelengths_is_left_out(self, tmp_path: Path) -> None:
        good = np.tile(np.linspace(1, 2, 30), (5, 1))
        for bad in (np.zeros((5, 30)), np.full((5, 30), np.nan)):
            path = written(tmp_path / "a.fits", files.primary(), time_series(1, good), time_series(2, bad))
            drawing = draw_file(path)
            finished(drawing)
            assert drawing.told.startswith("time series of 5 integrations")
            assert drawing.left_out == ("HDU EXTRACT1D: order 2 has no wavelengths",)
            only = written(tmp_path / "b.fits", files.primary(), time_series(1, bad))
            with pytest.raises(DiskError, match="its spectrum has no wavelengths"):
                draw_file(only)
            path.unlink()
            only.unlink()

    def test_a_folder_and_a_pipe_are_no_files(self, tmp_path: Path, mastlake: Command) -> None:
        (tmp_path / "d.fits").mkdir()
        os.mkfifo(tmp_path / "pipe.fits")
        for name in (".", "d.fits"):
            result = mastlake("plot", name, "--no-show")
            assert result.code == 2
            assert "is a folder" in result.err
        with pytest.raises(DiskError, match="not a regular file"):
            draw_file(tmp_path / "pipe.fits")

    def test_the_command_tells_what_it_left_out_in_a_line(self, tmp_path: Path, mastlake: Command) -> None:
        content = primary() + extension("EXTNAME = 'SCI     '", axes=(20, 20)) + padded(bytes(range(200)) * 2)
        (tmp_path / "a.fits.gz").write_bytes(gzip.compress(content + b"junk" * 720))
        result = mastlake("plot", str(tmp_path / "a.fits.gz"), "--no-show", "-o", str(tmp_path / "p.png"))
        assert result.code == 0
        (line,) = [line for line in result.err.splitlines() if "left out" in line]
        assert line == "mastlake: left out: HDU 2: 2880 bytes after the last HDU are no header"

    @pytest.mark.long
    def test_mutated_files_are_drawn_or_told(self) -> None:
        assert fuzz(12, seed=20221128) > 0  # `make fuzz` does thousands


class TestLightCurves:
    """Tables with holes, or with something else in them."""

    def write(self, tmp_path: Path, **columns: object) -> Path:
        Table(columns).write(tmp_path / "a.ecsv", format="ascii.ecsv", overwrite=True)
        return tmp_path / "a.ecsv"

    def test_a_masked_time_is_left_out(self, tmp_path: Path) -> None:
        times = MaskedColumn([59751.1, 59751.2, 59751.3], mask=[0, 1, 0])
        drawing = draw_file(self.write(tmp_path, MJD_UTC=times, whitelight_flux=[1.0, 2.0, 3.0]))
        assert drawing.figure.axes[0].get_xlabel() == "hours since MJD (UTC) 59751"
        assert drawing.told == "1 light curve of 2 points"
        assert drawing.left_out == ("1 point without a time",)

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"MJD_UTC": np.array([], float), "flux": np.array([], float)}, "no rows"),
            ({"MJD_UTC": [59751.1, 59751.2], "flux": ["a", "b"]}, "flux has no numbers"),
            ({"MJD_UTC": ["2022-01-01", "x"], "flux": [1.0, 2.0]}, "MJD_UTC has no numbers"),
            ({"MJD_UTC": [np.nan, np.nan], "flux": [1.0, 2.0]}, "MJD_UTC has no time"),
            ({"MJD_UTC": [1.0, 2.0], "flux": np.ones((2, 3))}, "flux has no numbers"),
        ],
        ids=["no rows", "text for flux", "text for time", "no time", "several numbers a row"],
    )
    def test_a_table_without_anything_to_draw_is_one_line(
        self, tmp_path: Path, columns: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(UsageError, match=reason):
            draw_file(self.write(tmp_path, **columns))

    def test_a_curve_of_text_is_left_out_beside_one_of_numbers(self, tmp_path: Path) -> None:
        drawing = draw_file(self.write(tmp_path, MJD_UTC=[1.0, 2.0], flux_1=["a", "b"], flux_2=[1.0, 2.0]))
        assert drawing.told == "1 light curve of 2 points"
        assert drawing.left_out == ("column flux_1 has no numbers",)

    _cell = st.floats(width=64) | st.sampled_from([1e300, -1e300, 5e-324, 59751.5])

    @pytest.mark.long
    @settings(max_examples=8)
    @given(rows=st.lists(st.tuples(_cell, _cell, st.booleans(), st.booleans()), max_size=5))
    def test_any_numbers_under_any_mask(self, tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
        times, fluxes, no_time, no_flux = zip(*rows, strict=True) if rows else ((), (), (), ())
        table = {
            "mjd": MaskedColumn(np.array(times, float), mask=np.array(no_time, bool)),
            "flux": MaskedColumn(np.array(fluxes, float), mask=np.array(no_flux, bool)),
        }
        assert drawn(self.write(tmp_path_factory.getbasetemp(), **table))


def footprint(place: tuple[float, float], target: str, region: str | None = None) -> Footprint:
    return Footprint(region, *place, "niriss", target, 1)


class TestSky:
    """Footprints that are nowhere, and names that crowd."""

    @pytest.mark.long
    @pytest.mark.parametrize("odd", ["1e999 -3", "nan -3", "1e300 -3", "10 91", "10 -1e9", "-- -3"])
    def test_one_impossible_corner_leaves_the_others(self, catalog: Database, odd: str) -> None:
        with catalog.write() as connection:
            connection.execute(
                "UPDATE file_version SET s_region = ? WHERE filename = (SELECT min(filename) FROM files)",
                [f"POLYGON ICRS {odd} 11 -3 11 -4"],
            )
        drawing = draw_sky(catalog)
        finished(drawing)
        assert drawing.left_out in (("1 footprint that cannot be on the sky",), ())  # or it is drawn at its target

    def test_a_target_at_no_place_is_left_out(self, catalog: Database) -> None:
        with catalog.write() as connection:
            connection.execute(
                """UPDATE file_version SET s_region = NULL, obs_id = NULL, targ_ra = 'inf'::DOUBLE, targ_dec = 3
                   WHERE filename = (SELECT min(filename) FROM files)"""
            )
        assert draw_sky(catalog).left_out == ("1 footprint that cannot be on the sky",)

    @pytest.mark.long
    @pytest.mark.parametrize("apart", [0.01, 8.0])
    def test_names_do_not_lie_on_each_other(self, apart: float) -> None:
        rng = np.random.default_rng(5)
        places = [(float(ra), float(dec)) for ra, dec in rng.uniform(100, 100 + apart * 20, (14, 2)) - (0, 90)]
        prints = tuple(footprint((ra, min(dec, 89.0)), f"TARGET-{n:05}") for n, (ra, dec) in enumerate(places))
        drawing = draw_footprints(Sky(prints, (100.0, 10.0), 50.0 if apart > 1 else 0.3, 0), "many")
        names = [text for text in drawing.figure.axes[0].texts if text.get_text().startswith("TARGET")]
        boxes = [text.get_window_extent() and Text.get_window_extent(text) for text in names]  # without the threads
        assert len(names) > 7
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        finished(drawing)

    @settings(max_examples=8)
    @given(st.text(), st.text(), st.floats(), st.floats())
    def test_any_region_target_and_place(self, region: str, target: str, ra: float, dec: float) -> None:
        for shape in corners(f"POLYGON ICRS {ra} {dec} {dec} {ra} 3 4 {region}"):
            assert np.all(np.isfinite(shape))
        one = footprint((ra, dec), target, region)
        if one.places:
            picture = draw_footprints(Sky((one,), tuple(one.places[0][0].tolist()), 1.0, 0), target)
            finished(picture)


class TestTimeline:
    """Dates that cannot be."""

    _odd = st.sampled_from([1e7, 1e12, 1e300, -1e300, float("inf"), float("-inf"), float("nan"), 0.0, 2973483.0])

    @pytest.mark.long
    @pytest.mark.parametrize("date", [1e7, 1e12, 1e300, float("inf"), float("nan"), -5.0])
    def test_one_absurd_date_leaves_the_others(self, catalog: Database, date: float) -> None:
        before = sum(one.files for one in read_timeline(catalog, FilesToDraw("soss")).observed)
        with catalog.write() as connection:
            connection.execute(
                """UPDATE file_version SET date_obs_mjd = ?, expstart = ?, expend = ?, ingestCompletionDate_mjd = ?
                   WHERE filename = (SELECT min(filename) FROM search_files WHERE search = 'soss')""",
                [date] * 4,
            )
        drawing = draw_timeline(catalog, FilesToDraw("soss"))
        finished(drawing)
        assert drawing.told.startswith(f"{before - 1} files observed")
        assert drawing.left_out == ("1 file with a date before 1950 or after 2100",)

    def test_nothing_but_absurd_dates_is_one_line(self, catalog: Database) -> None:
        with catalog.write() as connection:
            connection.execute(
                "UPDATE file_version SET date_obs_mjd = 1e9, expstart = 1e9, ingestCompletionDate_mjd = 1e9"
            )
        with pytest.raises(UsageError, match="before 1950 or after 2100"):
            draw_timeline(catalog)

    @pytest.mark.long
    def test_names_of_targets_and_versions_are_shown_as_they_are(self, catalog: Database) -> None:
        with catalog.write() as connection:
            connection.execute("UPDATE file_version SET targname = 'A$_{b$C', cal_ver = '$1.$x', instrument = 'n$x$'")
        for drawing in (draw_timeline(catalog), draw_sky(catalog, FilesToDraw(criteria=Criteria(target="A$*")))):
            finished(drawing)

    def test_the_axis_tells_its_years(self, catalog: Database) -> None:
        label = draw_timeline(catalog).figure.axes[1].get_xlabel()
        first, last = (dt.date.fromisoformat(part) for part in label.removeprefix("UTC, ").split(" to "))
        assert first < last


class TestPreviews:
    """Preview images, some of them broken."""

    def test_a_broken_picture_is_left_out_beside_others(self, tmp_path: Path) -> None:
        from PIL import Image

        Image.new("RGB", (8, 8)).save(tmp_path / "good$x$.png")
        whole = (tmp_path / "good$x$.png").read_bytes()
        for name, content in (("cut", whole[:40]), ("odd", whole.replace(b"IDAT", b"JUNK")), ("empty", b"")):
            (tmp_path / f"{name}.png").write_bytes(content)
        drawing = draw_pictures([tmp_path / f"{name}.png" for name in ("good$x$", "cut", "odd", "empty")])
        finished(drawing)
        assert drawing.told == "1 preview"
        assert len(drawing.left_out) == 3


def test_rows_that_are_left_out_of_a_very_large_plane_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.plots.images._MOST_PIXELS", 10)
    monkeypatch.setattr("catalog.plots.images._MOST_READ", 300)
    fits.PrimaryHDU(np.ones((50, 20), "f4")).writeto(tmp_path / "large.fits")
    fits.PrimaryHDU(np.ones((15, 20), "f4")).writeto(tmp_path / "small.fits")
    assert "1 of every 5 rows" in draw_file(tmp_path / "large.fits").told
    assert "of every" not in draw_file(tmp_path / "small.fits").told
