"""The figure on which everything is drawn; it has no window, and is written as PNG, SVG or PDF."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.atomic_file import put_in_place
from catalog.errors import UsageError

ENDINGS = (".png", ".svg", ".pdf")
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#b8a800")
"""Colours that everyone can tell apart (M. Okabe and K. Ito, Color Universal Design, 2008); yellow is darker here."""
GREY = "#808080"
_INSTRUMENTS = ("niriss", "nircam", "nirspec", "miri", "fgs", "guidestar")
_DPI = 150
_LOOK = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text, which can be searched and edited
    "svg.hashsalt": "mastlake",  # the same picture has the same bytes
    "text.usetex": False,  # names from outside are text, whatever the user's own settings are
    "text.parse_math": True,  # `outside_text.without_markup` writes for this setting
}


@dataclass(frozen=True)
class Drawing:
    """A finished picture; a notebook shows it as it is.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        The figure; more can be added to it.
    told : str
        A description of the picture, in one line.
    left_out : tuple of str
        The parts that were not drawn, each in one line with its reason.
    content : object
        The content: a `catalog.plots.sky.Sky`, a `catalog.plots.timeline.Timeline`, or the path of a file.
    """

    figure: Any
    told: str
    left_out: tuple[str, ...] = ()
    content: Any = None

    def write(self, picture: str | os.PathLike[str], kind: str | None = None) -> None:
        """Write a file of the kind that its ending names.

        Parameters
        ----------
        picture : path-like
            The path, which ends in png, svg or pdf.
        kind : str, optional
            ``png``, ``svg`` or ``pdf``, for a name without an ending, like ``/dev/stdout``.

        Raises
        ------
        UsageError
            If it has another ending.
        DiskError
            If the file cannot be written.
        """
        path = picture_path(Path(picture), kind, Path(picture))
        kind = (path.suffix.lower() or (kind or "").lower()).lstrip(".")
        drawn = io.BytesIO()
        with project_style(), any_script():
            self.figure.savefig(drawn, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
        with put_in_place(path) as sink:
            sink.write(drawn.getbuffer())

    def png(self) -> bytes:
        """Return the bytes of a PNG."""
        buffer = io.BytesIO()
        with project_style(), any_script():
            self.figure.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def checked_ending(picture: Path) -> Path:
    """Return the path of a picture if its ending names a kind that can be written.

    Raises
    ------
    UsageError
        If it has another ending.
    """
    if picture.suffix.lower() not in ENDINGS:
        raise UsageError(f"{picture} ends in {picture.suffix or 'nothing'}; a picture is .png, .svg or .pdf")
    return picture


def picture_path(output: Path | None, kind: str | None, usual: Path) -> Path:
    """Return the path of a picture: the given one, or else the default one, in the given kind.

    Parameters
    ----------
    output : Path or None
        The path after -o.
    kind : str or None
        The kind after --format.
    usual : Path
        The path to use without ``output``.

    Raises
    ------
    UsageError
        If the kind is unknown, or the ending is another one.

    Examples
    --------
    >>> picture_path(None, "svg", Path("sky.png")).name
    'sky.svg'
    """
    if kind is None:
        return checked_ending(output or usual)
    ending = f".{kind.lower().lstrip('.')}"
    if ending not in ENDINGS:
        raise UsageError(f"--format {kind}: a picture is png, svg or pdf")
    if output is None:
        return usual.with_suffix(ending)
    if output.suffix.lower() not in ("", ending):
        raise UsageError(f"--format {kind} and -o {output} are two formats; leave out --format, or change the ending")
    return output


def instrument_colours(instruments: Iterable[str]) -> dict[str, str]:
    """Return a colour for each instrument; it is the same in every picture."""
    others = iter(COLOURS[len(_INSTRUMENTS) :] * 20)
    colours = dict(zip(_INSTRUMENTS, COLOURS, strict=False))
    return {name: colours.get(name) or next(others) for name in dict.fromkeys(instruments)}


@contextmanager
def project_style() -> Iterator[None]:
    """Draw in this project's style, and leave the caller's settings as they are."""
    import matplotlib as mpl

    with mpl.rc_context(_LOOK):
        yield


@contextmanager
def any_script() -> Iterator[None]:
    """Allow characters that the font does not have; each becomes a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def sheet(width: float = 9.0, height: float = 5.5) -> Any:
    """Return an empty figure of a size in inches; it belongs to no window and no list of open figures."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
