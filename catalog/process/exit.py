"""How to end a process while a statement neither ends nor can be interrupted.

DuckDB looks for an interrupt between two batches of rows. A single call like ``range(1e9)`` makes a value of gigabytes,
and hears nothing meanwhile. A command may then end at once, since a question has nothing that could be lost. The
process of a notebook belongs to the user, so it is never ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

at_once: Callable[[int, str], NoReturn] | None = None
"""Ends the process with an exit code and a message; None if the process is not ours."""
