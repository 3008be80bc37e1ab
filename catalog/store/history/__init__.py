"""Everything that writes history: versions of rows, runs, searches and local files."""
