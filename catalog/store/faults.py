"""Errors of DuckDB and of the disk, each as one clear line; and Ctrl-C as Python raises it."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from catalog.errors import CatalogError, CatalogTooNew, CatalogUnwritable, NotACatalog, RowsRemoved, UsageError
from catalog.store.lakes.server_faults import server_fault
from catalog.text import harmless

_FULL = ("No space left", "disk full", "Disk quota exceeded")
_GIVEN_UP = "cannot rollback - no transaction is active"
"""What remains of SQLite's error after it gave up a transaction by itself, as it does on a full disk."""
_UNWRITABLE = ("Could not write", "Permission denied", "Read-only file system", "Input/output error")
_GONE = re.compile(
    r"cannot open file .*\.parquet\W+no such file|reading .*\.parquet.*http 404|no snapshot found at version",
    re.IGNORECASE,
)
_NO_SNAPSHOT = re.compile(r"no snapshot found at version (\d+)", re.IGNORECASE)
_NOTHING_CHANGED = "nothing was changed"
_DAMAGED = ("Corrupt database file", "does not match stored checksum", "Serialization Error")


class Locked(Exception):
    """Another connection holds the file, so it is worth trying again. The text names the holder."""


def explain(error: duckdb.Error, path: Path | str) -> Exception:
    """Return the error that says why a catalog could not be opened; DuckDB gives the reason as text only."""
    text = str(error)
    if "Could not set lock" in text or "different configuration" in text:
        holder = re.search(r"held in (?:\S*/)?([^/\s]+) \(PID (\d+)\)", text)
        return Locked(_holder(holder[1], int(holder[2])) if holder else "another connection of this process")
    if other_kind := _other_kind(text):
        return NotACatalog(f"{path} {other_kind}")
    if "version number" in text or "newer version" in text.lower():
        return CatalogTooNew(f"{path} was written by a newer DuckDB; upgrade the duckdb package")
    if any(word.lower() in text.lower() for word in _FULL):
        return CatalogUnwritable(f"no space left for {path}; nothing was changed, free some and run again")
    if not any(word in text for word in _DAMAGED) and isinstance(error, duckdb.IOException):
        return CatalogUnwritable(f"cannot use {path}: {reason(text)}")
    return damaged(error, path) or error


def _other_kind(text: str) -> str | None:
    """Say what a file is in place of a catalog, and what to do; None if the error has another cause."""
    if "not a valid DuckDB database" in text:
        return "is not a DuckDB database; choose another --catalog"
    if "Existing DuckLake" in text and "does not exist" in text:
        return "has no lake; if the catalog is one file, its name is the path alone"
    if "sqlite_scanner" in text:
        return "is an SQLite file; if it is of a lake, the catalog's name is ducklake:sqlite:PATH"
    return None


def _holder(program: str, pid: int) -> str:
    """Name a process on this machine: program, number, and since when it runs, where the system tells."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
        began = datetime.now(UTC) - timedelta(seconds=up - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return f"{harmless(program)} (PID {pid})"
    return f"{harmless(program)} (PID {pid} on {socket.gethostname()}, running since {began:%Y-%m-%dT%H:%M:%SZ})"


def reason(text: str) -> str:
    """Return the cause of an error in one line, from DuckDB's text."""
    if "HTTP" in text:
        from catalog.store.lakes.bucket import bucket_fault, is_of_bucket

        if is_of_bucket(text):
            return bucket_fault(text)
    return re.sub(r"^\w+ Error: ", "", text.splitlines()[0])


def is_interrupt(error: BaseException) -> bool:
    """Say whether an error is what DuckDB raises for Ctrl-C in the middle of a statement."""
    if isinstance(error, duckdb.InterruptException):
        return True
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


