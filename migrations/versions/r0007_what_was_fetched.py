"""What was fetched stays known for good, and the verdict on each local file is kept beside it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS: tuple[sa.Column[Any], ...] = (
    sa.Column("fetched_checksum", sa.String(), comment="MD5 of the bytes that a sync proved and put here"),
    sa.Column("fetched_size", sa.BigInteger(), comment="bytes that a sync put here"),
    sa.Column("fetched_mtime_ns", sa.BigInteger(), comment="modification time when a sync had put the file here"),
    sa.Column("fetched_at", sa.types.TIMESTAMP(), comment="when a sync put the file here, UTC"),
    sa.Column("fetched_run", sa.Integer(), comment="newest run when it was fetched: the version of its row then"),
    sa.Column("trusted", sa.Boolean(), comment="a person accepted the bytes although their MD5 is not the archive's"),
    sa.Column(
        "ended", sa.String(), comment="why this state ended: changed, moved, gone or forgotten; null: it is true"
    ),
)


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("local_file_version", column)
    op.create_table(
        "local_verdict",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, comment="stale, corrupt, modified, unverified or unknown"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False, comment="the bytes are a version that the archive had"),
    )
    op.create_table(
        "local_folder",
        sa.Column("path", sa.String(), nullable=False, comment="absolute"),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
    )
    op.execute(_FETCHED_BEFORE)
    op.execute(_FOLDERS_BEFORE)


_FETCHED_BEFORE = """
    UPDATE local_file_version AS l
    SET fetched_checksum = l.checksum, fetched_size = l.size, fetched_mtime_ns = l.mtime_ns, fetched_at = l.since_at,
        fetched_run = (SELECT max(run) FROM runs WHERE ended_at <= l.since_at)
    WHERE l.data_uri IS NOT NULL AND l.checksum IS NOT NULL
"""
"""Earlier catalogs kept the address of what was fetched, and its MD5 beside it."""

_FOLDERS_BEFORE = """
    INSERT INTO local_folder
    SELECT DISTINCT left(path, len(path) - len(filename) - 1), 0, 0 FROM local_file_version WHERE until_at IS NULL
"""
"""Their state is not known, so the first look lists them."""


def downgrade() -> None:
    raise NotImplementedError("a catalog is never taken back to an older schema")
