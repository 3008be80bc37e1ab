"""The order in which rows are stored, so that DuckDB can skip most of them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from catalog.store.history.versions import Versions


def in_storage_order(rows: pa.Table, versions: Versions) -> pa.Table:
    """Return rows in the order in which they are to be stored.

    DuckDB knows the least and the greatest value of each column in every row group of 122,880 rows, and skips row
    groups that cannot have an answer. In the archive's order, times and places would be scattered over all row groups.
    Here rows are sorted by periods of time, then by bands of declination, then by name, which keeps visits together.

    Each answer of the archive is sorted when it arrives. A large search is asked for by periods of time anyway, and
    sorting all of it in DuckDB takes as long as reading it.

    Parameters
    ----------
    rows : pyarrow.Table
        One answer.
    versions : Versions
        The table into which they go.

    Examples
    --------
    >>> from catalog.store.history.versions import FILES
    >>> rows = pa.table({"filename": ["c", "b", "a"], "date_obs_mjd": [59_780.0, 59_950.0, 59_781.0]})
    >>> in_storage_order(rows, FILES)["filename"].to_pylist()
    ['a', 'c', 'b']
    """
    keys = {
        name: pc.floor(pc.divide(rows.column(name).cast(pa.float64()), width))
        for name, width in versions.laid
        if name in rows.column_names and _is_number(rows.schema.field(name).type)
    }
    if not keys:
        return rows
    keys[versions.key] = rows.column(versions.key)
    return rows.take(pc.sort_indices(pa.table(keys), [(name, "ascending") for name in keys]))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
