"""Which names of a catalog mean a lake; this module imports nothing heavy.

A lake (DuckLake) keeps its rows in Parquet files and its metadata in a database: ``ducklake:PATH`` in a DuckDB file,
``ducklake:sqlite:PATH`` in an SQLite file, ``ducklake:postgres:service=NAME`` in PostgreSQL. Each of them can end in
``,data=PLACE``, the place for the rows. A name never has a password, so it can be shown to everybody. A text that may
have one is refused, and is not repeated.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from catalog.errors import UsageError
from catalog.text import without_password

_PREFIX = "ducklake:"
_DATA = ",data="
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WORD = re.compile(r"[A-Za-z0-9_./@:-]{1,255}")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,50}")
_OF_SERVER = ("service", "host", "port", "dbname", "user", "sslmode")
_OF_POSTGRES = (
    "a lake of PostgreSQL is ducklake:postgres:service=NAME, with NAME of pg_service.conf, or with "
    f"{', '.join(_OF_SERVER[1:])} and schema, separated by commas; a password belongs into ~/.pgpass"
)
SCHEMA = "mastlake"
"""The schema of the database that has the metadata, if the name says no other one."""

Metadata = Literal["duckdb", "sqlite", "postgres"]


@dataclass(frozen=True)
class LakeAddress:
    """Where a lake is.

    Attributes
    ----------
    metadata : str
        The kind of database that has the metadata: duckdb, sqlite or postgres.
    place : str
        The absolute path of the file with the metadata; for PostgreSQL, the keywords of the connection with commas.
    data : str or None
        The place for the rows, if the name says it: the absolute path of a folder without a slash at its end, or a URL.
    """

    metadata: Metadata
    place: str
    data: str | None = None

    @property
    def name(self) -> str:
        """The address in full, as a user may write it; it has no password."""
        return f"{_PREFIX}{_HEADS[self.metadata]}{self.place}{'' if self.data is None else f'{_DATA}{self.data}'}"

    @property
    def server(self) -> dict[str, str]:
        """The keywords with which libpq reaches the database; empty for a file."""
        return {key: value for key, value in self._keywords.items() if key != "schema"}

    @property
    def schema(self) -> str:
        """The schema of the database that has the metadata."""
        return self._keywords.get("schema", SCHEMA)

    def in_schema(self, schema: str) -> LakeAddress:
        """Return the address of a lake in another schema of the same database."""
        keywords = self._keywords | {"schema": schema}
        return replace(self, place=",".join(f"{key}={value}" for key, value in keywords.items()))

    @property
    def _keywords(self) -> dict[str, str]:
        pairs = [word.partition("=") for word in self.place.split(",")] if self.metadata == "postgres" else []
        return {key: value for key, _, value in pairs}


_HEADS = {"duckdb": "", "sqlite": "sqlite:", "postgres": "postgres:"}


_KIND = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""How an address begins, or a kind of lake that there is not; a path is not meant."""


def is_lake(text: str | os.PathLike[str]) -> bool:
    """Say whether a catalog's name means a lake."""
    return os.fspath(text).lower().startswith(_PREFIX)


def is_bucket(place: str) -> bool:
    """Say whether a place for rows is in a bucket."""
    return place.lower().startswith("s3://")


def lake_address(text: str | os.PathLike[str]) -> LakeAddress:
    """Take the name of a lake apart.

    Raises
    ------
    UsageError
        If the name has no path, or says no server in the way that is expected.

    Examples
    --------
    >>> lake_address("ducklake:postgres:service=jwst,data=/group/jwst")
    LakeAddress(metadata='postgres', place='service=jwst', data='/group/jwst')
    >>> lake_address("ducklake:sqlite:/data/jwst.sqlite").metadata
    'sqlite'
    """
    rest, mark_of_data, place_of_data = os.fspath(text)[len(_PREFIX) :].partition(_DATA)
    kind, mark, place = rest.partition(":")
    if mark and kind.lower() in ("postgres", "postgresql"):
        return LakeAddress("postgres", _server(place), _data(place_of_data) if mark_of_data else None)
    data = _data(place_of_data) if mark_of_data else None
    if mark and kind.lower() == "sqlite":
        return LakeAddress("sqlite", _file(place, text), data)
    return LakeAddress("duckdb", _file(rest, text), data)


def _server(text: str) -> str:
    """Check the keywords of a connection; the text is never repeated, as it may have a password."""
    keywords: dict[str, str] = {}
    for word in text.split(","):
        key, mark, value = word.partition("=")
        known = key in _OF_SERVER or key == "schema"
        if not (mark and known and key not in keywords and _WORD.fullmatch(value) and "://" not in value):
            raise UsageError(_OF_POSTGRES)
        keywords[key] = value
    if not _SCHEMA.fullmatch(keywords.get("schema", SCHEMA)) or not keywords.keys() - {"schema"}:
        raise UsageError(_OF_POSTGRES)
    return ",".join(f"{key}={value}" for key, value in keywords.items())


def _data(text: str) -> str:
    if not text.strip("/") or "?" in text or "\0" in text:
        raise UsageError("data= names the folder for the rows of a lake, such as data=/group/jwst")
    if is_bucket(text):
        from catalog.network.buckets import parts

        bucket, prefix = parts(text)  # this refuses keys, and does not repeat them
        return f"s3://{bucket}/{prefix}".rstrip("/")
    if _URL.match(text) and "@" in text:
        raise UsageError("data= must have no name and password")
    return text.rstrip("/") if _URL.match(text) else str(Path(text).absolute())


def _file(place: str, text: str | os.PathLike[str]) -> str:
    is_kind = _KIND.match(place) or place.lower() in ("sqlite", "postgres", "postgresql")
    if not place or is_kind or place.endswith("/") or "?" in place or "\0" in place:
        raise UsageError(
            f"{without_password(text)} names no file for the metadata of a lake; write ducklake:PATH or "
            "ducklake:sqlite:PATH (./PATH if it has a colon), without a question mark in the path, or "
            "ducklake:postgres:service=NAME"
        )
    return str(Path(place).absolute())
