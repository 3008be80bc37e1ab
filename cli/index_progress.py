"""What ``mastlake index`` shows while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.text import harmless, plural

from .printing import say
from .progress import LineTimer

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from catalog.api.types import IndexEvent

_MANY = 1000
"""Reading the headers of so many files takes longer than a second."""


@contextmanager
def index_progress(quiet: bool, bar: bool = True) -> Iterator[Callable[[IndexEvent], None]]:
    """Show how many files were found, and then how many are read; as lines if there is no terminal.

    Parameters
    ----------
    quiet : bool
        Print nothing at all.
    bar : bool
        Whether to draw a bar if there is a terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if quiet:
        yield lambda event: None
    elif not (bar and console.is_terminal):
        yield _PlainIndex().show
    else:
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Bars(*columns, console=console, transient=True) as bars:
            yield _IndexDrawing(bars).show


class _IndexDrawing:
    """The bar of a running index; at first without an end, while the folders are listed."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.task: TaskID = bars.add_task("looking for files", total=None)

    def show(self, event: IndexEvent) -> None:
        """Draw one event."""
        from catalog.api.types import FilesFound, FilesRead, FoldersWalked, LinksLeftOut

        if isinstance(event, FilesFound):
            self.bars.update(
                self.task, description="looking for files", total=event.about or None, completed=event.files
            )
        elif isinstance(event, FoldersWalked):
            total = event.to_read + event.associations
            self.bars.update(self.task, description="reading headers", total=total, completed=0)
        elif isinstance(event, FilesRead):
            self.bars.update(self.task, total=event.total, completed=event.done)
        elif isinstance(event, LinksLeftOut):
            self.bars.console.print(_links_left_out(event.paths), markup=False, highlight=False)


class _PlainIndex:
    """Lines about a running index, if there is no terminal: the first after a second, more at times."""

    def __init__(self) -> None:
        self.pace = LineTimer()

    def show(self, event: IndexEvent) -> None:
        """Describe one event, if it is time for a line."""
        from catalog.api.types import FilesFound, FilesRead, FoldersWalked, LinksLeftOut

        if isinstance(event, FoldersWalked) and event.to_read > _MANY:
            say(f"reading the headers of {event.to_read:,} of {plural(event.files, 'FITS file')}")
        elif isinstance(event, LinksLeftOut):
            say(_links_left_out(event.paths))
        elif isinstance(event, FilesFound) and not event.files:
            self.pace = LineTimer()  # the search begins; to open the catalog may have taken longer than a second
        elif isinstance(event, FilesFound) and self.pace.is_due():
            about = f" of about {event.about:,}" if event.about else ""
            say(f"looking for files: {event.files:,}{about}")
        elif isinstance(event, FilesRead) and 0 < event.done < event.total and self.pace.is_due():
            say(f"reading headers: {event.done:,} of {event.total:,}")


def _links_left_out(paths: Sequence[str]) -> str:
    """Say in one line which links to folders were not followed."""
    if len(paths) == 1:
        return f"mastlake: {harmless(paths[0])} is a link to a folder and was not followed; name it to index it"
    more = f" and {len(paths) - 1:,} more are links to folders and were not followed; name them to index them"
    return f"mastlake: {harmless(paths[0])}{more}"
