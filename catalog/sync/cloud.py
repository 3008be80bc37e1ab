"""The public copy in Amazon's S3: which products it has, and their bytes, through obstore.

MAST tells where in the bucket a product is (``path_lookup``, which astroquery uses too). Products that are not there,
or that the bucket does not give, come from MAST itself. The bytes are proven in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Self

from catalog.errors import ArchiveError, Garbled, Unreachable
from catalog.network.object_store import client_options, s3_store
from catalog.sync.names import refusal_of_path
from catalog.sync.plan import Item
from catalog.sync.source import Ask, NotInSource

BUCKET = "stpubdata"
REGION = "us-east-1"
AT_ONCE = 40
"""How many products one look-up asks for; the archive answers no more."""
_PATIENCE = 3
"""How many failures in a row it takes until the store is no longer asked."""

Lookup = Callable[[Iterable[str]], Mapping[str, str | None]]


def public_bucket(endpoint: str | None = None) -> Any:
    """Open the bucket, without credentials.

    Parameters
    ----------
    endpoint : str, optional
        The address of another store that has the bucket.

    Raises
    ------
    UsageError
        If the client for object stores is not installed, or the environment names a proxy or certificates that are
        none.
    """
    store = s3_store("--source cloud")
    address = endpoint or f"https://{BUCKET}.s3.{REGION}.amazonaws.com"
    options = client_options(address)
    retries: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
    where: Any = {"endpoint": endpoint} if endpoint else {}
    return store(BUCKET, region=REGION, skip_signature=True, client_options=options, retry_config=retries, **where)


class Cloud:
    """An object store as a source of products.

    Parameters
    ----------
    lookup : callable
        Returns where in the store products are; null for those that are not there.
    store : obstore store, optional
        Used instead of the public bucket.

    Attributes
    ----------
    failed : str
        Why the last failed look-up failed; its products come from the archive.
    """

    name = "cloud"

    def __init__(self, lookup: Lookup, store: Any = None) -> None:
        self.failed = ""
        self._lookup = lookup
        self._store = store if store is not None else public_bucket()
        self._paths: dict[str, str | None] = {}
        self._failures = 0

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Look up where the items are, many in one request, and pass them on."""
        while batch := list(islice(items, AT_ONCE)):
            uris = [item.data_uri for item in batch if not item.exclusive]
            try:
                self._paths.update(self._lookup(uris) if uris else {})
            except ArchiveError as error:
                self.failed = f"the look-up of cloud paths failed: {error}"
            yield from batch

    def open(self, ask: Ask) -> StoreDownload:
        """Ask the store; see `catalog.sync.source.ProductSource`."""
        path = self._paths.pop(ask.uri, None)
        if not path or refusal_of_path(path):
            raise NotInSource("it is not in the public bucket")
        if self._failures >= _PATIENCE:
            raise NotInSource("the public bucket is not asked any more")
        try:
            answer = self._continue(path, ask) if ask.offset and ask.etag else StoreDownload(self._store.get(path))
        except Exception as error:
            fault = _translated(error)
            self._count(fault)
            raise fault from error
        self._failures = 0
        return answer

    def _count(self, fault: Exception) -> None:
        """Stop asking the store after some failures in a row; in a network that blocks it, each is a time-out."""
        if isinstance(fault, ArchiveError) and not isinstance(fault, NotInSource):
            self._failures += 1
            if self._failures == _PATIENCE:
                self.failed = (
                    f"the public bucket failed {_PATIENCE} times in a row, and was not asked any more: {fault}"
                )

    def _continue(self, path: str, ask: Ask) -> StoreDownload:
        from obstore.exceptions import PreconditionError

        try:
            return StoreDownload(self._store.get(path, options={"range": {"offset": ask.offset}, "if_match": ask.etag}))
        except PreconditionError:
            return StoreDownload(self._store.get(path))

    def close(self) -> None:
        """Do nothing: the store manages its connections itself."""


class StoreDownload:
    """An object whose bytes are still to come."""

    html = False
    ends = True

    def __init__(self, result: Any) -> None:
        self._result = result
        self._stopped = False
        self.offset = int(result.range[0])
        self.length: int | None = int(result.meta["size"])
        etag = result.meta.get("e_tag")
        self.etag: str | None = etag if etag and etag.startswith('"') else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True

    def chunks(self, most: int) -> Iterator[bytes]:
        """Iterate over the bytes as they come; waiting for pieces of full size could take for ever."""
        try:
            for chunk in self._result.stream(min_chunk_size=1):
                if self._stopped:
                    return
                yield bytes(chunk)
        except Exception as error:
            raise _translated(error) from error

    def abort(self) -> None:
        """End after the chunk that is being received."""
        self._stopped = True


def _translated(error: Exception) -> Exception:
    """Turn an error of the object store into one of this package's errors; a bug stays as it is."""
    from obstore.exceptions import BaseError

    if isinstance(error, FileNotFoundError):
        return NotInSource("it is not in the public bucket")
    if isinstance(error, BaseError | OSError):
        return Unreachable(f"the cloud copy: {str(error).splitlines()[0][:160]}")
    return error


def mast_lookup(read: Callable[[str], bytes]) -> Lookup:
    """Make a look-up that asks MAST, with a function that reads from MAST's server.

    Parameters
    ----------
    read : callable
        Returns the body for a path and query on the server.
    """
    from urllib.parse import urlencode

    def lookup(uris: Iterable[str]) -> dict[str, str | None]:
        requested = list(uris)
        query = urlencode([*(("uri", uri) for uri in requested), ("use_cloud_path", "True")])
        try:
            answered = json.loads(read(f"/api/v0.1/path_lookup/?{query}"))
            return {uri: _key((answered.get(uri) or {}).get("path")) for uri in requested}
        except (ValueError, AttributeError, RecursionError) as error:
            raise Garbled("the archive's path look-up is not what was expected") from error

    return lookup


def _key(path: object) -> str | None:
    return path.lstrip("/") if isinstance(path, str) and path.strip("/") else None
