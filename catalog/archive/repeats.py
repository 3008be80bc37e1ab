"""Whether an answer repeats rows: one of the right length that repeats a row has lost another row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import ArchiveAnswer
from catalog.errors import Garbled


def key_column(rows: pa.Table, key: str) -> str:
    """Return the answer's name of the column that names a row; rows of guide stars have ``fileName``.

    Raises
    ------
    Garbled
        If the answer has no such column.
    """
    for name in rows.column_names:
        if name.lower() == key.lower():
            return str(name)
    raise Garbled(f"the archive's answer has no column {key}")


def folded(rows: pa.Table, key: str) -> pa.ChunkedArray:
    """Return the keys of rows in a form in which keys are equal if the archive takes them for equal; nulls stay."""
    return pc.utf8_rtrim_whitespace(pc.utf8_lower(rows.column(key_column(rows, key)).cast(pa.string())))


def repeated(rows: pa.Table, key: str) -> pa.Array:
    """Return the keys that are repeated, each once and folded."""
    counted = pc.value_counts(folded(rows, key).drop_null())
    return counted.filter(pc.greater(counted.field("counts"), 1)).field("values")


def is_plainly_whole(answer: ArchiveAnswer, key: str) -> bool:
    """Say whether an answer has as many rows as its paging counts, each of them once and with a key."""
    if answer.rows_aside or answer.total != answer.rows.num_rows:
        return False
    return not answer.rows.num_rows or not len(repeated(answer.rows, key))


def alike(first: ArchiveAnswer, second: ArchiveAnswer, key: str) -> bool:
    """Say whether two answers agree in their doubtful rows: rows without a key, and rows with repeated keys."""
    if sorted(aside.text for aside in first.aside) != sorted(aside.text for aside in second.aside):
        return False
    return _repeated_rows(first, key) == _repeated_rows(second, key)


def _repeated_rows(answer: ArchiveAnswer, key: str) -> list[str]:
    if not answer.rows.num_rows:
        return []
    rows = answer.rows.filter(pc.is_in(folded(answer.rows, key), repeated(answer.rows, key)))
    return sorted(repr(sorted(row.items())) for row in rows.to_pylist())


Hashes = npt.NDArray[np.int64]


def hashes(tables: Sequence[pa.Table], key: str) -> Hashes:
    """Return a hash for each distinct key of some rows: eight bytes a row, so that those of millions fit in memory."""
    keys = [folded(table, key).drop_null().to_pylist() for table in tables if table.num_rows]
    hashed = [np.fromiter(map(hash, names), np.int64) for names in keys]
    return np.unique(np.concatenate(hashed)) if hashed else np.empty(0, np.int64)


def shared(parts: Sequence[Hashes]) -> tuple[frozenset[int], set[int]]:
    """Return the keys that are in several parts, and the positions of these parts."""
    every = np.concatenate(parts) if parts else np.empty(0, np.int64)
    keys, counts = np.unique(every, return_counts=True)
    several = keys[counts > 1]
    if not len(several):
        return frozenset(), set()
    places = {place for place, part in enumerate(parts) if np.isin(part, several).any()}
    return frozenset(several.tolist()), places
