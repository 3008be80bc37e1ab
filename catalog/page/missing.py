"""What a page says if nothing has its address."""

from __future__ import annotations

from catalog.errors import UsageError


class NoSuchPage(UsageError):
    """Nothing has this address."""
