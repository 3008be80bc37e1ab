"""A question whose rows were removed by upkeep while it ran is asked once more.

A question on a lake sees the snapshot of when it began. `upkeep` leaves the files of a snapshot alone for as long as a
question may run, but a question can take longer, and a user can tell upkeep to wait less.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from catalog.errors import RowsRemoved
from catalog.store.database import Database

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def asks_again(
    ask: Callable[Concatenate[Database, Parameters], Answer],
) -> Callable[Concatenate[Database, Parameters], Answer]:
    """Let a function that only reads a catalog run once more, on the newest rows, if rows that it read were removed."""

    @wraps(ask)
    def asking(database: Database, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        try:
            return ask(database, *args, **kwargs)
        except RowsRemoved:
            return ask(database.anew(), *args, **kwargs)

    return asking
