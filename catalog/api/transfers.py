"""Products from Python: plan a sync, sync, apply a plan, or write a script for another machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from catalog.api.arguments import Filters, selection
from catalog.api.catalog_base import CatalogBase
from catalog.defaults import DEST, JOBS, SOURCE, TEMPLATE
from catalog.errors import UsageError

if TYPE_CHECKING:
    from catalog.sync import OldBytes, Plan, SyncReport
    from catalog.sync.events import OnEvent


class Transfers(CatalogBase):
    """The part of a `mastlake.Catalog` that fetches products."""

    def plan(
        self,
        search: str | None = None,
        *,
        dest: str | os.PathLike[str] | None = None,
        template: str | None = None,
        overwrite_modified: bool | None = None,
        keep_old: str | os.PathLike[str] | None = None,
        **filters: Unpack[Filters],
    ) -> Plan:
        """Say what `sync` would do with each product, and why; nothing is asked or written.

        Parameters
        ----------
        search : str, optional
            The name of the search.
        dest : path-like, optional
            The folder for files; by default the one in ``mastlake.toml``, or the folder mast. The other options work
            alike: what is given counts first, then ``[sync]`` of ``mastlake.toml``.
        template : str, optional
            How files lie there, like ``{program}/{obs_id}/{filename}``; by default, side by side.
        overwrite_modified : bool, optional
            Also replace files that a person changed or made.
        keep_old : path-like, optional
            A folder to which all replaced files are moved, each version to a subfolder of its own.
        **filters
            Filters; see `Filters` for their names.

        Returns
        -------
        Plan
            The plan. It can be printed, read by `Plan.items`, and done by `apply`.

        Raises
        ------
        NoSuchSearch, UsageError
            If the search, the SQL or the template is wrong, or two products would have the same path.

        Examples
        --------
        >>> plan = catalog.plan("soss", subgroups="X1DINTS", dest=folder / "spectra")
        >>> plan.tallies["fetch"].items == plan.selected
        True
        """
        from catalog.sync import make_plan

        selected = selection(search, filters)
        has_token = self._token() is not None
        old_bytes = self._old_bytes(overwrite_modified, keep_old)
        place = {"dest": self._dest(dest, search), "template": self._option("sync", "template", template, TEMPLATE)}
        return make_plan(self._database, selected, has_token=has_token, old_bytes=old_bytes, **place)

    def sync(
        self,
        search: str | None = None,
        *,
        dest: str | os.PathLike[str] | None = None,
        template: str | None = None,
        jobs: int | None = None,
        limit_rate: int | str | None = None,
        source: str | None = None,
        trust_length: bool | None = None,
        on_event: OnEvent | None = None,
        overwrite_modified: bool | None = None,
        keep_old: str | os.PathLike[str] | None = None,
        **filters: Unpack[Filters],
    ) -> SyncReport:
        """Fetch products that are not on disk, or no longer the archive's version, and prove every byte.

        Parameters
        ----------
        search, dest, template, overwrite_modified, keep_old, **filters
            The same as for `plan`.
        jobs : int, optional
            How many files to fetch at the same time; by default 8.
        limit_rate : int or str, optional
            Bytes a second for all files together, like 20_000_000 or ``20M``.
        source : str, optional
            ``mast``, the default; or ``cloud``: MAST's public bucket first, and MAST for what it does not have.
        trust_length : bool, optional
            Accept bytes with the right length and structure although their MD5 is not the archive's. Use this only if
            you are sure that the archive's checksums are wrong, and not the bytes.
        on_event : callable, optional
            Called with each event; see `catalog.sync.events`.

        Returns
        -------
        SyncReport
            The report; files that could not be fetched are in its ``failures``.

        Raises
        ------
        NoSuchSearch, UsageError, CatalogError, DiskError
            If the work could not begin.

        Examples
        --------
        >>> report = catalog.sync("soss", subgroups="X1DINTS", max_size=20_000, dest=folder / "small")
        >>> report.fetched == report.selected, report.failures
        (True, ())
        """
        from catalog.sync import sync
        from catalog.sync.current_listing import listing_asker

        with listing_asker(self._database, self.server) as current:
            return sync(
                self._database,
                selection(search, filters),
                server=self.server,
                dest=self._dest(dest, search),
                template=self._option("sync", "template", template, TEMPLATE),
                token=self._token(),
                current=current,
                on_event=on_event,
                old_bytes=self._old_bytes(overwrite_modified, keep_old),
                **self._transfer(jobs, limit_rate, source, trust_length),
            )

    def apply(
        self,
        plan: Plan,
        *,
        jobs: int | None = None,
        limit_rate: int | str | None = None,
        source: str | None = None,
        trust_length: bool | None = None,
        on_event: OnEvent | None = None,
        overwrite_modified: bool | None = None,
        keep_old: str | os.PathLike[str] | None = None,
    ) -> SyncReport:
        """Do what a plan says, and nothing else.

        Parameters
        ----------
        plan : Plan
            The plan that `plan` returned.
        jobs, limit_rate, source, trust_length, on_event, overwrite_modified, keep_old
            The same as for `sync`. A file that a person changed since the plan was made stays, whatever the plan says.

        Returns
        -------
        SyncReport
            The report; files that could not be fetched are in its ``failures``.

        Raises
        ------
        UsageError
            If a harvest has run since the plan was made; then make a new plan.
        CatalogError, DiskError
            If the work could not begin.

        Examples
        --------
        >>> plan = catalog.plan("soss", subgroups="X1DINTS", max_size=20_000, dest=folder / "planned")
        >>> catalog.apply(plan).fetched == plan.tallies["fetch"].items
        True
        """
        from catalog.sync import apply_plan
        from catalog.sync.current_listing import listing_asker

        with listing_asker(self._database, self.server) as current:
            return apply_plan(
                self._database,
                plan,
                server=self.server,
                token=self._token(),
                current=current,
                on_event=on_event,
                old_bytes=self._old_bytes(overwrite_modified, keep_old),
                **self._transfer(jobs, limit_rate, source, trust_length),
            )

    def script(self, search: str | None = None, *, template: str | None = None, **filters: Unpack[Filters]) -> str:
        """Write a bash script that fetches products with curl, for a machine without mastlake.

        Parameters
        ----------
        search : str, optional
            The name of the search.
        template : str, optional
            How files lie there, like ``{program}/{obs_id}/{filename}``.
        **filters
            Filters; see `Filters` for their names.

        Returns
        -------
        str
            The script. It has no token: for exclusive products it reads ``MAST_API_TOKEN`` when it runs.

        Raises
        ------
        NoSuchSearch, UsageError
            If the search, the SQL or the template is wrong, or two products would have the same path. Also if only a
            file that came with a folder names the server, because the script would send the user's token there.

        Examples
        --------
        >>> catalog.script("soss", subgroups="X1DINTS").splitlines()[0]
        '#!/usr/bin/env bash'
        """
        from catalog.sync.script import script

        if not self.server_is_trusted:
            raise UsageError(
                f"mastlake.toml names the server {self.server}, to which the script would send your token; "
                f"name it yourself: mastlake --server {self.server} script ..."
            )
        return script(
            self._database,
            selection(search, filters),
            server=self.server,
            template=self._option("script", "template", template, TEMPLATE),
        )

    def _dest(self, given: str | os.PathLike[str] | None, search: str | None) -> str | os.PathLike[str]:
        """Return the folder for files: the given one, or mastlake.toml's for the search or for all, or the default."""
        if given is not None:
            return given
        return (self._settings.destination(search) if self._settings is not None else None) or DEST

    def _old_bytes(self, overwrite_modified: bool | None, keep_old: str | os.PathLike[str] | None) -> OldBytes:
        from catalog.sync import OldBytes

        folder = self._option("sync", "keep_old", keep_old, None)
        renews = self._option("sync", "overwrite_modified", overwrite_modified, False)
        return OldBytes(Path(folder).absolute() if folder else None, renews)

    def _transfer(
        self, jobs: int | None, limit_rate: int | str | None, source: str | None, trust_length: bool | None
    ) -> dict[str, Any]:
        """Return the options of a transfer, as `catalog.sync.sync` takes them."""
        from catalog.config.sizes import bytes_of

        rate = self._option("sync", "limit_rate", limit_rate, None)
        return {
            "jobs": self._option("sync", "jobs", jobs, JOBS),
            "limit_rate": bytes_of(rate, "--limit-rate") if isinstance(rate, str) else rate,
            "source": self._option("sync", "source", source, SOURCE),
            "trust_length": self._option("sync", "trust_length", trust_length, False),
        }
