"""Names beside places, so that none lies on another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.plots.canvas import any_script
from catalog.plots.outside_text import without_markup

_DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_REACHES = (4, 12, 24, 40, 60, 90)
"""Points from a place to its name, the nearest first."""
_ALIGNED = {1: "left", 0: "center", -1: "right"}
_UPRIGHT = {1: "bottom", 0: "center", -1: "top"}
_FAR = 12
_MARGIN = 2
"""Pixels around a name: letters are not as wide at every resolution."""


def name_places(axes: Any, names: Sequence[tuple[str, float, float]], size: float = 7) -> None:
    """Write names beside places, the most important ones first; a name without free space is left out.

    Parameters
    ----------
    axes : Axes
        Axes on which everything else has been drawn already; this fixes their layout.
    names : sequence of tuple
        Tuples of a name and its place in the data of the axes.
    size : float
        The size of the letters, in points.
    """
    with any_script():
        _name_places(axes, names, size)


def _name_places(axes: Any, names: Sequence[tuple[str, float, float]], size: float) -> None:
    figure = axes.figure
    figure.draw_without_rendering()  # computes the layout, which moves the axes and all places
    figure.set_layout_engine("none")
    taken = [_dot(axes, x, y, figure.dpi / 72) for _, x, y in names]
    taken += [
        tick_label.get_window_extent()
        for tick_label in (*axes.get_xticklabels(), *axes.get_yticklabels())
        if tick_label.get_text()
    ]
    room = axes.get_window_extent()
    for name, x, y in names:
        taken += _write_name(axes, without_markup(name, 28), (x, y), size, taken, room)


def _dot(axes: Any, x: float, y: float, half: float) -> Any:
    from matplotlib.transforms import Bbox

    (left, low) = axes.transData.transform((x, y))
    return Bbox.from_extents(left - 2 * half, low - 2 * half, left + 2 * half, low + 2 * half)


def _write_name(
    axes: Any, text: str, place: tuple[float, float], size: float, taken: list[Any], room: Any
) -> list[Any]:
    """Write a name at the first free spot, and return the space that it takes."""
    from matplotlib.text import Text

    for reach in _REACHES:
        for across, up in _DIRECTIONS:
            shift = (across * reach, up * reach)
            thread = {"arrowstyle": "-", "linewidth": 0.5, "color": "#808080", "shrinkA": 0, "shrinkB": 2}
            written = axes.annotate(
                text, place, xytext=shift, textcoords="offset points", fontsize=size,
                ha=_ALIGNED[across], va=_UPRIGHT[up], arrowprops=thread if reach >= _FAR else None, zorder=4,
            )  # fmt: skip
            written.get_window_extent()  # moves the name to its spot, and includes the line to its place
            box = Text.get_window_extent(written).padded(_MARGIN)
            outside = box.x0 < room.x0 or box.x1 > room.x1 or box.y0 < room.y0 or box.y1 > room.y1
            if not outside and not any(box.overlaps(other) for other in taken):
                return [box]
            written.remove()
    return []
