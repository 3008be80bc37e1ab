"""DuckDB's extensions for lakes, which come as Python packages: nothing is fetched from the network.

An extension can be loaded only by exactly the DuckDB for which it was made. DuckDB would compute the hash of each file
of some 40 MB whenever it loads one, which takes 0.2 seconds. The files are as trusted as all other code of the Python
environment, whose installer compared their hashes. So DuckDB does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import duckdb

from catalog.errors import CatalogError
from catalog.store.sql import literal

_INSTALL = "pip install 'mastlake[lake]'"
_FROM_ENVIRONMENT = {"httpfs": ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")}
"""Settings into which an extension copies keys of the environment by itself; any statement can show settings."""


def load_extensions(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Load extensions.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that can still reach files.
    names : iterable of str
        Names of extensions, such as ducklake.

    Raises
    ------
    CatalogError
        If a package is not installed, or is made for another DuckDB; the error says what to install.
    """
    for name in names:
        path = packaged(name)
        if path is None:
            raise CatalogError(f"a catalog with ducklake: needs DuckDB's extension {name}; install it: {_INSTALL}")
        try:
            connection.execute(f"LOAD {literal(str(path))}")
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise CatalogError(
                f"DuckDB's extension {name} cannot be loaded by DuckDB {duckdb.__version__}; "
                f"install both anew: {_INSTALL}"
            ) from error
        for setting in _FROM_ENVIRONMENT.get(name, ()):
            connection.execute(f"SET GLOBAL {setting} = ''")


def packaged(name: str) -> Path | None:
    """Return the file of an extension for this version of DuckDB, or of any version; None if it is not installed."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "extensions"
    fitting = folder / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    return fitting if fitting.exists() else next(iter(sorted(folder.glob(f"*/{name}.duckdb_extension"))), None)
