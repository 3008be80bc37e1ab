"""The keywords of MAST from Python, and the values that they have in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase

if TYPE_CHECKING:
    from catalog.questions.keyword_matches import KeywordMatches
    from catalog.questions.keyword_values import KeywordValues
    from catalog.vocabulary.keywords import Keyword


class Keywords(CatalogBase):
    """The part of a `mastlake.Catalog` that knows the keyword dictionary."""

    def keyword(self, name: str) -> Keyword:
        """Look one keyword up in the dictionary.

        Parameters
        ----------
        name : str
            MAST's spelling, or the FITS keyword.

        Returns
        -------
        catalog.vocabulary.keywords.Keyword
            The keyword with type, unit, meaning and allowed values.

        Raises
        ------
        UnknownKeyword
            If there is no such keyword; the error names the nearest one.

        Examples
        --------
        >>> catalog.keyword("EXP_TYPE").name
        'exp_type'
        """
        from catalog.vocabulary.keywords import lookup

        return lookup(name)

    def observation_columns(self, pattern: str) -> list[Keyword]:
        """Search the columns of CAOM observations, for which ``harvest --observations`` can ask.

        Parameters
        ----------
        pattern : str
            Words; name and meaning of a column together must have all of them.

        Returns
        -------
        list of catalog.vocabulary.keywords.Keyword
            Keywords with type, unit, meaning and allowed values.

        Examples
        --------
        >>> [column.name for column in catalog.observation_columns("t_exptime")]
        ['t_exptime']
        """
        from catalog.vocabulary.observation_columns import matching_columns

        return matching_columns(pattern)

    def keywords(self, pattern: str = "", instrument: str | None = None) -> list[Keyword]:
        """Search the keyword dictionary.

        Parameters
        ----------
        pattern : str
            A part of a name, of a FITS keyword or of a meaning; by default, all keywords.
        instrument : str, optional
            Only keywords that the search of this instrument has.

        Returns
        -------
        list of catalog.vocabulary.keywords.Keyword
            Keywords with type, unit, meaning and allowed values.

        Examples
        --------
        >>> [keyword.name for keyword in catalog.keywords("effexptm")]
        ['effexptm']
        """
        from catalog.vocabulary.keywords import matching

        return [
            keyword for keyword in matching(pattern) if instrument is None or instrument.lower() in keyword.instruments
        ]

    def look_up(self, pattern: str = "") -> KeywordMatches:
        """Look a pattern up in the dictionary and among the columns of observations, and count values.

        Parameters
        ----------
        pattern : str
            A part of a name, of a FITS keyword or of a meaning; by default, all keywords.

        Returns
        -------
        catalog.questions.keyword_matches.KeywordMatches
            Keywords, columns, and the values of a keyword that is named in full.

        Raises
        ------
        CatalogError
            If the catalog cannot be read.

        Examples
        --------
        >>> catalog.look_up("exp_type").values["exp_type"].files > 0
        True
        """
        from catalog.questions.keyword_matches import keyword_matches

        return keyword_matches(self._database, pattern)

    def keyword_values(self, keyword: str, most: int = 20) -> KeywordValues:
        """Count the values of a keyword among the files that the catalog has.

        Parameters
        ----------
        keyword : str
            MAST's spelling, or the FITS keyword.
        most : int
            How many of the values to return, the most frequent first.

        Returns
        -------
        catalog.questions.keyword_values.KeywordValues
            The values with their counts, and how many others there are.

        Raises
        ------
        UnknownKeyword
            If there is no such keyword (the error names the nearest one), or no harvested file has it.

        Examples
        --------
        >>> catalog.keyword_values("INSTRUME").values[0][0]
        'NIRISS'
        """
        from catalog.questions.keyword_values import keyword_values

        return keyword_values(self._database, keyword, most)
