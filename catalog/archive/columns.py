"""The columns of an answer: which there are, the types of their cells, and their names in the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from catalog.archive.cells import EARLIEST_MJD, LATEST_MJD, Bounds, CellKind
from catalog.archive.envelope import Field
from catalog.vocabulary.keywords import all_archive_columns
from catalog.vocabulary.observation_columns import observation_columns
from catalog.vocabulary.spelling import Kind, catalog_names, too_many

_SELECTED = "_selected_"  # the check box of MAST's portal
_WIRE_KINDS: Mapping[str, CellKind] = {
    "int": "whole",
    "short": "whole",
    "long": "whole",
    "number": "whole",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "boolean": "truth",
    "binary": "truth",
    "date": "time",
    "datetime": "time",
}
_COMPUTED: Mapping[Kind, Mapping[CellKind, str]] = {
    "file": {
        "text": "filename fileName fileSetName dataURI checksum obs_id s_region",
        "whole": "fileSize",
        "number": "ingestCompletionDate_mjd date_obs_mjd targ_ra targ_dec publicReleaseDate_mjd",
        "truth": "isStale isRestricted",
    },
    "observation": {
        "text": "obs_id obsid obs_collection instrument_name proposal_id target_name s_region dataRights"
        " dataproduct_type",
        "whole": "calib_level",
        "number": "t_min t_max s_ra s_dec t_obs_release",
    },
    "product": {
        "text": "obs_id obsID parent_obsid dataURI productFilename productType productSubGroupDescription dataRights"
        " dataproduct_type",
        "whole": "size calib_level",
    },
}
"""Columns with which the catalog computes. They have these types, whatever an answer calls them."""
KEYS: Mapping[Kind, tuple[str, ...]] = {
    "file": ("filename", "fileName"),
    "observation": ("obs_id",),
    "product": ("dataURI",),
}
"""The column that names a row, in its two spellings."""
NEEDED: Mapping[Kind, tuple[str, ...]] = {
    "file": (),
    "observation": ("obsid",),
    "product": ("obs_id", "parent_obsid", "productFilename"),
}
"""Columns that every whole row must have, even without a value."""


@dataclass(frozen=True)
class Column:
    """One column of an answer.

    Attributes
    ----------
    sent, kept : str
        The archive's name of it, and the catalog's name.
    holds : str
        The type of its cells.
    strict : bool
        Whether this type is certain, whatever the cells are.
    flag : bool
        Whether it is a boolean that is sent as the text ``t`` or ``f``.
    bounds : (float, float) or None
        Limits between which its numbers are meaningful: no file has a negative size, and no date a year of six digits.
    perhaps_time : bool
        Whether it is a text that may be a time, since there is a column with the same name and ``_mjd``.
    """

    sent: str
    kept: str
    holds: CellKind
    strict: bool = False
    flag: bool = False
    bounds: Bounds | None = None
    perhaps_time: bool = False


def columns_of_answer(fields: Iterable[Field], others: Iterable[str], kind: Kind) -> tuple[list[Column], list[str]]:
    """Return the columns of an answer, and the names of columns that are not kept.

    Parameters
    ----------
    fields : iterable of Field
        The fields of the answer, which describe its columns.
    others : iterable of str
        Names that are in its rows; a column without a field counts as text.
    kind : str
        The kind of the rows.
    """
    types = {field.name: field.type for field in reversed(list(fields))}
    ordered = dict.fromkeys([*reversed(types), *others])
    ordered.pop(_SELECTED, None)
    preferred = _names_of_mast(kind)
    if kind == "file" and "filename" not in ordered:  # guide stars have fileName, which must win over FILENAME
        preferred |= {"fileName"}
    refused = too_many(ordered, preferred)
    names = [name for name in ordered if name not in set(refused)]
    kept = catalog_names(names, kind, preferred)
    present = set(names)
    return [
        _column(name, spelled, types.get(name), kind, present) for name, spelled in zip(names, kept, strict=True)
    ], refused


def _column(name: str, kept: str, announced: str | None, kind: Kind, present: set[str]) -> Column:
    if name in _computed(kind):
        return Column(name, kept, _computed(kind)[name], strict=True, bounds=_bounds(name))
    holds = _holds(name, announced, kind)
    flag = holds == "text" and kind == "file" and name in _flags()
    twin = holds == "text" and f"{name}_mjd" in present
    bounds = _bounds(name) if holds == "number" else None
    return Column(name, kept, "truth" if flag else holds, flag, flag, bounds, twin)


def _holds(name: str, announced: str | None, kind: Kind) -> CellKind:
    """Return the type of a column: by the keyword dictionary, or else by the answer.

    An answer that gives a listed column another type must not decide the type of the catalog's column. Times and
    booleans may be sent as text. The list of observation columns calls some whole numbers text, so there the answer
    decides.
    """
    if announced is None:
        return holds_without_fields(name, kind)
    said, listed = _WIRE_KINDS.get(announced, "text"), _listed_type(name, "file") if kind == "file" else None
    return said if listed is None or (said == "text" and listed in ("time", "truth")) else listed


def _bounds(name: str) -> Bounds | None:
    if name.endswith("_mjd") or name in ("t_min", "t_max", "t_obs_release"):
        return EARLIEST_MJD, LATEST_MJD
    return (0, 2**53) if name in ("size", "fileSize") else None


def empty_kind(column: Column, kind: Kind) -> CellKind | None:
    """Return the type of a column without values; None if nothing tells it."""
    if column.holds != "text" or column.strict:
        return column.holds
    if column.perhaps_time:
        return "time"
    return _dictionary().get(column.sent) if kind == "file" else None


def holds_without_fields(name: str, kind: Kind) -> CellKind:
    """Return the type of a column that has no field in an answer: by MAST's dictionaries, or else text."""
    return _computed(kind).get(name) or _listed_type(name, kind) or "text"


_OBSERVED: Mapping[str, CellKind] = {
    "boolean": "truth",
    "integer": "whole",
    "number": "number",
    "time": "number",
    "text": "text",
}


def _listed_type(name: str, kind: Kind) -> CellKind | None:
    """Return the type of a column by MAST's dictionaries; None if they do not list it."""
    if kind == "file":
        return _dictionary().get(name)
    column = observation_columns().get(name) if kind == "observation" else None
    return _OBSERVED.get(column.kind) if column else None


@lru_cache(maxsize=3)
def _computed(kind: Kind) -> Mapping[str, CellKind]:
    return {name: holds for holds, names in _COMPUTED[kind].items() for name in names.split()}


@lru_cache(maxsize=3)
def _names_of_mast(kind: Kind) -> frozenset[str]:
    """Return the names that win over others that differ only in case: those that MAST is known to send."""
    own = {"file": _dictionary(), "observation": observation_columns(), "product": {}}[kind]
    return frozenset({*_computed(kind), *own} - {"fileName"})


@lru_cache(maxsize=1)
def _dictionary() -> Mapping[str, CellKind | None]:
    types: Mapping[str, CellKind] = {**_WIRE_KINDS, "string": "text"}
    return {column.name: "truth" if column.flag else types.get(column.type) for column in all_archive_columns()}


@lru_cache(maxsize=1)
def _flags() -> frozenset[str]:
    return frozenset(column.name for column in all_archive_columns() if column.flag)


def key_of(names: Sequence[str], kind: Kind) -> str | None:
    """Return the column of an answer that names a row; None if there is none."""
    return next((name for name in KEYS[kind] if name in names), None)
