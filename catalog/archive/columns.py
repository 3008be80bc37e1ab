"""Which columns an answer has, what each holds, and how it is spelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from catalog.archive.cells import EARLIEST_MJD, LATEST_MJD, Bounds, CellKind
from catalog.archive.envelope import Field
from catalog.vocabulary.keywords import all_archive_columns
from catalog.vocabulary.observation_columns import observation_columns
from catalog.vocabulary.spelling import Kind, catalog_names, too_many

_SELECTED = "_selected_"  # the portal's own check box, not the archive's
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
"""Columns that the catalog computes with: they hold this whatever an answer calls them."""
KEYS: Mapping[Kind, tuple[str, ...]] = {
    "file": ("filename", "fileName"),
    "observation": ("obs_id",),
    "product": ("dataURI",),
}
"""The column that names a row, in either of its spellings."""
NEEDED: Mapping[Kind, tuple[str, ...]] = {
    "file": (),
    "observation": ("obsid",),
    "product": ("obs_id", "parent_obsid", "productFilename"),
}
"""Columns that are there in every whole row, be it without a value."""


@dataclass(frozen=True)
class Column:
    """One column of an answer.

    Attributes
    ----------
    sent, kept : str
        Its name as the archive sent it, and as the catalog spells it.
    holds : str
        What its cells are.
    strict : bool
        Whether it holds that whatever comes.
    flag : bool
        Whether it is a truth that travels as the text ``t`` or ``f``.
    bounds : (float, float) or None
        Between which its numbers mean something: no file has a negative size, and no date a year of six digits.
    perhaps_time : bool
        Whether it is a text that may be a time: a column of that name with ``_mjd`` stands beside it.
    """

    sent: str
    kept: str
    holds: CellKind
    strict: bool = False
    flag: bool = False
    bounds: Bounds | None = None
    perhaps_time: bool = False


def columns_of_answer(fields: Iterable[Field], others: Iterable[str], kind: Kind) -> tuple[list[Column], list[str]]:
    """Return the columns of an answer, and the names of those that are not kept.

    Parameters
    ----------
    fields : iterable of Field
        What the answer says of its columns.
    others : iterable of str
        Names that stand in its rows; those that no field describes are taken for text.
    kind : str
        What the rows are.
    """
    types = {field.name: field.type for field in reversed(list(fields))}
    ordered = dict.fromkeys([*reversed(types), *others])
    ordered.pop(_SELECTED, None)
    known = _known(kind)
    if kind == "file" and "filename" not in ordered:  # guide stars spell it otherwise, and FILENAME must not win
        known |= {"fileName"}
    refused = too_many(ordered, known)
    names = [name for name in ordered if name not in set(refused)]
    kept = catalog_names(names, kind, known)
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
    """Return what a column holds: what the dictionary of keywords says of it, and of one that is not in it, the answer.

    An answer that calls a listed column something else must not decide what the catalog's column is from then on. Times
    and truths may travel as text. The list of observation columns names some whole numbers as text, so there the
    answer decides.
    """
    if announced is None:
        return holds_without_fields(name, kind)
    said, listed = _WIRE_KINDS.get(announced, "text"), _listed(name, "file") if kind == "file" else None
    return said if listed is None or (said == "text" and listed in ("time", "truth")) else listed


def _bounds(name: str) -> Bounds | None:
    if name.endswith("_mjd") or name in ("t_min", "t_max", "t_obs_release"):
        return EARLIEST_MJD, LATEST_MJD
    return (0, 2**53) if name in ("size", "fileSize") else None


def empty_kind(column: Column, kind: Kind) -> CellKind | None:
    """Return what a column without any value holds; None where nothing says so."""
    if column.holds != "text" or column.strict:
        return column.holds
    if column.perhaps_time:
        return "time"
    return _dictionary().get(column.sent) if kind == "file" else None


def holds_without_fields(name: str, kind: Kind) -> CellKind:
    """Return what a column holds of which an answer says nothing: what MAST's dictionaries say, else text."""
    return _computed(kind).get(name) or _listed(name, kind) or "text"


_OBSERVED: Mapping[str, CellKind] = {
    "boolean": "truth",
    "integer": "whole",
    "number": "number",
    "time": "number",
    "text": "text",
}


def _listed(name: str, kind: Kind) -> CellKind | None:
    """Return what MAST's dictionaries say that a column holds; None for one that they do not list."""
    if kind == "file":
        return _dictionary().get(name)
    column = observation_columns().get(name) if kind == "observation" else None
    return _OBSERVED.get(column.kind) if column else None


@lru_cache(maxsize=3)
def _computed(kind: Kind) -> Mapping[str, CellKind]:
    return {name: holds for holds, names in _COMPUTED[kind].items() for name in names.split()}


@lru_cache(maxsize=3)
def _known(kind: Kind) -> frozenset[str]:
    """Return the names that win where several differ only in case: the ones that MAST is known to send."""
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
    """Return the name of the column that names a row, of those that an answer has."""
    return next((name for name in KEYS[kind] if name in names), None)
