"""Progress of harvests, syncs and pulls: bars on a terminal, and lines elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.text import harmless, size

from .printing import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from catalog.api.types import Progress, Pull, SyncEvent


_SILENT_SECONDS = 1.0
"""How many seconds a person waits before the first line."""
_NEXT_SECONDS = 10.0
_LONG_SECONDS = 60.0
"""How many seconds a person waits for the next line if nothing happens."""


class LineTimer:
    """Tells when the next line about running work is due: after a second, and then every `_NEXT_SECONDS`."""

    def __init__(self) -> None:
        self.due = time.monotonic() + _SILENT_SECONDS

    def is_due(self) -> bool:
        """Say whether it is time for a line; then the line counts as printed."""
        now = time.monotonic()
        if now < self.due:
            return False
        self.due = now + _NEXT_SECONDS
        return True


class _Waited:
    """Says that nothing has come yet: after a second at first, and then every `_LONG_SECONDS`.

    Parameters
    ----------
    asked : str
        The reason for the wait.
    """

    def __init__(self, asked: str) -> None:
        self._since, self._line, self._least = time.monotonic(), f"{asked}, waiting since", _SILENT_SECONDS
        self._is_over = threading.Event()
        self._wait(_SILENT_SECONDS)

    def heard(self, line: str) -> None:
        """Begin again, because something came, which the line describes."""
        self._since, self._line, self._least = time.monotonic(), f"{line}; nothing more for", _LONG_SECONDS

    def end(self) -> None:
        """Say nothing more."""
        self._is_over.set()
        self._later.cancel()

    def _wait(self, seconds: float) -> None:
        self._later = threading.Timer(seconds, self._tell)
        self._later.daemon = True
        self._later.start()

    def _tell(self) -> None:
        if self._is_over.is_set():
            return
        if (silent := time.monotonic() - self._since) >= self._least:
            say(f"{self._line} {silent:.0f} s")
        self._wait(_LONG_SECONDS)


@contextmanager
def harvest_progress(quiet: bool, asked: str = "") -> Iterator[Callable[[Progress], None]]:
    """Say at the start what was asked, and draw a bar for each stage of a harvest.

    Parameters
    ----------
    quiet : bool
        Print and draw nothing.
    asked : str
        The message until the first stage begins. Without a terminal, it is printed after a second.
    """
    if quiet:
        yield lambda progress: None
        return
    if not sys.stderr.isatty() and not os.environ.get("FORCE_COLOR"):
        waiting_for, pace = _Waited(asked), LineTimer()

        def tell(progress: Progress) -> None:
            total = f" of about {progress.total:,}" if progress.total else ""
            line = f"{progress.search}: {progress.stage}, {progress.done:,}{total}"
            waiting_for.heard(line)
            if progress.done != progress.total and pace.is_due():
                say(line)

        try:
            yield tell
        finally:
            waiting_for.end()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}
        waiting = bars.add_task(harmless(f"{asked}, waiting"), total=None)

        def show(progress: Progress) -> None:
            bars.update(waiting, visible=False)
            key = (progress.search, progress.stage)
            if key not in tasks:
                tasks[key] = bars.add_task(harmless(f"{progress.search}: {progress.stage}"), total=progress.total)
            bars.update(tasks[key], completed=progress.done, total=progress.total)

        yield show


@contextmanager
def sync_progress(quiet: bool) -> Iterator[Callable[[SyncEvent], None]]:
    """Draw a sync: one bar for all bytes, and one for each current file; lines if there is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        yield lambda event: None
    elif console.is_terminal:
        with _bars(console) as show:
            yield show
    else:
        yield _print_event


def _print_event(event: SyncEvent) -> None:
    from catalog.api.types import Finished, Note, Paused

    if isinstance(event, Finished) and event.outcome not in ("present", "failed"):
        say(f"{event.outcome} {event.filename} ({size(event.size)})")
    elif isinstance(event, Note):
        say(event.text)
    elif isinstance(event, Paused) and not event.filename:
        say(f"waiting {event.seconds:.0f} s: {event.reason}")


def pull_progress(quiet: bool) -> Callable[[Pull], None] | None:
    """Draw the pull of a published catalog: its bytes, their rate and the time that is left; only on a terminal."""
    return None if quiet or not sys.stderr.isatty() else _Pulling().show


class _Pulling:
    """The bar of a catalog that is pulled."""

    def __init__(self) -> None:
        self.bars: Bars | None = None
        self.task: TaskID | None = None

    def show(self, pull: Pull) -> None:
        """Draw one event; while a sync draws bars of its own, nothing."""
        from rich.console import Console

        if self.bars is None and not pull.is_over and not _drawing:
            self.bars = _download_bars(Console(stderr=True))
            self.task = self.bars.add_task(harmless(pull.name), total=pull.total)
            self.bars.start()
        if self.bars is not None and self.task is not None:
            self.bars.update(self.task, completed=pull.have)
            if pull.is_over:
                self.bars.stop()
                self.bars = None


_drawing: list[Bars] = []
"""The bars that are on the terminal now: two in turn would draw over each other."""


def _download_bars(console: Console) -> Bars:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Bars(*columns, console=console, transient=True)


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[SyncEvent], None]]:
    with _download_bars(console) as bars:
        _drawing.append(bars)
        try:
            yield _Drawing(bars).show
        finally:
            _drawing.remove(bars)


class _Drawing:
    """The bars of a running sync."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.all: TaskID | None = None
        self.files: dict[str, TaskID] = {}
        self.had: dict[str, int] = {}

    def show(self, event: SyncEvent) -> None:
        """Draw one event."""
        from catalog.api.types import Finished, Note, Paused, Planned, Received, Started

        if isinstance(event, Planned):
            self.all = self.bars.add_task(f"{event.items:,} files", total=event.bytes)
        elif isinstance(event, Started):
            self.files[event.path] = self.bars.add_task(
                harmless(event.filename), total=event.size, completed=event.have
            )
            self._advance(event.path, event.have)
        elif isinstance(event, Received):
            self._advance(event.path, event.have)
        elif isinstance(event, Finished):
            self._advance(event.path, event.size)
            if (task := self.files.pop(event.path, None)) is not None:
                self.bars.remove_task(task)
        elif isinstance(event, Note):
            self._print(event.text)
        elif isinstance(event, Paused) and not event.filename:
            self._print(f"waiting {event.seconds:.0f} s: {event.reason}")

    def _print(self, text: str) -> None:
        """Print a line above the bars; brackets in it are no markup."""
        self.bars.console.print(harmless(text), markup=False, highlight=False)

    def _advance(self, path: str, have: int) -> None:
        if path in self.files:
            self.bars.update(self.files[path], completed=have)
        if self.all is not None:
            self.bars.advance(self.all, have - self.had.get(path, 0))
        self.had[path] = have
