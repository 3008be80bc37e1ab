"""From a plan to proven bytes on disk."""

from catalog.sync.apply import Failure, SyncReport, apply
from catalog.sync.decisions import plan
from catalog.sync.plan import Item, Plan, Tally
from catalog.sync.replaced_files import OldBytes
from catalog.sync.run import DEST, JOBS, SERVER, make_plan, sync
from catalog.sync.script import script
from catalog.sync.selection import Selection, products
from catalog.sync.tokens import Token, find_token, keep_token
from catalog.sync.transfer import Current

__all__ = [
    "DEST",
    "JOBS",
    "SERVER",
    "Current",
    "Failure",
    "Item",
    "OldBytes",
    "Plan",
    "Selection",
    "SyncReport",
    "Tally",
    "Token",
    "apply",
    "find_token",
    "keep_token",
    "make_plan",
    "plan",
    "products",
    "script",
    "sync",
]
