"""What a harvest remembers of ingests and of product lists, and the rows that it could not keep."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


_PENDING = {
    "what": "what is to be asked again: products, observation or program",
    "key": "of which observation (obs_id) or program",
}


def upgrade() -> None:
    for column, comment in _PENDING.items():
        op.alter_column("pending", column, comment=comment)
    op.create_table(
        "set_aside",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False, comment="file, observation or product"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why these rows cannot be kept"),
        sa.Column("rows", sa.BigInteger(), nullable=False, comment="how many"),
    )
    op.create_table(
        "ingest_mark",
        sa.Column("instrument", sa.String(), nullable=False, comment="whose keyword search lists the files"),
        sa.Column("program", sa.String(), nullable=True),
        sa.Column("observation", sa.String(), nullable=False, comment="its number in the program, like jw02734-o001"),
        sa.Column(
            "mark",
            sa.BigInteger(),
            nullable=True,
            comment="of the names and ingest times of its files; null: it has none any more",
        ),
        sa.Column("since_run", sa.Integer(), nullable=False),
    )
    op.create_table(
        "product_reading",
        sa.Column("obs_id", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False, comment="the last run that read its products"),
    )
