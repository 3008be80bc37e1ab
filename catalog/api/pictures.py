"""Pictures from Python: what is in a file, where files lie on the sky, when they were observed; and previews."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.arguments import file_criteria
from catalog.api.opened import Opened
from catalog.errors import UsageError

if TYPE_CHECKING:
    from catalog.plots import Drawing
    from catalog.questions.previews import Preview
    from catalog.vocabulary.criteria import Wanted


class Pictures(Opened):
    """The part of a `mastlake.Catalog` that draws."""

    def plot(self, file: str | os.PathLike[str], hdu: str | None = None) -> Drawing:
        """Draw what is in a local FITS file: an image, spectra, or a time series of spectra.

        Parameters
        ----------
        file : path-like
            Its path, or the name of a local file that the catalog knows.
        hdu : str, optional
            Draw the image of this HDU, by name or number.

        Returns
        -------
        catalog.plots.Drawing
            A notebook shows it; ``write`` saves it.

        Raises
        ------
        UsageError
            If there is no such file, or nothing in it to draw.
        DiskError
            If it cannot be read.

        Examples
        --------
        >>> report = catalog.sync("soss", subgroups="X1DINTS", levels=2, max_size=60_000, dest=folder / "drawn")
        >>> local = catalog.sql("SELECT filename FROM local_files")["filename"][0]
        >>> catalog.plot(local).write(folder / "spectrum.png")
        """
        from catalog.plots import draw_file

        path = Path(file)
        if not path.exists():
            with self._database.read() as connection:
                rows = connection.execute("SELECT path FROM local_files WHERE filename = ?", [path.name]).fetchall()
            found = [Path(row[0]) for row in rows if Path(row[0]).exists()]
            if not found:
                raise UsageError(f"no file {file} here, and no local file of that name in the catalog")
            path = found[0]
        return draw_file(path, hdu)

    def sky(self, search: str | None = None, *written: str, sql: str | None = None, **wanted: Wanted | None) -> Drawing:
        """Draw where on the sky files lie, by their footprints.

        Parameters
        ----------
        search : str, optional
            The name of a saved search.
        *written, **wanted
            As `find` takes them: criteria, ``target``, ``cone``, ``since`` and the others, and keywords.
        sql : str, optional
            A question whose answer has a column ``filename``.

        Returns
        -------
        catalog.plots.Drawing
            A notebook shows it; ``write`` saves it.

        Raises
        ------
        UsageError
            For what is not understood, and where nothing matches.

        Examples
        --------
        >>> catalog.sky("soss", target="WASP*").write(folder / "sky.png")
        """
        from catalog.plots import Chosen, draw_sky

        return draw_sky(self._database, Chosen(search, file_criteria(written, wanted), sql))

    def timeline(
        self, search: str | None = None, *written: str, sql: str | None = None, **wanted: Wanted | None
    ) -> Drawing:
        """Draw what was observed when, and what was processed again since.

        Parameters
        ----------
        search, *written, sql, **wanted
            As for `sky`.

        Returns
        -------
        Drawing
            It can be shown in a notebook, and written to a file.

        Examples
        --------
        >>> catalog.timeline("soss").write(folder / "timeline.svg")
        """
        from catalog.plots import Chosen, draw_timeline

        return draw_timeline(self._database, Chosen(search, file_criteria(written, wanted), sql))

    def previews(self, *names: str, limit: int = 12) -> list[Preview]:
        """Find the preview images that the archive offers.

        Parameters
        ----------
        *names : str
            Names of files, ``obs_id`` of observations, or names of searches.
        limit : int
            How many at most.

        Returns
        -------
        list of catalog.questions.previews.Preview
            In the order of the names; ``sync`` fetches them by their ``data_uri``.

        Raises
        ------
        UsageError
            For a name without any preview.

        Examples
        --------
        >>> [image.filename[-4:] for image in catalog.previews("soss", limit=1)]
        ['.jpg']
        """
        from catalog.questions.previews import previews

        return previews(self._database, names, limit)
