"""The types with which pages and programs say which files they want to browse."""

from __future__ import annotations

from catalog.questions.browse import ACCESS, CELL, DISK, FACETS, Choice, Facet, Leaf, Table, checked_facet
from catalog.questions.find import Criteria
from catalog.questions.one_file import FileVersion
from catalog.store.sql import literal
from catalog.vocabulary.criteria import criterion

__all__ = [
    "ACCESS", "CELL", "DISK", "FACETS", "Choice", "Criteria", "Facet", "FileVersion", "Leaf", "Table", "checked_facet",
    "criterion", "literal",
]  # fmt: skip
