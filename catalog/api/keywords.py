"""The words that MAST can be searched by, from Python, and the values that they have in the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase

if TYPE_CHECKING:
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
            With type, unit, meaning and allowed values.

        Raises
        ------
        UnknownKeyword
            If there is none, with the nearest.

        Examples
        --------
        >>> catalog.keyword("EXP_TYPE").name
        'exp_type'
        """
        from catalog.vocabulary.keywords import lookup

        return lookup(name)

    def observation_columns(self, pattern: str) -> list[Keyword]:
        """Look words up among the columns of CAOM observations, by which ``harvest --observations`` asks.

        Parameters
        ----------
        pattern : str
            Words that the name and the meaning of a column have together.

        Returns
        -------
        list of catalog.vocabulary.keywords.Keyword
            With type, unit, meaning and allowed values.

        Examples
        --------
        >>> [column.name for column in catalog.observation_columns("t_exptime")]
        ['t_exptime']
        """
        from catalog.vocabulary.observation_columns import matching_columns

        return matching_columns(pattern)

    def keywords(self, pattern: str = "", instrument: str | None = None) -> list[Keyword]:
        """Look words up in the keyword dictionary.

        Parameters
        ----------
        pattern : str
            A piece of a name, a FITS keyword or a meaning; all keywords unless given.
        instrument : str, optional
            Only keywords that its search has.

        Returns
        -------
        list of catalog.vocabulary.keywords.Keyword
            With type, unit, meaning and allowed values.

        Examples
        --------
        >>> [keyword.name for keyword in catalog.keywords("effexptm")]
        ['effexptm']
        """
        from catalog.vocabulary.keywords import matching

        return [one for one in matching(pattern) if instrument is None or instrument.lower() in one.instruments]

    def keyword_values(self, keyword: str, most: int = 20) -> KeywordValues:
        """Count the values of a keyword among the files that the catalog has.

        Parameters
        ----------
        keyword : str
            By MAST's spelling, or its FITS keyword.
        most : int
            How many of the values to return, the most frequent first.

        Returns
        -------
        catalog.questions.keyword_values.Present
            The values with their counts, and how many others there are.

        Raises
        ------
        UnknownKeyword
            For one that there is not, with the nearest; and for one that no harvested file has.

        Examples
        --------
        >>> catalog.keyword_values("INSTRUME").values[0][0]
        'NIRISS'
        """
        from catalog.questions.keyword_values import keyword_values

        return keyword_values(self._database, keyword, most)
