"""The typed columns of `headers`: the archive's keywords, with the values in the headers of files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from catalog.store.database import quoted
from catalog.store.history.versions import FILES, name_in_catalog
from catalog.vocabulary.keywords import all_archive_columns, dictionary

TIME_OF_DAY = {"DATE-OBS": "TIME-OBS"}
"""A date whose time is in another keyword; the archive joins the two."""

_TYPES = {"int": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "date": "TIMESTAMP"}
_TAKEN = {"file_id", "path", "filename"}  # the name of a file is its name on disk


@dataclass(frozen=True)
class HeaderColumn:
    """One column of `headers`.

    Attributes
    ----------
    name : str
        The name, as in `files`.
    fits_keyword : str
        The FITS keyword that has the value.
    type : str
        The DuckDB type, as in `files`.
    """

    name: str
    fits_keyword: str
    type: str

    def expression(self, present: set[str]) -> str:
        """Return SQL that makes the column from text columns with the names of FITS keywords."""
        text = quoted(self.fits_keyword)
        is_mjd = self.type == "DOUBLE" and self.name.endswith("_mjd")
        if self.type == "TIMESTAMP" or is_mjd:
            clock = TIME_OF_DAY.get(self.fits_keyword)
            if clock in present:
                text = f"CASE WHEN length({text}) = 10 THEN concat_ws('T', {text}, {quoted(clock)}) ELSE {text} END"
            if is_mjd:
                days = f"epoch_us({_moment(text)}) / 86400e6 + 40587"
                return f"coalesce(TRY_CAST({quoted(self.fits_keyword)} AS DOUBLE), {days})"
            return _moment(text)
        if self.type == "BIGINT":  # a cast would round a fraction silently
            return f"CASE WHEN TRY_CAST({text} AS DOUBLE) % 1 = 0 THEN TRY_CAST({text} AS BIGINT) END"
        return text if self.type == "VARCHAR" else f"TRY_CAST({text} AS {self.type})"


def _moment(text: str) -> str:
    """Return SQL that makes a TIMESTAMP of a date and time.

    A TIMESTAMP cannot be in a leap second. Such a time becomes the last microsecond before it, on the same day.
    """
    before = f"regexp_replace({text}, ':60(\\.[0-9]*)?', ':59.999999')"
    return f"coalesce(TRY_CAST({text} AS TIMESTAMP), TRY_CAST({before} AS TIMESTAMP))"


@lru_cache(maxsize=1)
def header_columns() -> tuple[HeaderColumn, ...]:
    """All keywords of the archive that headers have.

    Examples
    --------
    >>> [column for column in header_columns() if column.name == "cal_ver"]
    [HeaderColumn(name='cal_ver', fits_keyword='CAL_VER', type='VARCHAR')]
    """
    words = dictionary()
    columns: dict[str, HeaderColumn] = {}
    for column in all_archive_columns():
        keyword = words[column.name].fits_keyword
        name = name_in_catalog(FILES, column.name)
        if keyword is None or name.lower() in _TAKEN | columns.keys():
            continue
        kind = "BOOLEAN" if column.flag else _TYPES.get(column.type, "VARCHAR")
        columns[name.lower()] = HeaderColumn(name, keyword, kind)
    return tuple(columns.values())


@lru_cache(maxsize=1)
def wanted_keywords() -> tuple[str, ...]:
    """The FITS keywords from which the columns are made.

    Examples
    --------
    >>> "TIME-OBS" in wanted_keywords()
    True
    """
    keywords = [column.fits_keyword for column in header_columns()]
    return tuple(dict.fromkeys([*keywords, *TIME_OF_DAY.values()]))
