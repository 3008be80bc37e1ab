"""Criteria, and the filters they become."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue, UnknownKeyword, UsageError
from catalog.vocabulary.criteria import parse_criterion
from catalog.vocabulary.dates import iso, mjd
from catalog.vocabulary.search import Search


def filters(*written: str, instrument: str = "niriss") -> list[dict[str, object]]:
    return Search.parse("s", instrument, written).filters()


def test_the_tutorial_search_becomes_the_request_of_the_tutorial() -> None:
    found = filters("category=COM,ERS", "exp_type=NIS_SOSS", "tsovisit=T", "date_obs_mjd=2022-06-01..2022-08-04")
    assert found == [
        {"paramName": "category", "values": ["COM", "ERS"]},
        {"paramName": "exp_type", "values": ["NIS_SOSS"]},
        {"paramName": "tsovisit", "values": ["t"]},
        {"paramName": "date_obs_mjd", "values": [{"min": 59731.0, "max": 59795.0}]},
    ]


def test_a_range_open_at_one_end_reaches_beyond_every_value() -> None:
    (low,) = filters("nints=..100")
    (high,) = filters("nints=5..")
    assert low["values"] == [{"min": -1e15, "max": 100.0}]
    assert high["values"] == [{"min": 5.0, "max": 1e15}]


def test_a_date_keyword_is_asked_by_its_twin_in_mjd() -> None:
    (found,) = filters("date_obs=2022-06-01T12:00:00..2022-06-02")
    assert found == {"paramName": "date_obs_mjd", "values": [{"min": 59731.5, "max": 59732.0}]}


def test_one_day_means_the_whole_day() -> None:
    (found,) = filters("date_obs_mjd=2022-06-01")
    value: Any
    (value,) = found["values"]  # type: ignore[misc]
    assert value["min"] == 59731.0
    assert 59731.99999 < value["max"] < 59732.0


def test_an_mjd_can_be_given_as_a_number() -> None:
    assert filters("expstart=59731.5..59732") == [
        {"paramName": "expstart", "values": [{"min": 59731.5, "max": 59732.0}]}
    ]


def test_whole_numbers_travel_as_numbers_and_lists_of_them_as_lists() -> None:
    assert filters("program=1366,2734") == [{"paramName": "program", "values": [1366, 2734]}]


def test_a_star_is_a_wildcard_and_stands_beside_exact_values() -> None:
    assert filters("targname=WASP-*,HAT-P-18") == [
        {"paramName": "targname", "values": ["HAT-P-18"], "freeText": "WASP-%"}
    ]


def test_a_value_with_a_comma_stands_in_quotes() -> None:
    assert filters('pi_name="Batalha, Natalie"')[0]["values"] == ["Batalha, Natalie"]


def test_values_are_spelled_as_the_dictionary_spells_them() -> None:
    assert filters("exp_type=nis_soss")[0]["values"] == ["NIS_SOSS"]


def test_the_archives_own_booleans_travel_as_json_booleans() -> None:
    assert filters("isStale=f")[0]["values"] == [False]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("exp_type=NIS_SOS", "NIS_SOSS"),
        ("exp_type", "KEYWORD=VALUE"),
        ("exp_type=", "KEYWORD=VALUE"),
        ("=NIS_SOSS", "KEYWORD=VALUE"),
        ("category=COM,,ERS", "empty"),
        ("nints=a..b", "whole number"),
        ("nints=1.5", "whole number"),
        ("nints=9..3", "ends before"),
        ("nints=..", "at least one end"),
        ("nints=1...5", "whole number"),
        ("date_obs_mjd=2022-13-01", "not a date"),
        ("date_obs_mjd=yesterday", "a date like"),
        ("tsovisit=maybe", "true or false"),
        ("targname=A*,B*", "one wildcard"),
        ("effexptm=nan", "a number"),
        ("effexptm=inf..", "a number"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_line_that_helps(written: str, says: str) -> None:
    with pytest.raises(BadValue, match=says) as caught:
        filters(written)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_instrument_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadValue, match="'niriss'"):
        Search.parse("s", "niris", [])


def test_a_name_that_could_not_be_typed_back_is_refused() -> None:
    with pytest.raises(BadValue, match="cannot name"):
        Search.parse("../x", "niriss", [])


def test_a_keyword_of_another_instrument_is_refused_before_any_request() -> None:
    with pytest.raises(UnknownKeyword):
        filters("coronmsk=4QPM_1065")


@given(st.floats(min_value=50000, max_value=70000))
def test_mjd_and_iso_agree_to_the_second(value: float) -> None:
    assert abs(mjd(iso(value)) - value) <= 1.01 / 86400


@given(st.text(min_size=1))
def test_no_text_makes_parsing_crash(text: str) -> None:
    try:
        found = parse_criterion(text)
    except UsageError:
        return
    assert found.values or found.ranges or found.pattern


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_every_range_is_kept_as_written(first: int, second: int) -> None:
    low, high = sorted((first, second))
    (one,) = parse_criterion(f"nints={low}..{high}").ranges or ((),)
    if low != high:
        assert (one.low, one.high) == (low, high)  # type: ignore[union-attr]


def test_infinite_ends_never_reach_the_archive() -> None:
    for entry in filters("nints=5..", "effexptm=..2"):
        for value in entry["values"]:  # type: ignore[attr-defined]
            assert all(math.isfinite(end) for end in value.values())
