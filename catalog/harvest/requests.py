"""The first requests of a harvest, in the archive's own form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from catalog.archive.client import AnswerLimits, MastArchive
from catalog.archive.partition import WholeQueries
from catalog.archive.retry import Patience
from catalog.harvest.origin import recorded_address
from catalog.vocabulary.search import Search


@dataclass(frozen=True)
class Request:
    """A request to the archive, and the number of its rows.

    Attributes
    ----------
    search : str
        The name of the search.
    server : str
        The archive's address, without the user's name and password.
    request : dict
        MAST's own form of the request.
    rows : int
        How many rows the archive counts now.
    """

    search: str
    server: str
    request: dict[str, Any]
    rows: int


def requests(server: str, searches: list[Search], until: float = math.inf) -> list[Request]:
    """Write the requests of searches, one for each instrument, and ask the archive for the number of rows of each.

    Parameters
    ----------
    server : str
        The archive's address.
    searches : list of Search
        The searches that would be harvested.
    until : float
        When to give up, as a time of `time.monotonic`.

    Raises
    ------
    ArchiveError
        If the archive does not answer, or not in time.
    """
    with MastArchive(server, AnswerLimits(until=until)) as archive:
        parts = [part for search in searches for part in search.parts]
        queries = [archive.query(part) for part in parts]
        counts = [WholeQueries(archive, Patience(until=until)).count(query) for query in queries]
    address = recorded_address(server)
    return [
        Request(part.name, address, {"service": query.service, "params": query.params(), "format": "json"}, rows)
        for part, query, rows in zip(parts, queries, counts, strict=True)
    ]
