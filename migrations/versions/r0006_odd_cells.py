"""Values of the archive that their own column cannot hold, beside the row."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COMMENT = "values that their own column cannot hold, as the archive wrote them: a JSON object of texts by column"


def upgrade() -> None:
    for table in ("file_version", "observation_version", "product_version"):
        op.add_column(table, sa.Column("odd_cells", sa.String(), comment=COMMENT))
