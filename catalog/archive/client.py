"""MAST behind a small protocol.

Transport, service names, column configuration and login come from `astroquery.mast`. Two things are different here: an
answer stays bytes until Arrow reads it; and waiting has limits, which are a time-out of the socket, growing pauses
while the archive is EXECUTING, and an end.
"""

from __future__ import annotations

import random
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, cast

import requests

with warnings.catch_warnings():  # importing astroquery warns about other packages
    warnings.simplefilter("ignore")
    from astroquery.exceptions import InvalidQueryError
    from astroquery.mast import ObservationsClass
    from astroquery.mast.discovery_portal import PortalAPI

from catalog.archive.answer import ArchiveAnswer, read_answer, read_count
from catalog.archive.body import read_body
from catalog.archive.envelope import Envelope, completed_envelope, read_envelope, total_rows
from catalog.archive.retry import retry_after
from catalog.archive.waiting import AnswerLimits
from catalog.defaults import SERVER as MAST
from catalog.errors import (
    ArchiveError,
    BadValue,
    Garbled,
    Overloaded,
    ProxyFault,
    QueryTimeout,
    Refused,
    Unreachable,
)
from catalog.missions import JWST
from catalog.network.faults import fault
from catalog.network.patience import no_longer_than
from catalog.network.routes import proxy_of
from catalog.network.server import Server
from catalog.network.session import prepare_session
from catalog.vocabulary.search import CAOM, CAOM_IN_CONE, Search
from catalog.vocabulary.spelling import Kind

__all__ = ["MAST", "AnswerLimits", "Archive", "Filters", "MastArchive", "Query"]

_PRODUCTS = "Mast.Caom.Products"
_COLUMNS = "Mast.Caom.Cone"  # where astroquery looks up the columns of observations
_LOGIN = 60.0
"""How many seconds MAST may take to tell to whom a token belongs."""
_ABOUT_THE_QUESTION = (400, 422)  # HTTP codes
Filters = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Query:
    """A question to a service: all rows that pass the filters.

    Attributes
    ----------
    service : str
        MAST's name of the service.
    filters : tuple of mapping
        The filters, as MAST writes them.
    position : str or None
        A cone, as ``RA, DEC, RADIUS`` in degrees; only services of observations accept it.
    """

    service: str
    filters: Filters = ()
    position: str | None = None

    def having(self, column: str, *values: Any) -> Query:
        """Return the part of this query in which a column has one of the values, or lies in one of the ranges."""
        return replace(self, filters=(*self.filters, {"paramName": column, "values": list(values)}))

    def like(self, column: str, pattern: str) -> Query:
        """Return the part of this query in which a column fits a pattern; ``%`` stands for any text."""
        return replace(self, filters=(*self.filters, {"paramName": column, "values": [], "freeText": pattern}))

    @property
    def kind(self) -> Kind:
        """The kind of its rows."""
        if self.service in JWST.services.values():
            return "file"
        return "product" if self.service == _PRODUCTS else "observation"

    def params(self, columns: Sequence[str] = ("*",)) -> dict[str, Any]:
        """Return the parameters of a request for these columns."""
        params: dict[str, Any] = {"columns": ",".join(columns), "filters": list(self.filters)}
        return params if self.position is None else {**params, "position": self.position}


class Archive(Protocol):
    """The methods that this library needs from an archive."""

    def query(self, search: Search) -> Query:
        """Return the query of a search."""

    def count(self, query: Query) -> int:
        """Return how many rows a query has."""

    def rows(self, query: Query, columns: Sequence[str] = ("*",), size: int = 50_000) -> ArchiveAnswer:
        """Return the first page of a query's rows."""

    def observations(self, **criteria: Any) -> ArchiveAnswer:
        """Return the CAOM observations that meet the criteria, which are those of astroquery's query_criteria."""

    def products(self, obsids: Sequence[str]) -> ArchiveAnswer:
        """Return the products of the observations with these archive numbers."""


