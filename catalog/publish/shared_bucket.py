"""Lists of shared files in a bucket, one object for each person, machine and folder.

An object is replaced by its owner in one request, so a reader gets the older list or the newer one. Readers who may
list the bucket see which objects there are. For the others, and over https, the object ``LISTS`` names them. Whoever
shares writes it, and so does whoever publishes.

Nothing that is read there is trusted: names have one form, and sizes have limits.
"""

from __future__ import annotations

import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from catalog.errors import ArchiveError, Garbled, Refused, UsageError
from catalog.publish.fetching import error_code, received, refuse_status, sent
from catalog.publish.names import is_bucket
from catalog.publish.pull import source_at
from catalog.publish.shared_lists import FOLDER, MOST_LISTS, Head, Row, SharedList, content_of, mark_of, parse_list

if TYPE_CHECKING:
    import requests

    from catalog.publish.bucket import Bucket
    from catalog.publish.bucket_place import PublishingBucket

INDEX = f"{FOLDER}/LISTS"
MOST_BYTES = 1 << 26
"""The size up to which a list is sent and read: some 500,000 files."""
MOST_TOGETHER = 1 << 28
"""So many bytes of lists a question reads in all."""
_NAME = re.compile(rf"{FOLDER}/[0-9a-f]{{16}}\.jsonl")
_LONGEST_NAME = 40
_AT_ONCE = 8
_ATTEMPTS = 5


class ListsAtAddress:
    """The lists in a bucket, or those that its https address shows.

    Parameters
    ----------
    address : str
        s3://BUCKET/PREFIX, or https://HOST/PREFIX/, which can only be read.
    """

    is_on_disk = False

    def __init__(self, address: str) -> None:
        self._address = address
        self._source = source_at(address)
        self._left = MOST_TOGETHER
        self._counting = threading.Lock()

    @property
    def name(self) -> str:
        """The address of the lists."""
        return f"{self._source.name}{FOLDER}"

    def require_writable(self) -> None:
        """Refuse an address to which nothing can be sent.

        Raises
        ------
        UsageError
            The error says what to name instead.
        """
        if not is_bucket(self._address):
            raise UsageError(
                f"lists of files cannot be sent to {self._source.name}, which is only read; name the bucket, or the "
                "folder where it is published: --catalog s3://BUCKET/PREFIX, or --catalog DIR/"
            )

    def put(self, head: Head, rows: list[Row]) -> None:
        """Replace the user's list in one request, or take it back, and name it in ``LISTS``."""
        from catalog.publish.bucket_place import PublishingBucket

        place = PublishingBucket(self._address)
        name = f"{FOLDER}/{mark_of(head.by, head.host, _machine(), head.folder)}.jsonl"
        content = content_of(head, rows, MOST_BYTES) if rows else None
        try:
            if content is not None:
                place.send(name, content)
            else:
                place.remove(name)
        except ArchiveError as error:
            raise type(error)(f"the list of {head.folder} was not shared: {error}") from None
        try:
            write_index(place, name, is_there=content is not None)
        except Refused as error:
            raise Refused(
                f"{head.folder} is shared, but readers who cannot list {self.name} do not find it before the next "
                f"publish: {error}"
            ) from None

    def read(self) -> tuple[list[SharedList], list[str]]:
        """Return the list of each person, machine and folder, and a line for each list that was left out."""
        names, odd = self._names()
        if len(names) > MOST_LISTS:
            odd.append(f"{self.name} has more than {MOST_LISTS:,} lists; those after them were left out")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(self._read_list, sorted(names)[:MOST_LISTS]))
        odd += [answer for answer in answers if isinstance(answer, str)]
        return [answer for answer in answers if isinstance(answer, SharedList)], odd

    def _names(self) -> tuple[set[str], list[str]]:
        """Return which lists there are; the first request follows no redirect, and so no token leaves the host."""
        odd: list[str] = []
        names: set[str] = set()
        try:
            index = self._get(INDEX, (MOST_LISTS + 1) * _LONGEST_NAME)
            names = _names_in(index[0] if index else b"")
        except (Refused, Garbled) as error:
            odd.append(f"no list of shared files can be found by {self._source.name}{INDEX} ({error})")
        if is_bucket(self._address):
            there = listed(self._source)  # type: ignore[arg-type]
            if there is not None:
                return there, []
        return names, odd

    def _read_list(self, name: str) -> SharedList | str | None:
        try:
            answer = self._get(name, MOST_BYTES)
            if answer is None:  # taken back meanwhile
                return None
            content, at = answer
            read = parse_list(content)
        except (Refused, Garbled, ValueError) as error:
            return f"{self._source.name}{name} is no list of shared files, and was left out ({error})"
        return SharedList(msgspec.structs.replace(read.head, at=at), read.rows) if at else read

    def _get(self, name: str, most: int) -> tuple[bytes, str] | None:
        """Return the content of an object, and when the store got it; None if there is none."""
        shown = f"{self._source.name}{name}"
        with sent(self._source, "GET", name) as response:
            if response.status_code == 404 and error_code(response) != "NoSuchBucket":
                return None
            refuse_status(self._source, response, shown)
            content = bytearray()
            for piece in received(self._source, response, shown, most):
                self._count(len(piece))
                content += piece
            return bytes(content), _stored_at(response)

    def _count(self, size: int) -> None:
        """Count what was received, and refuse more than all lists together may have; several threads receive."""
        with self._counting:
            self._left -= size
            if self._left < 0:
                raise Garbled(f"all lists together have more than {MOST_TOGETHER:,} bytes")


