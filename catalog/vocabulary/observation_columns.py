"""The columns of CAOM observations that MAST's advanced search can ask for.

Names, types and units are those of https://mast.stsci.edu/api/v0/_c_a_o_mfields.html; times are MJD (UTC).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from catalog.errors import UnknownKeyword
from catalog.text import nearest
from catalog.vocabulary.keywords import Keyword, Kind

_KINDS: Mapping[str, Kind] = {
    "text": "text",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "time": "time",
}


@lru_cache(maxsize=1)
def observation_columns() -> Mapping[str, Keyword]:
    """All columns, by their names.

    Examples
    --------
    >>> observation_columns()["t_exptime"].unit
    's'
    """
    text = Path(__file__).with_name("observation_columns.csv").read_text()
    return {row["name"]: _column(row) for row in csv.DictReader(text.splitlines())}


def _column(row: dict[str, str]) -> Keyword:
    return Keyword(
        name=row["name"],
        fits_keyword=None,
        kind=_KINDS[row["kind"]],
        unit=row["unit"] or None,
        meaning=row["meaning"],
        allowed=tuple(row["allowed"].split()),
        instruments=(),
    )


def observation_column(name: str) -> Keyword:
    """Find a column by its name, in upper or lower case.

    Raises
    ------
    UnknownKeyword
        The error names the right spelling that is nearest, if there is one.

    Examples
    --------
    >>> observation_column("Proposal_ID").name
    'proposal_id'
    """
    columns = observation_columns()
    for column in columns.values():
        if column.name.lower() == name.strip().lower():
            return column
    near = nearest(name, list(columns))
    hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(columns)}"
    raise UnknownKeyword(f"observations have no {name!r}{hint}")


def matching_columns(pattern: str) -> list[Keyword]:
    """Return the columns whose name and meaning have every word of the pattern; an empty pattern matches none.

    Examples
    --------
    >>> [column.name for column in matching_columns("t_exptime")]
    ['t_exptime']
    """
    words = pattern.lower().split()
    return [
        column
        for column in observation_columns().values()
        if words and all(word in f"{column.name} {column.meaning}".lower() for word in words)
    ]