class _Portal(PortalAPI):  # type: ignore[misc]
    """astroquery's portal at another address, with limits for waiting."""

    def __init__(
        self,
        session: requests.Session,
        server: str,
        waiting: AnswerLimits,
        column_configs: dict[str, Any],
        given_up: list[str],
    ) -> None:
        super().__init__(session)
        self.MAST_REQUEST_URL = f"{server}/api/v0/invoke"
        self.COLUMNS_CONFIG_URL = f"{server}/portal/Mashup/Mashup.asmx/columnsconfig"
        self.MAST_DOWNLOAD_URL = f"{server}/api/v0.1/Download/file"
        self.MAST_BUNDLE_URL = f"{server}/api/v0.1/Download/bundle"
        self._column_configs = column_configs  # astroquery shares these between all instances, whatever their server
        self.waiting = waiting
        self.requests = 0
        self._given_up = given_up

    def _request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        files: Any = None,
        stream: bool = False,
        auth: Any = None,
        retrieve_all: bool = True,
    ) -> list[requests.Response]:
        """Ask, and ask again as long as the archive is EXECUTING."""
        began, longest = time.monotonic(), self.waiting.working(len(self._given_up))
        end = min(began + longest, self.waiting.until)
        pause = self.waiting.first_pause
        while True:
            response = self._send(method, url, params=params, data=data, headers=headers, files=files, auth=auth)
            response.envelope = read_envelope(response.content)  # type: ignore[attr-defined]
            if response.envelope.status != "EXECUTING":  # type: ignore[attr-defined]
                return [response]
            if time.monotonic() + pause > end:
                self._given_up.append(url)
                raise Unreachable(f"{url.split('/')[2]} {_still_working(time.monotonic() - began)}")
            time.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 1.6, self.waiting.longest_pause)

    def _send(self, method: str, url: str, **details: Any) -> requests.Response:
        self.requests += 1
        host = url.split("/")[2]
        longest = self.waiting.longest()
        with _faults_told_apart(url), no_longer_than(longest):
            response: requests.Response = super(PortalAPI, self)._request(
                method, url, cache=False, timeout=self.waiting.timeouts(), stream=True, **details
            )
            response._content = read_body(response, host, time.monotonic() + longest)
            response.raise_for_status()
            return response


def _still_working(seconds: float) -> str:
    return f"is still working on an answer after {seconds:.0f} s; try again later, or ask for less at once"


@contextmanager
def _faults_told_apart(url: str) -> Iterator[None]:
    """Turn errors of `requests` into the errors of this package."""
    host = url.split("/")[2]
    try:
        yield
    except requests.HTTPError as error:
        raise _http_fault(error.response, host) from error
    except requests.Timeout as error:
        raise Unreachable(f"{host} did not answer in time") from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise Garbled(f"{host} dropped the connection in the middle of an answer") from error
    except requests.ConnectionError as error:
        raise fault(error, url, proxy_of(url)) from error
    except requests.RequestException as error:
        raise Refused(f"cannot ask {host}: {error}") from error


class _HttpRefused(Refused):
    """A server before the archive's services refused; it would refuse another question as well."""


def _http_fault(response: requests.Response | None, host: str) -> ArchiveError:
    if response is None:
        return Unreachable(f"{host} gave no answer")
    code = response.status_code
    if code == 407:
        return ProxyFault("the proxy asks for a name and a password: HTTP_PROXY=http://NAME:PASSWORD@HOST:PORT")
    if code == 429 or code >= 500:
        pause = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
        return Overloaded(f"{host} answered HTTP {code}", pause)
    refused = Refused if code in _ABOUT_THE_QUESTION else _HttpRefused
    return refused(f"{host} answered HTTP {code} {response.reason}")


