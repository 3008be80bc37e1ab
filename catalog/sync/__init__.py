"""From a plan to proven bytes on disk.

Names are imported when they are first used: listing products needs nothing of what downloads them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.sync.apply import SyncFailure, SyncReport
    from catalog.sync.plan import Item, Plan, Tally
    from catalog.sync.replaced_files import OldBytes
    from catalog.sync.run import apply_plan, make_plan, sync
    from catalog.sync.selection import Selection, products
    from catalog.sync.tokens import Token, find_token, keep_token
    from catalog.sync.transfer import Current

__all__ = [
    "Current",
    "Item",
    "OldBytes",
    "Plan",
    "Selection",
    "SyncFailure",
    "SyncReport",
    "Tally",
    "Token",
    "apply_plan",
    "find_token",
    "keep_token",
    "make_plan",
    "products",
    "sync",
]

_HOMES = {
    "apply": ("SyncFailure", "SyncReport"),
    "replaced_files": ("OldBytes",),
    "plan": ("Item", "Plan", "Tally"),
    "run": ("apply_plan", "make_plan", "sync"),
    "selection": ("Selection", "products"),
    "tokens": ("Token", "find_token", "keep_token"),
    "transfer": ("Current",),
}
"""The modules, and the names of each that this package offers."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"catalog.sync.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
