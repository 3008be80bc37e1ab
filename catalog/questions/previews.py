"""The archive's preview images of a file, an observation or a search."""

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
        Name and uri of the image.
    obs_id : str or None
        The observation to which it belongs.
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
        Names of files (FITS or preview), ``obs_id`` of observations, or names of searches. If a file has no preview
        of its own, those of its exposure are taken, or else those of its observation.
    limit : int
        The most previews to return.

    Raises
    ------
    UsageError
        If a name has no preview.
    """
    previews_by_uri: dict[str, Preview] = {}
    with database.read() as connection:
        have = columns_of(connection, "products")
        if not {"productType", "productFilename"} <= set(have):
            raise UsageError("the catalog has no products yet: mastlake harvest NAME --instrument ...")
        for name in names:
            mine = _of_name(connection, PurePath(name).name)
            if not mine:
                raise UsageError(f"no preview of {name} in the catalog; mastlake products --type PREVIEW lists them")
            previews_by_uri |= {preview.data_uri: preview for preview in mine}
    return list(previews_by_uri.values())[:limit]


def previews_as_sql(previews: Sequence[Preview]) -> str:
    """Write a query that selects these previews; ``sync`` takes it as its selection."""
    uris = [preview.data_uri for preview in previews]
    return written_out(f"SELECT unnest([{', '.join('?' for _ in uris)}]) AS data_uri", uris)


def _of_name(connection: Any, name: str) -> list[Preview]:
    """Return the previews of a name; it is tried as image, stem of a file, observation, exposure and search in turn."""
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
