"""Many small pictures on one sheet."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog.errors import DiskError, UsageError
from catalog.plots.canvas import Drawing, project_style, sheet
from catalog.plots.fits_file import Unreadable, reading_contents
from catalog.plots.outside_text import without_markup
from catalog.text import harmless, plural


def draw_pictures(pictures: Sequence[Path]) -> Drawing:
    """Put pictures side by side, each under its name.

    Parameters
    ----------
    pictures : sequence of Path
        JPEG or PNG, at least one.

    Raises
    ------
    UsageError
        If there are no pictures.
    DiskError
        If no picture can be read.
    """
    if not pictures:
        raise UsageError("there is no picture to show")
    read, left_out = _read(pictures)
    if not read:
        raise DiskError(left_out[0])
    columns = math.ceil(math.sqrt(len(read)))
    rows = math.ceil(len(read) / columns)
    side = min(7.0, max(2.4, 12.0 / columns))
    with project_style():
        figure = sheet(side * columns, (side + 0.3) * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in axes:
            panel.set_axis_off()
        for panel, (path, picture) in zip(axes, read, strict=False):
            panel.imshow(picture)
            panel.set_title(without_markup(path.stem), fontsize=min(9.0, 110 * side / max(len(path.stem), 1)))
    return Drawing(figure, plural(len(read), "preview"), tuple(left_out))


def _read(pictures: Sequence[Path]) -> tuple[list[tuple[Path, Any]], list[str]]:
    """Read pictures; return a line for each picture that cannot be read."""
    from PIL import Image

    read, left_out = [], []
    for path in pictures:
        try:
            with reading_contents(), warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as picture:
                    read.append((path, picture.convert("RGB")))
        except Unreadable:
            left_out.append(f"cannot read {harmless(str(path))} as a picture; remove it to fetch it again")
    return read, left_out
