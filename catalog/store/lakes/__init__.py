"""The engine whose catalogs are lakes (DuckLake): rows in Parquet files, metadata in a database."""
