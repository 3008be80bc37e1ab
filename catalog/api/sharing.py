"""Share lists of files with a group, and ask who has a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase
from catalog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from catalog.publish.sharing import SharedFile, SharedFolder


class Sharing(CatalogBase):
    """The part of `catalog.api.catalog.Catalog` that tells a group which files its members have."""

    def require_sharing(self, *folders: str | os.PathLike[str]) -> None:
        """Raise an error if the catalog is in no published folder, or others cannot read a folder.

        Parameters
        ----------
        *folders : path-like
            The folders to share.

        Raises
        ------
        UsageError
            The error says what to do.

        Examples
        --------
        >>> catalog.publish(folder / "team").published
        True
        >>> from mastlake import Catalog
        >>> Catalog.open(folder / "team").require_sharing()
        """
        from catalog.publish.sharing import require_sharing

        require_sharing(self._place(), folders)

    def share(self, folder: str | os.PathLike[str]) -> SharedFolder:
        """Add the list of the files in a folder to the published folder, so that others find them there.

        The list has files that were synced or indexed, that are the archive's, and that others can read. It takes the
        place of the older list of the same person and folder.

        Parameters
        ----------
        folder : path-like
            The folder to share.

        Returns
        -------
        SharedFolder
            The folder, and how many files are in the list.

        Raises
        ------
        UsageError
            If the catalog is in no published folder, or others cannot read the folder.
        DiskError
            If the list cannot be written there.

        Examples
        --------
        >>> from mastlake import Catalog
        >>> catalog.publish(folder / "ours").published
        True
        >>> (folder / "private").mkdir(mode=0o700)
        >>> Catalog.open(folder / "ours").share(folder / "private")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        catalog.errors.UsageError: others cannot enter ...
        """
        from catalog.publish.sharing import share

        return share(self._database, self._place(), folder)

    def shared(self, *names: str, tell: Callable[[str], None] | None = None) -> list[SharedFile]:
        """Say who shares files with these names, and where.

        Parameters
        ----------
        *names : str
            Names of files; ``*`` and ``?`` stand for any text and any character.
        tell : callable, optional
            Called with a line of text for each list that somebody damaged.

        Returns
        -------
        list of SharedFile
            The files, current ones first.

        Raises
        ------
        UsageError
            If the catalog is in no published folder.

        Examples
        --------
        >>> from mastlake import Catalog
        >>> catalog.publish(folder / "lists").published
        True
        >>> Catalog.open(folder / "lists").shared("*_x1dints.fits")
        []
        """
        from catalog.publish.sharing import shared_files

        files, odd = shared_files(self._database, self._place(), names)
        _tell_each(odd, tell)
        return files

    def shared_folders(self, *, tell: Callable[[str], None] | None = None) -> list[SharedFolder]:
        """List the folders that members of the group share.

        Parameters
        ----------
        tell : callable, optional
            Called with a line of text for each list that somebody damaged.

        Returns
        -------
        list of SharedFolder
            The folders.

        Raises
        ------
        UsageError
            If the catalog is in no published folder.

        Examples
        --------
        >>> from mastlake import Catalog
        >>> catalog.publish(folder / "folders").published
        True
        >>> Catalog.open(folder / "folders").shared_folders()
        []
        """
        from catalog.publish.sharing import shared_folders

        folders, odd = shared_folders(self._place())
        _tell_each(odd, tell)
        return folders

    def _place(self) -> str:
        place = self._database.published_in
        if place is None:
            raise UsageError(
                "lists of files are shared in a published folder of a shared disk; name that one: --catalog DIR/"
            )
        return place


def _tell_each(lines: Sequence[str], tell: Callable[[str], None] | None) -> None:
    if tell is not None:
        for line in lines:
            tell(line)
