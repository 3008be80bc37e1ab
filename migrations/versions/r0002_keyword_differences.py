"""Keywords that differ between file and archive are kept, no longer computed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keyword_difference",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("keyword", sa.String(), nullable=False, comment="the column's name in headers and files"),
        sa.Column("header", sa.Text(), nullable=False, comment="the value that the file has"),
        sa.Column("archive", sa.Text(), nullable=False, comment="the value that the archive has now"),
    )


def downgrade() -> None:
    raise NotImplementedError("a catalog is never taken back to an older schema")
