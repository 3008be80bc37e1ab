"""The engine of a published catalog that is read where it is: DuckDB asks this process for each block that it needs.

DuckDB opens a file through Python only if its name has a scheme that belongs to an extension, and if this extension is
loaded. So the extension httpfs is loaded, and all of its schemes are given to the one file. The extension itself never
opens a connection: proxies, certificates, redirects and checksums are those of `catalog.network` and of whoever gives
the bytes.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from catalog.store.duckdb_file import DuckDBFile, quiet
from catalog.store.faults import explain
from catalog.store.lakes.extensions import load_extensions, packaged
from catalog.store.memory import READING_MB
from catalog.store.sql import literal

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_EXTENSION = "httpfs"
_SCHEMES = ("https", "http", "s3", "s3a", "s3n", "gcs", "gs", "r2", "hf")
_NAME = "https://published.invalid/catalog.duckdb"
"""The name under which DuckDB opens the file; no host can have a name that ends in .invalid."""
_THREADS = 8
"""More threads than cores, because most of them wait for the network."""
_ROWS_READ_LATE = 2000
"""Up to so many rows, DuckDB reads the columns that only the answer needs after it has found the rows."""
_setting_up = threading.Lock()


class Readable(Protocol):
    """A file of which any part can be read.

    Attributes
    ----------
    size : int
        Its size in bytes.
    """

    size: int

    def read(self, start: int, length: int) -> bytes:
        """Return so many bytes from a place on, or fewer at the end of the file."""

    def go_on(self) -> None:
        """Allow reads after `stop`, and forget errors of earlier ones."""

    def stop(self) -> None:
        """Let all reads end that wait for the network."""

    def take_fault(self) -> BaseException | None:
        """Return the first error of `read` since the last call; DuckDB passes on its text only."""


def can_read_in_place() -> bool:
    """Say whether the packages are installed by which a catalog can be read where it is."""
    fitting = packaged(_EXTENSION)
    return fitting is not None and f"v{duckdb.__version__}" in fitting.parts and find_spec("fsspec") is not None


@dataclass(frozen=True)
class DistantFile(DuckDBFile):
    """A published catalog that is read where it is; see `catalog.store.engine.Engine`.

    The path of such a catalog is that of its manifest in the cache.

    Attributes
    ----------
    file : Readable
        The bytes.
    """

    file: Readable = field(kw_only=True)

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the catalog for reading.

        Raises
        ------
        CatalogError
            If it cannot be opened.
        """
        # All connections of a process with this name share one DuckDB, as those to one file do.
        shared = f":memory:distant:{path}:{id(self.file)}"
        with _setting_up:
            connection = duckdb.connect(shared, config=_settings(path))
            try:
                self._attach(connection)
            except duckdb.Error as error:
                connection.close()
                raise explain(error, path) from error
            except BaseException:
                connection.close()
                raise
        return connection

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Attach the file, and let the connection reach no other; another thread may have done so."""
        quiet(connection)
        if connection.execute("SELECT current_setting('enable_external_access')").fetchone() == (True,):
            load_extensions(connection, (_EXTENSION,))
            connection.register_filesystem(_file_system(self.file))
            connection.execute(f"ATTACH {literal(_NAME)} AS published (READ_ONLY)")
            connection.execute("SET GLOBAL TimeZone = 'UTC'")  # the archive's times
            connection.execute("SET enable_external_access = false")
        connection.execute("USE published")

    def cursor(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return one more connection to the open catalog."""
        cursor = connection.cursor()
        cursor.execute("USE published")
        return cursor


def _settings(path: Path) -> dict[str, Any]:
    return {
        "memory_limit": f"{max(READING_MB, 128 * _THREADS)}MB",
        "temp_directory": f"{path}.tmp",
        "threads": _THREADS,
        "storage_block_prefetch": "NEVER",  # it reads all columns of a row group before it knows that rows are wanted
        "late_materialization_max_rows": _ROWS_READ_LATE,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_unsigned_extensions": True,  # see `catalog.store.lakes.extensions`
        "python_enable_replacements": False,  # a query sees tables, and not the variables of this program
    }


class _Opened:
    """The file as DuckDB reads it. Each thread has a place of its own in the file, as all threads share the object."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._places: dict[int, int] = {}  # DuckDB's threads have no `threading.local` that lasts

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._file.size}[whence]
        self._places[threading.get_ident()] = base + place
        return base + place

    def tell(self) -> int:
        return self._places.get(threading.get_ident(), 0)

    def read(self, length: int = -1) -> bytes:
        place = self.tell()
        content = self._file.read(place, self._file.size - place if length < 0 else length)
        self._places[threading.get_ident()] = place + len(content)
        return content

    def close(self) -> None:
        pass


def _file_system(file: Readable) -> AbstractFileSystem:
    """Return a file system with this one file."""
    import datetime as dt

    from fsspec import AbstractFileSystem

    class OneFile(AbstractFileSystem):  # type: ignore[misc]
        protocol = _SCHEMES
        cachable = False

        def open(self, path: str, mode: str = "rb", **_: Any) -> _Opened:
            if path != _NAME or mode != "rb":
                raise FileNotFoundError(path)
            return _Opened(file)

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            return {"name": path, "size": file.size, "type": "file"}

        def isfile(self, path: str) -> bool:
            return path == _NAME

        def exists(self, path: str, **_: Any) -> bool:
            return path == _NAME

        def modified(self, path: str) -> dt.datetime:
            return dt.datetime.fromtimestamp(0, dt.UTC)

        def glob(self, path: str, **_: Any) -> list[str]:
            return []

    return OneFile()
