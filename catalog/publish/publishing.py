"""Publish a catalog under the number of its run, and let ``LATEST`` point to it.

The steps are the same for a folder and for a bucket; `catalog.publish.place` says what each of them can do.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from catalog._version import __version__
from catalog.errors import UsageError
from catalog.publish.blocks import HEAD_BYTES, Blocks, block_size, blocks_of, stretches
from catalog.publish.folder import PublishingFolder
from catalog.publish.manifest import MOST_STRETCHES, Manifest, catalog_filename, manifest_name, parquet_name, sha256_of
from catalog.publish.names import is_bucket
from catalog.publish.place import PARTIAL, Place
from catalog.publish.shared_lists import FOLDER
from catalog.store.copies.shared_copy import CopiedCatalog, copy_shared
from catalog.store.database import Database
from catalog.store.revision import HEAD
from catalog.text import without_password

KEEP = 3
READING_SECONDS = 86_400.0
"""How long after a newer catalog was published a reader may still read the older one: a day."""
MOST_PATCHES = 20
"""How many times in a row a file is made from the one before it. Deleted rows leave holes, so then it is made anew."""
_CLAIM = f"{PARTIAL}names-"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|ducklake:")
_OURS = re.compile(r"run-\d{6,9}\.(json|duckdb|parquet)")


@dataclass(frozen=True)
class Publication:
    """What `publish` did.

    Attributes
    ----------
    folder : str
        The folder, or the address of the prefix in a bucket.
    run : int
        The run up to which the published catalog goes.
    file : str
        The name of the published catalog there.
    bytes : int
        Its size.
    published : bool
        False if this run was there already; then nothing was written.
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
    to: str | os.PathLike[str],
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
    to : str or path-like
        A folder, which is made if it does not exist; or s3://BUCKET/PREFIX.
    keep : int
        How many published catalogs stay at least, with the new one.
    parquet : bool
        Also write what the catalog has now as Parquet files.
    reading_seconds : float
        For how long after a newer catalog was published an older one stays in any case.

    Raises
    ------
    UsageError
        If nothing was harvested yet, or the place has another catalog, or a newer run.
    CatalogLocked
        If another process is publishing there.
    DiskError
        If the folder cannot be written; ``LATEST`` then points where it did.
    ArchiveError
        If the object store does not answer, or refuses; ``LATEST`` then points where it did.
    """
    if keep < 1:
        raise UsageError("--keep must be at least 1: the newest catalog always stays")
    place = _place(os.fspath(to))
    database.require_writable()
    run, _, _ = _newest_run(database)
    with place.alone():
        before = place.newest()
        _refuse_other(database, before, place, run)
        if FOLDER in _sweep(place, before):
            place.index_lists()
        if before is not None and before.run == run:
            name = _with_parquet(database, place, before) if parquet else None
            return Publication(place.name, run, before.file, before.size, False, (), name)
        manifest, name = _written(database, place, before, parquet)
        place.point(manifest)
        removed = _remove_old(place, keep, reading_seconds)
        place.remove(_claimed())
    return Publication(place.name, manifest.run, manifest.file, manifest.size, True, removed, name)


def _newest_run(database: Database, up_to: int | None = None) -> tuple[int, str, str]:
    """Return the newest run, when it ended, and a checksum of the runs up to it."""
    with database.read() as connection:
        rows = connection.execute(
            "SELECT run, started_at, ended_at FROM runs WHERE run <= coalesce(?, run) ORDER BY run", [up_to]
        ).fetchall()
    if not rows:
        if up_to is not None:
            return 0, "", ""
        raise UsageError(f"{database.at} has no run to publish; harvest first: mastlake harvest NAME --instrument ...")
    history = "\n".join(f"{run} {started}" for run, started, _ in rows)
    return int(rows[-1][0]), str(rows[-1][2]), hashlib.sha256(history.encode()).hexdigest()


def _refuse_other(database: Database, before: Manifest | None, place: Place, run: int) -> None:
    if before is None:
        return
    if before.run > run:
        raise UsageError(
            f"{place.name} has run {before.run} already, and {database.at} only goes to run {run}; "
            "publish the newer catalog, or choose another place"
        )
    if _newest_run(database, before.run)[2] != before.history:
        raise UsageError(f"{place.name} has another catalog, with other runs; choose another place")


def _written(database: Database, place: Place, before: Manifest | None, parquet: bool) -> tuple[Manifest, str | None]:
    """Put the catalog, its Parquet files and then its manifest there, each whole before it has its name."""
    copy = place.draft("duckdb")
    copied = copy_shared(database, copy, _older_copy(place, before))
    manifest = _manifest_of(copy, copied, before.patches + 1 if before is not None and copied.is_patched else 0)
    name = parquet_name(manifest.run)
    _require_free(place, [manifest.file, manifest.name, name])
    _claim(place, [manifest.file, manifest.name, name])
    if parquet:
        _put_parquet(place, copy, manifest)
    place.put(copy, manifest.file)
    place.write(manifest.name, manifest.to_json())
    return manifest, name if parquet else None


def _older_copy(place: Place, before: Manifest | None) -> Path | None:
    """Return the file that was published before, if the new one can be made from it."""
    if before is None or before.schema != HEAD or before.duckdb != duckdb.__version__ or before.patches >= MOST_PATCHES:
        return None
    path = place.at_hand(before.file)
    return path if path is not None and path.exists() and sha256_of(path) == before.sha256 else None


def _manifest_of(copy: Path, copied: CopiedCatalog, patches: int) -> Manifest:
    """Describe a copy as it is: its runs are those from when it was made. This also proves that it opens."""
    run, ended_at, history = _newest_run(Database(copy))
    size = copy.stat().st_size
    return Manifest(
        run=run,
        run_ended_at=ended_at,
        history=history,
        file=catalog_filename(run),
        size=size,
        sha256=sha256_of(copy),
        schema=HEAD,
        storage=copied.storage,
        duckdb=duckdb.__version__,
        mastlake=__version__,
        published_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        rows=copied.rows,
        patches=patches,
        opening=_opening(copy, size),
        blocks=blocks_of(copy, block_size(size)).to_text(),
    )


def _opening(copy: Path, size: int) -> list[list[int]]:
    """Return the stretches of blocks with the catalog's own metadata, which are read whenever it is opened."""
    with Database(copy).read() as connection:
        rows = connection.execute(
            """SELECT DISTINCT block_id, (SELECT block_size FROM pragma_database_size()) FROM pragma_metadata_info()
               ORDER BY block_id"""
        ).fetchall()
    marks = Blocks(block_size(size), ())
    numbers = sorted({marks.number_at(HEAD_BYTES + block * length) for block, length in rows})
    return [list(stretch) for stretch in stretches(numbers, marks.size, MOST_STRETCHES)]


