"""Finding files: criteria become SQL, and agree with astropy and spherical_geometry about the sky."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st
from spherical_geometry.polygon import SphericalPolygon

from catalog.errors import BadValue, UnknownKeyword
from catalog.questions.conditions import written_out
from catalog.questions.find import Criteria, statement
from catalog.questions.sky_places import read_cone, read_region
from catalog.questions.statement import rows
from catalog.store import database as store_database
from catalog.store.database import Database
from catalog.store.history.footprints import note_footprints, number_files
from catalog.store.history.merge import merge_versions
from catalog.store.history.versions import FILES, OBSERVATIONS
from catalog.store.schema.migrate import make_views
from catalog.store.spool import Spool
from catalog.vocabulary.cone import Cone

from .conftest import Command, copy_of

WASP_39 = {"targname": "WASP-39", "targprop": "WASP-39", "targ_ra": 217.32663, "targ_dec": -3.44450}
HARVESTED = [
    {
        **WASP_39, "filename": "jw01366003001_04101_00001-seg001_nis_x1dints.fits", "exp_type": "NIS_SOSS",
        "program": 1366, "pi_name": "Batalha, Natalie", "date_obs_mjd": 59787.5, "tsovisit": True, "filter": "CLEAR",
        "isRestricted": False, "s_region": None, "productLevel": "2b",
    },
    {
        **WASP_39, "filename": "jw01366002001_02101_00001_nrs1_cal.fits", "exp_type": "NRS_BRIGHTOBJ",
        "program": 1366, "pi_name": "Batalha, Natalie", "date_obs_mjd": 59780.25, "tsovisit": True, "filter": "F290LP",
        "isRestricted": False, "s_region": "POLYGON ICRS 217.30 -3.46 217.36 -3.46 217.36 -3.42 217.30 -3.42",
        "productLevel": "2b",
    },
    {
        "targname": "NGC 6543", "targprop": "CATS-EYE", "targ_ra": 269.6392, "targ_dec": 66.633,
        "filename": "jw02000001001_02101_00001_nrcb1_cal.fits", "exp_type": "NRC_IMAGE", "program": 2000,
        "pi_name": "Peña, María", "date_obs_mjd": 60100.0, "tsovisit": False, "filter": "F200W", "isRestricted": True,
        "s_region": "POLYGON 269.5 66.6 269.7 66.6 269.7 66.7 269.5 66.7", "productLevel": "2b",
    },
    {
        "targname": "JUPITER", "targprop": "JUPITER", "targ_ra": 5.0, "targ_dec": 1.0,
        "filename": "jw01373001001_02101_00001_nrcb1_cal.fits", "exp_type": "NRC_IMAGE", "program": 1373,
        "pi_name": "de Pater, Imke", "date_obs_mjd": 59790.0, "tsovisit": False, "filter": "F212N",
        "isRestricted": False, "s_region": "CIRCLE ICRS 359.99 1.0 0.02", "productLevel": "2b",
    },
    {
        "targname": "JUPITER", "targprop": "JUPITER", "targ_ra": 12.0, "targ_dec": 4.0,
        "filename": "jw01373002001_02101_00001_nrcb1_cal.fits", "exp_type": "NRC_IMAGE", "program": 1373,
        "pi_name": "de Pater, Imke", "date_obs_mjd": 59890.0, "tsovisit": False, "filter": "F212N",
        "isRestricted": False, "s_region": None, "productLevel": "2b",
    },
]  # fmt: skip
SOSS, NRS, NGC, JUPITER_1, JUPITER_2 = (str(row["filename"]) for row in HARVESTED)


OBSERVED = [
    {"obs_id": "jw01366-soss", "s_region": "POLYGON 217.32 -3.45 217.34 -3.45 217.34 -3.44 217.32 -3.44",
     "target_name": "WASP-39", "s_ra": 217.32663, "s_dec": -3.44450},
    {"obs_id": "jw09999-x", "s_region": "garbage", "target_name": "HD 189733", "s_ra": 300.1821, "s_dec": 22.7099},
]  # fmt: skip


def fill(database: Database, files: pa.Table, observations: pa.Table | None = None) -> Database:
    """Put rows into a catalog as a harvest does."""
    with Spool(database.path) as spool, database.write() as connection:
        spool.add("file_rows", files)
        spool.offer(connection, "file_rows")
        merge_versions(connection, FILES, spool.staged("file_rows"), 1, {"instrument": "niriss", "checked_run": 1})
        if observations is not None:
            spool.add("observation_rows", observations)
            spool.offer(connection, "observation_rows")
            merge_versions(connection, OBSERVATIONS, spool.staged("observation_rows"), 1, {})
            connection.execute("UPDATE file_version SET obs_id = 'jw01366-soss' WHERE exp_type = 'NIS_SOSS'")
            connection.execute("UPDATE file_version SET instrument = 'nircam' WHERE exp_type = 'NRC_IMAGE'")
        make_views(connection)
        number_files(connection, 1)
    return database


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    empty = Database(tmp_path_factory.mktemp("lake") / "catalog.duckdb")
    return fill(empty, pa.Table.from_pylist(HARVESTED), pa.Table.from_pylist(OBSERVED)).path


@pytest.fixture
def lake(filled: Path, database: Database) -> Database:
    copy_of(filled, database.path)
    return database


def found(database: Database, *written: str, **criteria: str) -> set[str]:
    sql, values = statement(Criteria(written, **criteria), database=database)
    names = set(rows(database, sql, values).column("filename").to_pylist())
    pasted = rows(database, written_out(sql, values)).column("filename").to_pylist()
    assert names == set(pasted)  # what --explain prints is the same question
    return names


class TestFootprintsInTime:
    """The number of a footprint, which stands with each file, goes with the archive."""

    HERE, THERE = "217.33,-3.445,1s", "120.0,30.0,1s"

    @pytest.mark.long
    def test_a_file_moves_with_the_footprint_of_its_observation(self, lake: Database) -> None:
        moved = [{**OBSERVED[0], "s_region": "POLYGON 119.9 29.9 120.1 29.9 120.1 30.1"}, OBSERVED[1]]
        with Spool(lake.path) as spool, lake.write() as connection:
            spool.add("observation_rows", pa.Table.from_pylist(moved))
            spool.offer(connection, "observation_rows")
            merge_versions(connection, OBSERVATIONS, spool.staged("observation_rows"), 2, {})
            number_files(connection, 2)
        assert (found(lake, footprint=self.HERE), found(lake, footprint=self.THERE)) == ({NRS}, {SOSS})

    @pytest.mark.long
    def test_a_footprint_has_one_number_whatever_came_before_it(self, lake: Database, tmp_path: Path) -> None:
        there = "POLYGON 119.9 29.9 120.1 29.9 120.1 30.1"
        moved = pa.Table.from_pylist([{**OBSERVED[0], "s_region": there}, OBSERVED[1]])
        with Spool(lake.path) as spool, lake.write() as connection:
            spool.add("observation_rows", moved)
            spool.offer(connection, "observation_rows")
            merge_versions(connection, OBSERVATIONS, spool.staged("observation_rows"), 2, {})
            number_files(connection, 2)
        anew = fill(Database(tmp_path / "anew.duckdb"), pa.Table.from_pylist(HARVESTED), moved)
        numbered = "SELECT filename, footprint FROM files ORDER BY ALL"
        assert rows(lake, numbered) == rows(anew, numbered)

    @pytest.mark.long
    def test_a_file_whose_observation_is_gone_has_no_footprint(self, lake: Database) -> None:
        with lake.write() as connection:
            connection.execute("UPDATE observation_version SET until_run = 2 WHERE obs_id = 'jw01366-soss'")
            number_files(connection, 2)
        assert found(lake, footprint=self.HERE) == {NRS}

    @pytest.mark.long
    def test_a_catalog_of_the_first_schema_is_numbered_when_it_is_opened(self, lake: Database) -> None:
        with duckdb.connect(str(lake.path)) as connection:
            connection.execute("ALTER TABLE file_version DROP COLUMN footprint")
            connection.execute("ALTER TABLE footprints DROP COLUMN number")
            connection.execute("ALTER TABLE footprints DROP COLUMN shapes")
            later = (
                "local_verdict",
                "local_folder",
                "search_cursor",
                "search_edit",
                "set_aside",
                "ingest_mark",
                "product_reading",
            )
            for table in ("keyword_difference", *later):
                connection.execute(f"DROP TABLE {table}")
            for column in ("checksum", "size", "mtime_ns", "at", "run"):
                connection.execute(f"ALTER TABLE local_file_version DROP COLUMN fetched_{column}")
            for table, column in (("local_file_version", "trusted"), ("local_file_version", "ended"),
                                  ("searches", "edited_run"), ("searches", "declared")):  # fmt: skip
                connection.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
        store_database._ready.clear()  # as in another process
        assert found(lake, footprint=self.HERE) == {SOSS, NRS}


class TestCriteria:
    """One criterion each, and all of them at once."""

    @pytest.mark.parametrize(
        ("written", "criteria", "names"),
        [
            (["exp_type=NIS_SOSS"], {}, {SOSS}),
            (["exp_type=nis_soss,nrs_brightobj"], {}, {SOSS, NRS}),
            (["exp_type=NRC*"], {}, {NGC, JUPITER_1, JUPITER_2}),
            (["filter=F2*,CLEAR"], {}, {SOSS, NRS, NGC, JUPITER_1, JUPITER_2}),
            (["tsovisit=T"], {}, {SOSS, NRS}),
            (["tsovisit=F", "program=2000"], {}, {NGC}),
            (["isRestricted=true"], {}, {NGC}),
            (["program=1366,2000"], {}, {SOSS, NRS, NGC}),
            (["program=1370..1999"], {}, {JUPITER_1, JUPITER_2}),
            (["date_obs_mjd=2022-07-20..2022-07-28"], {}, {SOSS, NRS}),
            (["targ_dec=60.."], {}, {NGC}),
            ([], {"target": "wasp 39"}, {SOSS, NRS}),
            ([], {"target": "WASP*"}, {SOSS, NRS}),
            ([], {"target": "cats eye"}, {NGC}),
            ([], {"program": "01366"}, {SOSS, NRS}),
            ([], {"program": "1366,1373"}, {SOSS, NRS, JUPITER_1, JUPITER_2}),
            ([], {"pi": "pena"}, {NGC}),
            ([], {"pi": "Batalha"}, {SOSS, NRS}),
            ([], {"instrument": "NIRCam"}, {NGC, JUPITER_1, JUPITER_2}),
            ([], {"release": "exclusive"}, {NGC}),
            ([], {"release": "public"}, {SOSS, NRS, JUPITER_1, JUPITER_2}),
            ([], {"since": "2022-07-27", "until": "2022-08-01"}, {SOSS, JUPITER_1}),
            ([], {"since": "2022-07-27T12:00:00", "until": "2022-07-30"}, {SOSS}),
            ([], {"cone": "217.3266,-3.4445,30s"}, {SOSS, NRS}),
            ([], {"cone": "14:29:18.39 , -3d26m40.2s , 0.5'"}, {SOSS, NRS}),
            ([], {"cone": "14h29m18.39s -3d26m40.2s,30s"}, {SOSS, NRS}),
            ([], {"cone": "14 29 18.39 -3 26 40.2,30s"}, {SOSS, NRS}),
            ([], {"cone": "WASP-39,30s"}, {SOSS, NRS}),
            ([], {"cone": "cats-eye,1m"}, {NGC}),
            ([], {"footprint": "217.33,-3.445,1s"}, {SOSS, NRS}),
            ([], {"footprint": "CIRCLE ICRS 217.305 -3.425 0.0001"}, {NRS}),
            ([], {"footprint": "wasp-39,1s"}, {SOSS, NRS}),
            ([], {"footprint": "polygon 0.005 0.9, 0.02 0.9, 0.02 1.1, 0.005 1.1"}, {JUPITER_1}),
            (["exp_type=NRC_IMAGE"], {"target": "jup%", "release": "public", "until": "2022-09-01"}, {JUPITER_1}),
        ],
    )  # fmt: skip
    def test_a_criterion_finds_what_it_says(
        self, lake: Database, written: list[str], criteria: dict[str, str], names: set[str]
    ) -> None:
        assert found(lake, *written, **criteria) == names

    def test_a_name_of_an_observation_is_a_place_too(self, lake: Database) -> None:
        with lake.read() as connection:
            assert read_cone("HD189733,1m", connection) == Cone(300.1821, 22.7099, 1 / 60)

    def test_the_file_keyword_obs_id_is_not_the_one_of_caom(self, lake: Database) -> None:
        sql, _ = statement(Criteria(("obs_id=V01366003001P0000000003101",)))
        assert "lower(si_obs_id) = ?" in sql

    def test_a_catalog_without_sky_says_so(self, database: Database) -> None:
        bare = fill(database, pa.table({"filename": ["a.fits"], "exp_type": ["NIS_SOSS"]}))
        assert found(bare, "exp_type=NIS_SOSS") == {"a.fits"}
        for criteria in ({"cone": "1,2,3d"}, {"footprint": "1,2,3d"}, {"since": "2022-01-01"}, {"release": "public"}):
            with pytest.raises(UnknownKeyword, match="no harvested file"):
                found(bare, **criteria)
        with pytest.raises(UnknownKeyword, match="no harvested file has detector"):
            found(bare, "detector=NIS")


class TestWrong:
    """What is not understood is said with the right spelling."""

    @pytest.mark.parametrize(
        ("criteria", "says"),
        [
            ({"cone": "1,2"}, "RA,DEC,RADIUS"),
            ({"cone": "1 2 3,4"}, "RA,DEC,RADIUS"),
            ({"cone": "WASP-39"}, "TARGET,RADIUS"),
            ({"cone": "47 Tuc,1m"}, "no harvested target is called '47 Tuc'"),
            ({"cone": "1,2,0s"}, "not a radius"),
            ({"cone": "1,2,0.01"}, "needs a unit: 0.01s, 0.01m or 0.01d"),
            ({"cone": "1,2,-3s"}, "not a radius"),
            ({"cone": "1,2,3 parsec"}, "not a radius"),
            ({"cone": "1,95,3s"}, "from -90 to 90"),
            ({"cone": "361,5,3s"}, "from 0 to 360"),
            ({"cone": "nan,5,3s"}, "RA,DEC,RADIUS"),
            ({"cone": "north,5,3s"}, "RA,DEC,RADIUS"),
            ({"cone": ",,"}, "RA,DEC,RADIUS"),
            ({"cone": "WASP-38,3s"}, "did you mean 'WASP-39'"),
            ({"cone": "Jupiter,3s"}, "observed at 2 places"),
            ({"footprint": "POLYGON 1 2 3 4"}, "three corners or more"),
            ({"footprint": "POLYGON 1 2 3 4 5"}, "three corners or more"),
            ({"footprint": "POLYGON 0 0 120 0 240 0"}, "half of the sky"),
            ({"footprint": "CIRCLE 1 2"}, "RADIUS"),
            ({"footprint": "BOX 1 2 3 4"}, "--footprint"),
            ({"instrument": "niris"}, "did you mean 'niriss'"),
            ({"release": "soon"}, "public or exclusive"),
            ({"program": "x"}, "whole number"),
            ({"since": "June"}, "a date like"),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_refused_in_one_line(self, lake: Database, criteria: dict[str, str], says: str) -> None:
        options: dict[str, Any] = {**criteria}
        with pytest.raises((BadValue, UnknownKeyword), match=says) as refused:
            statement(Criteria(**options), database=lake)
        assert "\n" not in str(refused.value)

    @given(text=st.text(max_size=40) | st.from_regex(r"[-+0-9.:dhms,PCOLYGNIRE ]{0,40}", fullmatch=True))
    @settings(max_examples=200, deadline=None)
    def test_no_text_for_a_place_is_more_than_one_line_of_trouble(self, text: str) -> None:
        for read in (read_cone, read_region):
            try:
                read(text)
            except BadValue as refused:
                assert len(str(refused).splitlines()) == 1 or "\n" in repr(text)  # noqa: PT017


Ask = Callable[..., set[int]]
GARBLED = (
    "POLYGON ", "CIRCLE ", "UNION ", "ICRS ", "1 ", "-2.5 ", "3e1 ", "91 ", "1e99 ", "...", ", ", "(", ")",
    "nan ", "e", "- ",
)  # fmt: skip

COORDINATES = st.tuples(
    st.floats(0, 360, exclude_max=True) | st.sampled_from([0.0, 1e-9, 359.999999]),
    st.floats(-90, 90) | st.sampled_from([-90.0, 90.0, 89.99999, -89.99999, 0.0]),
)


class TestSky:
    """Cones agree with astropy, footprints with spherical_geometry, on random skies."""

    @pytest.mark.long
    @given(place=COORDINATES, radius=st.floats(-5, 2.25).map(lambda power: 10**power), seed=st.integers(0, 10**6))
    @settings(max_examples=60, deadline=None)
    def test_a_cone_agrees_with_astropy(
        self, place: tuple[float, float], radius: float, seed: int, macros: Ask
    ) -> None:
        ra, dec = around(np.random.default_rng(seed), *place, radius, 300)
        here, there = SkyCoord(*place, unit="deg"), SkyCoord(ra, dec, unit="deg")
        distance = there.separation(here).to_value(units.deg)
        stars = pa.table({"targ_ra": ra, "targ_dec": dec, "n": np.arange(len(ra))})
        sql, values = statement(Criteria(cone=f"{place[0]!r},{place[1]!r},{radius!r}d"), everything=True, limit=None)
        inside = macros(stars, sql.partition("WHERE ")[2].partition("ORDER")[0], values)
        doubtful = np.abs(distance - radius) < 1e-9 + 1e-6 * (radius > 179)
        assert {n for n in np.flatnonzero(distance <= radius) if not doubtful[n]} == {
            n for n in inside if not doubtful[n]
        }

    @pytest.mark.long
    def test_footprints_agree_with_spherical_geometry(self, macros: Ask) -> None:
        chance = np.random.default_rng(7)
        pairs = [pair(chance) for _ in range(800)]
        table = pa.table({
            "n": np.arange(len(pairs)), "a": [one.region for one, _ in pairs], "b": [other.region for _, other in pairs]
        })  # fmt: skip
        expected = {n for n, (one, other) in enumerate(pairs) if one.polygon.intersects_poly(other.polygon)}
        assert 0.2 < len(expected) / len(pairs) < 0.8
        assert macros(table, "footprints_overlap(a, b)") == expected
        assert macros(table, "footprints_overlap(b, a)") == expected

    @pytest.mark.long
    def test_a_circle_meets_a_polygon_where_the_nearest_point_is_within_the_radius(self, macros: Ask) -> None:
        chance = np.random.default_rng(8)
        table: dict[str, list[object]] = {"n": [], "a": [], "b": []}
        expected = set()
        while len(table["n"]) < 400:
            one, other = pair(chance)
            radius = float(one.size * chance.uniform(0.05, 1.0))
            distance = nearest_point(other.ra, other.dec, one)
            if abs(distance - radius) < 2e-3 * one.size:
                continue
            number = len(table["n"])
            if distance <= radius:
                expected.add(number)
            table["n"].append(number)
            table["a"].append(one.region)
            table["b"].append(f"CIRCLE {other.ra:.12f} {other.dec:.12f} {radius:.12f}")
        assert 0.2 < len(expected) / 400 < 0.8
        assert macros(pa.table(table), "footprints_overlap(a, b)") == expected
        assert macros(pa.table(table), "footprints_overlap(b, a)") == expected

    def test_circles_meet_as_astropy_says(self, macros: Ask) -> None:
        chance = np.random.default_rng(9)
        ra, dec = chance.uniform(0, 360, 500), np.degrees(np.arcsin(chance.uniform(-1, 1, 500)))
        away, angle = np.radians(chance.uniform(0, 6, 500)), chance.uniform(0, 2 * np.pi, 500)
        other_ra, other_dec = np.array([toward(*one) for one in zip(ra, dec, angle, away, strict=True)]).T
        radii = chance.uniform(0.1, 2, (2, 500))
        distance = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(other_ra, other_dec, unit="deg")).deg
        text = "CIRCLE ICRS {:.12f} {:.12f} {:.12f}".format
        table = pa.table({
            "n": np.arange(500), "a": list(map(text, ra, dec, radii[0])),
            "b": list(map(text, other_ra, other_dec, radii[1])),
        })  # fmt: skip
        assert macros(table, "footprints_overlap(a, b)") == set(np.flatnonzero(distance <= radii.sum(axis=0)))

    @pytest.mark.parametrize(
        ("one", "other", "meets"),
        [
            ("POLYGON 1 1 2 1 2 2 1 2", "POLYGON 1 1 2 1 2 2 1 2", True),  # the same
            ("POLYGON 1 1 2 1 2 2 1 2", "POLYGON 1 2 2 2 2 1 1 1", True),  # the other way round
            ("POLYGON 1 1 2 1 2 2 1 2 1 1", "POLYGON 1.4 1.4 1.6 1.4 1.5 1.6", True),  # one in the other, closed
            ("POLYGON 1 1 2 1 2 2 1 2", "POLYGON 2 1 3 1 3 2 2 2", True),  # a side in common
            ("POLYGON 1 1 2 1 2 2 1 2", "POLYGON 2.001 1 3 1 3 2 2.001 2", False),
            ("POLYGON 359 -1 1 -1 1 1 359 1", "CIRCLE ICRS 0 0 0.001", True),  # across RA 0
            ("POLYGON 0 89 90 89 180 89 270 89", "CIRCLE 45 90 0.001", True),  # around the pole
            ("POLYGON 0 89 90 89 180 89 270 89", "CIRCLE 45 -90 0.001", False),  # the other pole
            ("POLYGON 0 0 1 0 1 1 POLYGON 10 10 11 10 11 11", "CIRCLE 10.9 10.5 0.01", True),  # the second of two
            ("Union ICRS (Polygon 0 0 1 0 1 1, Circle 5 5 1)", "CIRCLE 5 5.5 0.01", True),
            ("POLYGON 0 0 4 0 4 4 2 1 0 4", "CIRCLE 2 3 0.1", False),  # in the notch
            ("POLYGON 0 0 4 0 4 4 2 1 0 4", "CIRCLE 0.3 3 0.1", True),
            ("CIRCLE 10 10 1", "CIRCLE 10 12.001 1", False),
            ("CIRCLE 10 10 1", "CIRCLE 10 11.999 1", True),
            ("garbage", "CIRCLE 10 12 1", False),
            ("POLYGON 1 2 3", "CIRCLE 1 2 1", False),
            (None, "CIRCLE 1 2 1", False),
        ],
    )  # fmt: skip
    def test_two_regions_meet_or_not(self, macros: Ask, one: str | None, other: str, meets: bool) -> None:
        table = pa.table({"n": [0], "a": pa.array([one], pa.string()), "b": [other]})
        assert macros(table, "footprints_overlap(a, b)") == ({0} if meets else set())
        assert macros(table, "footprints_overlap(b, a)") == ({0} if meets else set())

    def test_no_footprint_of_the_archive_stops_a_harvest(self, macros: Ask) -> None:
        chance = random.Random(11)
        texts = ["".join(chance.choices(GARBLED, k=chance.randrange(9))) for _ in range(5000)]
        table = pa.table({"n": range(len(texts)), "a": texts})
        macros(table, "region_circle(a) IS NULL")
        macros(table, "footprints_overlap(a, 'POLYGON 1 1 2 1 2 2 1 2')")

    def test_the_circle_about_a_footprint_holds_it(self, macros: Ask) -> None:
        chance = np.random.default_rng(10)
        polygons = [pair(chance)[0] for _ in range(300)]
        corners = [
            (n, ra, dec, one.region) for n, one in enumerate(polygons) for ra, dec in zip(*one.corners, strict=True)
        ]
        table = pa.table(dict(zip(("n", "ra", "dec", "a"), map(list, zip(*corners, strict=True)), strict=True)))
        outside = "separation(ra, dec, region_circle(a).ra, region_circle(a).dec) > region_circle(a).radius + 1e-9"
        assert macros(table, outside) == set()

    @pytest.mark.long
    def test_no_footprint_that_overlaps_is_passed_over(self, tmp_path: Path) -> None:
        chance = np.random.default_rng(12)
        harvested = [one.region for _ in range(150) for one in pair(chance)]
        asked = [other.region for _ in range(15) for other in pair(chance)]
        asked += [f"CIRCLE 0 {dec} {radius}" for dec in (-90, -1.0, 45.5) for radius in (0, 1, 90, 180)]
        with Database(tmp_path / "catalog.duckdb").write() as connection:
            connection.execute("CREATE TEMP TABLE harvested (s_region VARCHAR, since_run INTEGER)")
            connection.executemany("INSERT INTO harvested VALUES (?, 1)", [[region] for region in harvested])
            note_footprints(connection, "harvested", 1)
            found = 0
            for region in asked:
                quickly = connection.execute("FROM footprints_overlapping(?) ORDER BY ALL", [region]).fetchall()
                one_by_one = "SELECT s_region FROM footprints WHERE footprints_overlap(s_region, ?) ORDER BY ALL"
                assert quickly == connection.execute(one_by_one, [region]).fetchall(), region
                found += len(quickly)
        assert found > 500


@pytest.fixture(scope="session")
def macros(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Ask which rows of a table, by column n, a condition with the catalog's macros holds for."""
    database = Database(tmp_path_factory.mktemp("sky") / "catalog.duckdb")
    with database.write():
        pass

    def ask(table: pa.Table, condition: str, values: object = ()) -> set[int]:
        with database.read() as connection:
            connection.register("mine", table)
            return {n for (n,) in connection.execute(f"SELECT n FROM mine WHERE {condition}", values).fetchall()}

    return ask


