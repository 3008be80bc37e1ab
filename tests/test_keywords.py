"""The keyword dictionary."""

import pytest

from catalog.errors import UnknownKeyword
from catalog.keywords import SERVICES, archive_columns, dictionary, lookup, matching, nearest


@pytest.mark.parametrize("instrument", SERVICES)
def test_every_instrument_has_the_columns_that_a_harvest_relies_on(instrument: str) -> None:
    names = {column.name.lower() for column in archive_columns(instrument)}
    assert {"filename", "checksum", "isstale", "ingestcompletiondate_mjd", "datauri"} <= names


def test_niriss_has_all_206_columns_that_the_archive_lists_for_it() -> None:
    assert len(archive_columns("niriss")) >= 206


def test_a_keyword_is_found_by_its_own_or_its_fits_name_in_any_case() -> None:
    assert lookup("EXP_TYPE") is lookup("exp_type")
    assert lookup("DATE-OBS").fits_keyword == "DATE-OBS"


def test_the_dictionary_says_what_a_keyword_means_and_which_values_it_has() -> None:
    word = dictionary()["exp_type"]
    assert word.kind == "text"
    assert "NIS_SOSS" in word.allowed
    assert dictionary()["effexptm"].unit == "s"
    assert dictionary()["tsovisit"].kind == "boolean"
    assert dictionary()["date_obs_mjd"].kind == "time"


def test_an_unknown_keyword_is_refused_with_the_nearest_spelling() -> None:
    with pytest.raises(UnknownKeyword, match="'exp_type'"):
        lookup("exptype", "niriss")


def test_a_keyword_of_another_instrument_is_refused() -> None:
    with pytest.raises(UnknownKeyword, match="niriss"):
        lookup("coronmsk", "niriss")
    assert lookup("coronmsk", "miri").name == "coronmsk"


def test_matching_finds_by_meaning_and_puts_the_exact_name_first() -> None:
    assert matching("exp_type")[0].name == "exp_type"
    assert any(word.name == "targname" for word in matching("catalog name"))


def test_nothing_is_near_to_nonsense() -> None:
    assert nearest("qqqqqqq", ["exp_type"]) is None
