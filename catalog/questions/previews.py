"""The archive's own preview images: which there are for a file, an observation or a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from catalog.errors import UsageError
from catalog.questions.conditions import written_out
from catalog.store.database import Database, columns_of
from catalog.store.sql import objects_of_rows


@dataclass(frozen=True)
class Preview:
    """One preview image that the archive offers.

    Attributes
    ----------
    filename, data_uri : str
        Of the image.
    obs_id : str or None
        The observation that it belongs to.
    """

    filename: str
    data_uri: str
    obs_id: str | None


def previews(database: Database, names: Sequence[str], limit: int = 12) -> list[Preview]:
    """Find the previews of files, observations or searches, in the order of the names.

    Parameters
    ----------
    database : Database
        The catalog.
    names : sequence of str
        Names of files (FITS or preview), ``obs_id`` of observations, or names of searches. A file without a preview
        of its own has those of its exposure, or else of its observation.
    limit : int
        How many at most.

    Raises
    ------
    UsageError
        For a name without any preview.
    """
    found: dict[str, Preview] = {}
    with database.read() as connection:
        have = columns_of(connection, "products")
        if not {"productType", "productFilename"} <= set(have):
            raise UsageError("the catalog has no products yet: mastlake harvest NAME --instrument ...")
        for name in names:
            mine = _of_name(connection, PurePath(name).name)
            if not mine:
                raise UsageError(f"no preview of {name} in the catalog; mastlake products --type PREVIEW lists them")
            found |= {one.data_uri: one for one in mine}
    return list(found.values())[:limit]


def previews_as_sql(found: Sequence[Preview]) -> str:
    """Write previews as a query that ``sync`` takes as its selection."""
    uris = [one.data_uri for one in found]
    return written_out(f"SELECT unnest([{', '.join('?' for _ in uris)}]) AS data_uri", uris)


def _of_name(connection: Any, name: str) -> list[Preview]:
    """The first way that leads to any: the image itself, the same stem, the observation, the exposure, the search."""
    stem = name.rsplit(".", 1)[0] if name.lower().endswith((".fits", ".jpg", ".jpeg", ".png", ".gz")) else name
    exposure = stem.rpartition("_")[0] or stem
    ways: tuple[tuple[str, str], ...] = (
        ("filename = ?", name),
        ("regexp_replace(filename, '\\.[^.]+$', '') = ?", stem),
        ("obs_id = ?", name),
        ("starts_with(filename, ? || '_') AND filename LIKE '%\\_rate%' ESCAPE '\\'", exposure),
        ("starts_with(filename, ? || '_')", exposure),
        ("obs_id = (SELECT min(obs_id) FROM files WHERE filename = ?)", name),
        ("obs_id IN (SELECT obs_id FROM search_observations WHERE search = ?)", name),
        ("obs_id IN (SELECT obs_id FROM files JOIN search_files USING (filename) WHERE search = ?)", name),
    )
    for way, value in ways:
        answered = connection.execute(f"{_PREVIEWS} SELECT * FROM preview WHERE {way} ORDER BY filename", [value])
        if mine := objects_of_rows(Preview, answered):
            return mine
    return []


_PREVIEWS = """WITH preview AS (
    SELECT coalesce("productFilename", regexp_extract(data_uri, '[^/]*$')) AS filename, data_uri, obs_id
    FROM products WHERE upper("productType") = 'PREVIEW')"""
