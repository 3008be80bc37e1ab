"""What pages and programs that leaf through the catalog say their wishes with."""

from __future__ import annotations

from catalog.questions.browse import ACCESS, CELL, DISK, FACETS, Choice, Facet, Leaf, Table, checked_facet
from catalog.questions.find import Criteria
from catalog.store.sql import literal
from catalog.vocabulary.criteria import criterion

__all__ = [
    "ACCESS", "CELL", "DISK", "FACETS", "Choice", "Criteria", "Facet", "Leaf", "Table", "checked_facet", "criterion",
    "literal",
]  # fmt: skip
