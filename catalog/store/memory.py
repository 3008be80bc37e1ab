"""How much memory DuckDB may have, in MB: each of its threads needs some."""

from __future__ import annotations

import os

THREADS = os.cpu_count() or 1
READING_MB = max(512, 128 * THREADS)
WRITING_MB = max(400, 100 * THREADS)
