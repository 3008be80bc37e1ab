"""Make a catalog of one's own from a published one, so that no first harvest is needed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from catalog.defaults import LOCAL_CATALOG
from catalog.errors import CatalogTooNew, DiskError, NotACatalog, UsageError
from catalog.publish.following import FollowedOnce, publisher
from catalog.publish.manifest import parse_manifest, sha256_of
from catalog.publish.meter import Pulled
from catalog.publish.names import is_published
from catalog.publish.with_local_files import has_bytes
from catalog.store.addresses import path_in_full
from catalog.store.copies.shared_copy import LOCAL
from catalog.store.copies.whole_copy import copy_tables
from catalog.store.database import Database, Tell
from catalog.store.duckdb_file import DUCKDB
from catalog.store.faults import writing
from catalog.store.lakes.address import is_lake
from catalog.text import plural, without_password

_KILLED_SECONDS = 3600
"""Age of an unfinished clone whose process was killed; one that is being made is written again and again."""


def clone(
    source: str | os.PathLike[str],
    to: str | os.PathLike[str],
    tell: Tell | None = None,
    local: str | os.PathLike[str] = LOCAL_CATALOG,
    pulled: Pulled | None = None,
) -> int:
    """Copy the newest published catalog to a new file, together with the user's local files, and prove it.

    Parameters
    ----------
    source : str or path-like
        The folder or the address where it is published.
    to : str or path-like
        The new catalog file; nothing may be there.
    tell : callable, optional
        Called with a line of text if the network does not answer, and about the local files.
    local : path-like
        The file with the user's local files beside the published catalog, if there is one.
    pulled : callable, optional
        Called again and again while the catalog is pulled.

    Returns
    -------
    int
        The newest run that it has.

    Raises
    ------
    UsageError
        If nothing can be published at the source, or there is something at the new place.
    NotACatalog
        If the bytes are not those of the manifest, or a definition in it may do more than read the catalog.
    DiskError
        If the new file cannot be written.
    """
    if not is_published(source):
        path_in_full(source)  # this says what to write in place of an address that no catalog has
        raise UsageError(f"{without_password(source)} is no folder or https address where a catalog is published")
    if is_published(to) or is_lake(to):
        raise UsageError(f"--catalog {without_password(to)} must name a new file, such as mine.duckdb")
    path = path_in_full(to)
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; name another file: --catalog FILE")
    reader = FollowedOnce(source, tell=tell, local=local, pulled=pulled) if has_bytes(Path(local)) else None
    newest = publisher(source, tell, pulled=pulled).newest(whole=True).path if reader is None else reader.archive_path
    try:
        manifest = parse_manifest(newest.with_suffix(".json").read_bytes(), f"{newest.stem}.json", str(newest.parent))
        _copy(newest, path, manifest.sha256, lambda partial: _take_over(reader, partial, tell))
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from error
    return manifest.run


def _take_over(reader: FollowedOnce | None, partial: Path, tell: Tell | None) -> None:
    """Copy the user's local files into the clone; those of another catalog are left out, and told."""
    from catalog.store.schema.migrate import make_views

    if reader is None:
        return
    try:
        with reader.read() as reading, writing(partial), closing(DUCKDB.open(partial, read_only=False)) as connection:
            copy_tables(reading, connection, sorted(LOCAL))
            make_views(connection)
            row = connection.execute("SELECT count(*) FROM local_files").fetchone()
    except (NotACatalog, CatalogTooNew) as error:
        if tell is not None:
            tell(f"the clone has no local files: {error}")
        return
    if tell is not None and row is not None:
        tell(f"the clone has the {plural(row[0], 'local file')} of {reader.local_path}")


def _copy(newest: Path, path: Path, sha256: str, fill: Callable[[Path], None]) -> None:
    """Copy beside the place, and move there when all is proven."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.clone")
    _remove_killed(path)
    try:
        shutil.copyfile(newest, partial)
        if sha256_of(partial) != sha256:
            raise NotACatalog(f"{newest} is not what its manifest says (SHA-256); it is not used")
        with Database(partial).read():  # proves its views and macros, and brings an older one to the present schema
            pass
        fill(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        _put(partial, path)
    except FileExistsError:
        raise UsageError(f"{path} exists already; name another file: --catalog FILE") from None
    finally:
        for left in (partial, partial.with_name(f"{partial.name}.wal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _remove_killed(path: Path) -> None:
    """Remove what clones left that were killed: the disk may be too full for another."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}.") and left.name.endswith((".clone", ".clone.wal")):
            with suppress(OSError):
                if time.time() - left.lstat().st_mtime > _KILLED_SECONDS:
                    left.unlink()


def _put(partial: Path, path: Path) -> None:
    """Give a file its name, unless the name is taken."""
    try:
        os.link(partial, path)  # unlike a rename, this replaces nothing
    except FileExistsError:
        raise
    except OSError:  # the file system has no links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        partial.rename(path)