def listed(bucket: Bucket) -> set[str] | None:
    """Return the names of the lists in a bucket; None if the store does not say."""
    import obstore

    names: set[str] = set()
    try:
        with bucket.told():
            for batch in obstore.list(bucket.store, FOLDER):
                names.update(name for each in batch if _NAME.fullmatch(name := str(each["path"])))
                if len(names) > MOST_LISTS:
                    break
    except ArchiveError:  # also if somebody wrote an object whose name the client does not accept
        return None
    return names


def write_index(place: PublishingBucket, name: str | None = None, is_there: bool = True) -> None:
    """Let ``LISTS`` name the lists that are there.

    Parameters
    ----------
    place : PublishingBucket
        The bucket.
    name : str, optional
        A list that was just written, or taken back.
    is_there : bool
        Whether it was written.

    Raises
    ------
    Refused
        If the store refuses, or others write again and again.
    """
    for _ in range(_ATTEMPTS):
        index = None
        with suppress(Refused):  # to those who may not list, some stores say so of an object that is not there
            index = place.fetch(INDEX)
        before = _names_in(index.content if index else b"")
        there = listed(place.bucket)
        names = before if there is None else there
        if name is not None:
            names = names | {name} if is_there else names - {name}
        if names == before:
            return
        state = {"If-Match": index.state} if index and index.state else {"If-None-Match": "*"}
        if place.send(INDEX, "".join(f"{one}\n" for one in sorted(names)).encode(), state, only_if=True) is not None:
            return
    raise Refused(f"others change {place.name}/{INDEX} all the time")


def _names_in(index: bytes) -> set[str]:
    """Return the names in ``LISTS`` that can be names of lists."""
    return {line for line in index.decode("ascii", "replace").splitlines() if _NAME.fullmatch(line)}


def _stored_at(response: requests.Response) -> str:
    """Return when the store got an object, by its own clock; empty if it does not say."""
    with suppress(ValueError, TypeError, OverflowError):
        at = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        return at.replace(tzinfo=None).isoformat(timespec="seconds")
    return ""


def _machine() -> str:
    """Return what tells this machine from another one of the same name."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text("ascii", "replace").strip()
    return f"{uuid.getnode():x}"
