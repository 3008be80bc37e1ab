"""The facts about a mission that the rest of the package would otherwise take for granted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """A column by which a search can be split, and where its values lie.

    Attributes
    ----------
    column : str
        A number, never null.
    low, high : float
        Every value lies between.
    step : float
        Values nearer than this count as one.
    likely : tuple of float, optional
        Where nearly all values lie; narrowing down to it by halves would take many questions.
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
        Its ``obs_collection`` in CAOM.
    services : mapping of str to str
        Instrument to the name of the archive's keyword service.
    filename_columns : mapping of str to str
        Instrument to its service's spelling of the column ``filename``, where it differs.
    uri_prefix : str
        What stands before a file's name in its data URI.
    ingest_column : str
        The keyword that tells when the archive had taken a file in (MJD, UTC); it moves when a file is processed again.
    file_cuts, observation_cuts : tuple of Cut
        Columns by which files and observations are split, tried in order.
    name_rules : mapping of str to str
        Macros that read file names: the head of each, like ``program_of(name)``, and its SQL.
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
        """Return how the service of an instrument spells the column ``filename``.

        Examples
        --------
        >>> from catalog.missions import JWST
        >>> JWST.filename_column("niriss"), JWST.filename_column("guidestar")
        ('filename', 'fileName')
        """
        return self.filename_columns.get(instrument or "", "filename")
