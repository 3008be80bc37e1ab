"""Local files from Python: their state, what a sync would do, and what they were made from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase
from catalog.errors import UsageError

if TYPE_CHECKING:
    from catalog.questions.drift import Outdated
    from catalog.questions.lineage import Link
    from catalog.questions.status import Overview


class LocalFiles(CatalogBase):
    """The part of a `mastlake.Catalog` that knows what lies on this disk."""

    def status(self) -> Overview:
        """Tell what the catalog holds, how old that is, and what lies on disk, in numbers.

        Returns
        -------
        catalog.questions.status.Overview
            Nothing is asked of the archive, and no local file is opened.

        Raises
        ------
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> page = catalog.status()
        >>> [search.name for search in page.searches], page.stale
        (['soss'], 0)
        """
        from catalog.questions.status import overview

        return overview(self._database)

    def outdated(self, *paths: str | os.PathLike[str]) -> Outdated:
        """Compare the local files with the disk, and with what the archive listed at the last harvest.

        Parameters
        ----------
        *paths : path-like
            Only files here, or below these folders; all unless given.

        Returns
        -------
        Outdated
            The files that are not, or are not known to be, what the archive has now, by their verdict.

        Raises
        ------
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.outdated().stale
        []
        """
        from catalog.questions.drift import outdated

        return outdated(self._database, [str(Path(path).absolute()) for path in paths])

    def local_file(self, file: str | os.PathLike[str]) -> Path:
        """Return where a file lies: at the path itself, or where the catalog knows a local file of that name.

        Parameters
        ----------
        file : path-like
            A path, or the name of a file.

        Returns
        -------
        Path
            Of a file or folder that exists.

        Raises
        ------
        UsageError
            If there is none.

        Examples
        --------
        >>> catalog.local_file(folder) == folder
        True
        """
        path = Path(file)
        if path.exists():
            return path
        if self._database.exists():
            with self._database.read() as connection:
                rows = connection.execute("SELECT path FROM local_files WHERE filename = ?", [path.name]).fetchall()
            for (known,) in rows:
                if Path(known).exists():
                    return Path(known)
        raise UsageError(
            f"no file {file}, neither at that path nor among the catalog's local files; mastlake sync fetches files"
        )

    def inputs(self, file: str | os.PathLike[str], deep: bool = False) -> list[Link]:
        """List what a file was made from: members of its association, and the association itself.

        Parameters
        ----------
        file : path-like
            Its name, or where it lies.
        deep : bool
            Follow the inputs of the inputs, too.

        Returns
        -------
        list of catalog.questions.lineage.Link
            From the association files and the headers that were indexed.

        Examples
        --------
        >>> catalog.inputs("jw01366002001_04101_00001-seg001_nis_x1dints.fits")
        []
        """
        from catalog.questions.lineage import inputs

        return inputs(self._database, Path(file).name, deep)

    def outputs(self, file: str | os.PathLike[str], deep: bool = False) -> list[Link]:
        """List what was made from a file, by the same graph as `inputs`.

        Parameters
        ----------
        file : path-like
            Its name, or where it lies.
        deep : bool
            Follow the outputs of the outputs, too.

        Returns
        -------
        list of catalog.questions.lineage.Link
            From the association files and the headers that were indexed.

        Examples
        --------
        >>> catalog.outputs("jw01366002001_04101_00001-seg001_nis_rateints.fits")
        []
        """
        from catalog.questions.lineage import outputs

        return outputs(self._database, Path(file).name, deep)
