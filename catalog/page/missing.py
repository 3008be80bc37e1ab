"""The error for an address that nothing has."""

from __future__ import annotations

from catalog.errors import UsageError


class NoSuchPage(UsageError):
    """Nothing has this address."""
