"""The images that `Catalog.preview_images` brings onto this disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.plots import Drawing
    from catalog.questions.previews import Preview
    from catalog.sync import SyncReport


@dataclass(frozen=True)
class PreviewImages:
    """Preview images on this disk.

    Attributes
    ----------
    images : list of (Preview, Path)
        Each image that is on disk, with its path.
    report : SyncReport
        The report; images that could not be fetched are in its ``failures``.
    """

    images: list[tuple[Preview, Path]]
    report: SyncReport

    @property
    def paths(self) -> list[Path]:
        """The paths of the images."""
        return [path for _, path in self.images]

    def sheet(self) -> Drawing:
        """Draw the images on one sheet.

        Returns
        -------
        catalog.plots.Drawing
            The sheet, with the images that can be read; the others are in its ``left_out``.
        """
        from catalog.plots import draw_pictures

        return draw_pictures(self.paths)
