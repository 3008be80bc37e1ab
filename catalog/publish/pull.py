"""Pull a published catalog from a web server or a public bucket into the user's cache.

Whatever answers is not trusted. It can name no other file, host or folder; it can send no more bytes than the manifest
says and the disk has; and the catalog is used only if its checksum is the manifest's. No token is sent.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.cache import folder as cache_folder
from catalog.errors import (
    CatalogError,
    CatalogLocked,
    DiskError,
    Garbled,
    Overloaded,
    Unreachable,
)
from catalog.publish.blocks import blocks_of, kept, missing, parse_blocks
from catalog.publish.fetching import NoRanges, Source, WebAddress, pieces
from catalog.publish.known import ADDRESS
from catalog.publish.manifest import LATEST, Manifest, named_by, parse_manifest, sha256_of
from catalog.publish.names import is_bucket
from catalog.store.turns import LockWait, StillHeld, held
from catalog.text import size as shown_size

if TYPE_CHECKING:
    from collections.abc import Callable

_ASK_AGAIN = 30.0
"""Seconds for which a process that goes on, such as the page, believes that nothing newer was published."""
_MOST_OF_MANIFEST = 1 << 20
_MOST_RANGES = 64
"""In more parts than this, a catalog is pulled as a whole: each costs a request."""
_LOCK_SECONDS = 600.0


def source_at(address: str) -> Source:
    """Return what is asked for an address.

    Raises
    ------
    UsageError
        If nothing can be asked there.
    """
    if is_bucket(address):
        from catalog.publish.bucket import Bucket

        return Bucket(address)
    return WebAddress(address)


class PublishedAddress:
    """An address at which somebody publishes.

    Parameters
    ----------
    address : str
        https://HOST/PREFIX/, http on this machine, or s3://BUCKET/PREFIX/.
    tell : callable, optional
        Called with a line of text if the network does not answer, and the copy in the cache is used.
    offline : bool
        Use what was pulled before, and ask nobody.
    """

    def __init__(self, address: str, tell: Callable[[str], None] | None = None, offline: bool = False) -> None:
        self._source = source_at(address)
        self._tell = tell
        self._offline = offline
        self._asked_at = -_ASK_AGAIN
        self._newest: Path | None = None
        self._kept = cache_folder() / "published" / hashlib.sha256(self._source.mark.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The address, without a name and a password."""
        return self._source.name

    @property
    def mark(self) -> str:
        """A text that tells this place from all others."""
        return self._source.mark

    def newest(self) -> Path:
        """Return the newest catalog; it is pulled if the cache does not have it.

        Raises
        ------
        ArchiveError
            If the host does not answer, and nothing was pulled before; or if it answers what cannot be.
        DiskError
            If the cache cannot hold it.
        """
        now = time.monotonic()
        if self._newest is None or now - self._asked_at >= _ASK_AGAIN:
            self._newest = self._in_cache() if self._offline else self._asked()
            self._asked_at = now
        return self._newest

    def _asked(self) -> Path:
        if not self._kept.is_absolute():
            raise DiskError("there is no cache folder to pull a catalog into; set XDG_CACHE_HOME")
        try:
            with self._alone():
                return self._pulled()
        except (Unreachable, Overloaded, DiskError) as error:
            try:
                kept = self._in_cache()
            except CatalogError:
                raise error from None
            if self._tell is not None:
                self._tell(f"mastlake: {error}; the answer is from the copy of {self.name} up to {self._said(kept)}")
            return kept

    def _said(self, kept: Path) -> str:
        manifest = self._manifest_in_cache(kept.with_suffix(".json").name)
        return f"run {manifest.run}, published {manifest.published_at}"

    def _in_cache(self) -> Path:
        """Return the newest catalog that was pulled before."""
        try:
            name = named_by((self._kept / LATEST).read_bytes(), str(self._kept))
            manifest = self._manifest_in_cache(name)
            path = self._kept / manifest.file
            if path.stat().st_size == manifest.size:
                return path
        except OSError:
            pass
        raise CatalogError(f"nothing was pulled from {self.name} yet")

    def _manifest_in_cache(self, name: str) -> Manifest:
        return parse_manifest((self._kept / name).read_bytes(), name, str(self._kept))

    def _pulled(self) -> Path:
        for left in self._kept.glob(".*.part"):  # of a process that was killed
            left.unlink()
        name = named_by(self._get(LATEST, 200), self.name)
        if (self._kept / LATEST).exists() and (self._kept / LATEST).read_bytes() == f"{name}\n".encode():
            try:
                return self._in_cache()
            except CatalogError:
                pass  # somebody cleared the cache in part
        text = self._get(name, _MOST_OF_MANIFEST)
        manifest = parse_manifest(text, name, self.name)
        self._fetch(manifest)
        self._write(name, text)
        self._write(ADDRESS, self.name.encode())
        self._write(LATEST, f"{name}\n".encode())
        self._remove_older(manifest)
        return self._kept / manifest.file

    def _fetch(self, manifest: Manifest) -> None:
        """Pull the catalog beside its place, and move it there when it is proven."""
        free = shutil.disk_usage(self._kept).free
        if manifest.size > free:
            raise DiskError(
                f"the catalog of {self.name} takes {shown_size(manifest.size)}, and {self._kept} has only "
                f"{shown_size(free)} free; free some, or set XDG_CACHE_HOME"
            )
        partial = self._kept / f".{manifest.file}.part"
        try:
            if not self._pulled_in_part(manifest, partial):
                self._pull_whole(manifest, partial)
            partial.replace(self._kept / manifest.file)
        finally:
            partial.unlink(missing_ok=True)

    def _pull_whole(self, manifest: Manifest, partial: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with partial.open("wb") as file:
            for piece in pieces(self._source, manifest.file, manifest.size):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        if size != manifest.size:
            raise Unreachable(f"{self._source.server.netloc} sent {size:,} of {manifest.size:,} bytes; try again")
        if digest.hexdigest() != manifest.sha256:
            raise Garbled(f"the catalog of {self.name} is not what its manifest says (SHA-256); it is not used")

    def _pulled_in_part(self, manifest: Manifest, partial: Path) -> bool:
        """Make the new catalog from the older copy and the blocks that differ; return False if that is not possible."""
        wanted = parse_blocks(manifest.blocks, manifest.size) if manifest.blocks else None
        if wanted is None:
            return False
        try:
            older = self._in_cache()
        except CatalogError:
            return False
        have = blocks_of(older, wanted.size)
        stretches = missing(wanted, have)
        if len(stretches) > _MOST_RANGES or sum(after - first for first, after in stretches) > len(wanted.marks) / 2:
            return False
        with older.open("rb") as source, partial.open("w+b") as file:
            for number, place in kept(wanted, have, stretches):
                source.seek(place * wanted.size)
                file.seek(number * wanted.size)
                file.write(source.read(wanted.size))
            try:
                for first, after in stretches:
                    start = first * wanted.size
                    file.seek(start)
                    for piece in pieces(
                        self._source, manifest.file, min(after * wanted.size, manifest.size) - start, start
                    ):
                        file.write(piece)
            except NoRanges:
                return False
            file.flush()
            os.fsync(file.fileno())
        return partial.stat().st_size == manifest.size and sha256_of(partial) == manifest.sha256

    def _write(self, name: str, content: bytes) -> None:
        partial = self._kept / f".{name}.part"
        partial.write_bytes(content)
        partial.replace(self._kept / name)

    def _remove_older(self, manifest: Manifest) -> None:
        """Keep the new catalog and the one before it, which another process may be about to open."""
        others = [path for path in self._kept.glob("run-*.duckdb") if path.name != manifest.file]
        for path in sorted(others, key=lambda one: one.stat().st_mtime)[:-1]:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def _get(self, name: str, most: int) -> bytes:
        return b"".join(pieces(self._source, name, most))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process pull into the cache at a time."""

        def told(holder: str) -> None:
            if self._tell is not None:
                self._tell(f"waiting for {holder}, which pulls the catalog of {self.name}; Ctrl-C gives up")

        try:
            self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
            with held(self._kept / ".pulling", LockWait(_LOCK_SECONDS, told), "another mastlake"):
                yield
        except StillHeld:
            raise CatalogLocked(f"another mastlake still pulls the catalog of {self.name}; try again later") from None
        except OSError as error:
            raise DiskError(f"cannot keep the catalog of {self.name} in {self._kept}: {error.strerror}") from error
