"""A catalog made by hand for the sync's tests: as the harvest would leave it, without a harvest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.store.database import Database, columns_of
from catalog.store.proven import note_proof
from catalog.store.schema.migrate import make_views

URI = "mast:JWST/product/"

_GROWN = {
    "file_version": {
        "dataURI": "VARCHAR", "fileSize": "BIGINT", "checksum": "VARCHAR", "isRestricted": "BOOLEAN",
        "publicReleaseDate": "TIMESTAMP", "program": "VARCHAR", "productLevel": "VARCHAR",
    },
    "product_version": {
        "productFilename": "VARCHAR", "size": "BIGINT", "productType": "VARCHAR", "obs_id": "VARCHAR",
        "productSubGroupDescription": "VARCHAR", "dataproduct_type": "VARCHAR", "calib_level": "BIGINT",
        "proposal_id": "VARCHAR", "dataRights": "VARCHAR", "description": "VARCHAR",
    },
    "observation_version": {"t_obs_release": "DOUBLE", "dataRights": "VARCHAR", "proposal_id": "VARCHAR"},
}  # fmt: skip


@cache
def _empty() -> bytes:
    """The bytes of an empty catalog whose tables have the archive's columns that a sync reads."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "empty.duckdb")
        with database.write() as connection:
            for table, columns in _GROWN.items():
                have = columns_of(connection, table)
                for name, kind in columns.items():
                    if name not in have:
                        connection.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
            make_views(connection)
        return database.path.read_bytes()


def catalog(path: Path) -> Database:
    """A fresh catalog, empty but for columns; a copy known to be harmless, since making and proving one take long."""
    path.write_bytes(_empty())
    note_proof(path)
    return Database(path)


def insert(database: Database, rows: Mapping[str, Iterable[Mapping[str, object]]]) -> None:
    """Insert the rows of each table by column name, in one transaction: to open a catalog takes longer than that."""
    with database.write() as connection:
        for table, of_table in rows.items():
            connection.register("given", pa.Table.from_pylist([dict(row) for row in of_table]))
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM given")


def add_search(database: Database, name: str, filenames: Iterable[str] = (), obs_ids: Iterable[str] = ()) -> None:
    """Save a search that matches these."""
    with database.write() as connection:
        connection.execute(
            "INSERT INTO searches (name, kind, instrument, created_at) VALUES (?, 'files', 'niriss', now()::TIMESTAMP)",
            [name],
        )
        for filename in filenames:
            connection.execute("INSERT INTO search_file_membership VALUES (?, ?, 1, NULL)", [name, filename])
        for obs_id in obs_ids:
            connection.execute("INSERT INTO search_observation_membership VALUES (?, ?, 1, NULL)", [name, obs_id])


def add_run(database: Database, run: int, started_at: str) -> None:
    """Add a run that began at that time (ISO, UTC)."""
    with database.write() as connection:
        insert_run(connection, run, started_at)


def insert_run(connection: duckdb.DuckDBPyConnection, run: int, started_at: str) -> None:
    """Insert the row of a run."""
    connection.execute(
        """INSERT INTO runs BY NAME SELECT ?::INTEGER AS run, 's' AS search, 'full' AS kind, 'x' AS server,
           ?::TIMESTAMP AS started_at, started_at AS ended_at, 0 AS files, 0 AS new, 0 AS changed, 0 AS withdrawn,
           0 AS returned, 0 AS unchanged, 0 AS observations, 0 AS products, 0 AS linked, 0 AS requests""",
        [run, started_at],
    )


def file_rows(content: Mapping[str, bytes], checksum: object = None, **more: object) -> list[dict[str, object]]:
    """Return file rows for the files that a server has, by ``data_uri``."""
    from tests.files_server import md5

    return [
        {
            "filename": uri.rsplit("/", 1)[1], "instrument": "niriss", "row_hash": 0, "checked_run": 1,
            "since_run": 1, "dataURI": uri, "fileSize": len(body), "program": "1366",
            "checksum": checksum(body) if callable(checksum) else md5(body), **more,
        }
        for uri, body in content.items()
    ]  # fmt: skip


def product_rows(content: Mapping[str, bytes], obs_id: str = "obs1", **more: object) -> list[dict[str, object]]:
    """Return product rows for the files that a server has."""
    return [
        {
            "data_uri": uri, "row_hash": 0, "since_run": 1, "productFilename": uri.rsplit("/", 1)[1],
            "size": len(body), "productType": "SCIENCE", "obs_id": obs_id, "calib_level": 2,
            "productSubGroupDescription": "X1D", "dataproduct_type": "spectrum", "proposal_id": "1366",
            "dataRights": "PUBLIC", **more,
        }
        for uri, body in content.items()
    ]  # fmt: skip


def link_rows(content: Iterable[str], obs_id: str = "obs1") -> list[dict[str, object]]:
    """Return the rows that link products to one observation."""
    return [{"obs_id": obs_id, "data_uri": uri, "since_run": 1} for uri in content]


def add_files(database: Database, content: Mapping[str, bytes], checksum: object = None, **more: object) -> None:
    """Add file rows for the files that a server has, by ``data_uri``."""
    insert(database, {"file_version": file_rows(content, checksum, **more)})


def add_products(database: Database, content: Mapping[str, bytes], obs_id: str = "obs1", **more: object) -> None:
    """Add product rows, linked to one observation, for the files that a server has."""
    links = link_rows(content, obs_id)
    insert(database, {"product_version": product_rows(content, obs_id, **more), "observation_product_link": links})


def change_file(database: Database, filename: str, body: bytes) -> None:
    """Let the archive list another version of a file."""
    from tests.files_server import md5

    with database.write() as connection:
        connection.execute(
            "UPDATE file_version SET checksum = ?, fileSize = ? WHERE filename = ? AND until_run IS NULL",
            [md5(body), len(body), filename],
        )
