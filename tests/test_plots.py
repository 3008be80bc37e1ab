"""Pictures: of files, of the sky, of time, and of what the archive offers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from catalog.archive.client import MastArchive
from catalog.errors import DiskError, NoSuchSearch, UsageError
from catalog.harvest import harvest
from catalog.plots import FilesToDraw, draw_file, draw_sky, draw_timeline, plot_file
from catalog.plots.fits_file import open_fits
from catalog.plots.images import is_cube, plane_of, sky_axes, stretch
from catalog.plots.previews import draw_pictures
from catalog.plots.series import is_time_series, series, spectra
from catalog.plots.sky import WIDE_DEGREES, read_footprints
from catalog.plots.timeline import read_timeline
from catalog.questions.find import Criteria
from catalog.questions.previews import previews
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.vocabulary.region import corners, directions, distances, middle
from catalog.vocabulary.search import Search

from . import pictured_files as files
from .conftest import Command

ENTRY = str(Path(sys.executable).with_name("mastlake"))
KINDS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def scalar(database: Database, sql: str) -> object:
    """The one value that a query returns."""
    with database.read() as connection:
        row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


class TestImages:
    """Science images of every shape."""

    @pytest.mark.parametrize("make", [files.sky_image, files.soss_image, files.rectified_image, files.ramp])
    def test_an_image_becomes_a_picture(self, tmp_path: Path, make: Callable[[Path], Path]) -> None:
        source = make(tmp_path / "a.fits")
        assert plot_file(source, tmp_path / "a.png").startswith("image of ")
        assert (tmp_path / "a.png").read_bytes().startswith(KINDS[".png"])

    @pytest.mark.parametrize("ending", KINDS)
    def test_a_picture_is_of_the_kind_that_its_ending_says(self, tmp_path: Path, ending: str) -> None:
        plot_file(files.sky_image(tmp_path / "a.fits", side=60), tmp_path / f"a{ending}")
        assert (tmp_path / f"a{ending}").read_bytes().startswith(KINDS[ending])

    def test_an_image_of_the_sky_has_axes_on_the_sky(self, tmp_path: Path) -> None:
        axes = draw_file(files.sky_image(tmp_path / "a.fits")).figure.axes[0]
        assert axes.coords[0].get_axislabel() == "right ascension (ICRS)"
        centre = axes.wcs.pixel_to_world(149, 149)
        assert centre.separation(SkyCoord(217.36, -3.44, unit="deg")).arcsec < 0.1

    def test_a_single_pixel_of_the_sky_has_axes_with_labels(self, tmp_path: Path) -> None:
        with fits.open(files.sky_image(tmp_path / "a.fits", side=60), mode="update") as hdus:
            hdus["SCI"].data = hdus["SCI"].data[:1, :1]
        axes = draw_file(tmp_path / "a.fits").figure.axes[0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("column (pixel)", "row (pixel)")

    def test_a_spectral_image_has_axes_of_the_detector_whatever_its_keywords_say(self, tmp_path: Path) -> None:
        axes = draw_file(files.soss_image(tmp_path / "a.fits")).figure.axes[0]
        assert axes.get_xlabel() == "column (pixel)"

    def test_a_rectified_spectrum_has_a_wavelength_axis(self, tmp_path: Path) -> None:
        drawing = draw_file(files.rectified_image(tmp_path / "a.fits"))
        drawing.png()  # which is when the scales are fitted
        (upper,) = drawing.figure.axes[0].child_axes
        assert upper.get_xlabel() == "wavelength (µm)"
        assert upper.get_xlim() == pytest.approx((2.9, 5.2), abs=0.01)

    def test_of_integrations_the_first_is_drawn_and_said(self, tmp_path: Path) -> None:
        assert "first of 2 integrations" in draw_file(files.soss_image(tmp_path / "a.fits")).told

    def test_of_a_ramp_the_first_group_is_taken_from_the_last(self, tmp_path: Path) -> None:
        with fits.open(files.ramp(tmp_path / "a.fits"), memmap=False) as hdus:
            plane = plane_of(hdus["SCI"])
        assert plane.pixels[0, 0] == 200.0
        assert plane.told == "last less first of 3 groups, first of 2 integrations"

    def test_of_a_cube_the_median_wavelength_is_drawn_on_the_sky(self, tmp_path: Path) -> None:
        cards = {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 5.0,
            "CDELT1": -3e-5, "CDELT2": 3e-5, "CDELT3": 0.01, "CRVAL1": 10.0, "CRVAL2": 20.0,
        }  # fmt: skip
        cube = np.arange(9.0)[:, None, None] * np.ones((9, 20, 20))
        science = fits.ImageHDU(cube, fits.Header(cards), name="SCI")
        fits.HDUList([files.primary(EXP_TYPE="MIR_MRS"), science]).writeto(tmp_path / "a.fits")
        with fits.open(tmp_path / "a.fits", memmap=False) as hdus:
            assert is_cube(hdus[0].header, hdus[1].header)
            assert np.all(plane_of(hdus[1], cube=True).pixels == 4.0)
            assert sky_axes(hdus[0].header, hdus[1]) is not None
        assert "median of 9 wavelengths" in draw_file(tmp_path / "a.fits").told

    @pytest.mark.long
    def test_a_large_image_is_averaged_and_stays_in_place(self, tmp_path: Path) -> None:
        source = files.sky_image(tmp_path / "a.fits", side=2500)
        with fits.open(source, memmap=False) as hdus:
            plane = plane_of(hdus["SCI"])
            assert plane.step == (2, 2)
            assert plane.pixels.shape == (1250, 1250)
            assert np.nanmean(plane.pixels) == pytest.approx(np.nanmean(hdus["SCI"].data), rel=1e-3)
            whole, reduced = WCS(hdus["SCI"].header), sky_axes(hdus[0].header, hdus["SCI"], plane.step)
            assert reduced.pixel_to_world(700, 300).separation(whole.pixel_to_world(1400.5, 600.5)).arcsec < 0.1

    def test_the_stretch_shows_noise_and_stars_and_minds_no_hot_pixel(self) -> None:
        rng = np.random.default_rng(3)
        pixels = rng.normal(100.0, 1.0, (200, 200))
        pixels[50:54, 50:54] += 300
        pixels[0, 0] = 1e9
        norm = stretch(pixels)
        assert 97 < norm.vmin < 99.5
        assert 120 < norm.vmax < 1000
        assert 0 < norm(101.0) < 0.4

    @pytest.mark.parametrize("value", [0.0, np.nan])
    def test_an_image_without_contrast_is_drawn_all_the_same(self, tmp_path: Path, value: float) -> None:
        science = fits.ImageHDU(np.full((20, 20), value), name="SCI")
        fits.HDUList([files.primary(), science]).writeto(tmp_path / "a.fits")
        assert plot_file(tmp_path / "a.fits", tmp_path / "a.png").startswith("image")

    def test_another_hdu_is_drawn_where_asked_for(self, tmp_path: Path) -> None:
        source = files.rectified_image(tmp_path / "a.fits")
        assert "HDU WAVELENGTH" in draw_file(source, "wavelength").told
        assert "HDU WAVELENGTH" in draw_file(source, "2").told
        with pytest.raises(UsageError, match="SCI, WAVELENGTH"):
            draw_file(source, "ERR")


class TestSpectra:
    """Extracted spectra of every form."""

    def test_one_spectrum_is_a_line_with_units(self, tmp_path: Path) -> None:
        drawing = draw_file(files.x1d(tmp_path / "a.fits"))
        axes = drawing.figure.axes[0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("wavelength (µm)", "flux (Jy)")
        assert drawing.told == "1 spectrum, 240 points"
        assert axes.lines[0].get_ydata() == pytest.approx(np.linspace(1, 5, 240) ** -2.0)

    def test_an_extended_source_has_a_surface_brightness(self, tmp_path: Path) -> None:
        axes = draw_file(files.x1d(tmp_path / "a.fits", bright=True)).figure.axes[0]
        assert axes.get_ylabel() == "surface brightness (MJy sr⁻¹)"

    @pytest.mark.long
    @pytest.mark.parametrize(("make", "integrations"), [(files.new_x1dints, 30), (files.old_x1dints, 8)])
    def test_both_forms_of_a_time_series_are_read_alike(
        self, tmp_path: Path, make: Callable[[Path], Path], integrations: int
    ) -> None:
        with open_fits(make(tmp_path / "a.fits")) as file:
            found = spectra(file)
        assert is_time_series(found)
        groups = series(found)
        assert [one.label for one in groups] == ["order 1", "order 2"]
        for one in groups:
            assert one.flux.shape == (integrations, files.WAVELENGTHS)
            assert np.all(np.diff(one.wavelength) > 0)
            assert one.mjd[0] == pytest.approx(files.START_MJD)
            assert np.all(np.diff(one.mjd) > 0)
            assert one.units == ("µm", "Jy")
            dip = np.nanmedian(one.flux[integrations // 2] / one.flux[0])
            assert dip == pytest.approx(0.98, abs=0.002)

    @pytest.mark.long
    def test_a_time_series_is_time_against_wavelength(self, tmp_path: Path) -> None:
        drawing = draw_file(files.new_x1dints(tmp_path / "a.fits"))
        carpet = drawing.figure.axes[2]
        assert carpet.get_ylabel() == "hours since 2022-07-26 21:36 UTC"
        assert carpet.get_xlabel() == "wavelength (µm)"
        assert carpet.collections[0].get_array().shape == (30, files.WAVELENGTHS)
        assert carpet.get_ylim()[1] == pytest.approx(29.5 * 0.004 * 24, rel=0.01)
        assert drawing.told == "time series of 30 integrations of 2 spectra each, as time against wavelength"

    @pytest.mark.long
    def test_flagged_points_are_left_out(self, tmp_path: Path) -> None:
        with open_fits(files.new_x1dints(tmp_path / "a.fits")) as file:
            found = spectra(file)
        assert np.nanmax(found[0].flux) < 1
        assert np.isnan(found[0].flux).sum() == 1

    @pytest.mark.long
    def test_a_single_integration_is_lines(self, tmp_path: Path) -> None:
        drawing = draw_file(files.new_x1dints(tmp_path / "a.fits", integrations=1))
        assert drawing.told.startswith("2 spectra")
        assert [line.get_label() for line in drawing.figure.axes[0].lines] == ["order 1", "order 2"]

    def test_sources_of_one_table_are_lines_with_their_numbers(self, tmp_path: Path) -> None:
        wavelength = np.tile(np.linspace(1.0, 2.0, 50), (3, 1))
        columns = [
            fits.Column("SOURCE_ID", "J", array=[4, 7, 9]),
            fits.Column("WAVELENGTH", "50D", unit="um", array=wavelength),
            fits.Column("FLUX", "50D", unit="Jy", array=wavelength * np.array([[1.0], [2.0], [3.0]])),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="EXTRACT1D")
        fits.HDUList([files.primary(EXP_TYPE="NIS_WFSS"), table]).writeto(tmp_path / "a.fits")
        axes = draw_file(tmp_path / "a.fits").figure.axes[0]
        assert [line.get_label() for line in axes.lines] == ["source 4", "source 7", "source 9"]

    def test_without_times_integrations_are_counted(self, tmp_path: Path) -> None:
        source = files.old_x1dints(tmp_path / "a.fits")
        with fits.open(source, mode="update") as hdus:
            del hdus["INT_TIMES"]
        assert draw_file(source).figure.axes[2].get_ylabel() == "integration"


class TestLightCurves:
    """Tables of flux against time."""

    def test_every_flux_is_drawn_against_its_time(self, tmp_path: Path) -> None:
        times = files.START_MJD + np.arange(20) * 0.01
        columns = {
            "int_mid_MJD_UTC": times, "int_mid_BJD_TDB": times,
            "whitelight_flux_order_1": files.transit(times) * units.Jy, "whitelight_flux_order_2": times * 0 + 1,
        }  # fmt: skip
        QTable(columns).write(tmp_path / "a_whtlt.ecsv")
        drawing = draw_file(tmp_path / "a_whtlt.ecsv")
        first, second = drawing.figure.axes  # one hides in the other's range where they share an axis
        assert (first.get_ylabel(), second.get_ylabel()) == ("flux (Jy)", "flux")
        assert second.get_xlabel() == "hours since MJD (UTC) 59786"
        labels = [line.get_label() for axes in (first, second) for line in axes.lines]
        assert labels == ["whitelight flux order 1", "whitelight flux order 2"]
        assert first.lines[0].get_xdata()[0] == pytest.approx(0.9 * 24)
        assert drawing.told == "2 light curves of 20 points"

    def test_many_fluxes_are_drawn_as_far_as_there_is_room(self, tmp_path: Path) -> None:
        columns = {"mjd_utc": files.START_MJD + np.arange(5)} | {f"flux_{n}": np.arange(5.0) for n in range(9)}
        QTable(columns).write(tmp_path / "a.ecsv")
        drawing = draw_file(tmp_path / "a.ecsv")
        assert drawing.told == "6 light curves of 5 points"
        assert list(drawing.left_out) == [f"column flux_{n}, beyond the first 6 fluxes" for n in (6, 7, 8)]

    def test_a_table_of_something_else_is_refused(self, tmp_path: Path) -> None:
        QTable({"a": [1], "flux": [2]}).write(tmp_path / "a.ecsv")
        with pytest.raises(UsageError, match="only a, flux"):
            draw_file(tmp_path / "a.ecsv")
        (tmp_path / "b.ecsv").write_text("no table at all")
        with pytest.raises(DiskError, match="as ECSV"):
            draw_file(tmp_path / "b.ecsv")


class TestFaults:
    """Files that cannot be drawn, and pictures that cannot be written."""

    def test_a_file_that_is_no_fits_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.fits").write_text("<html>" * 1000)
        with pytest.raises(DiskError, match="as FITS"):
            draw_file(tmp_path / "a.fits")

    def test_a_file_cut_short(self, tmp_path: Path) -> None:
        source = files.x1d(tmp_path / "a.fits")
        source.write_bytes(source.read_bytes()[:12_000])
        with pytest.raises(DiskError, match="as FITS"):
            draw_file(source)

    def test_a_file_without_anything_to_draw_says_what_it_holds(self, tmp_path: Path) -> None:
        table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[1])], name="ASDF")
        fits.HDUList([files.primary(), table]).writeto(tmp_path / "a.fits")
        with pytest.raises(UsageError, match="only PRIMARY, ASDF"):
            draw_file(tmp_path / "a.fits")

    def test_a_picture_that_cannot_be_written(self, tmp_path: Path) -> None:
        drawing = draw_file(files.x1d(tmp_path / "a.fits"))
        with pytest.raises(DiskError, match="cannot write"):
            drawing.write(tmp_path / "nowhere" / "a.png")
        with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
            drawing.write(tmp_path / "a.gif")

    def test_drawing_leaves_the_settings_of_others_alone(self, tmp_path: Path) -> None:
        before = dict(mpl.rcParams)
        draw_file(files.x1d(tmp_path / "a.fits")).png()
        assert dict(mpl.rcParams) == before

    def test_the_same_file_is_the_same_drawing(self, tmp_path: Path) -> None:
        source = files.x1d(tmp_path / "a.fits")
        for name in ("a.svg", "b.svg"):
            plot_file(source, tmp_path / name)
        assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


class TestRegions:
    """Footprints as the archive writes them."""

    @pytest.mark.parametrize(
        ("text", "shapes"),
        [
            ("POLYGON ICRS 1 2 3 2 3 4", [3]),
            ("POLYGON 1.5 -2 3 -2 3 -4 1 -4", [4]),
            ("polygon icrs 1 2 3 2 3 4 POLYGON ICRS 5 6 7 6 7 8", [3, 3]),
            ("CIRCLE ICRS 10 20 0.5", [48]),
            ("POLYGON ICRS 1 2 3", []),
            ("BOX 1 2 3 4", []),
            ("", []),
        ],
    )
    def test_regions_are_read(self, text: str, shapes: list[int]) -> None:
        assert [len(one) for one in corners(text)] == shapes

    def test_a_circles_corners_are_on_the_circle(self) -> None:
        for ra, dec in ((10.0, 20.0), (359.9, 89.0), (180.0, -90.0)):
            (shape,) = corners(f"CIRCLE ICRS {ra} {dec} 0.5")
            assert distances(shape, np.array([ra, dec])) == pytest.approx(0.5, abs=1e-9)

    def test_distances_are_astropys(self) -> None:
        rng = np.random.default_rng(4)
        places = np.stack([rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))], axis=1)
        for centre in (places[0], np.array([0.0, 90.0]), places[0] + 1e-7):
            expected = SkyCoord(*places.T, unit="deg").separation(SkyCoord(*centre, unit="deg"))
            assert distances(places, centre) == pytest.approx(expected.to_value(units.deg), abs=1e-11)

    def test_the_midst_of_places_across_the_origin_lies_between_them(self) -> None:
        assert middle(np.array([[359.0, 0.0], [1.0, 0.0]]))[0] % 360 == pytest.approx(0.0, abs=1e-9)
        assert np.linalg.norm(directions(np.array([[12.0, 34.0]]))) == pytest.approx(1.0)


class TestSky:
    """Footprints of a selection."""

    def test_every_footprint_of_the_selection_is_there_once(self, catalog: Database) -> None:
        found = read_footprints(catalog, FilesToDraw("soss"))
        files_there = scalar(catalog, "SELECT count(*) FROM search_files WHERE search = 'soss'")
        assert found.files + found.unplaced == files_there
        regions = [one.region for one in found.footprints if one.files]
        assert len(regions) == len(set(regions))

    def test_a_selection_close_together_is_drawn_around_its_midst(self, catalog: Database) -> None:
        target = scalar(catalog, "SELECT targname FROM files WHERE s_region IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 1")
        chosen = FilesToDraw(criteria=Criteria(target=str(target)))
        found = read_footprints(catalog, chosen)
        assert found.radius < WIDE_DEGREES
        axes = draw_sky(catalog, chosen).figure.axes[0]
        for one in found.footprints:
            for shape in one.places:
                assert np.all(np.abs(axes.wcs.wcs_world2pix(shape, 0)) < 50)

    def test_a_selection_far_apart_is_drawn_on_the_whole_sky(self, catalog: Database) -> None:
        assert read_footprints(catalog, FilesToDraw()).radius > WIDE_DEGREES
        assert draw_sky(catalog).figure.axes[0].name == "mollweide"

    def test_a_query_can_choose(self, catalog: Database) -> None:
        sql = "SELECT filename FROM files WHERE instrument = 'nircam'"
        assert {one.instrument for one in read_footprints(catalog, FilesToDraw(sql=sql)).footprints} == {"nircam"}
        with pytest.raises(UsageError, match="column filename"):
            read_footprints(catalog, FilesToDraw(sql="SELECT 1 AS a"))

    def test_nothing_to_draw_is_said(self, catalog: Database) -> None:
        with pytest.raises(UsageError, match="targname=NOWHERE"):
            draw_sky(catalog, FilesToDraw(criteria=Criteria(written=("targname=NOWHERE",))))
        with pytest.raises(NoSuchSearch, match="soss"):
            draw_sky(catalog, FilesToDraw("sos"))

    def test_files_without_a_footprint_are_drawn_at_their_targets(self, catalog: Database) -> None:
        with catalog.write() as connection:
            connection.execute("UPDATE file_version SET s_region = NULL, obs_id = NULL WHERE instrument = 'nircam'")
        found = read_footprints(catalog, FilesToDraw("nircam"))
        assert found.files > 0
        assert all(len(one.places[0]) == 1 for one in found.footprints if one.files)


class TestTimeline:
    """What was observed when, and processed when."""

    def test_observations_and_versions_add_up(self, catalog: Database) -> None:
        found = read_timeline(catalog, FilesToDraw("soss"))
        files_there = scalar(catalog, "SELECT count(*) FROM search_files WHERE search = 'soss'")
        assert sum(one.files for one in found.observed) == files_there
        assert all(one.start <= one.end for one in found.observed)
        assert sum(one.files for one in found.processed) == sum(one.current for one in found.processed)
        assert [one.run for one in found.harvested] == [1, 2]

    @pytest.mark.long
    def test_what_was_processed_again_stands_beside_what_it_replaced(
        self, database: Database, own_sky: Simulator
    ) -> None:
        search = Search.parse("n", "niriss", ("exp_type=NIS_SOSS",))
        with MastArchive(own_sky.url) as archive:
            harvest(database, archive, search)
            renewed = own_sky.filenames("niriss", "exp_type = 'NIS_SOSS' AND filename LIKE '%x1dints.fits'")[:3]
            own_sky.reprocess(renewed, keep_size=True)
            harvest(database, archive, search)
        found = read_timeline(database, FilesToDraw("n"))
        current = sum(one.current for one in found.processed)
        assert sum(one.files for one in found.processed) == current + 3
        assert [one.changed for one in found.harvested] == [0, 3]
        drawing = draw_timeline(database, FilesToDraw("n"))
        assert "3 found changed by later harvests" in drawing.told
        assert drawing.png().startswith(b"\x89PNG")


class TestPreviews:
    """The archive's own preview images."""

    def test_a_file_an_observation_and_a_search_have_previews(self, catalog: Database) -> None:
        image = str(scalar(catalog, "SELECT min(productFilename) FROM products WHERE productType = 'PREVIEW'"))
        assert [one.filename for one in previews(catalog, [image])] == [image]
        assert [one.filename for one in previews(catalog, [image.replace(".jpg", ".fits")])] == [image]
        obs_id = previews(catalog, [image])[0].obs_id
        assert image in [one.filename for one in previews(catalog, [str(obs_id)])]
        assert len(previews(catalog, ["soss"], limit=5)) == 5

    def test_a_spectrum_without_its_own_has_its_exposures(self, catalog: Database) -> None:
        name = str(scalar(catalog, "SELECT min(filename) FROM files WHERE filename LIKE '%seg001_nis_x1dints.fits'"))
        found = [one.filename for one in previews(catalog, [name])]
        assert found == [name.replace("x1dints.fits", "rateints.jpg")]

    def test_a_name_without_previews_is_said(self, catalog: Database) -> None:
        with pytest.raises(UsageError, match="no preview of nothing"):
            previews(catalog, ["nothing"])

    def test_a_broken_image_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(b"no image")
        with pytest.raises(DiskError, match=r"a\.jpg"):
            draw_pictures([tmp_path / "a.jpg"])


