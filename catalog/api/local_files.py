"""Local files from Python: their state, where they are, and what they were made from."""

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
    """The part of a `mastlake.Catalog` that knows the files on this disk."""

    def status(self) -> Overview:
        """Tell in numbers what the catalog has, how old that is, and what is on disk.

        Returns
        -------
        catalog.questions.status.Overview
            The numbers. The archive is not asked, and no local file is opened.

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
            Only these files, or files below these folders; by default, all files.

        Returns
        -------
        Outdated
            The files that are not known to be what the archive has now, by verdict.

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
        """Return the path of a file: the given path, or that of a local file with this name in the catalog.

        Parameters
        ----------
        file : path-like
            A path, or the name of a file.

        Returns
        -------
        Path
            The path of a file or folder that exists.

        Raises
        ------
        UsageError
            If there is no such file.

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
            for (local_path,) in rows:
                if Path(local_path).exists():
                    return Path(local_path)
        if path.is_symlink():
            raise UsageError(f"{file} is a link that leads nowhere")
        raise UsageError(
            f"no file {file}, neither at that path nor among the catalog's local files; mastlake sync fetches files"
        )

    def knows(self, file: str | os.PathLike[str]) -> bool:
        """Say whether the catalog has a file: harvested, a product, on the disk, or named by an association.

        Parameters
        ----------
        file : path-like
            The name or the path of the file.

        Returns
        -------
        bool
            False for a name that is nowhere in the catalog.

        Examples
        --------
        >>> catalog.knows("jw01366002001_04101_00001-seg001_nis_x1dints.fist")
        False
        """
        from catalog.questions.lineage import is_known

        return is_known(self._database, Path(file).name)

    def inputs(self, file: str | os.PathLike[str], deep: bool = False) -> list[Link]:
        """List what a file was made from: members of its association, and the association itself.

        Parameters
        ----------
        file : path-like
            The name or the path of the file.
        deep : bool
            Also list the inputs of the inputs, and so on.

        Returns
        -------
        list of catalog.questions.lineage.Link
            Links from the association files and the headers that were indexed.

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
            The name or the path of the file.
        deep : bool
            Also list the outputs of the outputs, and so on.

        Returns
        -------
        list of catalog.questions.lineage.Link
            Links from the association files and the headers that were indexed.

        Examples
        --------
        >>> catalog.outputs("jw01366002001_04101_00001-seg001_nis_rateints.fits")
        []
        """
        from catalog.questions.lineage import outputs

        return outputs(self._database, Path(file).name, deep)
