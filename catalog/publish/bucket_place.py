"""A prefix in a bucket into which catalogs are published.

No object is replaced but ``LATEST`` and the files of the publisher's own bookkeeping. Every object is read back and
compared before ``LATEST`` moves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.cache import folder as cache_folder
from catalog.errors import CatalogLocked, DiskError, Garbled, Refused
from catalog.publish.bucket import Bucket
from catalog.publish.fetching import error_code, pieces, refuse_status, sent
from catalog.publish.lease import Lease, age_of
from catalog.publish.manifest import LATEST, Manifest, named_by, no_manifest, parse_manifest, sha256_of
from catalog.publish.place import PARTIAL, Entry
from catalog.publish.uploads import abort_old
from catalog.store.turns import LockWait, StillHeld, held

SINGLE_BYTES = 1 << 30
"""The size up to which a file is sent in one request, of which nothing stays behind when the publisher is killed."""
_PART_BYTES = 32 << 20
_MOST_PARTS = 9000
_MOST_OF_SMALL = 1 << 24
_LAST = "README.md"
"""The file of a folder that is put there last, so that its presence says that the folder is whole."""


@dataclass(frozen=True)
class SmallObject:
    """A small object as it was read: its content, its state for conditions, and its age by the server's clock."""

    content: bytes
    state: str
    age: float


