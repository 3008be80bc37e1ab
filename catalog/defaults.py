"""Default values for the command line and for Python; each is stated here only."""

from __future__ import annotations

CATALOG = "mastlake.duckdb"
"""The catalog file, in the working folder."""
LOCAL_CATALOG = "mastlake.local.duckdb"
"""The file with the local files beside a catalog that others published, in the working folder."""
SERVER = "https://mast.stsci.edu"
"""The archive's address: MAST."""
DEST = "mast"
"""The folder in which a sync puts files."""
TEMPLATE = "{filename}"
"""How files lie in that folder; by default, side by side."""
JOBS = 8
"""How many files a sync fetches at the same time."""
SOURCE = "mast"
"""From where a sync fetches files: MAST, and not its public bucket."""