class TestCommands:
    """plot, preview, sky and timeline, as they are typed."""

    @pytest.fixture(autouse=True)
    def _at_the_catalog(
        self, mastlake: Command, catalog: Database, sky: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MASTLAKE_SERVER", sky.url)

    def test_a_plot_lies_beside_its_told_line(self, mastlake: Command, tmp_path: Path) -> None:
        files.x1d(tmp_path / "a_x1d.fits")
        outcome = mastlake("plot", "a_x1d.fits")
        assert (outcome.code, outcome.out) == (0, "")
        assert outcome.err == "a_x1d.png: 1 spectrum, 240 points\n"
        assert mastlake("plot", "a_x1d.fits", "-o", "b.svg", "--json").json["picture"] == "b.svg"
        assert mastlake("plot", "a_x1d.fits", "-o", "b.gif").code == 2

    @pytest.mark.long
    def test_a_sky_and_a_timeline_in_json(self, mastlake: Command, tmp_path: Path) -> None:
        found = mastlake("sky", "soss", "-o", "s.svg", "--json").json
        assert found["files"] == sum(one["files"] for one in found["footprints"])
        assert (tmp_path / "s.svg").exists()
        found = mastlake("timeline", "--target", "WASP*", "--json").json
        assert set(found) >= {"picture", "drawn", "observed", "processed", "harvested"}
        assert all(one["target"].startswith("WASP") for one in found["observed"])

    @pytest.mark.long
    def test_previews_are_fetched_once(self, mastlake: Command, tmp_path: Path, sky: Simulator) -> None:
        first = mastlake("preview", "soss", "--limit", 3)
        assert first.code == 0, first.err
        paths = first.out.splitlines()
        assert len(paths) == 3
        assert all((tmp_path / path).read_bytes().startswith(b"\xff\xd8") for path in paths)
        before = sky.stats()["file_get"]
        again = mastlake("preview", "soss", "--limit", 3, "-o", "sheet.png", "--json")
        assert [one["path"] for one in again.json] == paths
        assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
        assert sky.stats()["file_get"] == before

    def test_a_preview_that_cannot_be_had_is_a_failure(self, mastlake: Command, catalog: Database) -> None:
        with catalog.write() as connection:
            connection.execute("UPDATE product_version SET data_uri = data_uri || '.gone' WHERE data_uri LIKE '%.jpg'")
        outcome = mastlake("preview", "soss", "--limit", 1)
        assert outcome.code == 1
        assert "404" in outcome.err

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("replies", "shown"),
        [
            ({}, "▀".encode()),
            ({b"\x1b[c": b"\x1b[?62;4;22c"}, b"\x1bP"),
            ({b"\x1b[c": b"\x1b[?62c", b"\x1b_G": b"\x1b_Gi=1;OK\x1b\\"}, b"\x1b_Gi="),
        ],
        ids=["half blocks", "sixels", "kitty"],
    )
    def test_a_terminal_shows_a_picture_in_the_way_it_knows(
        self, tmp_path: Path, replies: dict[bytes, bytes], shown: bytes
    ) -> None:
        files.x1d(tmp_path / "a_x1d.fits")
        code, out = on_terminal([ENTRY, "plot", "a_x1d.fits"], replies)
        assert code == 0
        assert b"Failed" not in out  # the terminal does not tell its size in pixels
        assert out.count(shown) > (1 if shown.startswith(b"\x1b_G") else 0)
        assert (tmp_path / "a_x1d.png").exists()

    @pytest.mark.long
    def test_a_terminal_without_colours_gets_the_line_only(self, tmp_path: Path) -> None:
        files.x1d(tmp_path / "a_x1d.fits")
        code, out = on_terminal([ENTRY, "plot", "a_x1d.fits"], {}, {"NO_COLOR": "1"})
        assert code == 0
        assert out.strip() == b"a_x1d.png: 1 spectrum, 240 points"


def on_terminal(
    words: list[str], replies: dict[bytes, bytes], extra: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Run a command on a terminal that answers questions about itself so."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    environment = {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(extra or {})}
    with subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        out = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
            out += piece
            for question, reply in replies.items():
                if question in piece:
                    os.write(ours, reply)
        code = process.wait(60)
    os.close(ours)
    return code, out
