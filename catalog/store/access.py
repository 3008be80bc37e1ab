"""Who may fetch a file or product now: one rule, for questions, selections and plans alike.

The archive says it in two ways. ``dataRights`` of a product (or ``isRestricted`` of a file, where no product row has
it) is what it said when the row was read; a release date says from when on the bytes are public.
"""

from __future__ import annotations

import duckdb

from catalog.errors import BadValue
from catalog.store.relations import current
from catalog.store.sql import columns_of, quoted
from catalog.store.times import moment

NOW = "(now() AT TIME ZONE 'UTC')"


def checked_release(word: str) -> str:
    """Return the word of a question about access, or refuse it.

    Raises
    ------
    BadValue
        It names the two words that there are.
    """
    if word not in ("public", "exclusive"):
        raise BadValue(f"--release is public or exclusive, not {word!r}")
    return word


def exclusive(rights: str, release_at: str, read_at: str = "NULL::TIMESTAMP", now: str = NOW) -> str:
    """Write the condition that only its observers may fetch something.

    What the archive called public is public. What it called exclusive is so until its release date has passed; a date
    that was past already when the archive still called it exclusive is not that date. Where the archive said nothing,
    the date alone decides.

    Parameters
    ----------
    rights : str
        An expression of ``dataRights``.
    release_at : str
        An expression of the release date, a timestamp in UTC.
    read_at : str
        An expression of the moment at which the archive said so.
    now : str
        An expression of the moment that is asked about.
    """
    said = f"coalesce(upper(trim({rights})), '')"
    return f"""(CASE {said} WHEN 'PUBLIC' THEN false WHEN '' THEN coalesce({release_at} > {now}, false)
        ELSE coalesce({release_at} > {now} OR {release_at} <= {read_at}, {release_at} IS NULL) END)"""


def rights_of_file(restricted: str) -> str:
    """Write ``dataRights`` of a file from an expression of its ``isRestricted``."""
    return f"CASE {restricted} WHEN true THEN 'EXCLUSIVE_ACCESS' WHEN false THEN 'PUBLIC' END"


def column(connection: duckdb.DuckDBPyConnection, view: str, name: str, kind: str, prefix: str = "") -> str:
    """Write a column in its type, or a null of that type where the archive never sent it."""
    if name.lower() not in {known.lower() for known in columns_of(connection, view)}:
        return f"NULL::{kind}"
    return f"TRY_CAST({prefix}{quoted(name)} AS {kind})"


def access_query(connection: duckdb.DuckDBPyConnection, files: str) -> str:
    """Write the query of who may fetch files: ``filename``, ``rights``, ``release_at`` and ``exclusive``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        To the catalog, for the columns that there are.
    files : str
        A relation with those columns of `file_version` that `ACCESS_COLUMNS` names, as far as there are.
    """
    rights = column(connection, "products", "dataRights", "VARCHAR", "p.")
    restricted = column(connection, "files", "isRestricted", "BOOLEAN", "f.")
    released = column(connection, "files", "publicReleaseDate", "TIMESTAMP", "f.")
    observed = moment(column(connection, "observations", "t_obs_release", "DOUBLE", "o."))
    uri = column(connection, "files", "dataURI", "VARCHAR", "f.")
    return f"""
            SELECT filename, rights, release_at, {exclusive("rights", "release_at", "read_at")} AS exclusive FROM (
                SELECT f.filename, coalesce({rights}, {rights_of_file(restricted)}) AS rights,
                    coalesce({released}, {observed}) AS release_at, r.started_at AS read_at
                FROM {files} f LEFT JOIN {current("product_version")} p ON p.data_uri = {uri}
                LEFT JOIN {current("observation_version")} o ON o.obs_id = f.obs_id
                LEFT JOIN runs r ON r.run = coalesce(p.since_run, f.since_run))"""


ACCESS_COLUMNS = ("filename", "obs_id", "since_run", "isRestricted", "publicReleaseDate", "dataURI")


def make_access_view(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the view ``file_access`` anew, over the columns that there are now."""
    query = access_query(connection, current("file_version"))
    connection.execute(f"CREATE OR REPLACE VIEW file_access AS {query}")
