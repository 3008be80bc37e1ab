"""Write a catalog into a folder under the number of its run, and let ``LATEST`` point to it."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from catalog._version import __version__
from catalog.errors import CatalogLocked, DiskError, NotACatalog, UsageError
from catalog.publish.manifest import (
    LATEST,
    Manifest,
    catalog_filename,
    manifest_name,
    named_by,
    parse_manifest,
    sha256_of,
)
from catalog.store.copies import copy_shared
from catalog.store.database import HEAD, Database
from catalog.store.turns import LockWait, StillHeld, held

KEEP = 3
READING_SECONDS = 86_400.0
"""How long after a newer catalog was published a reader may still read the older one: a day."""
_LOCK = ".publishing"
_PARTIAL = ".partial-"
_CLAIM = f"{_PARTIAL}names-"
_OURS = re.compile(r"run-\d{6,9}\.(json|duckdb|parquet)")


@dataclass(frozen=True)
class Publication:
    """What `publish` did.

    Attributes
    ----------
    folder : str
        The folder.
    run : int
        The run up to which the published catalog goes.
    file : str
        The name of the published catalog in the folder.
    bytes : int
        Its size.
    published : bool
        False if the folder had this run already; then nothing was written.
    removed : tuple of str
        Names of older catalogs that were removed.
    parquet : str or None
        The name of the folder with the same as Parquet files, if this was asked for.
    """

    folder: str
    run: int
    file: str
    bytes: int
    published: bool
    removed: tuple[str, ...]
    parquet: str | None = None


def publish(
    database: Database,
    folder: Path,
    *,
    keep: int = KEEP,
    parquet: bool = False,
    reading_seconds: float = READING_SECONDS,
) -> Publication:
    """Publish the catalog as it is after its newest run.

    Parameters
    ----------
    database : Database
        The working catalog.
    folder : Path
        The folder; it is made if it does not exist.
    keep : int
        How many published catalogs stay at least, with the new one.
    parquet : bool
        Also write what the catalog has now as Parquet files.
    reading_seconds : float
        For how long after a newer catalog was published an older one stays in any case.

    Raises
    ------
    UsageError
        If nothing was harvested yet, or the folder has another catalog, or a newer run.
    CatalogLocked
        If another process is publishing there.
    DiskError
        If the folder cannot be written; ``LATEST`` then points where it did.
    """
    if keep < 1:
        raise UsageError("--keep must be at least 1: the newest catalog always stays")
    database.require_writable()
    run, _, _ = _newest_run(database)
    with _told(folder), _alone(folder):
        before = newest_in(folder)
        _refuse_other(database, before, folder, run)
        _sweep(folder, before)
        if before is not None and before.run == run:
            name = _with_parquet(folder, before) if parquet else None
            return Publication(str(folder), run, before.file, before.size, False, (), name)
        manifest = _written(database, folder)
        name = _with_parquet(folder, manifest) if parquet else None
        _point_to(folder, manifest.name)
        removed = _remove_old(folder, keep, reading_seconds)
        (folder / f"{_CLAIM}{os.getpid()}").unlink()
    return Publication(str(folder), manifest.run, manifest.file, manifest.size, True, removed, name)


def newest_in(folder: Path) -> Manifest | None:
    """Return the manifest that ``LATEST`` of a folder points to; None if nothing was published there.

    Raises
    ------
    NotACatalog
        If the pointer or the manifest is not as mastlake writes it.
    OSError
        If the manifest cannot be read.
    """
    try:
        with (folder / LATEST).open("rb") as file:
            name = named_by(file.read(200), str(folder))
    except FileNotFoundError:
        return None
    with (folder / name).open("rb") as file:
        return parse_manifest(file.read(1 << 20), name, str(folder))


def _newest_run(database: Database, up_to: int | None = None) -> tuple[int, str, str]:
    """Return the newest run, when it ended, and a checksum of the runs up to it."""
    with database.read() as connection:
        rows = connection.execute(
            "SELECT run, started_at, ended_at FROM runs WHERE run <= coalesce(?, run) ORDER BY run", [up_to]
        ).fetchall()
    if not rows:
        if up_to is not None:
            return 0, "", ""
        raise UsageError(
            f"{database.path} has no run to publish; harvest first: mastlake harvest NAME --instrument ..."
        )
    told = "\n".join(f"{run} {started}" for run, started, _ in rows)
    return int(rows[-1][0]), str(rows[-1][2]), hashlib.sha256(told.encode()).hexdigest()


def _refuse_other(database: Database, before: Manifest | None, folder: Path, run: int) -> None:
    if before is None:
        return
    if before.run > run:
        raise UsageError(
            f"{folder} has run {before.run} already, and {database.path} only goes to run {run}; "
            "publish the newer catalog, or choose another folder"
        )
    if _newest_run(database, before.run)[2] != before.history:
        raise UsageError(f"{folder} has another catalog, with other runs; choose another folder")


def _written(database: Database, folder: Path) -> Manifest:
    """Write the catalog and then its manifest, each whole and on disk before it has its name."""
    partial = folder / f"{_PARTIAL}{os.getpid()}.duckdb"
    copied = copy_shared(database, partial)
    copy = Database(partial)
    run, ended_at, history = _newest_run(copy)  # as it was when it was copied; this also proves that it opens
    manifest = Manifest(
        run=run,
        run_ended_at=ended_at,
        history=history,
        file=catalog_filename(run),
        size=partial.stat().st_size,
        sha256=sha256_of(partial),
        schema=HEAD,
        storage=copied.storage,
        duckdb=duckdb.__version__,
        mastlake=__version__,
        published_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        rows=copied.rows,
    )
    names = [manifest.file, manifest.name, str(Path(manifest.file).with_suffix(".parquet"))]
    _require_free(folder, names)
    _claim(folder, names)
    partial.rename(folder / manifest.file)
    _write(folder, manifest.name, manifest.to_json())
    return manifest


def _with_parquet(folder: Path, manifest: Manifest) -> str:
    """Write the Parquet files of a published run, unless they are there; return the name of their folder."""
    from catalog.publish.parquet import parquet_name, write_parquet

    name = parquet_name(manifest.run)
    if not (folder / name).exists():
        partial = folder / f"{_PARTIAL}{os.getpid()}.parquet"
        write_parquet(folder / manifest.file, manifest, partial)
        partial.rename(folder / name)
    return name


def _point_to(folder: Path, name: str) -> None:
    _write(folder, LATEST, f"{name}\n".encode())


def _write(folder: Path, name: str, content: bytes) -> None:
    partial = folder / f"{_PARTIAL}{os.getpid()}.{name}"
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / name)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot sync a folder
            os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path, newest: Manifest | None) -> None:
    """Remove what a killed publisher left. Of finished names, only those that a publisher claimed are removed."""
    for claim in folder.glob(f"{_CLAIM}*"):
        for name in claim.read_text().split():
            if _OURS.fullmatch(name) and _is_unfinished(folder / name, newest):
                _remove(folder / name)
    for path in folder.glob(f"{_PARTIAL}*"):
        _remove(path)


def _claim(folder: Path, names: Iterable[str]) -> None:
    """Write down which names this process is about to put into the folder or remove, for the sweep after a kill."""
    _write(folder, f"{_CLAIM}{os.getpid()}", "\n".join(names).encode())


def _require_free(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if os.path.lexists(folder / name):
            raise UsageError(f"{folder / name} was not published by mastlake; move it away, or choose another folder")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_unfinished(path: Path, newest: Manifest | None) -> bool:
    run = _run_of(path)
    return newest is None or run > newest.run or not path.with_name(manifest_name(run)).exists()


def _run_of(path: Path) -> int:
    return int(path.stem.removeprefix("run-"))


def _remove_old(folder: Path, keep: int, reading_seconds: float) -> tuple[str, ...]:
    """Remove catalogs beyond `keep`, the oldest first, if a newer one has been there for long enough."""
    runs = sorted((path for path in folder.glob("run-*.json") if _OURS.fullmatch(path.name)), key=_run_of, reverse=True)
    now = dt.datetime.now(dt.UTC).timestamp()
    removed = [
        path
        for newer, path in list(itertools.pairwise(runs))[keep - 1 :]
        if now - newer.stat().st_mtime >= reading_seconds
    ]
    _claim(folder, (str(Path(path.name).with_suffix(end)) for path in removed for end in (".duckdb", ".parquet")))
    names = []
    for path in reversed(removed):
        path.unlink()  # the manifest first: a file without one is swept by the next publish
        _remove(path.with_suffix(".duckdb"))
        if path.with_suffix(".parquet").exists():
            _remove(path.with_suffix(".parquet"))
        names.append(path.with_suffix(".duckdb").name)
    return tuple(names)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = held(folder / _LOCK, LockWait(0), "another publisher")
    try:
        lock.__enter__()
    except StillHeld:
        raise CatalogLocked(f"another mastlake is publishing into {folder}; try again when it is done") from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except NotACatalog:
        raise
    except OSError as error:
        raise DiskError(f"cannot publish into {folder}: {error.strerror or error}") from error
