"""The user's account at the archive, from Python: check a token, and keep it."""

from __future__ import annotations

from pathlib import Path

from catalog.api.catalog_base import CatalogBase


class Account(CatalogBase):
    """The part of a `mastlake.Catalog` that handles the user's token."""

    def login(self, token: str, source: str = "this program") -> str:
        """Ask the archive to whom a token belongs.

        Parameters
        ----------
        token : str
            The token; spaces around it, and the scheme with which it was copied, are removed.
        source : str
            Where the token comes from, for an error message.

        Returns
        -------
        str
            The name of the token's owner.

        Raises
        ------
        UsageError
            If no header can hold the token.
        ArchiveError
            If the archive refuses the token, or does not answer.

        Examples
        --------
        >>> catalog.login("no token has spaces")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
            ...
        UsageError: the token from this program cannot be sent
        """
        from catalog.archive.client import MastArchive
        from catalog.sync.tokens import cleaned

        with MastArchive(self.server) as archive:
            return archive.login(cleaned(token, source))

    def keep_token(self, token: str) -> bool:
        """Keep a token in the system's keyring, for this server.

        Parameters
        ----------
        token : str
            The token, as for `login`.

        Returns
        -------
        bool
            False if there is no keyring that keeps it; see `keep_token_in_file`.

        Examples
        --------
        >>> kept = catalog.keep_token("abc")  # doctest: +SKIP
        """
        from catalog.sync.tokens import cleaned, keep_token

        return keep_token(cleaned(token, "login"), self.server)

    def keep_token_in_file(self, token: str) -> Path:
        """Keep a token in a file that only its owner can read, for this server.

        Parameters
        ----------
        token : str
            The token, as for `login`.

        Returns
        -------
        Path
            The path of the file.

        Raises
        ------
        DiskError
            If the file cannot be written.

        Examples
        --------
        >>> path = catalog.keep_token_in_file("abc")  # doctest: +SKIP
        """
        from catalog.sync.tokens import cleaned, keep_in_file

        return keep_in_file(cleaned(token, "login"), self.server)

    @property
    def token_path(self) -> Path:
        """The file in which `keep_token_in_file` keeps a token; it need not exist."""
        from catalog.sync.tokens import token_file

        return token_file(self.server)
