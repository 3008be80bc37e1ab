"""HTTP answers that are read into one buffer again and again.

`http.client` makes a new bytes object for every read. At a mebibyte each, these are pages that the kernel maps, clears
and unmaps once a read: a tenth of what a large file costs in all. Both urllib3's pools and `http.client` let their
classes be chosen, and a read without decoding is handed through by urllib3 as it is.
"""

from __future__ import annotations

from typing import Any

from catalog.network.patience import PatientResponse


class ReusingResponse(PatientResponse):
    """An answer whose `read1` gives a view that holds until the next one."""

    _room = memoryview(b"")

    def read1(self, n: int = -1) -> Any:
        """Read what has come, so many bytes at most."""
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
