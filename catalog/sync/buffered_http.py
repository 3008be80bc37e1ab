"""HTTP answers that are read into one buffer, which is used again and again.

`http.client` makes a new bytes object for every read. At a mebibyte each, the kernel maps, clears and unmaps its pages
in every read, which is a tenth of the whole cost of a large file. Both urllib3's pools and `http.client` let us choose
their classes, and urllib3 passes a read without decoding on as it is.
"""

from __future__ import annotations

from typing import Any

from catalog.network.patience import PatientResponse


class ReusingResponse(PatientResponse):
    """An answer whose `read1` returns a view; the view is valid until the next read."""

    _room = memoryview(b"")

    def read1(self, n: int = -1) -> Any:
        """Read the bytes that have come, at most ``n``."""
        if n < 0 or self.chunked or self.fp is None or self.length is None:
            return super().read1(n)
        most = min(n, self.length)
        if most == 0:
            return super().read1(n)
        if most > len(self._room):
            self._room = memoryview(bytearray(most))
        count = self.fp.readinto1(self._room[:most])
        if count == 0:
            return super().read1(n)  # the end, or a closed connection, which the base class handles
        self.length -= count
        return self._room[:count]
