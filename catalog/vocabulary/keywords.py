"""The keyword dictionary: what MAST lets you search by, and what each keyword means.

Two sources are joined by name. The archive's column lists (``archive_columns.csv``: name, type, and which
instruments' searches have the column) say what can be searched for. The schemas of the installed ``stdatamodels`` give
FITS keyword, meaning, unit and allowed values. Only their files are read: ``stdatamodels`` itself takes long to import.
"""

from __future__ import annotations

import csv
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from catalog.cache import cached
from catalog.errors import UnknownKeyword
from catalog.missions import JWST
from catalog.text import nearest

Kind = Literal["text", "boolean", "integer", "number", "time"]

_FITS_NAMES = {"date_obs": "DATE-OBS", "date_beg": "DATE-BEG", "date_end": "DATE-END"}
_ARCHIVE_MEANINGS: Mapping[str, str] = {
    "ArchiveFileID": "Number of the file in the archive",
    "FileSetId": "Number of the file's set in the archive",
    "FileTypeID": "Number of the file's type in the archive",
    "checksum": "Digest of the file's bytes",
    "dataURI": "Where the file can be downloaded from",
    "fileSetName": "Name of the set of files that were made together; the file's name begins with it",
    "fileSize": "Size of the file",
    "filter-pupil": "Filter and pupil wheel elements together",
    "ingestCompletionDate": "When the archive had taken the file in",
    "ingestStartDate": "When the archive began to take the file in",
    "inst-mode": "Instrument and mode together",
    "isItar": "The file is under export control",
    "isJitter": "The file holds pointing jitter",
    "isRestricted": "The file is not public yet",
    "isStale": "The archive is about to make a newer version of the file",
    "productLevel": "Stage of processing: 1b raw, 2a rates, 2b calibrated, 2c calibrated and cleaned, 3 combined",
    "prog_pi": "Program and principal investigator together",
    "publicReleaseDate": "From when on the file is public",
    "texptime": "Total exposure time",
}
"""Columns that are the archive's own and are in no header, with meanings in this project's words."""
_NOT_IN_HEADERS = {"checksum"}  # the archive's digest, not the FITS CHECKSUM card
_SCHEMAS = ("core", "guider_meta", "ifucube", "wcsinfo", "oifits", "ami")
_OF_SCHEMAS: frozenset[str] = frozenset({"fits_keyword", "title", "enum", "anyOf", "fits_hdu"})
"""The fields of a schema's entry that are used."""
_UNIT = re.compile(r"\[([^\]]+)\]\s*")


@dataclass(frozen=True)
class ArchiveColumn:
    """One column of the archive's keyword answers.

    Attributes
    ----------
    name : str
        MAST's spelling.
    type : str
        As in an answer's ``fields``: string, int, float, date or boolean.
    flag : bool
        True for a boolean that travels as the string ``t`` or ``f``.
    The instruments whose searches list the column; empty for a column that only answers have shown.
        The searches that list it; empty for one seen in answers only.
    """

    name: str
    type: str
    flag: bool
    instruments: tuple[str, ...]


@dataclass(frozen=True)
class Keyword:
    """One keyword: a column of ``files``, in MAST's spelling.

    Attributes
    ----------
    name : str
        MAST's spelling, as in ``exp_type`` and ``date_obs_mjd``.
    fits_keyword : str or None
        The keyword in FITS headers, if it stands in any.
    kind : str
        text, boolean, integer, number or time (MJD, UTC).
    unit : str or None
        In the spelling of the schemas.
    meaning : str or None
        One line of text.
    allowed : tuple of str
        All values that the keyword can have; empty if it can have any.
    instruments : tuple of str
        The instruments whose searches have the keyword.
    hdu : str or None
        The HDU whose header has the keyword: PRIMARY, or an EXTNAME.
    """

    name: str
    fits_keyword: str | None
    kind: Kind
    unit: str | None
    meaning: str | None
    allowed: tuple[str, ...]
    instruments: tuple[str, ...]
    hdu: str | None = None


@lru_cache(maxsize=1)
def all_archive_columns() -> tuple[ArchiveColumn, ...]:
    """All columns of the six keyword searches, in the archive's order."""
    text = Path(__file__).with_name("archive_columns.csv").read_text()
    return tuple(_archive_column(row) for row in csv.DictReader(text.splitlines()))


def _archive_column(row: dict[str, str]) -> ArchiveColumn:
    flag = row["type"] == "flag"
    listed = tuple(JWST.services) if row["instruments"] == "all" else tuple(row["instruments"].split())
    return ArchiveColumn(row["name"], "string" if flag else row["type"], flag, listed)


def archive_columns(instrument: str) -> tuple[ArchiveColumn, ...]:
    """Return the columns that one instrument's keyword search lists.

    Parameters
    ----------
    instrument : str
        One of `JWST.services`.

    Examples
    --------
    >>> len(archive_columns("fgs"))
    212
    """
    return tuple(column for column in all_archive_columns() if instrument in column.instruments)


@lru_cache(maxsize=1)
def dictionary() -> Mapping[str, Keyword]:
    """All keywords, by their names.

    Examples
    --------
    >>> dictionary()["exp_type"].fits_keyword
    'EXP_TYPE'
    >>> dictionary()["expstart"].unit
    'd'
    """
    schemas = _schema_keywords()
    return {column.name: _keyword(column, schemas) for column in all_archive_columns()}


