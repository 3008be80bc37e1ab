"""The name to import mastlake by: ``import mastlake`` gives the package ``catalog`` itself.

    from mastlake import Catalog, Search

Every module has this second name too: ``mastlake.errors`` is the module ``catalog.errors``, not a copy of it. So an
error that is raised under one name is caught under the other. A module is imported when it is first used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import catalog

_PREFIX = f"{__name__}."


class _Alias(Loader):
    """Puts the module ``catalog.x`` in the place of ``mastlake.x``."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return None: Python makes an empty module, which `exec_module` replaces."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module by the one that has the code."""
        name = module.__name__
        sys.modules[name] = import_module(_home(name))


class _Aliases(MetaPathFinder):
    """Finds ``mastlake.x`` wherever ``catalog.x`` is."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module under the name ``mastlake`` comes from."""
        if not fullname.startswith(_PREFIX) or find_spec(_home(fullname)) is None:
            return None
        return ModuleSpec(fullname, _Alias())


def _home(name: str) -> str:
    return f"{catalog.__name__}.{name.removeprefix(_PREFIX)}"


# This finder must come first: Python's own would read the same files again, as modules with other classes in them.
sys.meta_path.insert(0, _Aliases())
sys.modules[__name__] = catalog
