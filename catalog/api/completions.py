"""Names that a shell or an editor can offer while a person types."""

from __future__ import annotations

from catalog.api.catalog_base import CatalogBase


class Completions(CatalogBase):
    """The part of a `mastlake.Catalog` that completes names."""

    def completions(self, what: str, begun: str = "") -> dict[str, str]:
        """Return names of one kind, each with a short explanation.

        Parameters
        ----------
        what : str
            ``searches``, ``targets``, ``local files`` or ``previews``.
        begun : str
            The beginning of ``local files`` or ``previews``.

        Returns
        -------
        dict of str to str
            Empty if the catalog cannot be read at once.

        Examples
        --------
        >>> catalog.completions("searches")
        {'soss': 'niriss'}
        """
        from catalog.questions.completions import completions

        return completions(self._database, what, begun)

    def value_counts(self, column: str, view: str = "files") -> dict[str, str]:
        """Return the values of a column, each with the number of rows that have it.

        Parameters
        ----------
        column, view : str
            ``files`` or ``products``, and a column of it.

        Returns
        -------
        dict of str to str
            The most frequent values first; empty if the catalog cannot be read at once.

        Examples
        --------
        >>> list(catalog.value_counts("instrument"))
        ['niriss']
        """
        from catalog.questions.completions import value_counts

        return value_counts(self._database, column, view)
