"""Files that a killed publisher sent in part: they do not show among the objects of a bucket, but they cost space."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote

from catalog.errors import ArchiveError
from catalog.publish.bucket import Bucket
from catalog.publish.fetching import sent_to

if TYPE_CHECKING:
    import requests

OLD_SECONDS = 86_400.0
"""The age from which a file that was sent in part belongs to nobody any more: no transfer takes a day."""
_MOST_OF_LIST = 1 << 22
_UPLOAD = re.compile(r"<Upload>(.*?)</Upload>", re.DOTALL)
_OURS = re.compile(r"run-\d{6,9}\.(duckdb|parquet/[A-Za-z0-9_./-]+)")


def abort_old(bucket: Bucket) -> int:
    """Remove what was sent in part below a prefix more than a day ago; return how much was removed.

    Nothing is done without keys in the environment, or if the store does not allow it.

    Parameters
    ----------
    bucket : Bucket
        The prefix.
    """
    removed = 0
    try:
        for key, upload in list(_old(bucket)):
            where = f"{quote(key)}?uploadId={quote(upload, safe='')}"
            with sent_to(bucket, "DELETE", *_signed(bucket, "DELETE", where)) as response:
                removed += response.status_code in (200, 204)
    except ArchiveError:
        pass
    return removed


def _old(bucket: Bucket) -> Iterator[tuple[str, str]]:
    """Yield the key and the number of each file of mastlake's that was sent in part below the prefix, and is old."""
    prefix = f"{bucket.prefix}/" if bucket.prefix else ""
    where = f"?prefix={quote(prefix, safe='')}&uploads="
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        return
    with sent_to(bucket, "GET", *_signed(bucket, "GET", where)) as response:
        text = _text(response) if response.status_code == 200 else ""
    until = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=OLD_SECONDS)
    for entry in _UPLOAD.findall(text):
        key, upload, began = (_field(entry, name) for name in ("Key", "UploadId", "Initiated"))
        try:
            is_old = dt.datetime.fromisoformat(began) <= until
        except (ValueError, TypeError):
            continue
        if is_old and upload and key.startswith(prefix) and _OURS.fullmatch(key[len(prefix) :]):
            yield key, upload


def _text(response: requests.Response) -> str:
    return bytes(response.raw.read(_MOST_OF_LIST, decode_content=False) or b"").decode("utf-8", "replace")


def _field(entry: str, name: str) -> str:
    found = re.search(f"<{name}>(.*?)</{name}>", entry, re.DOTALL)
    return unescape(found[1]) if found else ""


def _signed(bucket: Bucket, method: str, where: str) -> tuple[str, dict[str, str]]:
    """Return an address in the bucket and the headers that sign a request for it."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    key, secret, token = (
        os.environ.get(name, "").strip() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    )
    slash = "" if where.startswith("?") else "/"
    request = AWSRequest(method, f"{bucket.server}/{bucket.bucket}{slash}{where}")
    S3SigV4Auth(Credentials(key, secret, token or None), "s3", bucket.region).add_auth(request)
    return request.url, dict(request.headers.items())
