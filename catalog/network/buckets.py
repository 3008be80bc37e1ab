"""A bucket of an object store that speaks S3, as AWS's own environment variables describe it: endpoint, region, keys.

Nothing here asks the store. Keys are in no message: an answer of the store is told by its code alone.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from catalog.errors import UsageError
from catalog.network.server import Server
from catalog.text import harmless

BUCKET_SCHEME = "s3://"
KEY, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
BY_ROLE = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
ADVICE = {
    "InvalidAccessKeyId": f"it does not know the key in {KEY}",
    "SignatureDoesNotMatch": f"{SECRET} does not belong to {KEY}",
    "ExpiredToken": f"{TOKEN} is no longer valid; get new credentials",
    "InvalidToken": f"{TOKEN} is not valid; get new credentials",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_REGION",
    "AuthorizationQueryParametersError": "the bucket is in another region; set AWS_REGION",
}
"""What the codes of an answer mean for the user."""
WHY = {
    "refused": "connection refused", "could not connect": "connection refused", "timed out": "it took too long",
    "timeout": "it took too long", "dns": "there is no such host", "resolve host": "there is no such host",
    "certificate": "its certificate is not trusted", "reset": "the connection was cut",
}  # fmt: skip
"""What is told if there was no answer, by a word in the client's own text."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SEGMENT = re.compile(r"[A-Za-z0-9!_.()@+=,$&;: -]+")


class Keys(NamedTuple):
    """Credentials of the environment; the token is empty if there is none."""

    key: str
    secret: str
    token: str


def parts(address: str) -> tuple[str, str]:
    """Return the bucket and the prefix of an address, without slashes around.

    Raises
    ------
    UsageError
        If the address has another form.
    """
    bucket, _, prefix = address[len(BUCKET_SCHEME) :].partition("/")
    if "@" in bucket:
        raise UsageError(f"{BUCKET_SCHEME}...@{bucket.rpartition('@')[2]}: keys belong in {KEY} and {SECRET}")
    prefix = prefix.removesuffix("/")
    segments = prefix.split("/") if prefix else []
    if not _BUCKET.fullmatch(bucket) or any(one in (".", "..") or not _SEGMENT.fullmatch(one) for one in segments):
        raise UsageError(
            f"{harmless(address)} is no address of a bucket; write it like s3://my-bucket/jwst/: the name of a bucket "
            "has small letters, digits, points and hyphens"
        )
    return bucket, prefix


def region() -> str:
    """Return the region.

    Raises
    ------
    UsageError
        If the variable has no name of a region.
    """
    named = variable("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
    if not re.fullmatch("[a-z0-9-]{1,40}", named):
        raise UsageError("AWS_REGION is no name of a region, such as us-east-1")
    return named


def endpoint(region: str) -> str:
    """Return the address of the object store.

    Raises
    ------
    UsageError
        If it contains a password, or would show the requests to anybody on the way.
    """
    named = variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if not named:
        return f"https://s3.{region}.amazonaws.com"
    if "@" in named:
        raise UsageError(f"AWS_ENDPOINT_URL must have no name and password; keys belong in {KEY} and {SECRET}")
    try:
        server = Server(named)
    except UsageError:
        raise UsageError(f"AWS_ENDPOINT_URL is no https address: {harmless(named)}") from None
    require_https(server, f"AWS_ENDPOINT_URL {server}")
    return str(server)


def keys() -> Keys | None:
    """Return the credentials of the environment; None if there are none.

    Raises
    ------
    UsageError
        If only one of key and secret is set.
    """
    key, secret = variable(KEY), variable(SECRET)
    if bool(key) != bool(secret):
        raise UsageError(f"set both {KEY} and {SECRET}, or none of them")
    return Keys(key, secret, variable(TOKEN)) if key else None


def variable(*names: str) -> str:
    """Return the first of some variables of the environment that is set."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"{name} has characters that it cannot have")
        if value:
            return value
    return ""


def require_https(server: Server, shown: str) -> None:
    """Refuse http, except on this machine.

    Raises
    ------
    UsageError
        If anybody on the way could change what is read or written.
    """
    parts = urlsplit(server)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise UsageError(f"{shown} must begin with https: anybody on the way could change it")


def why_silent(text: str) -> str:
    """Say why there was no answer, from the text of a client's error."""
    return next((why for sign, why in WHY.items() if sign in text.lower()), "the connection failed")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
