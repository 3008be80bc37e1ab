"""Coordinates, dates, names and sizes as people paste and type them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.config.sizes import bytes_of
from catalog.errors import BadValue
from catalog.questions.find import Criteria, statement
from catalog.questions.sky_places import plain_name
from catalog.store.database import Database
from catalog.store.history.runs import save_search, saved_search
from catalog.vocabulary.cone import Cone, plain_signs
from catalog.vocabulary.criteria import parse_criterion, parse_observation_criterion
from catalog.vocabulary.dates import DAY, MJD_EPOCH, mjd, period, read_moment
from catalog.vocabulary.search import Search

MINUS = ["-", "\u2212", "\u2013", "\u2010", "\u2011", "\ufe63", "\uff0d"]


class TestCones:
    @pytest.mark.parametrize("minus", MINUS)
    @pytest.mark.parametrize(
        "dec", ["47.36", "47.36d", "47.36\u00b0", "47.36\u00ba", "47.36 deg", "47d21m36s", "47:21:36",
         "47\u00b021\u203236\u2033",
         "47\u00a021\u00a036"],
    )  # fmt: skip
    def test_a_right_ascension_in_degrees_stays_in_degrees_however_the_declination_is_written(
        self, minus: str, dec: str
    ) -> None:
        for text in (f"1.0464,{minus}{dec},5s", f"1.0464d,{minus}{dec},5s", f"1.0464\u00b0 , {minus}{dec} , 5\u2033"):
            cone = Cone.parse(text)
            assert (cone.ra, cone.dec) == pytest.approx((1.0464, -47.36), abs=1e-9), text
            assert cone.radius == pytest.approx(5 / 3600)

    @pytest.mark.parametrize("ra", ["00:04:11.136", "0h4m11.136s", "00 04 11.136", "0.06976h", "1d2m47.04s"])
    def test_sexagesimal_right_ascensions_are_hours_unless_they_say_degrees(self, ra: str) -> None:
        cone = Cone.parse(f"{ra},\u221247.36,5s")
        assert (cone.ra, cone.dec) == pytest.approx((1.0464, -47.36), abs=1e-7)

    @given(
        st.floats(0, 360),
        st.floats(-90, 90),
        st.floats(1e-6, 180),
        st.sampled_from(MINUS),
    )
    def test_a_cone_reads_what_it_writes(self, ra: float, dec: float, radius: float, minus: str) -> None:
        cone = Cone(ra, dec, radius)
        assert Cone.parse(str(cone)) == cone
        assert Cone.parse(f"{ra!r},{minus if math.copysign(1, dec) < 0 else ''}{abs(dec)!r},{radius!r}d") == cone

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("361,5,3s", "0 to 360"),
            ("-1,5,3s", "0 to 360"),
            ("25h,5,3s", "0 to 360"),
            ("1,91,3s", "-90 to 90"),
            ("1,2,30", "30s, 30m or 30d"),
            ("1,2,0.5", "needs a unit"),
            ("1,2,3 pc", "not a radius"),
            ("1e999,2,3s", "RA,DEC,RADIUS"),
        ],
    )
    def test_a_wrong_cone_is_told_what_is_right(self, text: str, says: str) -> None:
        with pytest.raises(BadValue, match=says):
            Cone.parse(text)

    def test_a_saved_cone_stays_the_same_search(self, database: Database) -> None:
        search = Search.observations("near", [], "1.046,-47.361,30s")
        with database.write() as connection:
            save_search(connection, search)
            save_search(connection, search)
            assert connection.execute("SELECT cone FROM searches").fetchall() == [
                ("1.046,-47.361,0.008333333333333333",)
            ]
            assert saved_search(connection, "near").search == search


class TestDates:
    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("2022-07-01", 59761.0),
            ("2022-07", 59761.0),
            ("2022/07/01", 59761.0),
            ("2022/7/1", 59761.0),
            ("20220701", 59761.0),
            ("2022", 59580.0),
            ("2022-07-01T12:00:00", 59761.5),
            ("2022-07-01 12:00", 59761.5),
            ("2022/07/01 12:00", 59761.5),
            ("2022-07-01T12:00:00Z", 59761.5),
            ("2022-07-01T14:00+02:00", 59761.5),
            ("59761.5", 59761.5),
        ],
    )
    def test_a_moment_is_read_as_it_is_written(self, text: str, day: float) -> None:
        assert mjd(text) == day
        assert read_moment(text, "--since") == day
        assert statement(Criteria(since=text))[1] == [day]

    @pytest.mark.parametrize(("text", "days"), [("7d", 7), ("36h", 1.5), ("2w", 14), ("0.5d", 0.5), ("1y", 365.25)])
    def test_how_long_ago_counts_from_now(self, text: str, days: float) -> None:
        before = (datetime.now(UTC) - MJD_EPOCH) / DAY
        when = read_moment(text, "--since")
        after = (datetime.now(UTC) - MJD_EPOCH) / DAY
        assert before <= when + days <= after + 1e-9

    @pytest.mark.parametrize(
        "text",
        ["June", "2022-13", "2022-06-31", "20221301", "202206", "2459731.5", "1e9", "1e400", "-1e300", "7", "d7", ""],
    )
    def test_what_is_no_date_of_these_times_is_refused(self, text: str) -> None:
        if text != "7":  # MJD 7 is a day in 1858, which broken headers have
            with pytest.raises(BadValue, match="like 2022-06-01"):
                read_moment(text, "--since")

    def test_a_julian_date_is_told_its_mjd(self) -> None:
        with pytest.raises(BadValue, match="MJD 59731"):
            mjd("2459731.5")

    @pytest.mark.parametrize(
        ("text", "low", "high"),
        [("2022", 59580, 59945), ("2022-06", 59731, 59761), ("20220601", 59731, 59732), ("2022/06/01", 59731, 59732)],
    )
    def test_a_year_a_month_and_a_day_are_all_of_it(self, text: str, low: int, high: int) -> None:
        (whole,) = parse_criterion(f"date_obs={text}").ranges
        assert whole.low == low
        assert high - 1e-7 < whole.high < high
        assert parse_observation_criterion(f"t_min={text}").ranges == (whole,)

    def test_the_end_of_a_range_is_a_day(self) -> None:
        with pytest.raises(BadValue, match=r"write \.\.2022-08-01 or \.\.2022-08-31"):
            parse_criterion("date_obs=2022-06..2022-08")
        assert parse_criterion("date_obs=2022-06..2022-08-04").ranges == parse_criterion("date_obs=59731..59795").ranges

    @given(st.dates(datetime(1900, 1, 1).date(), datetime(2099, 12, 30).date()))
    def test_a_day_is_the_same_in_every_spelling(self, day: object) -> None:
        text = str(day)
        begins = mjd(text)
        assert mjd(text.replace("-", "/")) == mjd(text.replace("-", "")) == begins
        assert period(text) == (begins, begins + 1)

    @pytest.mark.parametrize(("since", "until"), [("2022-08", "2022-07"), ("2022-07-01", "2022-07-01"), ("7d", "8d")])
    def test_a_reversed_span_is_refused(self, since: str, until: str) -> None:
        with pytest.raises(BadValue, match="is not after --since"):
            statement(Criteria(since=since, until=until))


@pytest.mark.parametrize("dash", MINUS)
def test_a_target_is_compared_without_dashes_of_any_kind(dash: str) -> None:
    assert plain_name(f"WASP{dash}39") == plain_name("wasp 39") == plain_name("WASP_39")
    assert statement(Criteria(target=f"WASP{dash}39"))[1] == ["wasp39", "wasp39"] or statement(
        Criteria(target=f"WASP{dash}39")
    )[1] == ["wasp39"]
    assert plain_signs(dash) == "-"


@pytest.mark.parametrize("text", ["0", "-5", "0M", "-1G", "", "big", "1e3", "nan", "5 parsec", "1Gi"])
def test_a_size_of_nothing_or_less_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match=r"--limit-rate: .* is not a size like"):
        bytes_of(text, "--limit-rate")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        *(("500M", 500_000_000), ("1.5k", 1500), ("2 GB", 2 * 10**9), ("20M/s", 20_000_000), ("7", 7)),
        *(("1GiB", 2**30), ("1.5 KiB/s", 1536)),
    ],
)
def test_a_size_is_read_with_its_unit(text: str, count: int) -> None:
    assert bytes_of(text) == count


class TestSearches:
    """What can only be a mistake is refused where it is typed, and read where it was saved."""

    @pytest.mark.parametrize(
        ("criteria", "says"),
        [
            (["exp_type=NIS_SOSS", "exp_type=NIS_AMI"], "exp_type=NIS_SOSS,NIS_AMI"),
            (["date_obs=2022-06", "date_obs_mjd=2023-06"], "nothing in common"),
            (["nints=1..5", "nints=7.."], "nothing in common"),
        ],
    )
    def test_one_keyword_twice_that_no_file_can_have(self, database: Database, criteria: list[str], says: str) -> None:
        with pytest.raises(BadValue, match=says):
            Search.parse("s", "niriss", criteria)
        with pytest.raises(BadValue, match=says):
            statement(Criteria(tuple(criteria)))
        kept = Search.parse("s", "niriss", criteria, typed=False)
        with database.write() as connection:
            save_search(connection, kept)
            assert saved_search(connection, "s").search == kept

    def test_one_keyword_twice_that_a_file_can_have(self) -> None:
        assert Search.parse("s", "niriss", ["nints=1..5", "nints=3.."])
        assert statement(Criteria(("filename=*nis*", "filename=*x1d*")))

    def test_a_program_may_have_the_zeros_of_file_names(self) -> None:
        assert parse_observation_criterion("proposal_id=01366,2734").values == ("1366", "2734")
        assert parse_criterion("program=01366").values == (1366,)

    def test_an_instrument_without_its_mode_is_refused_for_observations(self) -> None:
        with pytest.raises(BadValue, match=r"instrument_name=NIRISS\*"):
            Search.observations("s", ["instrument_name=niriss"])
        assert Search.observations("s", ["instrument_name=NIRISS*"])
        assert Search.observations("s", ["instrument_name=niriss"], typed=False)
