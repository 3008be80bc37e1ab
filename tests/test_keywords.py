"""The keyword dictionary."""

import pyarrow as pa
import pytest

from catalog.errors import UnknownKeyword
from catalog.missions import JWST
from catalog.questions.keyword_values import keyword_values
from catalog.store.database import Database
from catalog.text import nearest
from catalog.vocabulary.keywords import archive_columns, dictionary, lookup, matching

from .conftest import Command
from .test_find import fill


@pytest.mark.parametrize("instrument", JWST.services)
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


def test_every_word_of_a_pattern_counts_in_any_order() -> None:
    assert "expstart" in {word.name for word in matching("start exposure")}
    assert matching("exposure lemon") == []
    assert next(word.name for word in matching("targ_r")) == "targ_ra"


def test_the_dictionary_says_where_a_keyword_stands_in_the_file() -> None:
    assert dictionary()["exp_type"].hdu == "PRIMARY"
    assert dictionary()["s_region"].hdu == "SCI"
    assert dictionary()["dataURI"].hdu is None


def test_columns_of_the_archive_alone_are_explained_too() -> None:
    assert dictionary()["checksum"].meaning
    assert dictionary()["fileSize"].unit == "byte"
    assert dictionary()["ingestCompletionDate_mjd"].unit == "d"
    assert len([word for word in dictionary().values() if not word.meaning]) < 10


@pytest.fixture
def lake(database: Database) -> Database:
    rows = [
        {
            "filename": f"{number}.fits",
            "exp_type": kind,
            "effexptm": number + 0.5,
            "si_obs_id": "V013",
            "tsovisit": True,
        }
        for number, kind in enumerate(["NIS_SOSS"] * 3 + ["NIS_AMI"] * 30 + [None])
    ]
    return fill(database, pa.Table.from_pylist(rows))


def test_values_in_the_catalog_are_counted(lake: Database) -> None:
    found = keyword_values(lake, "EXP_TYPE")
    assert (found.files, found.without, found.distinct) == (33, 1, 2)
    assert found.values == (("NIS_AMI", 30), ("NIS_SOSS", 3))
    numbers = keyword_values(lake, "effexptm", most=5)
    assert (numbers.low, numbers.high, numbers.distinct, len(numbers.values)) == (0.5, 33.5, 34, 5)
    assert keyword_values(lake, "obs_id").values == (("V013", 34),)
    with pytest.raises(UnknownKeyword, match="no harvested file has detector"):
        keyword_values(lake, "detector")
    with pytest.raises(UnknownKeyword, match="did you mean 'exp_type'"):
        keyword_values(lake, "exptype")


def test_the_command_shows_all_there_is_to_say_of_a_keyword(mastlake: Command, lake: Database) -> None:
    lines = mastlake("keywords", "EXP_TYPE").out.splitlines()
    assert lines[0] == "exp_type: Type of data in the exposure"
    assert "  header    EXP_TYPE in the primary header" in lines
    assert "  catalog   33 files with 2 values, 1 without" in lines
    assert "            NIS_AMI   30" in lines
    assert "from 0.5 to 33.5; most frequent:" in mastlake("keywords", "effexptm").out
    assert "number, s" in mastlake("keywords", "effexptm").out
    assert "no harvested file has it" in mastlake("keywords", "detector").out
    (word,) = (one for one in mastlake("keywords", "exp_type", "--json").json if one["name"] == "exp_type")
    assert word["present"]["values"][0] == ["NIS_AMI", 30]
    assert mastlake("keywords", "lemonade").code == 2


def test_the_dictionary_can_be_asked_in_sql(lake: Database, mastlake: Command) -> None:
    outcome = mastlake("sql", "SELECT hdu FROM keywords WHERE name = 's_region'", "--format", "json")
    assert outcome.json == [{"hdu": "SCI"}]
