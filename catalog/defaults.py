"""What counts where nobody says otherwise, on the command line and from Python; each stands here alone."""

from __future__ import annotations

CATALOG = "mastlake.duckdb"
"""The catalog file, in the working folder."""
SERVER = "https://mast.stsci.edu"
"""The archive's address: MAST."""
DEST = "mast"
"""The folder in which a sync puts files."""
TEMPLATE = "{filename}"
"""How files lie in that folder: side by side."""
JOBS = 8
"""Files that a sync fetches at the same time."""
SOURCE = "mast"
"""Where a sync fetches files: MAST, and not its public bucket."""
