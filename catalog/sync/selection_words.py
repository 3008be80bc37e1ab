"""Refuse words in a selection that no product in the catalog has, and name the nearest word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from catalog.errors import BadValue
from catalog.store.database import columns_of, quoted
from catalog.text import nearest
from catalog.vocabulary.observation_columns import observation_columns

if TYPE_CHECKING:
    from catalog.sync.selection import Selection

_SUFFIX = "upper(regexp_extract(filename, '_([A-Za-z0-9-]+)\\.[A-Za-z.]+$', 1))"
_OPTIONS = (
    ("types", "--type", "productType"),
    ("subgroups", "--subgroup", "productSubGroupDescription"),
    ("dataproducts", "--dataproduct", "dataproduct_type"),
    ("levels", "--level", "calib_level"),
)
_TYPES = ("SCIENCE", "INFO", "AUXILIARY", "PREVIEW", "THUMBNAIL")
_LISTED = 12


def refuse_unknown(connection: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    """Refuse a product type, subgroup, kind of data, level or ending that does not exist and would select nothing.

    A word that MAST has is no mistake, even if no product in the catalog has it.

    Raises
    ------
    BadValue
        The error names the nearest word, or all words.
    """
    for field, option, column in _OPTIONS:
        for word in getattr(selection, field):
            text = str(word).strip()
            if text.lower() not in _always(field) and not _is_there(connection, column, text):
                raise BadValue(f"{option}: no product in the catalog has {text!r}{_hint(connection, column, text)}")
    for word in selection.extensions:
        _refuse_unknown_ending(connection, word.strip())


def ending_of(word: str) -> str:
    """Return the ending that ``fits``, ``.fits`` or ``_x1d.fits`` means, in lower case."""
    return word.lower() if word.startswith((".", "_")) else f".{word.lower()}"


def _refuse_unknown_ending(connection: duckdb.DuckDBPyConnection, word: str) -> None:
    """Refuse the ending of a file's name if there are products and none of them has it."""
    rows = connection.execute(
        """SELECT lower(regexp_extract(data_uri, '[.]([A-Za-z0-9]+)$', 1)) AS ending,
                  bool_or(ends_with(lower(data_uri), ?)) AS is_meant
           FROM (SELECT data_uri FROM products UNION ALL SELECT filename FROM files)
           GROUP BY 1 ORDER BY count(*) DESC""",
        [ending_of(word)],
    ).fetchall()
    if rows and not any(is_meant for _, is_meant in rows):
        endings = [str(ending) for ending, _ in rows if ending]
        near = nearest(word.lstrip(".").lower(), endings)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(endings[:_LISTED])}"
        raise BadValue(f"--extension: no product in the catalog ends in {word!r}; {hint}")


def _always(field: str) -> set[str]:
    columns = observation_columns()
    words_of_mast = {
        "types": _TYPES,
        "dataproducts": columns["dataproduct_type"].allowed,
        "levels": columns["calib_level"].allowed,
    }
    return {word.lower() for word in words_of_mast.get(field, ())}


def _sources(connection: duckdb.DuckDBPyConnection, column: str) -> list[tuple[str, str]]:
    """Return the views that have the words of a column, and the expression to select from each."""
    sources = [("products", f"CAST({quoted(column)} AS VARCHAR)")] if _has(connection, "products", column) else []
    return sources + ([("files", _SUFFIX)] if column == "productSubGroupDescription" else [])


def _has(connection: duckdb.DuckDBPyConnection, view: str, column: str) -> bool:
    return column.lower() in {name.lower() for name in columns_of(connection, view)}


def _is_there(connection: duckdb.DuckDBPyConnection, column: str, word: str) -> bool:
    sources = _sources(connection, column)
    return any(
        connection.execute(f"SELECT 1 FROM {view} WHERE lower({value}) = ? LIMIT 1", [word.lower()]).fetchone()
        for view, value in sources
    ) or not any(connection.execute(f"SELECT 1 FROM {view} LIMIT 1").fetchone() for view, _ in sources)


def _hint(connection: duckdb.DuckDBPyConnection, column: str, word: str) -> str:
    words: set[str] = set()
    for view, value in _sources(connection, column):
        words |= {
            str(word_found)
            for (word_found,) in connection.execute(
                f"SELECT DISTINCT {value} AS word FROM {view} WHERE word IS NOT NULL AND word <> ''"
            ).fetchall()
        }
    existing = sorted(words)
    near = nearest(word, existing)
    if near:
        return f"; did you mean {near}?"
    more = f" and {len(existing) - _LISTED} more" if len(existing) > _LISTED else ""
    return f"; there are {', '.join(existing[:_LISTED])}{more}"
