"""Which names of a catalog mean a place where catalogs are published; this module imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from catalog.store.lakes.address import is_lake

BUCKET_SCHEME = "s3://"


def is_bucket(text: str) -> bool:
    """Say whether a catalog's name is a prefix in a bucket."""
    return text.lower().startswith(BUCKET_SCHEME)


def is_address(text: str) -> bool:
    """Say whether a catalog's name is an address, of a web server or of a bucket."""
    return text.lower().startswith(("http://", "https://", BUCKET_SCHEME))


def is_published(text: str | os.PathLike[str]) -> bool:
    """Say whether a catalog's name means a place where catalogs are published: an address, or a folder."""
    name = os.fspath(text)
    return is_address(name) or ((name.endswith("/") or Path(name).is_dir()) and not is_lake(name))
