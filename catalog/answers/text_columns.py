"""Whole columns of simple types as text, for the formats that write numbers and times as text."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NO_FRACTION = re.compile(r"\.0+$")


def column_as_texts(column: pa.Array, infinity: str = "inf", nan: str = "nan") -> pa.Array:
    """Return a column as text; null stays null.

    Parameters
    ----------
    column : pyarrow.Array
        Numbers, booleans, dates, times or text.
    infinity, nan : str
        How the format writes these; an infinity gets a plus or minus sign if ``infinity`` begins with a sign.

    Examples
    --------
    >>> column_as_texts(pa.array([1.5, None, float("-inf")]), "+Inf").to_pylist()
    ['1.5', None, '-Inf']
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return iso_texts(column)
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if not pa.types.is_floating(kind):
        return pc.cast(column, pa.string())
    plain = pc.cast(column, pa.string())
    bare = infinity.lstrip("+")
    spellings = {"inf": infinity, "-inf": f"-{bare}", "nan": nan, "-nan": nan}
    for spelled, written in spellings.items():
        plain = pc.if_else(pc.equal(plain, spelled), written, plain)
    return plain


def iso_texts(column: pa.Array) -> pa.Array:
    """Return dates and times as ISO 8601 text, UTC; the fraction of a second has 0, 3, 6 or 9 digits, as needed.

    Python's times end in the year 9999 and at microseconds; DuckDB's do not.

    Examples
    --------
    >>> iso_texts(pa.array([0, 1_500_000, None], pa.timestamp("us"))).to_pylist()
    ['1970-01-01T00:00:00', '1970-01-01T00:00:01.500000', None]
    >>> iso_texts(pa.array([1], pa.timestamp("ns"))).to_pylist()
    ['1970-01-01T00:00:00.000000001']
    """
    kind = column.type
    if pa.types.is_date(kind):
        counts = pc.cast(pc.cast(column, pa.date32()), pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        moments, zone = counts.astype("datetime64[D]"), ""
    else:
        counts = pc.cast(column, pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        moments, zone = counts.astype(f"datetime64[{kind.unit}]"), "Z" if kind.tz else ""
    written = [_NO_FRACTION.sub("", moment_text) + zone for moment_text in np.datetime_as_string(moments).tolist()]
    for end, word in _ends(kind).items():
        written = [word if count == end else text for count, text in zip(counts.tolist(), written, strict=True)]
    return pc.if_else(column.is_valid(), pa.array(written, pa.string()), None)


def _ends(kind: pa.DataType) -> dict[int, str]:
    """Return the counts that stand for DuckDB's infinities."""
    most = 2**31 - 1 if pa.types.is_date(kind) else 2**63 - 1
    return {most: "infinity", -most: "-infinity"}


def joined(columns: list[pa.Array], between: str, before: str, after: str) -> bytes:
    """Join the texts of columns, row by row; none of them may be null."""
    if not len(columns[0]):
        return b""
    lines = pc.binary_join_element_wise(*columns, between) if len(columns) > 1 else columns[0]
    return "".join(f"{before}{line}{after}" for line in lines.to_pylist()).encode()
