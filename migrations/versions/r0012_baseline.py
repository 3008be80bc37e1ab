"""The first schema: every table of a catalog.

This baseline does not change any more. Later changes have revisions of their own, with SQL of their own.
"""

from alembic import op

revision = "0012"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE association_member (
        file_id BIGINT NOT NULL,
        product VARCHAR NOT NULL,
        member VARCHAR NOT NULL,
        exposure_type VARCHAR
    )
    """,
    """
    CREATE TABLE card_label (
        label_id INTEGER NOT NULL,
        keyword VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        comment TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE card_value (
        card_id BIGINT NOT NULL,
        label_id INTEGER NOT NULL,
        text TEXT
    )
    """,
    """
    CREATE TABLE changes (
        run INTEGER NOT NULL,
        kind VARCHAR NOT NULL,
        what VARCHAR NOT NULL,
        key VARCHAR NOT NULL,
        "columns" TEXT[]
    )
    """,
    """
    CREATE TABLE column_finding (
        run INTEGER NOT NULL,
        mission VARCHAR DEFAULT 'JWST' NOT NULL,
        what VARCHAR NOT NULL,
        "column" VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        came_as VARCHAR NOT NULL,
        kept_in VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE file_version (
        filename VARCHAR NOT NULL,
        instrument VARCHAR NOT NULL,
        obs_id VARCHAR,
        checked_run INTEGER NOT NULL,
        footprint BIGINT,
        mission VARCHAR DEFAULT 'JWST' NOT NULL,
        row_hash BIGINT NOT NULL,
        odd_cells VARCHAR,
        since_run INTEGER NOT NULL,
        until_run INTEGER
    )
    """,
    """
    CREATE TABLE footprints (
        s_region VARCHAR NOT NULL,
        ra DOUBLE PRECISION NOT NULL,
        dec DOUBLE PRECISION NOT NULL,
        radius DOUBLE PRECISION NOT NULL,
        number BIGINT,
        shapes STRUCT(corners DOUBLE[][], radius DOUBLE)[],
        band SMALLINT
    )
    """,
    """
    CREATE TABLE hdu_header (
        file_id BIGINT NOT NULL,
        hdu INTEGER NOT NULL,
        name VARCHAR NOT NULL,
        version INTEGER NOT NULL,
        type VARCHAR NOT NULL,
        bitpix INTEGER,
        shape BIGINT[],
        header_at BIGINT NOT NULL,
        data_at BIGINT NOT NULL,
        data_size BIGINT,
        cards BIGINT[] NOT NULL
    )
    """,
    """
    CREATE TABLE header_finding (
        file_id BIGINT NOT NULL,
        hdu INTEGER NOT NULL,
        byte BIGINT NOT NULL,
        reason TEXT NOT NULL,
        harm BOOLEAN NOT NULL
    )
    """,
    """
    CREATE TABLE ingest_mark (
        instrument VARCHAR NOT NULL,
        program VARCHAR,
        observation VARCHAR NOT NULL,
        mark BIGINT,
        since_run INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE keyword_difference (
        file_id BIGINT NOT NULL,
        keyword VARCHAR NOT NULL,
        header TEXT NOT NULL,
        archive TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE keywords (
        name VARCHAR NOT NULL,
        fits_keyword VARCHAR,
        kind VARCHAR NOT NULL,
        unit VARCHAR,
        meaning TEXT,
        allowed TEXT[],
        instruments TEXT[],
        hdu VARCHAR,
        mission VARCHAR DEFAULT 'JWST' NOT NULL
    )
    """,
    """
    CREATE TABLE local_file_version (
        file_id BIGINT NOT NULL,
        path VARCHAR NOT NULL,
        filename VARCHAR NOT NULL,
        size BIGINT NOT NULL,
        mtime_ns BIGINT NOT NULL,
        inode BIGINT NOT NULL,
        checksum VARCHAR,
        data_uri VARCHAR,
        indexed BOOLEAN NOT NULL,
        problem TEXT,
        since_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
        until_at TIMESTAMP WITHOUT TIME ZONE,
        fetched_checksum VARCHAR,
        fetched_size BIGINT,
        fetched_mtime_ns BIGINT,
        fetched_at TIMESTAMP WITHOUT TIME ZONE,
        fetched_run INTEGER,
        trusted BOOLEAN,
        ended VARCHAR
    )
    """,
    """
    CREATE TABLE local_folder (
        path VARCHAR NOT NULL,
        mtime_ns BIGINT NOT NULL,
        inode BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE local_header (
        file_id BIGINT NOT NULL,
        cal_ver VARCHAR,
        crds_ctx VARCHAR,
        date TIMESTAMP WITHOUT TIME ZONE,
        asntable VARCHAR
    )
    """,
    """
    CREATE TABLE local_verdict (
        file_id BIGINT NOT NULL,
        state VARCHAR NOT NULL,
        reason TEXT NOT NULL,
        archived BOOLEAN NOT NULL
    )
    """,
    """
    CREATE TABLE observation_product_link (
        obs_id VARCHAR NOT NULL,
        data_uri VARCHAR NOT NULL,
        since_run INTEGER NOT NULL,
        until_run INTEGER
    )
    """,
    """
    CREATE TABLE observation_version (
        obs_id VARCHAR NOT NULL,
        mission VARCHAR DEFAULT 'JWST' NOT NULL,
        row_hash BIGINT NOT NULL,
        odd_cells VARCHAR,
        since_run INTEGER NOT NULL,
        until_run INTEGER
    )
    """,
    """
    CREATE TABLE pending (
        what VARCHAR NOT NULL,
        key VARCHAR NOT NULL,
        search VARCHAR NOT NULL,
        run INTEGER NOT NULL,
        reason TEXT
    )
    """,
    """
    CREATE TABLE product_reading (
        obs_id VARCHAR NOT NULL,
        run INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE product_version (
        data_uri VARCHAR NOT NULL,
        mission VARCHAR DEFAULT 'JWST' NOT NULL,
        row_hash BIGINT NOT NULL,
        odd_cells VARCHAR,
        since_run INTEGER NOT NULL,
        until_run INTEGER
    )
    """,
    """
    CREATE TABLE runs (
        run INTEGER NOT NULL,
        search VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        server VARCHAR NOT NULL,
        started_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
        ended_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
        cursor_mjd DOUBLE PRECISION,
        files BIGINT NOT NULL,
        "new" BIGINT NOT NULL,
        changed BIGINT NOT NULL,
        withdrawn BIGINT NOT NULL,
        returned BIGINT NOT NULL,
        unchanged BIGINT NOT NULL,
        observations BIGINT NOT NULL,
        products BIGINT NOT NULL,
        linked BIGINT NOT NULL,
        requests BIGINT NOT NULL,
        mission VARCHAR DEFAULT 'JWST' NOT NULL
    )
    """,
    """
    CREATE TABLE search_cursor (
        search VARCHAR NOT NULL,
        instrument VARCHAR NOT NULL,
        cursor_mjd DOUBLE PRECISION
    )
    """,
    """
    CREATE TABLE search_edit (
        search VARCHAR NOT NULL,
        act VARCHAR NOT NULL,
        edited_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
        run INTEGER NOT NULL,
        former_name VARCHAR NOT NULL,
        instrument VARCHAR,
        criteria TEXT[],
        cone VARCHAR
    )
    """,
    """
    CREATE TABLE search_file_membership (
        search VARCHAR NOT NULL,
        filename VARCHAR NOT NULL,
        since_run INTEGER NOT NULL,
        until_run INTEGER
    )
    """,
    """
    CREATE TABLE search_observation_membership (
        search VARCHAR NOT NULL,
        obs_id VARCHAR NOT NULL,
        since_run INTEGER NOT NULL,
        until_run INTEGER
    )
    """,
    """
    CREATE TABLE searches (
        name VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        instrument VARCHAR,
        criteria TEXT[],
        cone VARCHAR,
        cursor_mjd DOUBLE PRECISION,
        created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
        edited_run INTEGER,
        declared BOOLEAN,
        mission VARCHAR DEFAULT 'JWST' NOT NULL
    )
    """,
    """
    CREATE TABLE set_aside (
        run INTEGER NOT NULL,
        what VARCHAR NOT NULL,
        reason TEXT NOT NULL,
        rows BIGINT NOT NULL
    )
    """,
)


def upgrade() -> None:
    for table in TABLES:
        op.execute(table)


def downgrade() -> None:
    raise NotImplementedError("a catalog is never taken back to an older schema")
