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
        Its name.
    key : str
        The column that names a row.
    what : str
        What `changes` calls it.
    own : tuple of str
        Columns that are the catalog's, not the archive's; `catalog.vocabulary.spelling` keeps the archive's columns
        from these names.
    extra : tuple of str
        Those of them that are the same for all rows of a merge.
    newest : str or None
        A number by which the newest of several rows with one key is known.
    laid : tuple of (str, int)
        Columns in whose stretches of this width rows are laid down; see `in_storage_order`.
    mission : str
        Whose rows these are, as CAOM calls it; rows of other missions may stand in the same table.
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
        """Return the condition that a row is the mission's and true now; ``relation`` is what SQL calls the table."""
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


def kept_name(versions: Versions, column: str) -> str:
    """Return the name under which a column of the archive is kept.

    Examples
    --------
    >>> kept_name(FILES, "obs_id")
    'si_obs_id'
    """
    return spelling.kept_name(column, versions.what)
