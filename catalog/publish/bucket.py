"""A prefix in a bucket of an object store that speaks S3: its address, and the user's credentials for it.

Endpoint, keys and region come from the environment variables that AWS's own tools read. Single objects are read and
written through addresses that are signed for a short time. So the same client as for web servers asks, which follows no
redirect: a session token never reaches another host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

from catalog.errors import ArchiveError, Overloaded, Refused, Unreachable, UsageError
from catalog.network.object_store import client_options, s3_store
from catalog.network.server import Server
from catalog.publish.fetching import Sessions, require_https
from catalog.publish.names import BUCKET_SCHEME
from catalog.text import harmless

_SIGNED_FOR = timedelta(hours=12)
"""How long a signed address is valid: longer than the transfer of the largest file."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SEGMENT = re.compile(r"[A-Za-z0-9!_.()@+=,$&;: -]+")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_KEY, _SECRET, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_BY_ROLE = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_ADVICE = {
    "InvalidAccessKeyId": f"it does not know the key in {_KEY}",
    "SignatureDoesNotMatch": f"{_SECRET} does not belong to {_KEY}",
    "ExpiredToken": f"{_TOKEN} is no longer valid; get new credentials",
    "InvalidToken": f"{_TOKEN} is not valid; get new credentials",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set AWS_REGION",
    "AuthorizationQueryParametersError": "the bucket is in another region; set AWS_REGION",
}
_WHY = {
    "refused": "connection refused", "timed out": "it took too long", "timeout": "it took too long",
    "dns": "there is no such host", "certificate": "its certificate is not trusted", "reset": "the connection was cut",
}  # fmt: skip


class _NoPassword(Server):
    """The address of an object store, to which nothing from ``~/.netrc`` goes: requests are signed."""

    @property
    def authorization(self) -> str | None:
        """None."""
        return None


class Bucket:
    """A prefix in a bucket.

    Parameters
    ----------
    address : str
        s3://BUCKET/PREFIX, with or without a slash at the end.

    Raises
    ------
    UsageError
        If the address, or a variable of the environment, is not as it must be.
    """

    named_in = "AWS_ENDPOINT_URL"

    def __init__(self, address: str) -> None:
        self.bucket, self.prefix = _parts(address)
        self.region = _variable("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
        if not re.fullmatch("[a-z0-9-]{1,40}", self.region):
            raise UsageError("AWS_REGION is no name of a region, such as us-east-1")
        self.server = _NoPassword(_endpoint(self.region))
        self.sessions = Sessions(self.server)
        self.name = "/".join(filter(None, [f"{BUCKET_SCHEME}{self.bucket}", self.prefix])) + "/"
        self.mark = f"{self.server} {self.name}"
        self.is_signed = _has_credentials()

    @cached_property
    def store(self) -> Any:
        """The client of the object store."""
        store = s3_store(f"{BUCKET_SCHEME}{self.bucket}")
        retries: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
        given: dict[str, Any] = {}
        if _variable(_KEY):
            given = {"access_key_id": _variable(_KEY), "secret_access_key": _variable(_SECRET)}
            if token := _variable(_TOKEN):
                given["session_token"] = token
        return store(
            self.bucket,
            prefix=self.prefix or None,
            endpoint=str(self.server),
            region=self.region,
            skip_signature=not self.is_signed,
            virtual_hosted_style_request=False,
            client_options=client_options(self.server),
            retry_config=retries,
            **given,
        )

    def url(self, name: str, method: str = "GET") -> str:
        """Return the address of an object; with credentials, it is signed."""
        if not self.is_signed:
            key = "/".join(filter(None, [self.bucket, self.prefix, name]))
            return f"{self.server}/{quote(key)}"
        from obstore import sign

        with self.told():
            return str(sign(self.store, method, name, _SIGNED_FOR))  # type: ignore[call-overload]

    def advice(self, status: int, code: str) -> str | None:
        """Return what an answer of the object store means for the user."""
        host = self.server.netloc
        if code in _ADVICE:
            return f"{host} refuses {self.name}: {_ADVICE[code]} ({code})"
        if code == "NoSuchBucket":
            return f"there is no bucket {self.bucket} at {host}; see its name, AWS_ENDPOINT_URL and AWS_REGION"
        if status in (301, 302, 307, 308):
            return f"the bucket {self.bucket} is not at {host} (HTTP {status}); set AWS_REGION to its region"
        if status == 404:
            return f"no catalog is published at {self.name} (HTTP 404)"
        return self._without_permission(code or str(status)) if status in (401, 403) else None

    def _without_permission(self, code: str) -> str:
        if self.is_signed:
            return f"{self.server.netloc} refuses {self.name}: the key in {_KEY} has no permission ({code})"
        return f"{self.name} is not open to everybody; set {_KEY} and {_SECRET} ({code})"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn an error of the object store's client into one line; its own text can contain what was signed."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise self._fault(str(error)) from None

    def _fault(self, text: str) -> ArchiveError:
        host, found = self.server.netloc, _STATUS.search(text)
        if found is None:
            why = next((why for sign, why in _WHY.items() if sign in text.lower()), "the connection failed")
            return Unreachable(f"{host} gave no answer: {why}; check the network and AWS_ENDPOINT_URL")
        status = int(found[1])
        code_found = _CODE.search(text)
        code = code_found[1] if code_found else ""
        if advice := self.advice(status, code):
            return Refused(advice)
        if status in (429, 500, 502, 503, 504):
            return Overloaded(f"{host} cannot answer now (HTTP {status})")
        return Refused(f"{host} refuses {self.name} (HTTP {status}{code and ' '}{code})")


def _parts(address: str) -> tuple[str, str]:
    """Return the bucket and the prefix of an address, without slashes around."""
    bucket, _, prefix = address[len(BUCKET_SCHEME) :].partition("/")
    if "@" in bucket:
        raise UsageError(f"{BUCKET_SCHEME}...@{bucket.rpartition('@')[2]}: keys belong in {_KEY} and {_SECRET}")
    prefix = prefix.removesuffix("/")
    segments = prefix.split("/") if prefix else []
    if not _BUCKET.fullmatch(bucket) or any(one in (".", "..") or not _SEGMENT.fullmatch(one) for one in segments):
        raise UsageError(f"{harmless(address)} is no address of a bucket; write s3://BUCKET/PREFIX/")
    return bucket, prefix


def _endpoint(region: str) -> str:
    """Return the address of the object store.

    Raises
    ------
    UsageError
        If it contains a password, or would show the requests to anybody on the way.
    """
    named = _variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if not named:
        return f"https://s3.{region}.amazonaws.com"
    if "@" in named:
        raise UsageError(f"AWS_ENDPOINT_URL must have no name and password; keys belong in {_KEY} and {_SECRET}")
    try:
        server = Server(named)
    except UsageError:
        raise UsageError(f"AWS_ENDPOINT_URL is no https address: {harmless(named)}") from None
    require_https(server, f"AWS_ENDPOINT_URL {server}")
    return str(server)


def _has_credentials() -> bool:
    """Say whether the environment has credentials; without them, only a public bucket can be read."""
    key, secret = bool(_variable(_KEY)), bool(_variable(_SECRET))
    if key != secret:
        raise UsageError(f"set both {_KEY} and {_SECRET}, or none of them")
    return key or any(_variable(name) for name in _BY_ROLE)


def _variable(*names: str) -> str:
    """Return the first of some variables of the environment that is set."""
    for name in names:
        value = os.environ.get(name, "").strip()
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"{name} has characters that it cannot have")
        if value:
            return value
    return ""
