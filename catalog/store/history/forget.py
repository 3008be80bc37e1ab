"""Forget local files that will not come back."""

from __future__ import annotations

import os

from catalog.store.database import Database
from catalog.store.history.local_files import close_local_files as close
from catalog.store.history.runs import utc_now


def forget(database: Database, path: str | os.PathLike[str]) -> int:
    """Stop expecting files at a path or below it; their history stays, and no file on disk is touched.

    Parameters
    ----------
    database : Database
        The catalog.
    path : path-like
        A file, or a folder.

    Returns
    -------
    int
        How many files were forgotten.

    Raises
    ------
    CatalogError
        If the catalog cannot be used.
    """
    where = os.path.abspath(path)  # noqa: PTH100 - links stay as the user named them
    if database.published_in is not None and database.local_path is None:
        return 0  # there are no local files, and none need be noted
    with database.write_local() as connection:
        return close(connection, where, utc_now())
