"""How a law over histories runs: few examples by default, and more of them with ``MASTLAKE_EXAMPLES``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from catalog.store.database import Database

from .lakes import FILE

EXAMPLES = int(os.environ.get("MASTLAKE_EXAMPLES", "1"))
"""How many histories of each law are tried: ``MASTLAKE_EXAMPLES=200 pytest tests/test_verdict_laws.py``."""
_SHRINKS = not os.environ.get("MASTLAKE_NO_SHRINK")
_FEW_STEPS = 4
"""How long a history is in the default run, and on a lake, into which a harvest takes longer."""


class EngineStateMachine(RuleBasedStateMachine):
    """A history of a catalog of some engine.

    Parameters
    ----------
    new_catalog : callable
        Makes a catalog without rows in a folder.
    """

    def __init__(self, new_catalog: Callable[[Path], Database]) -> None:
        super().__init__()
        self.new_catalog = new_catalog


def hold(machine: type[EngineStateMachine], engine: str, new_catalog: Callable[[Path], Database], steps: int) -> None:
    """Try histories on a catalog of an engine.

    They have so many steps if it is a file and more than one is tried. Only those on a file are made shorter if one
    fails.
    """
    of_file = engine == FILE
    begun: Any = lambda: machine(new_catalog)  # noqa: E731
    run_state_machine_as_test(
        begun,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=steps if of_file and EXAMPLES > 1 else _FEW_STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=list(Phase) if of_file and _SHRINKS else [Phase.generate],
        ),
    )
