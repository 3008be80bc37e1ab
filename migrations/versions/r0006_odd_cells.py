"""Values of the archive that their own column cannot hold, beside the row."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("file_version", "observation_version", "product_version"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS odd_cells VARCHAR")
