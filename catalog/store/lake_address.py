"""Which names of a catalog mean a lake; this module imports nothing heavy.

A lake (DuckLake) keeps its rows in Parquet files and its metadata in a database: ``ducklake:PATH`` in a DuckDB file,
``ducklake:sqlite:PATH`` in an SQLite file. ``ducklake:postgres:service=NAME`` is understood, so that one line can say
that it is not supported; another form of it may have a password, and is not repeated.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from catalog.errors import UsageError
from catalog.text import harmless

_PREFIX = "ducklake:"
_SERVICE = re.compile(r"service=(?P<service>[A-Za-z0-9_.-]{1,63})")
_OF_POSTGRES = "a lake of PostgreSQL is ducklake:postgres:service=NAME, with NAME of pg_service.conf"

Metadata = Literal["duckdb", "sqlite", "postgres"]


@dataclass(frozen=True)
class LakeAddress:
    """Where a lake is.

    Attributes
    ----------
    metadata : str
        The kind of database that has the metadata: duckdb, sqlite or postgres.
    place : str
        The absolute path of the file with the metadata; for PostgreSQL, the name of the service.
    """

    metadata: Metadata
    place: str

    @property
    def name(self) -> str:
        """The address in full, as a user may write it; it has no password."""
        return f"{_PREFIX}{_HEADS[self.metadata]}{self.place}"


_HEADS = {"duckdb": "", "sqlite": "sqlite:", "postgres": "postgres:service="}


def is_lake(text: str | os.PathLike[str]) -> bool:
    """Say whether a catalog's name means a lake."""
    return os.fspath(text).lower().startswith(_PREFIX)


def lake_address(text: str | os.PathLike[str]) -> LakeAddress:
    """Take the name of a lake apart.

    Raises
    ------
    UsageError
        If the name has no path or no service.

    Examples
    --------
    >>> lake_address("ducklake:postgres:service=jwst")
    LakeAddress(metadata='postgres', place='jwst')
    >>> lake_address("ducklake:sqlite:/data/jwst.sqlite").metadata
    'sqlite'
    """
    rest = os.fspath(text)[len(_PREFIX) :]
    kind, mark, place = rest.partition(":")
    if mark and kind.lower() in ("postgres", "postgresql"):
        if (service := _SERVICE.fullmatch(place)) is None:
            raise UsageError(_OF_POSTGRES)  # without the text, which may have a password
        return LakeAddress("postgres", service["service"])
    if mark and kind.lower() == "sqlite":
        return LakeAddress("sqlite", _file(place, text))
    return LakeAddress("duckdb", _file(rest, text))


def _file(place: str, text: str | os.PathLike[str]) -> str:
    if not place or place.endswith("/") or "?" in place or "\0" in place:
        raise UsageError(
            f"{harmless(os.fspath(text))} names no file for the metadata of a lake; write ducklake:PATH or "
            "ducklake:sqlite:PATH, without a question mark in the path"
        )
    return str(Path(place).absolute())
