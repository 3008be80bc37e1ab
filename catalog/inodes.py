"""Inode numbers as the catalog keeps them."""

from __future__ import annotations


def signed(inode: int) -> int:
    """Return an inode as a signed number of 64 bits, which fits into BIGINT.

    Network file systems have inodes of 2^63 and more; those become negative.

    Examples
    --------
    >>> signed(7), signed(2**63), signed(2**64 - 1)
    (7, -9223372036854775808, -1)
    """
    return inode if inode < 1 << 63 else inode - (1 << 64)
