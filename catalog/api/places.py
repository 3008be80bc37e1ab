"""What the name of a catalog means: a file, a published catalog, or a lake; this module imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from catalog.defaults import CATALOG
from catalog.publish.known import known_places
from catalog.publish.names import is_published
from catalog.store.lakes.address import is_lake, lake_address

__all__ = ["is_lake", "is_published", "known_places", "settings_beside"]


def settings_beside(named: str | os.PathLike[str]) -> Path:
    """Return the path beside which the ``mastlake.toml`` of a catalog is.

    Parameters
    ----------
    named : str or path-like
        The catalog's name. Others may have written the folder of a published catalog; then, and for a lake that is in
        no folder, it is a file of the present folder.

    Raises
    ------
    UsageError
        If the name is one of a lake, but has no path and no service.

    Examples
    --------
    >>> settings_beside("ducklake:sqlite:/data/jwst.sqlite").as_posix()
    '/data/jwst.sqlite'
    """
    if is_lake(named):
        address = lake_address(named)
        return Path(CATALOG if address.metadata == "postgres" else address.place)
    return Path(CATALOG if is_published(named) else named)