def around(
    chance: np.random.Generator, ra: float, dec: float, radius: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scatter points about a place, half of them within the radius."""
    far = np.radians(np.minimum(radius * chance.uniform(0, 2, count), 180))
    return toward(ra, dec, chance.uniform(0, 2 * np.pi, count), far)


def toward(ra: float, dec: float, angle: np.ndarray, far: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go from a place along great circles; the SkyOffset formula."""
    at = math.radians(dec)
    end = np.arcsin(np.clip(np.sin(at) * np.cos(far) + np.cos(at) * np.sin(far) * np.cos(angle), -1, 1))
    turn = np.arctan2(np.sin(angle) * np.sin(far) * np.cos(at), np.cos(far) - np.sin(at) * np.sin(end))
    return (ra + np.degrees(turn)) % 360, np.degrees(end)


class Star:
    """A polygon, not always convex, that sees its middle from everywhere."""

    def __init__(self, chance: np.random.Generator, ra: float, dec: float, size: float) -> None:
        self.ra, self.dec, self.size = ra, dec, size
        count = chance.integers(3, 9)
        angle = np.sort(np.arange(count) * 2 * np.pi / count + chance.uniform(0, np.pi / count, count))
        self.corners = toward(ra, dec, angle, np.radians(size * chance.uniform(0.4, 1, count)))

    @property
    def region(self) -> str:
        return "POLYGON ICRS " + " ".join(f"{ra:.12f} {dec:.12f}" for ra, dec in zip(*self.corners, strict=True))

    @property
    def polygon(self) -> SphericalPolygon:
        closed = [np.append(one, one[0]) for one in self.corners]
        return SphericalPolygon.from_radec(*closed, center=(self.ra, self.dec))


def pair(chance: np.random.Generator) -> tuple[Star, Star]:
    """Two polygons near each other, from arcseconds to many degrees, anywhere and at the poles."""
    size = 10 ** chance.uniform(-2.5, 1.2)
    ra, dec = chance.uniform(0, 360), float(chance.choice([chance.uniform(-90, 90), 89.99, -89.9, 0.0]))
    other = toward(ra, dec, chance.uniform(0, 2 * np.pi, 1), np.radians(size * chance.uniform(0, 2.2, 1)))
    return Star(chance, ra, dec, size), Star(
        chance, float(other[0][0]), float(other[1][0]), size * chance.uniform(0.3, 1)
    )


def nearest_point(ra: float, dec: float, star: Star) -> float:
    """Degrees from a place to a polygon: none from within it, else to the nearest of many points of its sides."""
    place = SkyCoord(ra, dec, unit="deg")
    if star.polygon.contains_point(place.cartesian.xyz.value):
        return 0.0
    corners = SkyCoord(*star.corners, unit="deg").cartesian.xyz.value.T
    steps = np.linspace(0, 1, 400)[:, None]
    sides = np.concatenate(
        [(1 - steps) * a + steps * b for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    )
    sides /= np.linalg.norm(sides, axis=1)[:, None]
    return float(np.degrees(2 * np.arcsin(np.linalg.norm(sides - place.cartesian.xyz.value, axis=1).min() / 2)))


class TestCommand:
    """``mastlake find``."""

    def test_explain_prints_what_sql_takes(self, mastlake: Command, lake: Database) -> None:
        words = ["-k", "exp_type=NIS_SOSS,NRS_BRIGHTOBJ", "--cone", "wasp-39,1m", "--pi", "Batalha"]
        explained = mastlake("find", *words, "--footprint", "wasp-39,1s", "--since", "2022-01-01", "--explain")
        assert explained.code == 0, explained.err
        assert "lower(exp_type) IN ('nis_soss', 'nrs_brightobj')" in explained.out
        assert "separation(targ_ra, targ_dec, 217.32663, -3.4445)" in explained.out
        answer = mastlake("sql", explained.out, "--format", "json")
        assert {row["filename"] for row in answer.json} == {SOSS, NRS}

    def test_a_quote_in_a_name_stays_a_quote(self, mastlake: Command, lake: Database) -> None:
        explained = mastlake("find", "--target", "Barnard's; DROP TABLE runs", "--explain")
        assert mastlake("sql", explained.out, "--format", "json").json == []

    def test_every_format_has_all_columns(self, mastlake: Command, lake: Database, tmp_path: Path) -> None:
        assert {"targ_ra", "s_region"} <= set(mastlake("find", "--json").json[0])
        assert "targ_ra" in mastlake("find", "--format", "csv").out.splitlines()[0]
        assert mastlake("find", "-o", tmp_path / "x.ecsv").code == 0
        assert "targ_ra" in (tmp_path / "x.ecsv").read_text()
        table = mastlake("find", "--target", "ngc6543")
        assert "NGC 6543" in table.out
        assert "1 file" in table.err

    def test_criteria_are_checked_before_a_catalog_is_there(self, mastlake: Command) -> None:
        assert mastlake("find", "--cone", "1,2").code == 2
        assert mastlake("find", "-k", "exp_type=NIS_SOSS").code == 1
        assert "lower(exp_type)" in mastlake("find", "-k", "exp_type=NIS_SOSS", "--explain").out
