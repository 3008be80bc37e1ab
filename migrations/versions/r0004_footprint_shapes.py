"""The shape of each footprint, read once, so that an overlap need not read the text of every footprint that is near.

The table is made anew: DuckDB does not commit a table that was altered after it was updated in the same transaction.
"""

import sqlalchemy as sa
from alembic import op

from catalog.store.schema.models import Shapes
from catalog.store.schema.sky_macros import make_region_macros

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "footprints_with_shapes",
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
    )
    op.execute(
        """INSERT INTO footprints_with_shapes
           SELECT s_region, ra, "dec", radius, number, NULL FROM footprints ORDER BY number, s_region"""
    )
    op.drop_table("footprints")
    op.rename_table("footprints_with_shapes", "footprints")
    duck = op.get_bind().connection.driver_connection
    assert duck is not None
    make_region_macros(duck)
    duck.execute("UPDATE footprints SET shapes = region_shapes(s_region)")
