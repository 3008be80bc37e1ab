"""Pictures from Python: the contents of a file, files on the sky and in time, and previews."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.arguments import file_criteria
from catalog.api.local_files import LocalFiles
from catalog.api.transfers import Transfers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.api.preview_images import PreviewImages
    from catalog.plots import Drawing
    from catalog.questions.previews import Preview
    from catalog.sync import SyncReport
    from catalog.sync.events import OnEvent
    from catalog.vocabulary.criteria import CriterionValue


def picture_path(output: Path | None, kind: str | None, usual: Path) -> Path:
    """Return the path for a picture; see `catalog.plots.canvas.picture_path`."""
    from catalog.plots.canvas import picture_path

    return picture_path(output, kind, usual)


class Pictures(LocalFiles, Transfers):
    """The part of a `mastlake.Catalog` that draws."""

    def plot(self, file: str | os.PathLike[str], hdu: str | None = None) -> Drawing:
        """Draw what is in a local FITS file: an image, spectra, or a time series of spectra.

        Parameters
        ----------
        file : path-like
            Its path, or the name of a local file that the catalog knows.
        hdu : str, optional
            Draw the image of this HDU, given by name or number.

        Returns
        -------
        catalog.plots.Drawing
            A notebook shows it; its ``write`` saves it. Its ``content`` is the path of the file.

        Raises
        ------
        UsageError
            If there is no such file, or it has nothing to draw.
        DiskError
            If the file cannot be read.

        Examples
        --------
        >>> report = catalog.sync("soss", subgroups="X1DINTS", levels=2, max_size=60_000, dest=folder / "drawn")
        >>> local = catalog.sql("SELECT filename FROM local_files WHERE filename LIKE '%x1dints.fits'")["filename"][0]
        >>> catalog.plot(local).write(folder / "spectrum.png")
        """
        from catalog.plots import draw_file

        path = self.local_file(file)
        return replace(draw_file(path, hdu), content=path)

    def sky(
        self,
        search: str | None = None,
        *written: str,
        sql: str | None = None,
        limit: int | None = None,
        **keywords: CriterionValue | None,
    ) -> Drawing:
        """Draw where on the sky files lie, by their footprints.

        Parameters
        ----------
        search : str, optional
            The name of a saved search.
        *written, **keywords
            The arguments of `find`: criteria, ``target``, ``cone``, ``since`` and the others, and keywords.
        sql : str, optional
            A question whose answer has a column ``filename``.
        limit : int, optional
            The most files, in the order of observation.

        Returns
        -------
        catalog.plots.Drawing
            A notebook shows it; its ``write`` saves it.

        Raises
        ------
        UsageError
            If an argument cannot be understood, or nothing matches.

        Examples
        --------
        >>> catalog.sky("soss", target="WASP*").write(folder / "sky.png")
        """
        from catalog.plots import FilesToDraw, draw_sky

        return draw_sky(self._database, FilesToDraw(search, file_criteria(written, keywords), sql, limit))

    def timeline(
        self,
        search: str | None = None,
        *written: str,
        sql: str | None = None,
        limit: int | None = None,
        **keywords: CriterionValue | None,
    ) -> Drawing:
        """Draw what was observed when, and what the archive processed again since then.

        Parameters
        ----------
        search, *written, sql, limit, **keywords
            As for `sky`.

        Returns
        -------
        Drawing
            A notebook shows it; its ``write`` saves it.

        Examples
        --------
        >>> catalog.timeline("soss").write(folder / "timeline.svg")
        """
        from catalog.plots import FilesToDraw, draw_timeline

        return draw_timeline(self._database, FilesToDraw(search, file_criteria(written, keywords), sql, limit))

    def preview_images(
        self, *names: str, dest: str | os.PathLike[str], limit: int = 12, on_event: OnEvent | None = None
    ) -> PreviewImages:
        """Find preview images, and fetch those that are not on disk.

        Parameters
        ----------
        *names, limit
            As for `previews`.
        dest, on_event
            As for `fetch_previews`.

        Returns
        -------
        catalog.api.preview_images.PreviewImages
            The images on disk with their paths; its ``sheet`` draws all of them.

        Raises
        ------
        UsageError
            If a name has no preview.

        Examples
        --------
        >>> catalog.preview_images("soss", limit=1, dest=folder).sheet().told
        '1 preview'
        """
        from catalog.api.preview_images import PreviewImages

        previews = self.previews(*names, limit=limit)
        report = self.fetch_previews(previews, dest, on_event)
        failed = {failure.filename for failure in report.failures}
        images = [(preview, Path(dest) / preview.filename) for preview in previews if preview.filename not in failed]
        on_disk = [(preview, path) for preview, path in images if path.exists()]  # a sync that gives up names few files
        return PreviewImages(on_disk, report)

    def fetch_previews(
        self, previews: Sequence[Preview], dest: str | os.PathLike[str], on_event: OnEvent | None = None
    ) -> SyncReport:
        """Fetch preview images, as `sync` does; an image that is on disk already is not fetched again.

        Parameters
        ----------
        previews : sequence of catalog.questions.previews.Preview
            The result of `previews`.
        dest : path-like
            The folder for the images.
        on_event : callable, optional
            Called with each event; see `catalog.sync.events`.

        Returns
        -------
        SyncReport
            The report; images that could not be fetched are in its ``failures``.

        Examples
        --------
        >>> catalog.fetch_previews(catalog.previews("soss", limit=1), folder / "previews").failed
        0
        """
        from catalog.questions.previews import previews_as_sql

        return self.sync(sql=previews_as_sql(previews), dest=dest, on_event=on_event)

    def sheet(self, paths: Sequence[Path]) -> Drawing:
        """Draw several images on one sheet.

        Parameters
        ----------
        paths : sequence of Path
            The paths of preview images.

        Returns
        -------
        catalog.plots.Drawing
            The sheet, with the images that could be read; the others are in its ``left_out``.

        Examples
        --------
        >>> images = catalog.previews("soss", limit=1)
        >>> report = catalog.fetch_previews(images, folder)
        >>> catalog.sheet([folder / image.filename for image in images]).told
        '1 preview'
        """
        from catalog.plots import draw_pictures

        return draw_pictures(paths)

    def previews(self, *names: str, limit: int = 12) -> list[Preview]:
        """Find the preview images that the archive offers.

        Parameters
        ----------
        *names : str
            Names of files, ``obs_id`` of observations, or names of searches.
        limit : int
            The most to return.

        Returns
        -------
        list of catalog.questions.previews.Preview
            Previews in the order of the names; ``sync`` fetches them by their ``data_uri``.

        Raises
        ------
        UsageError
            If a name has no preview.

        Examples
        --------
        >>> [image.filename[-4:] for image in catalog.previews("soss", limit=1)]
        ['.jpg']
        """
        from catalog.questions.previews import previews

        return previews(self._database, names, limit)
