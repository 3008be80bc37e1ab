"""The hash of a row: the same on every machine, in every version of every engine.

This text defines the hash, so that another program can compute it. Each cell that is not null gives a number:

- a text: XXH64 of its UTF-8 bytes;
- a whole number, a time (microseconds since 1970, UTC) or a truth value (0 or 1): its 64 bits, mixed;
- a number with a fraction: the 64 bits of the IEEE 754 double, mixed; minus zero counts as zero;
- anything else: XXH64 of its text.

Mixing is a step of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). Then the number is combined with the XXH64 of the
column's name by exclusive or, and mixed by the last part of that step: columns that change in the same way would
otherwise cancel each other out. The hash of a row is the sum of its numbers modulo 2^64, halved. A null cell adds
nothing, so a new column changes no hash, and the order of columns does not matter.

Columns repeat their values, so each distinct text of a batch is hashed once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

ROWS_AT_ONCE = 8192
Words = NDArray[np.uint64]


def row_hashes(columns: dict[str, pa.Array], rows: int) -> NDArray[np.int64]:
    """Hash rows.

    Parameters
    ----------
    columns : dict of pyarrow.Array
        The cells, by the names of their columns.
    rows : int
        The number of rows.

    Returns
    -------
    ndarray of int64, shape (rows,)
        Hashes, none of them negative.

    Examples
    --------
    >>> row_hashes({"filename": pa.array(["a", "b"]), "nints": pa.array([1, None])}, 2).tolist()
    [3967533569929144904, 7540702670594162599]
    """
    total: Words = np.zeros(rows, np.uint64)
    for name, cells in columns.items():
        if cells.null_count < rows:
            total += _of_column(cells, _name_hash(name))
    return (total >> np.uint64(1)).astype(np.int64)


@lru_cache(4096)
def _name_hash(name: str) -> int:
    return xxh64_intdigest(name.encode(errors="surrogatepass"))


def _of_column(cells: pa.Array, name: int) -> Words:
    kind = cells.type
    if not pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        return _of_texts(cells if pa.types.is_string(kind) else cells.cast(pa.string()), name)
    hashes = _mixed(_mixed(_bits(cells) + _GAMMA) ^ np.uint64(name))
    if cells.null_count:
        hashes[~cells.is_valid().to_numpy(zero_copy_only=False)] = 0
    return hashes


def _of_texts(cells: pa.StringArray, name: int) -> Words:
    encoded = cells.dictionary_encode()
    texts = encoded.dictionary.cast(pa.binary()).to_pylist()
    hashes = _mixed(np.fromiter(map(xxh64_intdigest, texts), np.uint64, len(texts)) ^ np.uint64(name))
    places = pc.fill_null(encoded.indices, len(texts)).to_numpy()
    return np.asarray(np.append(hashes, np.uint64(0))[places])


def _bits(cells: pa.Array) -> Words:
    """Return 64 bits for each number, time or truth value; for a null they can be any."""
    if pa.types.is_boolean(cells.type):
        return np.asarray(pc.fill_null(cells, False).cast(pa.uint8()), np.uint64)
    if pa.types.is_floating(cells.type):
        numbers = pc.fill_null(cells.cast(pa.float64()), 0.0).to_numpy() + 0.0
        return np.asarray(np.where(np.isnan(numbers), np.nan, numbers)).view(np.uint64)
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        cells = cells.cast(pa.timestamp("us"), safe=False)
    return np.asarray(pc.fill_null(cells.cast(pa.int64()), 0)).view(np.uint64)


def _mixed(words: Words) -> Words:
    for shift, factor in _ROUNDS:
        words = (words ^ (words >> shift)) * factor
    return words ^ (words >> np.uint64(31))


_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
