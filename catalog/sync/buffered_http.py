"""HTTP answers that are read into one buffer again and again.

`http.client` makes a new bytes object for every read. At a mebibyte each, these are pages that the kernel maps, clears
and unmaps once a read: a tenth of what a large file costs in all. Both urllib3's pools and `http.client` let their
classes be chosen, and a read without decoding is handed through by urllib3 as it is.
"""

from __future__ import annotations

from http.client import HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Response(HTTPResponse):
    """An answer whose `read1` gives a view that holds until the next one."""

    _room = memoryview(b"")

    def read1(self, n: int = -1) -> Any:
        if n < 0 or self.chunked or self.fp is None or self.length is None:
            return super().read1(n)
        most = min(n, self.length)
        if most == 0:
            return super().read1(n)
        if most > len(self._room):
            self._room = memoryview(bytearray(most))
        count = self.fp.readinto1(self._room[:most])
        if count == 0:
            return super().read1(n)  # the end, or a connection that was closed: its own care
        self.length -= count
        return self._room[:count]


class _Connection(HTTPConnection):
    response_class = _Response


class _SafeConnection(HTTPSConnection):
    response_class = _Response


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SafePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SafeConnection


_CLASSES = {"http": _Pool, "https": _SafePool}


class ReusingPools(urllib3.PoolManager):
    """urllib3's pools of connections, where ``read1(..., decode_content=False)`` gives views of a reused buffer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pool_classes_by_scheme = _CLASSES


class ReusingProxies(urllib3.ProxyManager):
    """The same through a proxy."""

    def __init__(self, proxy: str, **options: Any) -> None:
        super().__init__(proxy, **options)
        self.pool_classes_by_scheme = _CLASSES
