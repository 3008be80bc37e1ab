"""The facts about a mission that the rest of the package needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """A column by which a search can be split, and the range of its values.

    Attributes
    ----------
    column : str
        The column; it has numbers and no nulls.
    low, high : float
        All values are between these.
    step : float
        Values with a smaller difference count as equal.
    likely : tuple of float, optional
        The range of nearly all values; finding it by halving would take many questions.
    """

    column: str
    low: float
    high: float
    step: float
    likely: tuple[float, float] | None = None


@dataclass(frozen=True)
class Mission:
    """One mission, as the archive serves it.

    Attributes
    ----------
    collection : str
        The ``obs_collection`` of the mission in CAOM.
    services : mapping of str to str
        The name of the archive's keyword service, by instrument.
    filename_columns : mapping of str to str
        The service's name of the column ``filename``, by instrument, if it is another.
    uri_prefix : str
        The text before a file's name in its data URI.
    ingest_column : str
        The keyword that tells when the archive took a file in (MJD, UTC); it changes when a file is processed again.
    file_cuts, observation_cuts : tuple of Cut
        Columns by which files and observations can be split, in the order in which they are tried.
    name_rules : mapping of str to str
        Macros that read file names: SQL by the head of the macro, like ``program_of(name)``.
    """

    collection: str
    services: Mapping[str, str]
    filename_columns: Mapping[str, str]
    uri_prefix: str
    ingest_column: str
    file_cuts: tuple[Cut, ...]
    observation_cuts: tuple[Cut, ...]
    name_rules: Mapping[str, str]

    def filename_column(self, instrument: str | None) -> str:
        """Return the name that the service of an instrument gives to the column ``filename``.

        Examples
        --------
        >>> from catalog.missions import JWST
        >>> JWST.filename_column("niriss"), JWST.filename_column("guidestar")
        ('filename', 'fileName')
        """
        return self.filename_columns.get(instrument or "", "filename")
