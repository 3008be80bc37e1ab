"""Alembic runs this module, which applies revisions on the connection that the store passes."""

from alembic import context

from catalog.store.schema.models import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table_pk=False)
context.run_migrations()
