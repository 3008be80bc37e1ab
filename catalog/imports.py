"""Packages that are not wanted, though others import them wherever they are installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _LeftOut(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{fullname} is not wanted in this process", name=fullname)
        return None


def leave_out(*packages: str) -> None:
    """Let packages count as not installed, for the rest of this process.

    DuckDB and pyarrow import pandas when they first see a value, to ask whether it is one of its frames: a third of a
    second, and 50 MB.

    Parameters
    ----------
    *packages : str
        Names, without dots; those imported already stay.
    """
    sys.meta_path.insert(0, _LeftOut(packages))
