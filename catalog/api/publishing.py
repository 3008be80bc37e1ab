"""Publish a catalog for others, and make one of one's own from a published one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase
from catalog.defaults import LOCAL_CATALOG
from catalog.publish.names import is_published

if TYPE_CHECKING:
    from collections.abc import Callable

    from catalog.publish.meter import Pull
    from catalog.publish.publishing import Publication

__all__ = ["Publishing", "is_published"]


class Publishing(CatalogBase):
    """The part of `catalog.api.catalog.Catalog` that publishes."""

    def publish(
        self,
        to: str | os.PathLike[str],
        *,
        keep: int = 3,
        parquet: bool = False,
        reading_seconds: float = 86_400.0,
    ) -> Publication:
        """Publish the catalog, as it is after its newest run, for everybody who can read a folder or a bucket.

        Others name the same place as their catalog. Local files and their headers are left out: they are this disk's.

        Parameters
        ----------
        to : str or path-like
            A folder of a shared disk, or one that a web server shows; or s3://BUCKET/PREFIX.
        keep : int
            How many published catalogs stay at least, with the new one.
        parquet : bool
            Also write the files, observations and products that the catalog has now as Parquet, for other programs.
        reading_seconds : float
            For how long after a newer catalog was published an older one stays in any case, for those who read it.

        Returns
        -------
        Publication
            The run, the file, and whether anything was to be published.

        Raises
        ------
        UsageError
            If nothing was harvested yet, or the place has another catalog, or a newer run.
        CatalogError
            If the catalog cannot be read, or another process is publishing there.
        DiskError
            If the folder cannot be written; what was published before stays the newest.
        ArchiveError
            If the object store does not answer, or refuses; what was published before stays the newest.

        Examples
        --------
        >>> from mastlake import Catalog
        >>> catalog.publish(folder / "group").published
        True
        >>> catalog.publish(folder / "group").published
        False
        >>> len(Catalog.open(folder / "group").searches())
        1
        """
        from catalog.publish.publishing import publish

        return publish(self._database, to, keep=keep, parquet=parquet, reading_seconds=reading_seconds)

    @staticmethod
    def clone(
        source: str | os.PathLike[str],
        path: str | os.PathLike[str],
        *,
        tell: Callable[[str], None] | None = None,
        local: str | os.PathLike[str] | None = None,
        pulled: Callable[[Pull], None] | None = None,
    ) -> int:
        """Copy the newest published catalog to a new file, which goes on harvesting where the original is.

        If there are local files of your own beside the published catalog, the new catalog has them too.

        Parameters
        ----------
        source : str or path-like
            The folder, or the https or s3 address, where it is published.
        path : path-like
            The new catalog file; nothing may be there.
        tell : callable, optional
            Called with a line of text if the network does not answer, and the copy in the cache is used; and about the
            local files.
        local : path-like, optional
            The file with the local files; by default ``MASTLAKE_LOCAL_CATALOG``, or mastlake.local.duckdb in this
            folder.
        pulled : callable, optional
            Called again and again while the catalog is pulled from an address.

        Returns
        -------
        int
            The newest run that it has.

        Raises
        ------
        UsageError
            If the source is a file, or there is something at the new place.
        ArchiveError
            If the host does not answer, and nothing was pulled before; or if it answers what cannot be.
        CatalogError
            If the bytes are not those of the manifest.
        DiskError
            If the new file cannot be written.

        Examples
        --------
        >>> from mastlake import Catalog
        >>> shared = catalog.publish(folder / "shared")
        >>> Catalog.clone(folder / "shared", folder / "mine.duckdb") == shared.run
        True
        """
        from catalog.publish.clone import clone

        return clone(source, path, tell, local or os.environ.get("MASTLAKE_LOCAL_CATALOG") or LOCAL_CATALOG, pulled)
