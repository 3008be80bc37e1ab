"""The rows of a lake in a bucket of an object store that speaks S3.

Endpoint, region and keys come from the environment variables that AWS's own tools read. DuckDB gets the keys as a
secret that counts for the prefix of this lake alone. A statement of a user cannot list secrets, nor name an address in
the place of a table: a path like ``s3://BUCKET/PREFIX/../..`` would leave the prefix after DuckDB has allowed it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import urlsplit

import duckdb

from catalog.errors import NotACatalog, UsageError
from catalog.network import buckets
from catalog.network.buckets import BUCKET_SCHEME
from catalog.network.routes import BUNDLES, credentials_of, proxy_of
from catalog.network.server import Server
from catalog.network.session import session_for
from catalog.store.lakes.extensions import load_extensions
from catalog.store.sql import literal

_REDIRECT_SECONDS = (5.0, 10.0)
"""How long to wait for a connection, and for an answer."""
_METADATA = "__ducklake_metadata_lake"
_PATHS = ("ducklake_data_file", "ducklake_delete_file")


def bucket_place(text: str) -> str:
    """Check s3://BUCKET/PREFIX, and return it with a slash at its end.

    Raises
    ------
    UsageError
        If it has another form.
    """
    bucket, prefix = buckets.parts(text)
    if not prefix:
        raise UsageError(f"the rows of a lake need a prefix of their own: {BUCKET_SCHEME}{bucket}/PREFIX")
    return f"{BUCKET_SCHEME}{bucket}/{prefix}/"


def reach_bucket(connection: duckdb.DuckDBPyConnection, place: str) -> None:
    """Let a connection reach a prefix in a bucket.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that is not cut off from files and network yet.
    place : str
        The prefix, with a slash at its end.

    Raises
    ------
    NotACatalog
        If the metadata of a lake name a place that is no prefix in a bucket.
    UsageError
        If the environment does not describe an object store and credentials for it.
    """
    try:
        known = bucket_place(place) == place
    except UsageError:
        known = False
    if not known:
        raise NotACatalog("the metadata of the lake name a place for its rows that is no prefix in a bucket")
    region = buckets.region()
    server = urlsplit(buckets.endpoint(region))
    keys = buckets.keys()
    if keys and keys.token:
        _refuse_redirect(Server(server.geturl()), place)
    load_extensions(connection, ("httpfs",))
    connection.execute("SET GLOBAL s3_url_compatibility_mode = true")  # no settings in addresses
    connection.execute("SET GLOBAL enable_server_cert_verification = true")
    if bundle := next(filter(None, map(buckets.variable, BUNDLES)), ""):
        connection.execute(f"SET GLOBAL ca_cert_file = {literal(bundle)}")
    given = {"REGION": region, "ENDPOINT": f"{server.netloc}{server.path}", "URL_STYLE": "path", "SCOPE": place}
    if keys:
        given |= {"KEY_ID": keys.key, "SECRET": keys.secret}
        given |= {"SESSION_TOKEN": keys.token} if keys.token else {}
    _keep_secret(connection, "s3", given, f", USE_SSL {'true' if server.scheme == 'https' else 'false'}")
    if proxy := proxy_of(server.geturl()):
        name, _, password = (credentials_of(proxy) or "").partition(":")
        through = {"HTTP_PROXY": urlsplit(proxy).netloc.rpartition("@")[2]}
        through |= {"HTTP_PROXY_USERNAME": name, "HTTP_PROXY_PASSWORD": password} if name else {}
        _keep_secret(connection, "http", through)


def _refuse_redirect(server: Server, place: str) -> None:
    """Refuse an object store that sends requests on: DuckDB would follow with the session token, to any host.

    The question is asked without a key. An object store that gives no answer is told of when DuckDB asks it.
    """
    import requests

    with session_for(server) as session, suppress(requests.RequestException, OSError):
        answer = session.head(
            f"{server}/{place.removeprefix(BUCKET_SCHEME)}", allow_redirects=False, timeout=_REDIRECT_SECONDS
        )
        if "Location" in answer.headers:
            raise NotACatalog(
                f"{server.netloc} sends requests for the bucket on to another address; "
                "name the one that answers in AWS_ENDPOINT_URL and AWS_REGION"
            )


def _keep_secret(connection: duckdb.DuckDBPyConnection, kind: str, given: dict[str, str], more: str = "") -> None:
    """Make a secret in memory. An error says nothing of it, as DuckDB's own text would have the statement."""
    values = ", ".join(f"{name} {literal(value)}" for name, value in given.items())
    try:
        connection.execute(f"CREATE OR REPLACE SECRET of_{kind} (TYPE {kind}, {values}{more})")
    except duckdb.Error:
        raise UsageError("DuckDB cannot use the AWS_ variables of the environment; check them") from None


def require_paths_within(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Refuse a lake whose metadata name a file of rows by a path that may lead out of its prefix.

    Raises
    ------
    NotACatalog
        If there is such a path.
    """
    paths = " UNION ALL ".join(f"SELECT path FROM {_METADATA}.{schema}.{table}" for table in _PATHS)
    odd = f"SELECT 1 FROM ({paths}) WHERE path LIKE '%..%' OR path LIKE '%?%' OR path LIKE '%#%' LIMIT 1"
    if connection.execute(odd).fetchone() is not None:
        raise NotACatalog("the metadata of the lake name files out of its prefix in the bucket; choose another lake")


_ADDRESS = re.compile(r"https?://([^/'\s]+)/|s3://([^/'\s]+)/")
_STATUS = re.compile(r"HTTP (?:code |status code )?(\d{3})")
_CODES = "|".join([*buckets.ADVICE, "NoSuchBucket", "AccessDenied"])


def is_of_bucket(text: str) -> bool:
    """Say whether an error of DuckDB tells of a request to an object store."""
    return "HTTP" in text and bool(_ADDRESS.search(text))


def bucket_fault(text: str) -> str:
    """Say in one line what an object store, or the way to it, did; DuckDB's own text may have keys."""
    host = urlsplit(buckets.endpoint(buckets.region())).netloc
    bucket = next((found[2] for found in _ADDRESS.finditer(text) if found[2]), "")
    status, code = _STATUS.search(text), re.search(_CODES, text)
    if status is None:
        return f"{host} gave no answer: {buckets.why_silent(text)}; check the network and AWS_ENDPOINT_URL"
    if code and code[0] in buckets.ADVICE:
        return f"{host} refuses the rows of the lake: {buckets.ADVICE[code[0]]} ({code[0]})"
    if code and code[0] == "NoSuchBucket":
        return f"there is no bucket {bucket} at {host}; see its name, AWS_ENDPOINT_URL and AWS_REGION"
    if status[1] in ("401", "403"):
        return f"{host} refuses the rows of the lake (HTTP {status[1]}); check {buckets.KEY} and its permissions"
    if status[1] == "404":
        return f"{host} does not have a file of the lake's rows, or its bucket {bucket} (HTTP 404)"
    return f"{host} cannot answer now (HTTP {status[1]})"
