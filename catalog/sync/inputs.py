"""The inputs of level-3 products: the members that association files name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from catalog.store.database import Database
from catalog.sync.names import refusal
from catalog.sync.selection import Selection, run_sql, selection_query

_LARGEST = 1 << 24


def association_files(database: Database, selection: Selection) -> list[str]:
    """List the ``data_uri`` of the association files behind the selected level-3 products.

    These are products with names ``..._asn.json`` of a level-3 kind (``tso3``, ``image3``) that the observations of the
    selected products list.
    """
    uris_of_sql = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        selected = selection_query(connection, selection, uris_of_sql)
        files = connection.execute(
            f"""SELECT DISTINCT data_uri FROM observation_products
                WHERE obs_id IN (SELECT obs_id FROM {selected.sql} WHERE calib_level >= 3)
                    AND regexp_matches(lower(data_uri), '_[a-z0-9-]*3_[0-9]+_asn\\.json$')
                ORDER BY data_uri""",
            dict(selected.values),
        ).fetchall()
    return [str(uri) for (uri,) in files]


def association_members(paths: Iterable[Path]) -> pa.Table:
    """Read association files on disk, and return the names of their members in a column ``filename``."""
    names: set[str] = set()
    for path in paths:
        names |= _members(path)
    return pa.table({"filename": pa.array(sorted(names), pa.string())})


def _members(path: Path) -> set[str]:
    try:
        if path.stat().st_size > _LARGEST:
            return set()
        association = json.loads(path.read_bytes())
        listed = [member["expname"] for product in association["products"] for member in product["members"]]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in listed if isinstance(name, str) and refusal(name) is None}
