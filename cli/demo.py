"""``mastlake demo``: the whole job against the built-in archive."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from .options import settings
from .printing import say

_SEARCH = (
    "harvest", "soss", "--instrument", "niriss", "-k", "category=COM,ERS", "-k", "exp_type=NIS_SOSS",
    "-k", "tsovisit=T", "-k", "date_obs_mjd=2022-06-01..2022-08-04",
)  # fmt: skip
_QUESTION = (
    "SELECT targname, program, pi_name, count(*) AS exposures, sum(files)::INT AS files, "
    "round(sum(effexptm) / 3600, 1) AS hours, min(date_obs) AS first FROM exposures GROUP BY ALL ORDER BY first"
)
_CARDS = (
    "SELECT keyword, count(*) AS files, count(DISTINCT text) AS distinct_values, min(text) AS first, "
    "any_value(comment) AS comment FROM cards WHERE hdu = 0 "
    "AND keyword IN ('TARGNAME', 'EXPSTART', 'CAL_VER', 'CRDS_CTX', 'NINTS') GROUP BY keyword ORDER BY keyword"
)
_STALE = (
    "SELECT filename, cal_ver, crds_ctx, date FROM files WHERE filename IN "
    "(SELECT key FROM changes WHERE what = 'file' AND kind = 'changed') ORDER BY filename LIMIT 5"
)
_MARK = ".mastlake-demo"


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Its folder, made anew each time.")] = Path(
        "mastlake-demo"
    ),
) -> None:
    """Do the whole job once against the built-in archive, offline, and show each command.

    The archive is a made-up sky in MAST's protocol, served on this machine only; the commands are the real ones.
    """
    from catalog.simulator import Simulator

    settings(context)  # refuses wrong global options, as it does for every command
    _fresh(folder)
    with Simulator() as archive, _inside(folder):
        say(f"The built-in archive answers at {archive.url}; everything lies in {folder}/.")
        say(f"To follow along elsewhere: mastlake simulate, then export MASTLAKE_SERVER={archive.url}")
        say("")
        show = _Stage(archive.url)
        _search_and_fetch(show)
        _look_at_files(show)
        _months_later(show, archive.advance)
    say("")
    say(f"The picture is {folder / 'spectrum.png'}, the catalog {folder / 'mastlake.duckdb'}.")


_SPECTRA = ("sync", "soss", "--type", "SCIENCE", "--subgroup", "CALINTS,X1DINTS", "--dest", "data")


def _search_and_fetch(show: _Stage) -> None:
    show.tell("What would be asked? MAST's own words, and how many files match:")
    show.run(*_SEARCH, "--dry-run")
    show.tell("Search, walk to observations and products, keep it all:")
    show.run(*_SEARCH)
    show.tell("From here on questions are answered offline. Who was observed?")
    show.run("sql", _QUESTION)
    show.tell("The products of level 2 and 3 that are spectra; first what would be fetched:")
    show.run(*_SPECTRA, "--dry-run")
    show.run("-q", *_SPECTRA)


def _look_at_files(show: _Stage) -> None:
    show.tell("Read every card of every header back:")
    show.run("index", "data")
    show.run("sql", _CARDS)
    show.tell("Look at one spectral image:")
    show.run("plot", _first_image(), "-o", "spectrum.png")


def _months_later(show: _Stage, advance: Callable[[], object]) -> None:
    show.tell("Months pass. The archive reprocesses files under the same names ...", advance)
    show.run("harvest")
    show.run("sql", _STALE)
    show.tell("... and this is what on this disk is no longer the archive's:")
    show.run("outdated", "--why")
    show.tell("The next sync renews exactly these:")
    show.run("-q", *_SPECTRA)
    show.run("status")


class _Stage:
    """Prints each command in a form that can be copied, and runs it."""

    def __init__(self, server: str) -> None:
        self.server = server

    def tell(self, text: str, act: Callable[[], object] | None = None) -> None:
        """Say what comes next, and do it."""
        sys.stdout.flush()
        say("")
        say(f"# {text}")
        if act is not None:
            act()

    def run(self, *words: str) -> None:
        """Print a command and run it; a command that fails ends the demo."""
        from .main import run

        say(f"$ mastlake {' '.join(map(_as_typed, words))}")
        try:
            run(["--catalog", "mastlake.duckdb", "--server", self.server, *words])
        except SystemExit as left:
            if left.code:
                raise
        sys.stdout.flush()


def _as_typed(word: str) -> str:
    """Write a word as people type it; SQL contains single quotes, so it goes into double quotes."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\\\!') else shlex.quote(word)


def _fresh(folder: Path) -> None:
    """Empty the folder of an earlier demo, or make a new one; the folder itself stays, as a shell may be in it."""
    from catalog.errors import DiskError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / _MARK).exists():
            raise DiskError(f"{folder} holds other things; choose another --dir")
        (folder / _MARK).touch()  # it stays, so that a demo that was cut off can be started again
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != _MARK:
                entry.unlink()
    except OSError as error:
        raise DiskError(f"cannot make {folder}: {error.strerror}") from error


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    import contextlib

    with contextlib.chdir(folder):
        yield


def _first_image() -> str:
    return str(sorted(Path("data").glob("*_calints.fits"))[0])
