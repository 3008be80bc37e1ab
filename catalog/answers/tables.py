"""Answers as tables of astropy, with units and meanings from the keyword dictionary."""

from __future__ import annotations

from typing import Any, cast

import pyarrow as pa

from catalog.answers.portable_columns import portable_columns
from catalog.vocabulary.keywords import dictionary


def astropy_table(rows: pa.Table) -> Any:
    """Return rows as an `astropy.table.Table`, with units and meanings from the keyword dictionary.

    Parameters
    ----------
    rows : pyarrow.Table
        Any answer.

    Returns
    -------
    astropy.table.Table
        Nulls are masked; times are ``datetime64[us]``, UTC, or ``datetime64[ns]`` if DuckDB has them so.
    """
    from astropy.table import Table

    table = Table()
    rows = portable_columns(rows.to_reader(), "numbers").read_all()
    for name in rows.column_names:
        column = _masked(rows.column(name).combine_chunks())
        word = dictionary().get(name)
        if word is not None:
            column.description = word.meaning or ""
        column.unit = unit_of(name, rows.schema.field(name).type)
        table[name] = column
    return table


def _masked(column: Any) -> Any:
    import numpy as np
    from astropy.table import MaskedColumn

    mask = column.is_null().to_numpy(zero_copy_only=False)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        values: Any = np.array(["" if v is None else v for v in column.to_pylist()], dtype=str)
    elif pa.types.is_timestamp(kind):
        values = column.cast(pa.timestamp("ns" if kind.unit == "ns" else "us")).to_numpy(zero_copy_only=False)
    else:
        filler = pa.scalar(False if pa.types.is_boolean(kind) else 0, kind)
        values = column.fill_null(filler).to_numpy(zero_copy_only=False)
    return MaskedColumn(values, mask=mask)


def unit_of(name: str, kind: pa.DataType) -> str | None:
    """Return the unit of a column of numbers, as astropy writes it; None if the keyword dictionary has none.

    Examples
    --------
    >>> unit_of("effexptm", pa.float64()), unit_of("effexptm", pa.string())
    ('s', None)
    """
    from astropy import units

    word = dictionary().get(name)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if word is None or not word.unit or not is_number:
        return None
    try:
        return cast("str", units.Unit(word.unit).to_string())
    except ValueError:
        return None
