"""How to leave a process in which a statement neither ends nor hears that it should.

DuckDB looks for an interrupt between two batches of rows. One call like ``range(1e9)`` makes a single value of
gigabytes, and hears nothing meanwhile. A command may then leave at once: a question holds nothing that could be lost. A
notebook's process is the user's own, so there nobody leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

at_once: Callable[[int, str], NoReturn] | None = None
"""Ends the process with an exit code and a line; None where the process is not ours."""
