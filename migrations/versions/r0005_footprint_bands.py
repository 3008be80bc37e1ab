"""The band of declination of each footprint, so that a question need not look at the circles of all.

The table is made anew: DuckDB does not commit a table that was altered after it was updated in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

from catalog.store.history.footprints import BAND
from catalog.store.schema.models import Shapes

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "footprints_with_bands",
        sa.Column(
            "s_region",
            sa.String(),
            nullable=False,
            comment="as the archive writes it: POLYGON or CIRCLE, ICRS, degrees",
        ),
        sa.Column("ra", sa.Double(), nullable=False, comment="of the circle about it, degrees"),
        sa.Column("dec", sa.Double(), nullable=False, comment="of the circle about it, degrees"),
        sa.Column("radius", sa.Double(), nullable=False, comment="of the circle about it, degrees"),
        sa.Column("number", sa.BigInteger(), comment="by which files.footprint refers to it"),
        sa.Column(
            "shapes", Shapes(), comment="what s_region says: corners as unit vectors, and a radius about them, radians"
        ),
        sa.Column(
            "band", sa.SmallInteger(), comment="the degree of declination of the circle's centre; -100 of wide circles"
        ),
    )
    op.execute(
        f"""INSERT INTO footprints_with_bands
            SELECT s_region, ra, "dec", radius, number, shapes, {BAND} FROM footprints ORDER BY number, s_region"""
    )
    op.drop_table("footprints")
    op.rename_table("footprints_with_bands", "footprints")
