"""A lease in a bucket, where there are no locks: one publisher at a time, and a dead one loses it.

The object ``.publishing`` is created only if there is none. Its holder writes it again and again. Another publisher on
the same machine knows at once that the holder is dead: both use one lock file, which a dead process does not hold.
Others wait until the object is too old, by the clock of the object store.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
import uuid
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from catalog.errors import ArchiveError, CatalogLocked
from catalog.text import harmless

if TYPE_CHECKING:
    from catalog.publish.bucket_place import PublishingBucket

NAME = ".publishing"
LEASE_SECONDS = 120.0
_RENEW_SECONDS = 20.0
_HERE = ".here"


class Lease:
    """The right to publish to a bucket.

    Parameters
    ----------
    place : PublishingBucket
        The place.
    drafts : Path
        The folder on this machine whose lock file this process holds.
    """

    def __init__(self, place: PublishingBucket, drafts: Path) -> None:
        self._place = place
        self._here = _mark(drafts)
        self._since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._state = ""
        self._lost = False
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises
        ------
        CatalogLocked
            If a publisher on another machine has it.
        """
        state = self._place.send(NAME, self._content(), {"If-None-Match": "*"}, only_if=True)
        if state is None:
            state = self._take_over()
        self._state = state
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lease back, if it is still ours."""
        self._over.set()
        self._renewing.join()
        if not self._lost:
            with suppress(ArchiveError):  # it ends by itself
                self._place.remove(NAME)

    def require(self) -> None:
        """Raise an error if another publisher has taken the lease over.

        Raises
        ------
        CatalogLocked
            If this process was stopped for so long that it lost the lease.
        """
        if self._lost:
            raise CatalogLocked(f"another mastlake publishes to {self._place.name} now; this one took too long")

    def _take_over(self) -> str:
        lease = self._place.fetch(NAME)
        if lease is None:
            state = self._place.send(NAME, self._content(), {"If-None-Match": "*"}, only_if=True)
        else:
            holder = _holder(lease.content)
            if holder.get("here") != self._here and lease.age < LEASE_SECONDS:
                host = harmless(str(holder.get("host", "another machine")))[:100]
                raise CatalogLocked(
                    f"another mastlake, on {host}, is publishing to {self._place.name}; "
                    f"if it was killed, try again in {LEASE_SECONDS - lease.age:.0f} seconds"
                )
            state = self._place.send(NAME, self._content(), {"If-Match": lease.state}, only_if=True)
        if state is None:
            raise CatalogLocked(f"another mastlake is publishing to {self._place.name}; try again when it is done")
        return state

    def _renew(self) -> None:
        while not self._over.wait(_RENEW_SECONDS):
            try:
                state = self._place.send(NAME, self._content(), {"If-Match": self._state}, only_if=True)
            except ArchiveError:
                continue  # the network may come back before the lease ends
            if state is None:
                self._lost = True
                return
            self._state = state

    def _content(self) -> bytes:
        return json.dumps(
            {"host": socket.gethostname(), "here": self._here, "since": self._since, "token": uuid.uuid4().hex}
        ).encode()


def _mark(drafts: Path) -> str:
    """Return a random text that tells this folder from those of other machines and users."""
    path = drafts / _HERE
    if not path.exists() or not path.read_text():
        path.write_text(uuid.uuid4().hex)
    return path.read_text()


def _holder(content: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        holder = json.loads(content)
        if isinstance(holder, dict):
            return holder
    return {}


def age_of(headers: Any) -> float:
    """Return how old an object is, in seconds, by the clock of the server that sent these headers."""
    try:
        now, then = (parsedate_to_datetime(headers[name]) for name in ("Date", "Last-Modified"))
    except (KeyError, ValueError, TypeError):
        return 0.0
    return max((now - then).total_seconds(), 0.0)
