"""The values that a keyword has in the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.errors import UnknownKeyword
from catalog.store.database import Database, columns_of, quoted
from catalog.store.history.versions import FILES, name_in_catalog
from catalog.vocabulary.keywords import lookup


@dataclass(frozen=True)
class KeywordValues:
    """The values of one keyword among the files that the catalog has now.

    Attributes
    ----------
    keyword : str
        The name of the keyword.
    files : int
        How many files have a value.
    without : int
        How many files have no value.
    distinct : int
        How many different values there are.
    low, high : object
        The least and the greatest value; None if there are no values.
    values : tuple of (value, files)
        The most frequent values, each with its number of files.
    """

    keyword: str
    files: int
    without: int
    distinct: int
    low: object
    high: object
    values: tuple[tuple[object, int], ...]


def keyword_values(database: Database, name: str, most: int = 20) -> KeywordValues:
    """Count the values of a keyword in the catalog.

    Parameters
    ----------
    database : Database
        A catalog.
    name : str
        The keyword, by MAST's spelling or its FITS keyword.
    most : int
        How many of the values to return.

    Raises
    ------
    UnknownKeyword
        If there is no such keyword (the error names the nearest one), or no harvested file has it.
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    keyword = lookup(name).name
    column = name_in_catalog(FILES, keyword) if keyword == "obs_id" else keyword
    with database.read() as connection:
        if column.lower() not in {existing.lower() for existing in columns_of(connection, "files")}:
            raise UnknownKeyword(f"no harvested file has {keyword}")
        value = quoted(column)
        counts = connection.execute(
            f"""SELECT count({value}), count(*) - count({value}), count(DISTINCT {value}), min({value}), max({value})
                FROM files"""
        ).fetchone()
        values = connection.execute(
            f"""SELECT {value}, count(*) AS files FROM files WHERE {value} IS NOT NULL
                GROUP BY ALL ORDER BY files DESC, 1 LIMIT ?""",
            [most],
        ).fetchall()
    assert counts is not None
    files, without, distinct, low, high = counts
    return KeywordValues(keyword, files, without, distinct, low, high, tuple((value, count) for value, count in values))
