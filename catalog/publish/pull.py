"""Pull a published catalog from a web server or a public bucket into the user's cache.

Whatever answers is not trusted. It can name no other file, host or folder; it can send no more bytes than the manifest
says and the disk has; and the catalog is used only if its checksum is the manifest's. No token is sent.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from catalog.cache import folder as cache_folder
from catalog.errors import (
    CatalogError,
    CatalogLocked,
    DiskError,
    Garbled,
    Overloaded,
    Refused,
    Unreachable,
)
from catalog.publish.block_file import BlockFile
from catalog.publish.blocks import blocks_of, parse_blocks, stretches
from catalog.publish.fetching import Source, WebAddress, pieces
from catalog.publish.known import ADDRESS
from catalog.publish.manifest import LATEST, Manifest, named_by, parse_manifest, sha256_of
from catalog.publish.meter import Meter, Pulled
from catalog.publish.names import is_bucket
from catalog.publish.newest import Newest
from catalog.store.turns import LockWait, StillHeld, held
from catalog.text import size as shown_size

_ASK_AGAIN = 30.0
"""Seconds for which a process that goes on, such as the page, believes that nothing newer was published."""
_MOST_OF_MANIFEST = 1 << 20
IN_PLACE_BYTES = 8 << 20
"""From this size on, a catalog is read where it is; a smaller one is pulled as quickly."""
_WORTH_A_LINE = 8 << 20
"""From so many bytes on, a pull is told in a line."""
_MUCH = 0.25
"""If this share of a catalog was read, the rest is pulled: then questions need no network."""
_EXTRA = "pip install 'mastlake[web]'"
_MOST_RANGES = 64
"""In no more parts than this, the rest of a catalog is pulled: each costs a request."""
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
    pulled : callable, optional
        Called again and again while a whole catalog is pulled.
    """

    def __init__(
        self,
        address: str,
        tell: Callable[[str], None] | None = None,
        offline: bool = False,
        pulled: Pulled | None = None,
    ) -> None:
        self._source = source_at(address)
        self._tell = tell
        self._offline = offline
        self._meter = Meter(self._source.name, pulled)
        self._asked_at = -_ASK_AGAIN
        self._newest: Newest | None = None
        self._kept = cache_folder() / "published" / hashlib.sha256(self._source.mark.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The address, without a name and a password."""
        return self._source.name

    @property
    def mark(self) -> str:
        """A text that tells this place from all others."""
        return self._source.mark

    def newest(self, whole: bool = False) -> Newest:
        """Return the newest catalog: a copy in the cache, or one that is read where it is.

        Parameters
        ----------
        whole : bool
            Pull all of it into the cache first, if the cache does not have it.

        Raises
        ------
        ArchiveError
            If the host does not answer, and nothing was pulled before; or if it answers what cannot be.
        DiskError
            If the cache cannot hold it.
        """
        now = time.monotonic()
        if self._newest is None or now - self._asked_at >= _ASK_AGAIN or (whole and not self._newest.is_whole):
            found = self._in_cache() if self._offline else self._asked(whole)
            if self._newest is None or found.path != self._newest.path:  # else it may be open
                self._newest = found
            self._asked_at = now
        return self._newest

    def _asked(self, whole: bool) -> Newest:
        if not self._kept.is_absolute():
            raise DiskError("there is no cache folder to pull a catalog into; set XDG_CACHE_HOME")
        try:
            with self._alone():
                return self._found(whole)
        except (Unreachable, Overloaded, DiskError) as error:
            try:
                kept = self._in_cache()
            except CatalogError:
                raise error from None
            if whole and not kept.is_whole:
                raise
            self._say(f"mastlake: {error}; the answer is from the copy of {self.name} up to {self._said(kept)}")
            return kept

    def _say(self, line: str) -> None:
        if self._tell is not None:
            self._tell(line)

    def _said(self, kept: Newest) -> str:
        manifest = self._manifest_in_cache(kept.path.with_suffix(".json").name)
        return f"run {manifest.run}, published {manifest.published_at}"

    def _in_cache(self) -> Newest:
        """Return the newest catalog that was asked before."""
        try:
            manifest = self._manifest_in_cache(named_by((self._kept / LATEST).read_bytes(), str(self._kept)))
            path = self._kept / manifest.file
            if path.exists() and path.stat().st_size == manifest.size:
                return Newest(path, manifest.size)
            if self._partial(manifest).exists() and (file := self._blocks(manifest)) is not None:
                return self._in_place(manifest, file)
        except OSError:
            pass
        raise CatalogError(f"nothing was pulled from {self.name} yet")

    def _manifest_in_cache(self, name: str) -> Manifest:
        return parse_manifest((self._kept / name).read_bytes(), name, str(self._kept))

    def _partial(self, manifest: Manifest) -> Path:
        return self._kept / f"{manifest.file}.blocks"

    def _in_place(self, manifest: Manifest, file: BlockFile) -> Newest:
        from catalog.store.distant_file import DistantFile

        return Newest(self._kept / manifest.name, manifest.size, DistantFile(file=file))

    def _blocks(self, manifest: Manifest) -> BlockFile | None:
        """Return the file in the cache with some blocks of a catalog; None if its manifest does not list them."""
        blocks = parse_blocks(manifest.blocks, manifest.size) if manifest.blocks else None
        if blocks is None:
            return None

        def fetch(start: int, length: int) -> Iterator[bytes]:
            if self._offline:
                raise Unreachable(f"this part of the catalog of {self.name} was not pulled yet")
            return self._meter.counted(pieces(self._source, manifest.file, length, start))

        shown = f"the catalog of {self.name}"
        return BlockFile(self._partial(manifest), manifest.size, blocks, fetch, shown)

    def _found(self, whole: bool) -> Newest:
        for left in self._kept.glob(".*.part"):  # of a process that was killed
            left.unlink()
        name = named_by(self._get(LATEST, 200), self.name)
        older = None
        with suppress(CatalogError):
            older = self._in_cache()  # somebody may have cleared the cache in part
            is_enough = older.is_whole or not (whole or _share_here(older) > _MUCH)
            if older.path.with_suffix(".json").name == name and is_enough:
                return older
        text = self._get(name, _MOST_OF_MANIFEST)
        manifest = parse_manifest(text, name, self.name)
        try:
            in_place = self._fetch(manifest, older, whole)
        except BaseException:
            if not (self._kept / name).exists():  # no manifest says what a part of the catalog is
                self._partial(manifest).unlink(missing_ok=True)
            raise
        self._write(name, text)
        self._write(ADDRESS, self.name.encode())
        self._write(LATEST, f"{name}\n".encode())
        self._remove_older(manifest)
        return in_place or Newest(self._kept / manifest.file, manifest.size)

    def _fetch(self, manifest: Manifest, older: Newest | None, whole: bool) -> Newest | None:
        """Pull the catalog into the cache, or as much of it as is needed to read it where it is."""
        self._require_space(manifest.size - _bytes_on_disk(self._partial(manifest)))
        file = self._blocks(manifest) if older is not None or manifest.size >= IN_PLACE_BYTES else None
        if file is not None:
            if older is not None and older.path.name != manifest.name:
                self._take(file, older)
            if not whole and self._is_read_in_place(manifest, file):
                return self._in_place(manifest, file)
            if (file.share > 0 or older is not None) and self._is_completed(manifest, file):
                return None
        partial = self._kept / f".{manifest.file}.part"
        try:
            self._pull_whole(manifest, partial)
            partial.replace(self._kept / manifest.file)
        finally:
            partial.unlink(missing_ok=True)
        self._partial(manifest).unlink(missing_ok=True)
        return None

    def _take(self, file: BlockFile, older: Newest) -> None:
        """Copy the blocks that an older catalog has too."""
        before = self._manifest_in_cache(older.path.with_suffix(".json").name)
        blocks = parse_blocks(before.blocks, before.size) if before.blocks else None
        if blocks is None and older.is_whole:
            blocks = blocks_of(older.path, file.blocks.size)
        if blocks is not None:
            file.take(older.path if older.is_whole else self._partial(before), blocks)

    def _is_read_in_place(self, manifest: Manifest, file: BlockFile) -> bool:
        """Say whether questions should ask for parts of the catalog; then ask for the part that each of them needs."""
        if manifest.size < IN_PLACE_BYTES or file.share > _MUCH:
            return False
        from catalog.store.distant_file import can_read_in_place

        if not can_read_in_place():
            self._say(f"mastlake: pulling {self.name} ({shown_size(manifest.size)}); with {_EXTRA}, parts are enough")
            return False
        try:
            file.require(0, 1)
            for first, after in manifest.opening:
                file.require(first, min(after, len(file.blocks.marks)))
        except (Refused, Garbled):
            if manifest.size >= _WORTH_A_LINE:
                self._say(f"mastlake: pulling all of {self.name} ({shown_size(manifest.size)}), as it gives no parts")
            return False
        self._say(
            f"mastlake: reading {self.name} where it is ({shown_size(manifest.size)}); the parts that are read stay in "
            "the cache, and the rest is pulled after a quarter"
        )
        return True

    def _is_completed(self, manifest: Manifest, file: BlockFile) -> bool:
        """Ask for the blocks that are not there; return False if the host does not give them."""
        absent = file.absent()
        if (size := len(absent) * file.blocks.size) >= _WORTH_A_LINE:
            self._say(f"mastlake: pulling the rest of {self.name} ({shown_size(size)})")
        try:
            with self._meter.watched(size):
                for first, after in stretches(absent, file.blocks.size, _MOST_RANGES):
                    file.pull(first, after)
        except (Refused, Garbled):
            return False
        file.synced()
        if sha256_of(file.path) != manifest.sha256:
            file.path.unlink(missing_ok=True)
            return False
        file.path.replace(self._kept / manifest.file)
        return True

    def _require_space(self, size: int) -> None:
        free = shutil.disk_usage(self._kept).free
        if size > free:
            raise DiskError(
                f"the catalog of {self.name} takes {shown_size(size)}, and {self._kept} has only "
                f"{shown_size(free)} free; free some, or set XDG_CACHE_HOME"
            )

    def _pull_whole(self, manifest: Manifest, partial: Path) -> None:
        digest, size = hashlib.sha256(), 0
        with partial.open("wb") as file, self._meter.watched(manifest.size):
            for piece in self._meter.counted(pieces(self._source, manifest.file, manifest.size)):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        if size != manifest.size:
            raise Unreachable(f"{self._source.server.netloc} sent {size:,} of {manifest.size:,} bytes; try again")
        if digest.hexdigest() != manifest.sha256:
            raise Garbled(f"the catalog of {self.name} is not what its manifest says (SHA-256); it is not used")

    def _write(self, name: str, content: bytes) -> None:
        partial = self._kept / f".{name}.part"
        partial.write_bytes(content)
        partial.replace(self._kept / name)

    def _remove_older(self, manifest: Manifest) -> None:
        """Keep the new catalog and the one before it, which another process may be about to open."""
        others = [path for path in self._kept.glob("run-*.json") if path.name != manifest.name]
        for path in sorted(others, key=lambda one: one.stat().st_mtime)[:-1]:
            for end in (".json", ".duckdb", ".duckdb.blocks"):
                path.with_suffix(end).unlink(missing_ok=True)

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


def _bytes_on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512 if path.exists() else 0


def _share_here(newest: Newest) -> float:
    """Return the share of a catalog that is on the disk."""
    from catalog.store.distant_file import DistantFile

    file = newest.engine.file if isinstance(newest.engine, DistantFile) else None
    return file.share if isinstance(file, BlockFile) else 1.0
