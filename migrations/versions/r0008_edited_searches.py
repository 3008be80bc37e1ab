"""Searches can be edited, renamed and removed; what they were stays known. One search may have several instruments."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "searches",
        sa.Column("edited_run", sa.Integer(), comment="newest run when its criteria were edited; null: never"),
    )
    op.add_column("searches", sa.Column("declared", sa.Boolean(), comment="mastlake.toml described it at its last run"))
    op.create_table(
        "search_cursor",
        sa.Column("search", sa.String(), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False, comment="whose keyword search was read up to the cursor"),
        sa.Column("cursor_mjd", sa.Double(), comment="newest ingest completion seen, MJD (UTC)"),
    )
    op.create_table(
        "search_edit",
        sa.Column("search", sa.String(), nullable=False, comment="its name afterwards, or before it was removed"),
        sa.Column("act", sa.String(), nullable=False, comment="edited, renamed or removed"),
        sa.Column("edited_at", sa.types.TIMESTAMP(), nullable=False, comment="UTC"),
        sa.Column("run", sa.Integer(), nullable=False, comment="newest run then"),
        sa.Column("former_name", sa.String(), nullable=False, comment="the name of the search before the edit"),
        sa.Column("instrument", sa.String(), comment="as it was before; null for an observation search"),
        sa.Column("criteria", sa.ARRAY(sa.Text()), comment="as they were before"),
        sa.Column("cone", sa.String(), comment="as it was before"),
    )
    op.execute(
        """INSERT INTO search_cursor
           SELECT name, instrument, cursor_mjd FROM searches WHERE instrument IS NOT NULL AND cursor_mjd IS NOT NULL"""
    )


def downgrade() -> None:
    raise NotImplementedError("a catalog is never taken back to an older schema")
