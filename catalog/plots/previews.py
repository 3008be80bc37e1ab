"""Many small pictures on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog.errors import DiskError, UsageError
from catalog.plots.canvas import Drawing, look, sheet
from catalog.plots.words import literal
from catalog.readable import plural


def draw_pictures(pictures: Sequence[Path]) -> Drawing:
    """Put pictures side by side, each under its name.

    Parameters
    ----------
    pictures : sequence of Path
        JPEG or PNG, at least one.

    Raises
    ------
    UsageError
        Where there is none.
    DiskError
        Where one cannot be read.
    """
    if not pictures:
        raise UsageError("there is no picture to show")
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    side = min(7.0, max(2.4, 12.0 / columns))
    with look():
        figure = sheet(side * columns, (side + 0.3) * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for one in axes:
            one.set_axis_off()
        for one, path in zip(axes, pictures, strict=False):
            _put(one, path)
            one.set_title(literal(path.stem), fontsize=min(9.0, 110 * side / max(len(path.stem), 1)))
    return Drawing(figure, plural(len(pictures), "preview"))


def _put(axes: Any, path: Path) -> None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            axes.imshow(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise DiskError(f"cannot read {path} as a picture; remove it to fetch it again") from error
