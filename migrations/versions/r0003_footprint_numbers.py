"""A number for each footprint, and with each file the number of its own."""

import sqlalchemy as sa
from alembic import op

from catalog.store.history.footprints import NUMBER, number_files

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("footprints", sa.Column("number", sa.BigInteger(), comment="by which files.footprint refers to it"))
    op.add_column(
        "file_version",
        sa.Column(
            "footprint", sa.BigInteger(), comment="footprints.number of its s_region, or else of its observation's"
        ),
    )
    op.execute(f"UPDATE footprints SET number = {NUMBER}")
    duck = op.get_bind().connection.driver_connection
    assert duck is not None
    number_files(duck, 0)