def _keyword(column: ArchiveColumn, schemas: Mapping[str, dict[str, Any]]) -> Keyword:
    twin = column.name.removesuffix("_mjd")
    fits_keyword: str | None = _FITS_NAMES.get(twin, twin.upper())
    entry = schemas.get(fits_keyword or "") if twin not in _NOT_IN_HEADERS else None
    if entry is None:
        unit, meaning = _of_the_archive(column.name)
        return Keyword(column.name, None, _kind(column, ""), unit, meaning, (), column.instruments)
    title = " ".join(str(entry.get("title", "")).split())
    bracket = _UNIT.match(title)
    is_time = column.name != twin or column.type == "date"
    return Keyword(
        name=column.name,
        fits_keyword=fits_keyword,
        kind=_kind(column, title),
        unit=("d" if column.name != twin else None) if is_time else (bracket[1] if bracket else None),
        meaning=_UNIT.sub("", title) or None,
        allowed=tuple(str(value) for value in _allowed(entry)) if column.type == "string" and not column.flag else (),
        instruments=column.instruments,
        hdu=str(entry.get("fits_hdu") or "PRIMARY"),
    )


def _of_the_archive(name: str) -> tuple[str | None, str | None]:
    """Return unit and meaning of a column that stands in no header."""
    meaning = _ARCHIVE_MEANINGS.get(name) or _ARCHIVE_MEANINGS.get(name.removesuffix("_mjd"))
    if name.endswith("_mjd"):
        return "d", meaning and f"{meaning}, as MJD"
    return ("byte" if name == "fileSize" else None), meaning


def _kind(column: ArchiveColumn, title: str) -> Kind:
    if column.flag or column.type == "boolean":
        return "boolean"
    if column.type == "date" or column.name.endswith("_mjd") or (column.type == "float" and "MJD" in title):
        return "time"
    kinds: dict[str, Kind] = {"int": "integer", "float": "number"}
    return kinds.get(column.type, "text")


def _allowed(entry: dict[str, Any]) -> list[Any]:
    values = list(entry.get("enum") or [])
    for alternative in entry.get("anyOf", []):
        values += alternative.get("enum") or []
    return values


@lru_cache(maxsize=1)
def _schema_keywords() -> dict[str, dict[str, Any]]:
    """The entries in the schemas of ``stdatamodels``, by FITS keyword; the core schema comes first."""
    paths = list(_schema_paths())
    return cached("schema_keywords", paths, lambda: _read_schemas(paths))


def _read_schemas(paths: list[Path]) -> dict[str, dict[str, Any]]:
    entries_by_keyword: dict[str, dict[str, Any]] = {}
    for path in paths:
        for entry in _entries(_read_yaml(path)):
            fields = {str(name): value for name, value in entry.items() if name in _OF_SCHEMAS}
            entries_by_keyword.setdefault(entry["fits_keyword"], fields)
    return entries_by_keyword


def _schema_paths() -> Iterator[Path]:
    spec = importlib.util.find_spec("stdatamodels")
    if spec is None or spec.origin is None:  # without stdatamodels, the dictionary has the archive's columns only
        return
    folder = Path(spec.origin).parent / "jwst" / "datamodels" / "schemas"
    for name in _SCHEMAS:
        path = folder / f"{name}.schema.yaml"
        if path.exists():
            yield path


def _read_yaml(path: Path) -> Any:
    import msgspec

    return msgspec.yaml.decode(path.read_bytes())


def _entries(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("fits_keyword"), str):
            yield node
        for child in node.values():
            yield from _entries(child)
    elif isinstance(node, list):
        for child in node:
            yield from _entries(child)


def lookup(name: str, instrument: str | None = None) -> Keyword:
    """Find a keyword by MAST's spelling or by its FITS keyword, in upper or lower case.

    Parameters
    ----------
    name : str
        The text that the user typed.
    instrument : str, optional
        Look only among the keywords that this instrument's search has.

    Raises
    ------
    UnknownKeyword
        The error names the right spelling that is nearest, if there is one.

    Examples
    --------
    >>> lookup("Exp_Type").name
    'exp_type'
    """
    typed = name.strip().lower()
    listed = [
        k for k in dictionary().values() if instrument is None or not k.instruments or instrument in k.instruments
    ]
    for keyword in listed:
        if typed in (keyword.name.lower(), (keyword.fits_keyword or "").lower()):
            return keyword
    near = nearest(typed, [keyword.name for keyword in listed])
    where = f" in {instrument} searches" if instrument else ""
    raise UnknownKeyword(f"no keyword {name!r}{where}" + (f"; did you mean {near!r}?" if near else _LOOK_UP))


_LOOK_UP = "; look for one with: mastlake keywords PATTERN"


def matching(pattern: str) -> list[Keyword]:
    """Return the keywords whose name, FITS keyword or meaning has every word of the pattern, the best matches first.

    Examples
    --------
    >>> [word.name for word in matching("time series")]
    ['tsovisit']
    """
    words = pattern.lower().split()
    typed = " ".join(words)

    def rank(keyword: Keyword) -> int:
        name, fits_keyword = keyword.name.lower(), (keyword.fits_keyword or "").lower()
        if typed in (name, fits_keyword):
            return 0
        return 1 if name.startswith(typed) else 2 if typed in name else 3

    def holds(keyword: Keyword) -> bool:
        text = f"{keyword.name} {keyword.fits_keyword or ''} {keyword.meaning or ''}".lower()
        return all(word in text for word in words)

    return sorted(filter(holds, dictionary().values()), key=rank)