def _with_parquet(database: Database, place: Place, manifest: Manifest) -> str:
    """Add the Parquet files to a published run, unless they are there; return the name of their folder."""
    name = parquet_name(manifest.run)
    if not place.has_all_of(name):
        _claim(place, [name])
        copy = place.at_hand(manifest.file)
        if copy is None or sha256_of(copy) != manifest.sha256:
            copy = place.draft("duckdb")
            copy_shared(database, copy)
        _put_parquet(place, copy, manifest)
        place.remove(_claimed())
    return name


def _put_parquet(place: Place, catalog: Path, manifest: Manifest) -> None:
    """Put the Parquet files there; those whose rows, or whose bytes, an older run has are not put again."""
    from catalog.publish.parquet import SUMS, parse_sums, write_parquet
    from catalog.publish.parquet_parts import PARTS, Parts, parse_parts

    older = [entry.name for entry in place.entries() if _OURS.fullmatch(entry.name) and entry.name.endswith(".parquet")]
    before = max((name for name in older if _run_of(name) < manifest.run), key=_run_of, default=None)
    parts = parse_parts(place.read(f"{before}/{PARTS}")) if before else []
    draft = place.draft("parquet")
    there = Parts(parts, lambda file: place.has(f"{before}/{file.path}", file.sha256, file.md5))
    unwritten = write_parquet(catalog, manifest, draft, there)
    older_sums = parse_sums(place.read(f"{before}/{SUMS}")) if before else {}
    sums = parse_sums((draft / SUMS).read_bytes())
    same = {path: f"{before}/{older_sums[checksum]}" for checksum, path in sums.items() if checksum in older_sums}
    same |= {file.path: f"{before}/{file.path}" for file in unwritten}
    place.put(draft, parquet_name(manifest.run), same)


