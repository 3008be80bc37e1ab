"""The rule that says who may fetch a file or product now; questions, selections and plans all use it.

The archive says it in two ways. ``dataRights`` of a product (or ``isRestricted`` of a file that has no product row) is
what the archive said when the row was read. A release date says from when on everybody may have the bytes.
"""

from __future__ import annotations

import duckdb

from catalog.errors import BadValue
from catalog.store.relations import current
from catalog.store.sql import columns_of, quoted
from catalog.store.times import time_of_mjd

NOW = "(now() AT TIME ZONE 'UTC')"


def checked_release(word: str) -> str:
    """Return the word by which a question asks about access; refuse any other word.

    Raises
    ------
    BadValue
        The error names the two words that are allowed.
    """
    if word not in ("public", "exclusive"):
        raise BadValue(f"--release is public or exclusive, not {word!r}")
    return word


def exclusive(rights: str, release_at: str, read_at: str = "NULL::TIMESTAMP", now: str = NOW) -> str:
    """Write the condition that only the observers may fetch something.

    If the archive called it public, it is public. If the archive called it exclusive, it is so until its release date
    has passed. A release date that was in the past when the archive still called it exclusive does not count. If the
    archive said nothing, the date alone decides.

    Parameters
    ----------
    rights : str
        SQL of ``dataRights``.
    release_at : str
        SQL of the release date, a timestamp in UTC.
    read_at : str
        SQL of the time at which the archive said so.
    now : str
        SQL of the time for which the answer holds.
    """
    said = f"coalesce(upper(trim({rights})), '')"
    return f"""(CASE {said} WHEN 'PUBLIC' THEN false WHEN '' THEN coalesce({release_at} > {now}, false)
        ELSE coalesce({release_at} > {now} OR {release_at} <= {read_at}, {release_at} IS NULL) END)"""


def rights_of_file(restricted: str) -> str:
    """Write SQL that turns ``isRestricted`` of a file into the words of ``dataRights``."""
    return f"CASE {restricted} WHEN true THEN 'EXCLUSIVE_ACCESS' WHEN false THEN 'PUBLIC' END"


def typed_column(connection: duckdb.DuckDBPyConnection, view: str, name: str, kind: str, prefix: str = "") -> str:
    """Write a column in its type, or a null of that type if the archive never sent the column."""
    if name.lower() not in {existing.lower() for existing in columns_of(connection, view)}:
        return f"NULL::{kind}"
    return f"TRY_CAST({prefix}{quoted(name)} AS {kind})"


def access_query(connection: duckdb.DuckDBPyConnection, files: str) -> str:
    """Write the query that says who may fetch files: ``filename``, ``rights``, ``release_at`` and ``exclusive``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog; it tells which columns exist.
    files : str
        A relation with the columns of `file_version` that `ACCESS_COLUMNS` names, as far as they exist.
    """
    rights = typed_column(connection, "products", "dataRights", "VARCHAR", "p.")
    restricted = typed_column(connection, "files", "isRestricted", "BOOLEAN", "f.")
    released = typed_column(connection, "files", "publicReleaseDate", "TIMESTAMP", "f.")
    observed = time_of_mjd(typed_column(connection, "observations", "t_obs_release", "DOUBLE", "o."))
    uri = typed_column(connection, "files", "dataURI", "VARCHAR", "f.")
    return f"""
            SELECT filename, rights, release_at, {exclusive("rights", "release_at", "read_at")} AS exclusive FROM (
                SELECT f.filename, coalesce({rights}, {rights_of_file(restricted)}) AS rights,
                    coalesce({released}, {observed}) AS release_at, r.started_at AS read_at
                FROM {files} f LEFT JOIN {current("product_version")} p ON p.data_uri = {uri}
                LEFT JOIN {current("observation_version")} o ON o.obs_id = f.obs_id
                LEFT JOIN runs r ON r.run = coalesce(p.since_run, f.since_run))"""


ACCESS_COLUMNS = ("filename", "obs_id", "since_run", "isRestricted", "publicReleaseDate", "dataURI")


def make_access_view(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the view ``file_access`` over the columns that exist now."""
    query = access_query(connection, current("file_version"))
    connection.execute(f"CREATE OR REPLACE VIEW file_access AS {query}")
