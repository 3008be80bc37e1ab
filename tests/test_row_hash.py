"""The hash of a row is stated, and the same in every version of every engine."""

from __future__ import annotations

import datetime as dt
import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh64_intdigest

from catalog.store.history.row_hash import row_hashes

MASK = 2**64 - 1


def mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def stated(row: dict[str, Any]) -> int:
    """Work the hash out cell by cell, as the module's page says it."""
    total = 0
    for name, value in row.items():
        match value:
            case None:
                continue
            case str():
                word = xxh64_intdigest(value.encode())
            case bool() | int():
                word = mixed((int(value) + 0x9E3779B97F4A7C15) & MASK)
            case float():
                (bits,) = struct.unpack("<Q", struct.pack("<d", value + 0.0))
                word = mixed((bits + 0x9E3779B97F4A7C15) & MASK)
            case _:
                moment = (value - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
                word = mixed((moment + 0x9E3779B97F4A7C15) & MASK)
        total += mixed(word ^ xxh64_intdigest(name.encode()))
    return (total & MASK) >> 1


KINDS: tuple[tuple[pa.DataType, st.SearchStrategy[Any]], ...] = (
    (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.timestamp("us"), st.datetimes()),
)


@given(st.data())
def test_it_is_what_its_page_states(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    columns = {
        f"column {number}": data.draw(st.lists(st.none() | values, min_size=3, max_size=3))
        for number, (_, values) in enumerate(kinds)
    }
    arrays = {name: pa.array(values, kind) for (name, values), (kind, _) in zip(columns.items(), kinds, strict=True)}
    expected = [stated({name: values[row] for name, values in columns.items()}) for row in range(3)]
    assert row_hashes(arrays, 3).tolist() == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array(["jw01366003001_04101_00001-seg001_nis_x1dints.fits"]), 2334113507252506821),
        (pa.array([59786.25]), 2698386273968978236),
        (pa.array([-1]), 1162246683210582965),
        (pa.array([True]), 6295575212597357689),
        (pa.array([dt.datetime(2022, 7, 26, 1, 2, 3, 4)]), 7045828915037040964),
    ],
)
def test_it_never_changes(cells: pa.Array, expected: int) -> None:
    assert row_hashes({"x": cells}, 1).tolist() == [expected]


def test_rows_of_nothing_and_columns_in_another_order_hash_alike() -> None:
    one, other = pa.array(["p", None]), pa.array([None, 2.5])
    assert row_hashes({"x": one, "y": other}, 2).tolist() == row_hashes({"y": other, "x": one}, 2).tolist()
    assert row_hashes({"x": pa.nulls(2, pa.string())}, 2).tolist() == [0, 0]
    assert row_hashes({"x": pa.nulls(2)}, 2).tolist() == [0, 0]


def test_minus_zero_is_zero_and_every_nan_is_one() -> None:
    hashes = row_hashes({"x": pa.array([0.0, -0.0, math.nan, -math.nan])}, 4)
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]


def test_a_piece_of_an_array_hashes_as_the_array_does() -> None:
    cells = pa.array(["a", None, "b", "a"])
    numbers = pa.array([1, None, 3, 4])
    whole = row_hashes({"x": cells, "n": numbers}, 4)
    assert np.array_equal(row_hashes({"x": cells[1:], "n": numbers[1:]}, 3), whole[1:])
