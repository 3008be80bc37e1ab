"""The base of all parts of the catalog's Python class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from catalog.network.server import Server

if TYPE_CHECKING:
    from catalog.config.settings import Defaults
    from catalog.store.database import Database
    from catalog.sync import Token

__all__ = ["CatalogBase", "Server"]


class CatalogBase:
    """A catalog file, and the archive of which it is a copy.

    Parameters
    ----------
    database : Database
        The catalog file.
    server : Server
        The archive's address.
    server_is_chosen : bool
        Whether the user named the server, and not only a file that came with a folder. Otherwise it gets no token.
    settings : Defaults, optional
        The settings of ``mastlake.toml``.
    """

    def __init__(
        self,
        database: Database,
        server: Server,
        server_is_chosen: bool = True,
        settings: Defaults | None = None,
    ) -> None:
        self._database = database
        self.server = server
        self._server_is_chosen = server_is_chosen
        self._settings = settings

    def _option(self, command: str, option: str, given: Any, otherwise: Any) -> Any:
        """Return the value of an option: the one given, or mastlake.toml's for the command, or the usual one."""
        if given is not None:
            return given
        said = None if self._settings is None else self._settings.option(command, option)
        return otherwise if said is None else said

    def exists(self) -> bool:
        """Say whether the catalog file exists.

        Returns
        -------
        bool
            False before the first harvest or index, which makes the file.

        Examples
        --------
        >>> catalog.exists()
        True
        """
        return self._database.exists()

    def require_writable(self) -> None:
        """Raise an error if the catalog is one that others published; nothing was done yet.

        Raises
        ------
        CatalogUnwritable
            The error says how to make a catalog of one's own.

        Examples
        --------
        >>> catalog.require_writable()
        """
        self._database.require_writable()

    def require(self) -> None:
        """Raise an error if there is no catalog that can be read.

        Raises
        ------
        CatalogError
            The error says how to make a catalog.

        Examples
        --------
        >>> catalog.require()
        """
        with self._database.read():
            pass

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the catalog open for several questions in a row, where each would open it anew.

        Nobody can write the catalog meanwhile, so keep the block short. Nothing is opened if there is no catalog yet.

        Yields
        ------
        None
            The catalog is open inside the block.

        Raises
        ------
        CatalogError
            If the catalog cannot be read.

        Examples
        --------
        >>> with catalog.opened():
        ...     len(catalog.find(limit=1)), len(catalog.find(limit=2))
        (1, 2)
        """
        with self._database.read(sealed=True) if self.exists() else nullcontext():
            yield

    @property
    def server_is_trusted(self) -> bool:
        """Whether the server is MAST, or the user named it; a file that came with a folder is not enough."""
        from catalog.defaults import SERVER
        from catalog.sync.tokens import origin

        return self._server_is_chosen or origin(self.server) == SERVER

    @property
    def withholds_token(self) -> bool:
        """Whether there is a token that the server does not get, because the user did not name the server."""
        from catalog.sync.tokens import withheld

        return withheld(self.server, self._server_is_chosen)

    def _token(self) -> Token | None:
        """Find the user's token for the server; None if there is none that the server may have."""
        from catalog.sync import find_token

        return find_token(self.server, self._server_is_chosen)
