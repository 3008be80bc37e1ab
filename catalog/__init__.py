"""A local, queryable copy of what the JWST archive knows, and of the files on your disk.

    from mastlake import Catalog, Search

    with Catalog.open("mastlake.duckdb") as lake:
        lake.harvest(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS", "category=COM,ERS"]))
        lake.find(targname="WASP-*").to_pandas()

The package has a second name, ``mastlake``, by which you should import it. Names are imported when they are first used,
so importing the package takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from catalog._version import __version__

if TYPE_CHECKING:
    from catalog.answers.result import Result
    from catalog.api.catalog import Catalog
    from catalog.api.question import Question
    from catalog.changes import Changes
    from catalog.errors import MastlakeError
    from catalog.harvest import Harvest
    from catalog.headers import IndexReport
    from catalog.questions.drift import Outdated
    from catalog.sync import Plan, Selection, SyncReport
    from catalog.vocabulary.search import Search

__all__ = [
    "Catalog",
    "Changes",
    "Harvest",
    "IndexReport",
    "MastlakeError",
    "Outdated",
    "Plan",
    "Question",
    "Result",
    "Search",
    "Selection",
    "SyncReport",
    "__version__",
]

_HOMES = {
    "Catalog": "catalog.api.catalog",
    "Changes": "catalog.changes",
    "Harvest": "catalog.harvest",
    "IndexReport": "catalog.headers",
    "MastlakeError": "catalog.errors",
    "Outdated": "catalog.questions.drift",
    "Plan": "catalog.sync",
    "Question": "catalog.api.question",
    "Result": "catalog.answers.result",
    "Search": "catalog.vocabulary.search",
    "Selection": "catalog.sync",
    "SyncReport": "catalog.sync",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mastlake' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
