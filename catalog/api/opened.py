"""What all parts of a catalog's Python class stand on."""

from __future__ import annotations

from catalog.network.server import Server
from catalog.store.database import Database


class Opened:
    """A catalog file, and the archive that it is a copy of.

    Parameters
    ----------
    database : Database
        The catalog file.
    server : Server
        The archive's address.
    """

    def __init__(self, database: Database, server: Server) -> None:
        self._database = database
        self.server = server
