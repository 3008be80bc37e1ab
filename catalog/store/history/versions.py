"""The tables that hold versions of the archive's rows: their names, keys and own columns."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.missions import JWST
from catalog.store.sql import literal
from catalog.vocabulary import spelling


@dataclass(frozen=True)
class Versions:
    """A table of versions of the archive's rows.

    Attributes
    ----------
    table : str
        The name of the table.
    key : str
        The column that names a row.
    what : str
        The word for one row in `changes`.
    own : tuple of str
        Columns that are the catalog's own; `catalog.vocabulary.spelling` gives the archive's columns other names.
    extra : tuple of str
        Those of the own columns whose value is the same for all rows of a merge.
    newest : str or None
        The column that tells which of several rows with one key is the newest.
    laid : tuple of (str, int)
        Columns by which rows are sorted when they are stored, each in steps of this width; see `in_storage_order`.
    mission : str
        The mission of these rows, as CAOM calls it; the same table may have rows of other missions.
    """

    table: str
    key: str
    what: str
    own: tuple[str, ...] = ("since_run", "until_run", "row_hash", "mission")
    extra: tuple[str, ...] = ()
    newest: str | None = None
    laid: tuple[tuple[str, int], ...] = ()
    mission: str = JWST.collection

    def is_open(self, relation: str = "") -> str:
        """Return the condition that a row is of this mission and true now; ``relation`` is the table's name in SQL."""
        of = f"{relation}." if relation else ""
        return f"{of}until_run IS NULL AND {of}mission = {literal(self.mission)}"


FILES = Versions(
    "file_version",
    "filename",
    "file",
    ("since_run", "until_run", "row_hash", "mission", "obs_id", "instrument", "checked_run", "footprint"),
    ("instrument", "checked_run"),
    JWST.ingest_column,
    (("date_obs_mjd", 32), ("targ_dec", 10)),
)
OBSERVATIONS = Versions("observation_version", "obs_id", "observation", laid=(("t_min", 32), ("s_dec", 10)))
PRODUCTS = Versions("product_version", "data_uri", "product")


def name_in_catalog(versions: Versions, column: str) -> str:
    """Return the name that a column of the archive has in the catalog.

    Examples
    --------
    >>> name_in_catalog(FILES, "obs_id")
    'si_obs_id'
    """
    return spelling.catalog_name(column, versions.what)