def _sweep(place: Place, newest: Manifest | None) -> set[str]:
    """Remove what a killed publisher left, and return what was there.

    Of finished names, only those that a publisher claimed are removed.
    """
    there = {entry.name for entry in place.entries()}
    left = sorted(name for name in there if name.startswith(PARTIAL))
    for claim in (name for name in left if name.startswith(_CLAIM)):
        for name in place.read(claim).decode("ascii", "replace").split():
            if name in there and _OURS.fullmatch(name) and _is_unfinished(place, name, newest, there):
                place.remove(name)
    for name in left:
        place.remove(name)
    return there


def _claimed() -> str:
    return f"{_CLAIM}{os.getpid()}"


def _claim(place: Place, names: Iterable[str]) -> None:
    """Write down which names this process is about to put there or remove, for the sweep after a kill."""
    place.write(_claimed(), "\n".join(names).encode())


def _require_free(place: Place, names: Iterable[str]) -> None:
    there = {entry.name for entry in place.entries()}
    for name in names:
        if name in there:
            raise UsageError(
                f"{place.name}/{name} was not published by mastlake; move it away, or choose another place"
            )


def _is_unfinished(place: Place, name: str, newest: Manifest | None, there: set[str]) -> bool:
    run = _run_of(name)
    if newest is None or run > newest.run or manifest_name(run) not in there:
        return True
    return name.endswith(".parquet") and not place.has_all_of(name)


def _run_of(name: str) -> int:
    return int(Path(name).stem.removeprefix("run-"))


def _remove_old(place: Place, keep: int, reading_seconds: float) -> tuple[str, ...]:
    """Remove catalogs beyond `keep`, the oldest first, if a newer one has been there for long enough."""
    there = place.entries()
    manifests = [entry for entry in there if _OURS.fullmatch(entry.name) and entry.name.endswith(".json")]
    runs = sorted(manifests, key=lambda entry: _run_of(entry.name), reverse=True)
    now = dt.datetime.now(dt.UTC).timestamp()
    removed = [
        _run_of(older.name)
        for newer, older in list(itertools.pairwise(runs))[keep - 1 :]
        if now - newer.modified >= reading_seconds
    ]
    if removed:
        _claim(place, (name for run in removed for name in (catalog_filename(run), parquet_name(run))))
    for run in reversed(removed):
        place.remove(manifest_name(run))  # the manifest first: a file without one is swept by the next publish
        place.remove(catalog_filename(run))
        if parquet_name(run) in {entry.name for entry in there}:
            place.remove(parquet_name(run))
    return tuple(catalog_filename(run) for run in reversed(removed))


def _place(to: str) -> Place:
    """Return the place that a name means."""
    if is_bucket(to):
        from catalog.publish.bucket_place import PublishingBucket

        return PublishingBucket(to)
    if _SCHEME.match(to):
        raise UsageError(f"cannot publish to {without_password(to)}; name a folder, or s3://BUCKET/PREFIX")
    return PublishingFolder(Path(to))
