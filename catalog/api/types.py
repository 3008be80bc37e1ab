"""Types that the methods of a catalog take and return; each is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catalog.api.harvest_session import HarvestOptions, HarvestSession, SearchOutcome
    from catalog.api.preview_images import PreviewImages
    from catalog.api.question import Question
    from catalog.changes import Changes, Row
    from catalog.harvest import Harvest, Progress
    from catalog.harvest.requests import Request
    from catalog.headers import Event as IndexEvent
    from catalog.headers import FilesFound, FilesRead, FoldersWalked, IndexFailure, IndexReport, LinksLeftOut
    from catalog.headers.names import FITS_ENDINGS
    from catalog.missions import JWST
    from catalog.network.server import Server
    from catalog.plots import Drawing
    from catalog.publish.meter import Pull
    from catalog.questions.drift import Drifted, Outdated
    from catalog.questions.keyword_matches import KeywordMatches
    from catalog.questions.keyword_values import KeywordValues
    from catalog.questions.lineage import Link
    from catalog.questions.previews import Preview
    from catalog.questions.search_states import SearchDetails, SearchState
    from catalog.questions.status import Overview
    from catalog.store.history.runs import Run
    from catalog.store.history.search_edits import Edit
    from catalog.sync import Plan, SyncReport
    from catalog.sync.events import Event as SyncEvent
    from catalog.sync.events import Finished, Note, Paused, Planned, Received, Started
    from catalog.sync.tokens import VARIABLE as TOKEN_VARIABLE
    from catalog.vocabulary.dates import iso
    from catalog.vocabulary.keywords import Keyword
    from catalog.vocabulary.search import Search

_HOMES = {
    "Changes": "catalog.changes",
    "Drawing": "catalog.plots",
    "Drifted": "catalog.questions.drift",
    "Edit": "catalog.store.history.search_edits",
    "FITS_ENDINGS": "catalog.headers.names",
    "FilesFound": "catalog.headers",
    "FilesRead": "catalog.headers",
    "Finished": "catalog.sync.events",
    "FoldersWalked": "catalog.headers",
    "Harvest": "catalog.harvest",
    "HarvestOptions": "catalog.api.harvest_session",
    "HarvestSession": "catalog.api.harvest_session",
    "IndexEvent": "catalog.headers:Event",
    "IndexFailure": "catalog.headers",
    "IndexReport": "catalog.headers",
    "JWST": "catalog.missions",
    "Keyword": "catalog.vocabulary.keywords",
    "KeywordMatches": "catalog.questions.keyword_matches",
    "KeywordValues": "catalog.questions.keyword_values",
    "Link": "catalog.questions.lineage",
    "LinksLeftOut": "catalog.headers",
    "Note": "catalog.sync.events",
    "Outdated": "catalog.questions.drift",
    "Overview": "catalog.questions.status",
    "Paused": "catalog.sync.events",
    "Plan": "catalog.sync",
    "Planned": "catalog.sync.events",
    "Preview": "catalog.questions.previews",
    "PreviewImages": "catalog.api.preview_images",
    "Progress": "catalog.harvest",
    "Pull": "catalog.publish.meter",
    "Question": "catalog.api.question",
    "Received": "catalog.sync.events",
    "Request": "catalog.harvest.requests",
    "Row": "catalog.changes",
    "Run": "catalog.store.history.runs",
    "Search": "catalog.vocabulary.search",
    "SearchDetails": "catalog.questions.search_states",
    "SearchOutcome": "catalog.api.harvest_session",
    "SearchState": "catalog.questions.search_states",
    "Server": "catalog.network.server",
    "Started": "catalog.sync.events",
    "SyncEvent": "catalog.sync.events:Event",
    "SyncReport": "catalog.sync",
    "TOKEN_VARIABLE": "catalog.sync.tokens:VARIABLE",
    "iso": "catalog.vocabulary.dates",
}

__all__ = [
    "FITS_ENDINGS",
    "JWST",
    "TOKEN_VARIABLE",
    "Changes",
    "Drawing",
    "Drifted",
    "Edit",
    "FilesFound",
    "FilesRead",
    "Finished",
    "FoldersWalked",
    "Harvest",
    "HarvestOptions",
    "HarvestSession",
    "IndexEvent",
    "IndexFailure",
    "IndexReport",
    "Keyword",
    "KeywordMatches",
    "KeywordValues",
    "Link",
    "LinksLeftOut",
    "Note",
    "Outdated",
    "Overview",
    "Paused",
    "Plan",
    "Planned",
    "Preview",
    "PreviewImages",
    "Progress",
    "Pull",
    "Question",
    "Received",
    "Request",
    "Row",
    "Run",
    "Search",
    "SearchDetails",
    "SearchOutcome",
    "SearchState",
    "Server",
    "Started",
    "SyncEvent",
    "SyncReport",
    "iso",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, home = _HOMES[name].partition(":")
    return getattr(import_module(module), home or name)
