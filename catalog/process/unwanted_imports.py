"""Keep packages out of this process that others import whenever they are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader


class _LeftOut:
    """Finds packages without loading them, so that a check whether they are installed still gets the true answer.

    It has the methods of a finder and of a loader; importing Python's base classes for these would import much more.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, cast("Loader", self)) if fullname in self.packages else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # Python makes an empty module

    def exec_module(self, module: ModuleType) -> None:
        raise ModuleNotFoundError(f"{module.__name__} is not wanted in this process", name=module.__name__)


def leave_out(*packages: str) -> None:
    """Let packages fail to import, as if they were not installed, for the rest of this process.

    DuckDB and pyarrow import pandas when they first see a value, to check whether it is a data frame. That takes a
    third of a second and 50 MB.


    Parameters
    ----------
    *packages : str
        Names without dots; packages that are imported already stay.
    """
    sys.meta_path.insert(0, _LeftOut(packages))