class MastArchive:
    """The archive over HTTP.

    Parameters
    ----------
    server : str
        The address, without a path.
    waiting : AnswerLimits
        How long one answer may take.

    Notes
    -----
    Several threads can use it: each gets a session of its own, since threads must not share astroquery's session.
    """

    def __init__(self, server: str = MAST, waiting: AnswerLimits | None = None) -> None:
        self.server = Server(server)
        self.waiting = waiting or AnswerLimits()
        # Only the filters of observations need a column configuration. Elsewhere it would serve astropy tables, which
        # are not made here.
        self._column_configs: dict[str, Any] = {
            service: {} for service in (*JWST.services.values(), _PRODUCTS, CAOM, CAOM_IN_CONE)
        }
        self._given_up: list[str] = []  # addresses whose answers stayed EXECUTING too long
        self._not_counting: set[str] = set()  # services that refuse COUNT_BIG(*)
        self._threads = threading.local()
        self._portals: list[_Portal] = []

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(portal.requests for portal in self._portals)

    def query(self, search: Search) -> Query:
        """Return the query of a search; astroquery makes the filters of an observation search.

        Raises
        ------
        BadValue
            If the archive's column configuration does not have a column of observations.
        """
        if search.instrument is not None:
            return Query(search.service, tuple(search.filters()))
        build = self._observations._portal_api_connection.build_filter_set
        try:
            filters = build(_COLUMNS, search.service, **search.astroquery_criteria())
        except InvalidQueryError as error:
            raise BadValue(f"the archive does not know this criterion: {error}") from error
        cone = search.cone
        return Query(search.service, tuple(filters), f"{cone.ra}, {cone.dec}, {cone.radius}" if cone else None)

    def count(self, query: Query) -> int:
        """Return how many rows a query has, by the archive's COUNT_BIG(*).

        A service that refuses to count is not asked to count again. Instead it is asked for a page of one row, whose
        paging tells the number.
        """
        if query.service in self._not_counting:
            return self._rows_by_paging(query)
        try:
            return read_count(self._ask(query, ("COUNT_BIG(*)",), 50_000))
        except Refused as refusal:
            if isinstance(refusal, QueryTimeout | _HttpRefused):
                raise
            try:
                rows = self._rows_by_paging(query)
            except Refused:
                raise refusal from None
            self._not_counting.add(query.service)
            return rows

    def _rows_by_paging(self, query: Query) -> int:
        envelope = completed_envelope(self._ask(query, ("*",), 1))
        if "rowsFiltered" not in (envelope.paging or {}):
            raise Garbled("the archive's answer does not say how many rows there are")
        return total_rows(envelope, 0)

    def rows(self, query: Query, columns: Sequence[str] = ("*",), size: int = 50_000) -> ArchiveAnswer:
        """Return the first page of a query's rows.

        Parameters
        ----------
        query : Query
            The question.
        columns : sequence of str
            Names, or ``*`` for all.
        size : int
            The number of rows of a page, at most 50,000.
        """
        whole = "*" in columns
        return read_answer(self._ask(query, columns, size), query.kind, whole=whole, asked=() if whole else columns)

    def observations(self, **criteria: Any) -> ArchiveAnswer:
        """Return CAOM observations; the criteria are those of astroquery's ``Observations.query_criteria``."""
        (response,) = self._observations.query_criteria_async(page=1, **criteria)
        return read_answer(response.envelope, "observation", whole=True)

    def products(self, obsids: Sequence[str]) -> ArchiveAnswer:
        """Return the products of the observations with these archive numbers (``obsid``)."""
        (response,) = self._observations.get_product_list_async(list(obsids))
        return read_answer(response.envelope, "product", whole=True)

    def login(self, token: str) -> str:
        """Check a token, and return the name of its bearer.

        Raises
        ------
        Refused
            If MAST does not accept it, or redirects to another address.
        Garbled
            If the answer is neither yes nor no.
        """
        from catalog.archive.whoami import whoami

        longest = min(_LOGIN, self.waiting.longest())
        with _faults_told_apart(f"{self.server}/whoami"), no_longer_than(longest):
            return whoami(self.server, token, self.waiting.timeouts())

    def close(self) -> None:
        """Close all connections."""
        for portal in self._portals:
            portal._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(self, query: Query, columns: Sequence[str], size: int) -> Envelope:
        portal = self._observations._portal_api_connection
        (response,) = portal.service_request_async(query.service, query.params(columns), pagesize=size, page=1)
        return cast("Envelope", response.envelope)

    @property
    def _observations(self) -> Any:
        """Return astroquery's Observations, one for each thread."""
        if not hasattr(self._threads, "observations"):
            observations = ObservationsClass()
            observations._session.hooks["response"].clear()  # it formats every answer for a log that is not used
            prepare_session(observations._session, self.server)
            shared = (self.server, self.waiting, self._column_configs, self._given_up)
            portal = _Portal(observations._session, *shared)
            observations._portal_api_connection = portal
            self._threads.observations = observations
            self._portals.append(portal)
        return self._threads.observations
