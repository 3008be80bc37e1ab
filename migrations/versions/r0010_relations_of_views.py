"""Views that read tables alone, and table macros that take the name of an attached catalog.

All views and macros are made anew after the last revision, so this one has no statement of its own.
"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change no table."""
