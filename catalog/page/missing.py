"""What a page says for an address that nothing has."""

from __future__ import annotations

from catalog.errors import UsageError


class NotThere(UsageError):
    """Nothing has this address."""
