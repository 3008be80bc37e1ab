"""Table macros that refuse what is no run, like a date or a number below zero.

All views and macros are made anew after the last revision, so this one has no statement of its own.
"""

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table."""
