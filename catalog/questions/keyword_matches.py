"""Everything that a word finds in the keyword dictionary, with the values that the catalog has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from catalog.errors import UnknownKeyword
from catalog.questions.keyword_values import KeywordValues, keyword_values
from catalog.store.database import Database
from catalog.vocabulary.keywords import Keyword, lookup, matching
from catalog.vocabulary.observation_columns import matching_columns


@dataclass(frozen=True)
class KeywordMatches:
    """The entries of the dictionary for a pattern.

    Attributes
    ----------
    pattern : str
        The pattern that was looked up.
    keywords : list of Keyword
        The keywords that match, the best matches first.
    columns : list of Keyword
        The columns of observations that match.
    values : mapping of str to KeywordValues or None
        For each keyword that has the pattern as its name: its values in the catalog; None if no harvested file has it.
    """

    pattern: str
    keywords: list[Keyword]
    columns: list[Keyword]
    values: Mapping[str, KeywordValues | None]

    def nothing(self) -> UnknownKeyword:
        """Return the error to raise if no keyword matches; it names the nearest keyword, if there is one."""
        try:
            lookup(self.pattern)
        except UnknownKeyword as error:
            return error
        return UnknownKeyword(f"no keyword like {self.pattern!r}")


def keyword_matches(database: Database, pattern: str) -> KeywordMatches:
    """Look a pattern up in the dictionary, and count the values of a keyword that is named in full.

    The dictionary needs no catalog; without one, there are no counts.

    Raises
    ------
    CatalogError
        If the catalog cannot be read.
    """
    keywords = matching(pattern)
    exact = [word for word in keywords if pattern.lower() in (word.name.lower(), (word.fits_keyword or "").lower())]
    values = {word.name: _values_or_none(database, word.name) for word in exact}
    return KeywordMatches(pattern, keywords, matching_columns(pattern), values)


def _values_or_none(database: Database, name: str) -> KeywordValues | None:
    if not database.exists():
        return None
    try:
        return keyword_values(database, name)
    except UnknownKeyword:
        return None
