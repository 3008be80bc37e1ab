"""The newest published catalog, as it can be asked now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from catalog.store.duckdb_file import DUCKDB
from catalog.store.engine import Engine


@dataclass(frozen=True)
class Newest:
    """A published catalog that can be asked.

    Attributes
    ----------
    path : Path
        The file; of a catalog that is read where it is, its manifest in the cache.
    size : int
        The size of the catalog in bytes.
    engine : Engine
        The engine that opens it.
    """

    path: Path
    size: int
    engine: Engine = DUCKDB

    @property
    def is_whole(self) -> bool:
        """Whether all of the catalog is a file on this machine's disks."""
        return self.engine is DUCKDB