class PublishingBucket:
    """A prefix in a bucket as a place to publish.

    Parameters
    ----------
    address : str
        s3://BUCKET/PREFIX.

    Attributes
    ----------
    bucket : Bucket
        The prefix.
    """

    def __init__(self, address: str) -> None:
        self.bucket = Bucket(address)
        self._drafts = cache_folder() / "publishing" / hashlib.sha256(self.bucket.mark.encode()).hexdigest()[:16]
        self._latest: str | None = None
        self._lease: Lease | None = None

    @property
    def name(self) -> str:
        """The address."""
        return self.bucket.name.rstrip("/")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a lock on this machine, and the lease in the bucket."""
        if not self._drafts.is_absolute():
            raise DiskError("there is no cache folder to write the catalog into; set XDG_CACHE_HOME")
        busy = f"another mastlake is publishing to {self.name}; try again when it is done"
        with ExitStack() as stack:
            try:
                self._drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
                stack.enter_context(held(self._drafts / ".publishing", LockWait(0), "another publisher"))
                self._clear_drafts()
                stack.callback(self._clear_drafts)
                self.newest()  # the first requests follow no redirect, and so no token leaves this host
                self._lease = stack.enter_context(Lease(self, self._drafts))
                abort_old(self.bucket)
                yield
            except StillHeld:
                raise CatalogLocked(busy) from None
            except OSError as error:
                raise DiskError(
                    f"cannot publish to {self.name} by {self._drafts}: {error.strerror or error}"
                ) from error

    def _clear_drafts(self) -> None:
        for path in self._drafts.glob(f"{PARTIAL}*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def read_latest(self) -> bytes | None:
        """Return what ``LATEST`` has now, and remember its state for the moment when it moves."""
        pointer = self.fetch(LATEST)
        self._latest = pointer.state if pointer else None
        return pointer.content if pointer else None

    def newest(self) -> Manifest | None:
        """Return the manifest that ``LATEST`` points to."""
        latest = self.read_latest()
        if latest is None:
            return None
        name = named_by(latest, self.name)
        manifest = self.fetch(name)
        if manifest is None:
            raise no_manifest(name, self.name)
        return parse_manifest(manifest.content, name, self.name)

    def entries(self) -> list[Entry]:
        """Return what is there; folders have no time."""
        import obstore

        with self.bucket.told():
            listing = obstore.list_with_delimiter(self.bucket.store)
        files = [Entry(str(each["path"]), each["last_modified"].timestamp()) for each in listing["objects"]]
        return files + [Entry(str(path).rpartition("/")[2], 0.0) for path in listing["common_prefixes"]]

    def _objects(self, folder: str) -> list[Any]:
        """Return the objects in a folder."""
        import obstore

        with self.bucket.told():
            return [one for batch in obstore.list(self.bucket.store, folder) for one in batch]

    def has_all_of(self, folder: str) -> bool:
        """Say whether the last file of a folder is there."""
        return self.fetch(f"{folder}/{_LAST}") is not None

    def has(self, name: str, sha256: str, md5: str) -> bool:
        """Compare the MD5 that the store gives for an object that was sent in one request."""
        with sent(self.bucket, "HEAD", name) as response:
            return response.status_code == 200 and response.headers.get("ETag", "").strip('"') == md5

    def draft(self, name: str) -> Path:
        """Return a path in the user's cache."""
        return self._drafts / f"{PARTIAL}{os.getpid()}.{name}"

    def at_hand(self, name: str) -> Path | None:
        """Return the path of what this machine published last; other objects cannot be opened."""
        path = self._drafts / name
        return path if path.exists() else None

    def put(self, draft: Path, name: str, same: Mapping[str, str] | None = None) -> None:
        """Send a file, or all files of a folder, and compare what has arrived."""
        if not draft.is_dir():
            self._put_file(draft, name)
            for older in self._drafts.glob("run-*"):
                older.unlink()
            draft.rename(self._drafts / name)  # the next catalog can be made from this one
            return
        files = sorted(
            (path for path in draft.rglob("*") if path.is_file()), key=lambda path: (path.name == _LAST, path)
        )
        for path in files:
            below = path.relative_to(draft).as_posix()
            if path.name == _LAST:
                self._copy_unwritten(draft, name, same or {})
            if not (same and below in same and self._copied(_md5_of(path), same[below], f"{name}/{below}")):
                self._put_file(path, f"{name}/{below}")

    def _copy_unwritten(self, draft: Path, name: str, same: Mapping[str, str]) -> None:
        """Let the store copy the older objects for which there is no file in the draft."""
        for below, older in same.items():
            if not (draft / below).exists():
                with sent(self.bucket, "HEAD", older) as response:
                    expected = response.headers.get("ETag", "").strip('"') if response.status_code == 200 else ""
                if not (expected and self._copied(expected, older, f"{name}/{below}")):
                    raise CatalogLocked(f"somebody has removed {self.name}/{older} meanwhile; publish again")

    def _copied(self, expected: str, older: str, name: str) -> bool:
        """Let the store copy an older object, if it has this MD5; return whether it did."""
        import obstore

        for each in (older, name):
            if not self.has(each, "", expected):
                return False  # it is gone, or the store does not give the MD5 of what it has
            if each == older:
                with self.bucket.told():
                    obstore.copy(self.bucket.store, older, name)
        return True

    def _put_file(self, path: Path, name: str) -> None:
        size = path.stat().st_size
        if size <= SINGLE_BYTES:
            with path.open("rb") as file:
                self.send(name, file)
        else:
            self._put_parts(path, name, size)
        arrived = hashlib.sha256()
        for piece in pieces(self.bucket, name, size):
            arrived.update(piece)
        if arrived.hexdigest() != sha256_of(path):
            raise Garbled(f"{self.name}/{name} has other bytes than were sent; {LATEST} was left as it was")

    def _put_parts(self, path: Path, name: str, size: int) -> None:
        import obstore

        with self.bucket.told():
            part = max(_PART_BYTES, size // _MOST_PARTS + 1)
            obstore.put(self.bucket.store, name, path, use_multipart=True, chunk_size=part, max_concurrency=3)

    def write(self, name: str, content: bytes) -> None:
        """Put a small object there."""
        self.send(name, content)

    def read(self, name: str) -> bytes:
        """Return the content of a small object; it is empty if there is none."""
        stored = self.fetch(name)
        return stored.content if stored else b""

    def point(self, manifest: Manifest) -> None:
        """Replace ``LATEST`` in one request, unless it has changed since it was read."""
        assert self._lease is not None
        self._lease.require()
        written = self.fetch(manifest.name)
        if written is None or written.content != manifest.to_json():
            raise CatalogLocked(f"another mastlake has removed what was sent to {self.name}; publish again")
        content = f"{manifest.name}\n".encode()
        state = {"If-Match": self._latest} if self._latest else {"If-None-Match": "*"}
        if self.send(LATEST, content, state, only_if=True) is None and self.read_latest() != content:
            raise CatalogLocked(
                f"another mastlake has published to {self.name} meanwhile; {LATEST} was left as it was; try again"
            )

    def index_lists(self) -> None:
        """Name the lists of shared files for readers who cannot list the bucket."""
        from catalog.publish.shared_bucket import write_index

        with suppress(Refused):  # a catalog can be published without them
            write_index(self)

    def remove(self, name: str) -> None:
        """Remove an object, or all objects of a folder; the file that says that it is whole goes first."""
        names = [name]
        if name.endswith(".parquet"):
            below = [str(one["path"]) for one in self._objects(name)]
            names = sorted(below, key=lambda one: not one.endswith(f"/{_LAST}"))
        for one in names:
            with sent(self.bucket, "DELETE", one) as response:
                refuse_status(self.bucket, response, f"{self.name}/{one}", (200, 204, 404))

    def fetch(self, name: str) -> SmallObject | None:
        """Return a small object; None if there is none."""
        with sent(self.bucket, "GET", name) as response:
            if response.status_code == 404 and (code := error_code(response)) != "NoSuchBucket":
                return None
            if response.status_code == 404:
                raise Refused(str(self.bucket.advice(404, code)))
            refuse_status(self.bucket, response, f"{self.name}/{name}")
            content = bytes(response.raw.read(_MOST_OF_SMALL + 1, decode_content=False))
            if len(content) > _MOST_OF_SMALL:
                raise Garbled(f"{self.name}/{name} has more bytes than it may have; it is not used")
            return SmallObject(content, response.headers.get("ETag", ""), age_of(response.headers))

    def send(self, name: str, body: Any, headers: Mapping[str, str] | None = None, only_if: bool = False) -> str | None:
        """Put an object there in one request, and return its state.

        Parameters
        ----------
        name : str
            The object.
        body : bytes or file
            The content.
        headers : mapping, optional
            More headers.
        only_if : bool
            The headers are a condition; return None if it does not hold. A store that knows no conditions is asked
            again without one.
        """
        with sent(self.bucket, "PUT", name, body, headers) as response:
            if only_if and response.status_code in (404, 409, 412):
                code = error_code(response)
                if response.status_code != 404 or code == "NoSuchKey":
                    return None
                raise Refused(str(self.bucket.advice(404, code)))
            if not (only_if and response.status_code == 501):
                refuse_status(self.bucket, response, f"{self.name}/{name}")
                return response.headers.get("ETag", "")
        return self.send(name, body)


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