@contextmanager
def in_steps(kept: str) -> Iterator[None]:
    """Let errors of a task that commits several times say what is true, and not that nothing was changed.

    Parameters
    ----------
    kept : str
        What is true.
    """
    try:
        yield
    except CatalogError as error:
        if _NOTHING_CHANGED not in str(error):
            raise
        raise type(error)(str(error).replace(_NOTHING_CHANGED, kept)) from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in place of what DuckDB raises for Ctrl-C."""
    try:
        yield
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise


def _is_no_utf8(error: BaseException) -> bool:
    """Say whether an error is what DuckDB makes of a text that has no bytes in UTF-8."""
    return isinstance(error, RuntimeError) and "Unable to cast Python instance of type <class 'str'>" in str(error)


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn errors of reading a file into one clear line."""
    try:
        yield
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        if _is_no_utf8(error):
            raise UsageError("a word or a path is not UTF-8, so it cannot be in the catalog") from error
        if fault := server_fault(error, path):
            raise fault from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise CatalogError(f"{path} cannot be read in the memory that there is ({reason(str(error))})") from error
        if isinstance(error, duckdb.Error) and (damage := damaged(error, path)):
            raise damage from error
        if rows_removed(str(error)):
            raise removed_rows(path, str(error)) from error
        if isinstance(error, duckdb.IOException):
            raise CatalogError(f"cannot read {path}: {reason(str(error))}") from error
        raise


def rows_removed(text: str) -> bool:
    """Say whether an error is that upkeep removed the snapshot of a question, or files with its rows."""
    return _GONE.search(text) is not None


def removed_rows(path: Path | str, text: str) -> RowsRemoved:
    """Return the error for `rows_removed`. The question is asked once more first, so the rows may be gone for good."""
    if snapshot := _NO_SNAPSHOT.search(text):
        return RowsRemoved(
            f"{path} has no snapshot {snapshot[1]}: upkeep removed it, or there never was one; what was known after a "
            "run stays in the tables, see files_at(RUN)"
        )
    return RowsRemoved(
        f"files with rows of {path} are gone: upkeep removed them meanwhile, or their folder or bucket is not there; "
        "ask again"
    )


def damaged(error: duckdb.Error, path: Path | str) -> CatalogError | None:
    """Return the error to raise if a damaged file is the cause of DuckDB's error; None for other causes."""
    text = str(error)
    if any(word in text for word in _DAMAGED):
        return CatalogError(f"{path} is damaged ({reason(text)}); take it from a backup, or harvest into a new one")
    return None


def is_of_disk(error: duckdb.Error) -> bool:
    """Say whether an error is that a disk is full, or takes nothing more."""
    return any(word.lower() in str(error).lower() for word in (*_FULL, _GIVEN_UP))


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn errors of a transaction on a full or read-only disk into one clear line."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps the error of DuckDB
        if is_interrupt(cause):
            raise KeyboardInterrupt from None
        if _is_no_utf8(cause):
            raise UsageError("a word or a path is not UTF-8, so the catalog cannot keep it") from error
        if told := server_fault(cause, path, writes=True) or _rows_lost(cause, path) or _of_writing(cause, path):
            raise told from error
        raise


def _rows_lost(error: BaseException, path: Path | str) -> CatalogError | None:
    """Return the error for a writer who misses files with rows: nobody else can have removed them during its turn."""
    if not isinstance(error, duckdb.Error) or not rows_removed(str(error)):
        return None
    return CatalogError(
        f"files with rows of {path} are gone, or their folder is not there ({reason(str(error))}); "
        f"put them back from a backup; {_NOTHING_CHANGED}"
    )


def _of_writing(error: BaseException, path: Path | str) -> CatalogError | None:
    full = CatalogUnwritable(f"no space left for {path}; nothing was changed, free some and run again")
    if isinstance(error, OSError):
        return full if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
    if not isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.TransactionException):
        return None
    text = str(error)
    if any(word.lower() in text.lower() for word in _FULL):
        return full
    if any(word in text for word in _DAMAGED):
        return damaged(error, path)
    if isinstance(error, duckdb.IOException) or any(word in text for word in (*_UNWRITABLE, "HTTP", _GIVEN_UP)):
        why = "its disk is full, or fails" if _GIVEN_UP in text else reason(text)
        return CatalogUnwritable(f"cannot write {path}: {why}; nothing was changed")
    return None
