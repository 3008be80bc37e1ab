"""The routes. Each answer is made in a thread, within a time limit, and only as long as somebody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from catalog.api.catalog import Catalog
from catalog.errors import CatalogError, DiskError, MastlakeError
from catalog.page import find, history, one_file, overview, pictures, questions, target_pages
from catalog.page.answer import Asked, MakePage, Page, WayBack, rendered
from catalog.page.guard import Door, Guard
from catalog.page.missing import NoSuchPage

AT_ONCE = 12
"""How many answers are made at the same time; other requests wait."""
PICTURES_AT_ONCE = 2
"""How many pictures are made at the same time: they take long, and a wall of them must not delay other pages."""


class Endpoints:
    """Makes endpoints from functions that make pages.

    Parameters
    ----------
    lake : Catalog
        The catalog.
    seconds : float
        How long one answer may take.
    """

    def __init__(self, lake: Catalog, seconds: float) -> None:
        self._lake = lake
        self._seconds = seconds
        self._limiters: dict[int, anyio.CapacityLimiter] = {}
        self._stops: set[threading.Event] = set()

    def stop_all(self) -> None:
        """End the current questions, so that the server can end."""
        for stop in list(self._stops):
            stop.set()

    def endpoint(self, make: MakePage, as_json: bool = False, at_once: int = AT_ONCE) -> Callable[[Request], Any]:
        """Return the endpoint for pages that a function makes, with at most so many at the same time."""

        async def answer(request: Request) -> Response:
            stop = threading.Event()
            self._stops.add(stop)
            limiter = self._limiters.setdefault(at_once, anyio.CapacityLimiter(at_once))
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(_watch, request, stop)
                    made = await anyio.to_thread.run_sync(
                        self._make,
                        make,
                        Asked(request, self._lake, stop, self._seconds),
                        as_json,
                        limiter=limiter,
                    )
                    group.cancel_scope.cancel()
            finally:
                self._stops.discard(stop)
            return made

        return answer

    def _make(self, make: MakePage, asked: Asked, as_json: bool) -> Response:
        try:
            with self._lake.limited(asked.seconds, asked.stop):
                made = make(asked)
        except MastlakeError as error:
            made = failure(error)
        if isinstance(made, Response):
            return made
        return rendered(made, asked.request, as_json, self._lake.path.name)


async def _watch(request: Request, stop: threading.Event) -> None:
    """Stop the question once the browser has gone or has cancelled."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stop.set()


def failure(error: MastlakeError) -> Page:
    """Return the page that says in one line what is wrong."""
    status = 404 if isinstance(error, NoSuchPage) else 503 if isinstance(error, CatalogError | DiskError) else 400
    return Page("failure.html", "Not possible", {"error": str(error)}, WayBack(), {}, status)


_PAGES: dict[str, MakePage] = {
    "/find": find.find_page,
    "/file": one_file.file_page,
    "/file/{name:path}": one_file.file_page,
    "/target": target_pages.target_page,
    "/target/{name:path}": target_pages.target_page,
    "/program": target_pages.program_page,
    "/program/{name:path}": target_pages.program_page,
    "/runs": history.runs_page,
    "/run/{name:path}": history.run_page,
    "/changes": history.changes_page,
    "/status": overview.status_page,
    "/keywords": overview.keywords_page,
    "/wall": pictures.wall,
    "/sql": questions.sql_page,
}
_FILES: dict[str, MakePage] = {
    "/export/{form}": questions.export,
    "/complete": questions.completion_answer,
}


def make_app(lake: Catalog, door: Door | None = None, seconds: float = 30.0) -> Starlette:
    """Return the web application.

    Parameters
    ----------
    lake : Catalog
        The catalog.
    door : Door, optional
        The rule for callers; by default, only this machine may ask.
    seconds : float
        How long one answer may take.

    Returns
    -------
    Starlette
        The application; its ``state.endpoints`` can stop current questions.
    """
    endpoints = Endpoints(lake, seconds)
    routes: list[BaseRoute] = [Mount("/static", StaticFiles(directory=Path(__file__).with_name("static")))]
    routes += [
        Route("/", endpoints.endpoint(find.find_page)),
        Route("/.json", endpoints.endpoint(find.find_page, True)),
    ]
    routes.append(Route("/index.json", endpoints.endpoint(find.find_page, True)))
    for path, make in _PAGES.items():
        routes.append(Route(f"{path}.json", endpoints.endpoint(make, True)))
        routes.append(Route(path, endpoints.endpoint(make)))
    routes += [Route(path, endpoints.endpoint(make)) for path, make in _FILES.items()]
    routes.append(Route("/picture", endpoints.endpoint(pictures.picture, at_once=PICTURES_AT_ONCE)))

    async def no_page(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        page = failure(NoSuchPage("there is no such page"))
        as_json = request.scope["path"].endswith(".json")
        return rendered(Page(page.template, page.title, page.facts, status=status), request, as_json, lake.path.name)

    made = Starlette(
        routes=routes, middleware=[Middleware(Guard, door or Door())], exception_handlers={HTTPException: no_page}
    )
    made.state.endpoints = endpoints
    return made
