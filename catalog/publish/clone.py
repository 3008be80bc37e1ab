"""Make a catalog of one's own from a published one, so that no first harvest is needed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from catalog.errors import DiskError, NotACatalog, UsageError
from catalog.publish.following import publisher
from catalog.publish.manifest import parse_manifest, sha256_of
from catalog.publish.names import is_published
from catalog.store.database import Database, Tell
from catalog.store.lake_address import is_lake


def clone(source: str | os.PathLike[str], to: str | os.PathLike[str], tell: Tell | None = None) -> int:
    """Copy the newest published catalog to a new file, and prove it.

    Parameters
    ----------
    source : str or path-like
        The folder or the address where it is published.
    to : str or path-like
        The new catalog file; nothing may be there.
    tell : callable, optional
        Called with a line of text if the network does not answer.

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
        raise UsageError(f"{os.fspath(source)} is no folder or https address where a catalog is published")
    if is_published(to) or is_lake(to):
        raise UsageError(f"--catalog {os.fspath(to)} must name a new file, such as mine.duckdb")
    path = Path(to).absolute()
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; name another file: --catalog FILE")
    newest = publisher(source, tell).newest(whole=True).path
    try:
        manifest = parse_manifest(newest.with_suffix(".json").read_bytes(), f"{newest.stem}.json", str(newest.parent))
        _copy(newest, path, manifest.sha256)
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from error
    return manifest.run


def _copy(newest: Path, path: Path, sha256: str) -> None:
    """Copy beside the place, and move there when all is proven."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.clone")
    try:
        shutil.copyfile(newest, partial)
        if sha256_of(partial) != sha256:
            raise NotACatalog(f"{newest} is not what its manifest says (SHA-256); it is not used")
        with Database(partial).read():  # proves its views and macros, and brings an older one to the present schema
            pass
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        _put(partial, path)
    except FileExistsError:
        raise UsageError(f"{path} exists already; name another file: --catalog FILE") from None
    finally:
        for left in (partial, partial.with_name(f"{partial.name}.wal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)


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
