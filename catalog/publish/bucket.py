"""A prefix in a bucket of an object store that speaks S3: its address, and the user's credentials for it.

Endpoint, keys and region come from the environment variables that AWS's own tools read. Single objects are read and
written through addresses that are signed for a short time. So the same client as for web servers asks, which follows no
redirect: a session token never reaches another host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

from catalog.errors import ArchiveError, Overloaded, Refused, Unreachable
from catalog.network import buckets
from catalog.network.buckets import BUCKET_SCHEME
from catalog.network.object_store import client_options, s3_store
from catalog.network.server import Server
from catalog.publish.fetching import Sessions

_SIGNED_FOR = timedelta(hours=12)
"""How long a signed address is valid: longer than the transfer of the largest file."""
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")


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
        self.bucket, self.prefix = buckets.parts(address)
        self.region = buckets.region()
        self.server = _NoPassword(buckets.endpoint(self.region))
        self.sessions = Sessions(self.server)
        self.name = "/".join(filter(None, [f"{BUCKET_SCHEME}{self.bucket}", self.prefix])) + "/"
        self.mark = f"{self.server} {self.name}"
        self.is_signed = buckets.keys() is not None or any(buckets.variable(name) for name in buckets.BY_ROLE)

    @cached_property
    def store(self) -> Any:
        """The client of the object store."""
        store = s3_store(f"{BUCKET_SCHEME}{self.bucket}")
        retries: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
        given: dict[str, Any] = {}
        if keys := buckets.keys():
            given = {"access_key_id": keys.key, "secret_access_key": keys.secret}
            if keys.token:
                given["session_token"] = keys.token
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
        if code in buckets.ADVICE:
            return f"{host} refuses {self.name}: {buckets.ADVICE[code]} ({code})"
        if code == "NoSuchBucket":
            return f"there is no bucket {self.bucket} at {host}; see its name, AWS_ENDPOINT_URL and AWS_REGION"
        if status in (301, 302, 307, 308):
            return f"the bucket {self.bucket} is not at {host} (HTTP {status}); set AWS_REGION to its region"
        if status == 404:
            return f"no catalog is published at {self.name} (HTTP 404)"
        return self._without_permission(code or str(status)) if status in (401, 403) else None

    def _without_permission(self, code: str) -> str:
        if self.is_signed:
            return f"{self.server.netloc} refuses {self.name}: the key in {buckets.KEY} has no permission ({code})"
        return f"{self.name} is not open to everybody; set {buckets.KEY} and {buckets.SECRET} ({code})"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn an error of the object store's client into one line; its own text can contain what was signed."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise self._fault(str(error)) from None

    def _fault(self, text: str) -> ArchiveError:
        host, status_in_text = self.server.netloc, _STATUS.search(text)
        if status_in_text is None:
            return Unreachable(
                f"{host} gave no answer: {buckets.why_silent(text)}; check the network and AWS_ENDPOINT_URL"
            )
        status = int(status_in_text[1])
        code_found = _CODE.search(text)
        code = code_found[1] if code_found else ""
        if advice := self.advice(status, code):
            return Refused(advice)
        if status in (429, 500, 502, 503, 504):
            return Overloaded(f"{host} cannot answer now (HTTP {status})")
        return Refused(f"{host} refuses {self.name} (HTTP {status}{code and ' '}{code})")
