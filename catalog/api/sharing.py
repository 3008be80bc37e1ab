"""Share lists of files with a group, and ask who has a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase
from catalog.api.places import is_lake
from catalog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from catalog.publish.sharing import SharedFile, SharedFolder


class Sharing(CatalogBase):
    """The part of `catalog.api.catalog.Catalog` that tells a group which files its members have."""

    def require_sharing(self, *folders: str | os.PathLike[str]) -> None:
        """Raise an error if the catalog is not a published one to which lists can be added, or a folder is closed.

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
        """Add the list of the files in a folder to the published catalog, so that others find them.

        The list has files that were synced or indexed, that are the archive's, and that others can read. It takes the
        place of the older list of the same person and folder; in a bucket, also of the same machine. If no such file
        is left, the older list is taken back.

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
            If the catalog is published neither in a folder nor in a bucket, or others cannot read the folder.
        DiskError
            If the list cannot be written into the published folder.
        ArchiveError
            If the object store does not answer, or refuses.

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
            If the catalog is not a published one.

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
            If the catalog is not a published one.

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
        if place is None and is_lake(self._database.named):
            raise UsageError(
                "a lake has no lists to share: everybody who asks it sees the files of every index and sync; see: "
                "mastlake sql \"SELECT path FROM local_files WHERE filename = 'NAME'\""
            )
        if place is None:
            raise UsageError(
                "lists of files are shared where a catalog is published, in a folder or a bucket; name it: "
                "--catalog DIR/, or --catalog s3://BUCKET/PREFIX"
            )
        return place


def _tell_each(lines: Sequence[str], tell: Callable[[str], None] | None) -> None:
    if tell is not None:
        for line in lines:
            tell(line)
