"""Read association files: which exposures went into which products.

See https://jwst-pipeline.readthedocs.io/en/latest/jwst/associations/level3_asn_technical.html for their members.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from catalog.store.local_files import signed_inode


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
    """One association file as it was read.

    Attributes
    ----------
    path : str
        Absolute.
    status : os.stat_result or None
        None where it could not be opened.
    checksum : str or None
        MD5 of its bytes.
    problem : str or None
        Why it could not be read.
    members : list of tuple
        Product name, member, exposure type.
    """

    path: str
    status: os.stat_result | None
    checksum: str | None
    problem: str | None
    members: list[tuple[str, str, str | None]]


def read_association(path: str) -> AssociationFile:
    """Read one association file; what is wrong with it is told, not raised."""
    try:
        status = Path(path).stat()
        document = Path(path).read_bytes()
    except OSError as error:
        return AssociationFile(path, None, None, error.strerror or str(error), [])
    checksum = hashlib.md5(document, usedforsecurity=False).hexdigest()
    try:
        association = msgspec.json.decode(document, type=_Association)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return AssociationFile(path, status, checksum, f"not an association: {error}", [])
    members = [
        (product.name, os.path.basename(member.expname), member.exptype)  # noqa: PTH119
        for product in association.products
        for member in product.members
    ]
    return AssociationFile(path, status, checksum, None, members)


def member_rows(files: list[AssociationFile]) -> pa.Table:
    """Return all members of several files, with the place of their file in the list."""
    rows = [(n, *member) for n, one in enumerate(files) for member in one.members]
    return pa.table(
        {
            "file": pa.array([row[0] for row in rows], pa.int64()),
            "product": pa.array([row[1] for row in rows], pa.string()),
            "member": pa.array([row[2] for row in rows], pa.string()),
            "exposure_type": pa.array([row[3] for row in rows], pa.string()),
        }
    )


def file_rows(files: list[AssociationFile]) -> pa.Table:
    """Return one row a file, as the catalog's writer takes them."""
    status = [one.status for one in files]
    return pa.table(
        {
            "size": pa.array([s and s.st_size for s in status], pa.int64()),
            "mtime_ns": pa.array([s and s.st_mtime_ns for s in status], pa.int64()),
            "inode": pa.array([s and signed_inode(s.st_ino) for s in status], pa.int64()),
            "checksum": pa.array([one.checksum for one in files], pa.string()),
            "problem": pa.array([one.problem if one.status else None for one in files], pa.string()),
            "unread": pa.array([None if one.status else one.problem for one in files], pa.string()),
        }
    )
