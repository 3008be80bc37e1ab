"""A page as an answer: HTML for people, or the same facts as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from catalog._version import __version__
from catalog.answers.portable_columns import jsonable
from catalog.text import harmless, plural, shown, size

if TYPE_CHECKING:
    from threading import Event

    from catalog.api.catalog import Catalog


@dataclass(frozen=True)
class WayBack:
    """How to get the same without the page.

    Attributes
    ----------
    command, sql, python : str
        For a shell, for ``mastlake sql``, and for Python; empty if there is no such way.
    """

    command: str = ""
    sql: str = ""
    python: str = ""


@dataclass(frozen=True)
class Page:
    """The contents of a page.

    Attributes
    ----------
    template : str
        The template that draws it.
    title : str
        The title of the window.
    facts : dict
        The values for the JSON form and for the template.
    way_back : WayBack
        How to get the same without the page.
    drawn : dict
        Values that only the template needs, such as addresses.
    status : int
        The HTTP status.
    """

    template: str
    title: str
    facts: dict[str, Any]
    way_back: WayBack = WayBack()
    drawn: dict[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Asked:
    """One request, as the functions that make pages get it.

    Attributes
    ----------
    request : Request
        The HTTP request, with address and parameters.
    lake : Catalog
        The catalog.
    stop : Event
        Set when nobody waits for the answer any more.
    seconds : float
        How long the answer may take.
    """

    request: Request
    lake: Catalog
    stop: Event
    seconds: float

    def parameter(self, name: str, otherwise: str = "") -> str:
        """Return a parameter of the address, cut to a length that a person may type."""
        return str(self.request.query_params.get(name, otherwise))[:10_000]

    def number(self, name: str, otherwise: int, least: int, most: int) -> int:
        """Return a parameter that is a whole number within limits, or else the default."""
        text = self.parameter(name)
        return min(max(int(text), least), most) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def link(path: str, *pieces: str, **parameters: Any) -> str:
    """Return an address on this server, with every name in it quoted.

    Examples
    --------
    >>> link("/file", "a b.fits"), link("/target", "..")
    ('/file/a%20b.fits', '/target?name=..')
    >>> link("/find", target="WASP 39")
    '/find?target=WASP+39'
    """
    if len(pieces) == 1 and (not pieces[0].strip(".") or pieces[0].endswith(".json")):
        parameters = {"name": pieces[0], **parameters}
        pieces = ()
    address = "/".join([path, *(quote(piece, safe="", errors="replace") for piece in pieces)])
    given = [(name, value) for name, value in parameters.items() if value not in (None, "", ())]
    query = urlencode(given, doseq=True, errors="replace")
    return f"{address}?{query}" if query else address


def moment_text(value: Any) -> str:
    """Return a date or time, UTC, as people read it."""
    return value.strftime("%Y-%m-%d %H:%M") if isinstance(value, datetime) else shown(value)


def day_of(mjd: float) -> str:
    """Return the ISO date of a Modified Julian Date (UTC).

    Examples
    --------
    >>> day_of(59731)
    '2022-06-01'
    """
    try:
        return datetime.fromtimestamp((mjd - 40587) * 86400, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return ""


@lru_cache(maxsize=1)
def templates() -> jinja2.Environment:
    """Return the templates; they escape whatever they show."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("catalog.page"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"shown": shown, "bytes": size, "moment": moment_text, "harmless": harmless, "day": day_of}
    made.globals |= {"link": link, "plural": plural, "version": __version__}
    return made


def json_ready(value: Any) -> Any:
    """Return facts as values that JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return json_ready(asdict(value))
    if isinstance(value, dict):
        return {str(name): json_ready(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(element) for element in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return jsonable(value)


def rendered(page: Page, request: Request, as_json: bool, catalog_name: str) -> Response:
    """Return a page in the form that its reader wants."""
    if as_json:
        way = {name: text for name, text in asdict(page.way_back).items() if text}
        body = msgspec.json.encode({**json_ready(page.facts), **({"way_back": way} if way else {})})
        return Response(body, page.status, media_type="application/json")
    twin = twin_of(request)
    html = templates().get_template(page.template).render(
        page=page, way_back=page.way_back, here=request.url.path, twin=twin, catalog_name=catalog_name,
        **{"title": page.title, **page.facts, **page.drawn},
    )  # fmt: skip
    return Response(html.encode("utf-8", "replace"), page.status, media_type="text/html; charset=utf-8")


def twin_of(request: Request) -> str:
    """Return the address of a page's JSON twin."""
    raw = request.scope.get("raw_path", b"/").decode("latin-1").partition("?")[0]
    path = "/find" if raw == "/" else raw
    query = request.url.query
    return f"{path}.json" + (f"?{query}" if query else "")


def in_python(*lines: str) -> str:
    """Return a piece of Python that opens the catalog and runs some lines."""
    return "\n".join(
        ["from mastlake import Catalog", "", "with Catalog.open() as lake:", *(f"    {line}" for line in lines)]
    )


MakePage = Callable[[Asked], Page | Response]
