"""Level-3 products with their inputs: what the association files name as members."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from catalog.store.database import Database
from catalog.sync.names import refusal
from catalog.sync.selection import Selection, prepare, run_sql

_LARGEST = 1 << 24


def association_files(database: Database, selection: Selection) -> list[str]:
    """List the ``data_uri`` of the association files behind the selected level-3 products.

    Those are the products named ``..._asn.json`` of a level-3 kind (``tso3``, ``image3``) that the same
    observations list.
    """
    wanted = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        chosen = prepare(connection, selection, wanted)
        found = connection.execute(
            f"""SELECT DISTINCT data_uri FROM observation_products
                WHERE obs_id IN (SELECT obs_id FROM {chosen.sql} WHERE calib_level >= 3)
                    AND regexp_matches(lower(data_uri), '_[a-z0-9-]*3_[0-9]+_asn\\.json$')
                ORDER BY data_uri""",
            dict(chosen.values),
        ).fetchall()
    return [str(uri) for (uri,) in found]


def members(paths: Iterable[Path]) -> pa.Table:
    """Read association files that are on disk, and return the names of their members in a column ``filename``."""
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
