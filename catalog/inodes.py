"""Inode numbers as the catalog keeps them."""

from __future__ import annotations


def signed(inode: int) -> int:
    """Return an inode as a number of 64 bits with a sign, which is what BIGINT takes.

    Network file systems give out inodes of 2^63 and more; those become negative.

    Examples
    --------
    >>> signed(7), signed(2**63), signed(2**64 - 1)
    (7, -9223372036854775808, -1)
    """
    return inode if inode < 1 << 63 else inode - (1 << 64)
