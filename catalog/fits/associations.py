"""Read association files: which exposures went into which products.

Their format: https://jwst-pipeline.readthedocs.io/en/latest/jwst/associations/level3_asn_technical.html
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from stat import S_ISREG

import msgspec
import pyarrow as pa

from catalog.inodes import signed
from catalog.text import plural, size

LARGEST = 64_000_000
"""The size in bytes of the largest association file that is read; the pipeline's files have some kilobytes."""
MOST_MEMBERS = 100_000
_TOGETHER = 4096
_MEMBERS_TOGETHER = 200_000


class _Member(msgspec.Struct):
    expname: str
    exptype: str | None = None


class _Product(msgspec.Struct):
    name: str = ""
    members: list[_Member] = []


class _Association(msgspec.Struct):
    products: list[_Product] = []


@dataclass(frozen=True)
class AssociationFile:
    """One association file, as it was read.

    Attributes
    ----------
    path : str
        The absolute path.
    status : os.stat_result or None
        The status of the file; None if it could not be opened.
    checksum : str or None
        The MD5 of its bytes.
    problem : str or None
        Why it could not be read.
    members : list of tuple
        Tuples of product name, member, and exposure type.
    """

    path: str
    status: os.stat_result | None
    checksum: str | None
    problem: str | None
    members: list[tuple[str, str, str | None]]


def read_association(path: str) -> AssociationFile:
    """Read one association file; a problem is returned and not raised."""
    try:
        status, document = _read(path)
    except OSError as error:
        return AssociationFile(path, None, None, error.strerror or str(error), [])
    if document is None:
        problem = f"{size(status.st_size)} are no association: at most {size(LARGEST)} are read"
        return AssociationFile(path, status, None, problem, [])
    checksum = hashlib.md5(document, usedforsecurity=False).hexdigest()
    try:
        association = _decoded(document)
    except (ValueError, RecursionError) as error:
        return AssociationFile(path, status, checksum, f"not an association: {error}", [])
    count = sum(len(product.members) for product in association.products)
    if count > MOST_MEMBERS:
        problem = f"not an association: {plural(count, 'member')}; at most {MOST_MEMBERS:,} are read"
        return AssociationFile(path, status, checksum, problem, [])
    members = [
        (_text(product.name), os.path.basename(_text(member.expname)), member.exptype and _text(member.exptype))  # noqa: PTH119
        for product in association.products
        for member in product.members
    ]
    return AssociationFile(path, status, checksum, None, members)


def _read(path: str) -> tuple[os.stat_result, bytes | None]:
    """Return the status of a regular file, and its bytes; None instead of the bytes if it is too large."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        document = file.read(LARGEST + 1) if status.st_size <= LARGEST else None
    return status, document if document is not None and len(document) <= LARGEST else None


def _decoded(document: bytes) -> _Association:
    """Decode an association as the pipeline does: its JSON may have NaN and Infinity."""
    try:
        return msgspec.json.decode(document, type=_Association)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.convert(json.loads(document), _Association)


def _text(text: str) -> str:
    """Return text that can be stored, since JSON can contain single halves of surrogate pairs."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def read_associations(paths: Sequence[str]) -> Iterator[list[AssociationFile]]:
    """Read association files in groups; a group is worth a transaction, and its number of members is limited."""
    group: list[AssociationFile] = []
    members = 0
    for path in paths:
        group.append(read_association(path))
        members += len(group[-1].members)
        if len(group) >= _TOGETHER or members >= _MEMBERS_TOGETHER:
            yield group
            group, members = [], 0
    if group:
        yield group


def member_rows(files: list[AssociationFile]) -> pa.Table:
    """Return all members of several files, with the position of their file in the list."""
    rows = [(n, *member) for n, association in enumerate(files) for member in association.members]
    return pa.table(
        {
            "file": pa.array([row[0] for row in rows], pa.int64()),
            "product": pa.array([row[1] for row in rows], pa.string()),
            "member": pa.array([row[2] for row in rows], pa.string()),
            "exposure_type": pa.array([row[3] for row in rows], pa.string()),
        }
    )


def file_rows(files: list[AssociationFile]) -> pa.Table:
    """Return one row for each file, in the form that the catalog's writer takes."""
    status = [file.status for file in files]
    return pa.table(
        {
            "size": pa.array([s and s.st_size for s in status], pa.int64()),
            "mtime_ns": pa.array([s and s.st_mtime_ns for s in status], pa.int64()),
            "inode": pa.array([s and signed(s.st_ino) for s in status], pa.int64()),
            "checksum": pa.array([file.checksum for file in files], pa.string()),
            "problem": pa.array([file.problem if file.status else None for file in files], pa.string()),
            "unread": pa.array([None if file.status else file.problem for file in files], pa.string()),
        }
    )
