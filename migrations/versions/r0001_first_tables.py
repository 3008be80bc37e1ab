"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False, comment="new, changed, withdrawn or returned"),
        sa.Column("what", sa.String(), nullable=False, comment="file, observation or product"),
        sa.Column("key", sa.String(), nullable=False, comment="filename, obs_id or data_uri"),
        sa.Column("columns", sa.ARRAY(sa.Text()), nullable=True, comment="that differ, where the kind is changed"),
    )
    op.create_table(
        "file_version",
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("instrument", sa.String(), nullable=False, comment="whose keyword search returned it"),
        sa.Column(
            "obs_id",
            sa.String(),
            nullable=True,
            comment="CAOM's, from the file's product row; the keyword obs_id is si_obs_id",
        ),
        sa.Column(
            "row_hash",
            sa.BigInteger(),
            nullable=False,
            comment="of all keyword values, to see a change quickly",
        ),
        sa.Column("checked_run", sa.Integer(), nullable=False, comment="the last run that read the whole row"),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("until_run", sa.Integer(), nullable=True),
    )
    op.create_table(
        "footprints",
        sa.Column(
            "s_region",
            sa.String(),
            nullable=False,
            comment="as the archive writes it: POLYGON or CIRCLE, ICRS, degrees",
        ),
        sa.Column("ra", sa.Double(), nullable=False, comment="of the circle about it, degrees"),
        sa.Column("dec", sa.Double(), nullable=False, comment="of the circle about it, degrees"),
        sa.Column("radius", sa.Double(), nullable=False, comment="of the circle about it, degrees"),
    )
    op.create_table(
        "keywords",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fits_keyword", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False, comment="text, boolean, integer, number or time"),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("meaning", sa.Text(), nullable=True),
        sa.Column("allowed", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("instruments", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("hdu", sa.String(), nullable=True),
    )
    op.create_table(
        "local_file_version",
        sa.Column(
            "file_id",
            sa.BigInteger(),
            nullable=False,
            comment="one state of one file; its HDUs and cards carry it",
        ),
        sa.Column("path", sa.String(), nullable=False, comment="absolute"),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes"),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(), nullable=True, comment="MD5 of the bytes, where they were read whole"),
        sa.Column("data_uri", sa.String(), nullable=True, comment="where a sync fetched it from"),
        sa.Column("indexed", sa.Boolean(), nullable=False, comment="its headers are in the catalog"),
        sa.Column(
            "problem",
            sa.Text(),
            nullable=True,
            comment="what is wrong with its bytes or structure; null: nothing found",
        ),
        sa.Column("since_at", sa.TIMESTAMP(), nullable=False),
        sa.Column(
            "until_at",
            sa.TIMESTAMP(),
            nullable=True,
            comment="when it was seen changed, moved or gone; null: now",
        ),
    )
    op.create_table(
        "observation_product_link",
        sa.Column("obs_id", sa.String(), nullable=False),
        sa.Column("data_uri", sa.String(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("until_run", sa.Integer(), nullable=True),
    )
    op.create_table(
        "observation_version",
        sa.Column("obs_id", sa.String(), nullable=False),
        sa.Column("row_hash", sa.BigInteger(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("until_run", sa.Integer(), nullable=True),
    )
    op.create_table(
        "pending",
        sa.Column("what", sa.String(), nullable=False, comment="what is to be asked again: products"),
        sa.Column("key", sa.String(), nullable=False, comment="of which observation (obs_id)"),
        sa.Column("search", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
    )
    op.create_table(
        "product_version",
        sa.Column("data_uri", sa.String(), nullable=False),
        sa.Column("row_hash", sa.BigInteger(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("until_run", sa.Integer(), nullable=True),
    )
    op.create_table(
        "runs",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("search", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False, comment="full or incremental"),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("started_at", sa.TIMESTAMP(), nullable=False),
        sa.Column("ended_at", sa.TIMESTAMP(), nullable=False),
        sa.Column("cursor_mjd", sa.Double(), nullable=True, comment="the search's cursor after this run"),
        sa.Column(
            "files",
            sa.BigInteger(),
            nullable=False,
            comment="how many the search matched; 0 for an observation search",
        ),
        sa.Column(
            "new",
            sa.BigInteger(),
            nullable=False,
            comment="of what was searched for: files or observations",
        ),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=False),
        sa.Column("returned", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("observations", sa.BigInteger(), nullable=False),
        sa.Column("products", sa.BigInteger(), nullable=False),
        sa.Column("linked", sa.BigInteger(), nullable=False, comment="files with a product row"),
        sa.Column("requests", sa.BigInteger(), nullable=False, comment="asked of the archive"),
    )
    op.create_table(
        "search_file_membership",
        sa.Column("search", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("until_run", sa.Integer(), nullable=True),
    )
    op.create_table(
        "search_observation_membership",
        sa.Column("search", sa.String(), nullable=False),
        sa.Column("obs_id", sa.String(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("until_run", sa.Integer(), nullable=True),
    )
    op.create_table(
        "searches",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="files: a keyword search; observations: an advanced search",
        ),
        sa.Column(
            "instrument",
            sa.String(),
            nullable=True,
            comment="whose keyword search is asked; null for an observation search",
        ),
        sa.Column("criteria", sa.ARRAY(sa.Text()), nullable=True, comment="as the user wrote them, KEYWORD=VALUE"),
        sa.Column("cone", sa.String(), nullable=True, comment="of an observation search: RA,DEC,RADIUS in degrees"),
        sa.Column("cursor_mjd", sa.Double(), nullable=True, comment="newest ingest completion seen, MJD (UTC)"),
        sa.Column("created_at", sa.TIMESTAMP(), nullable=False),
    )
    op.create_table(
        "card_label",
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("keyword", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.String(),
            nullable=False,
            comment="text, boolean, integer, number, complex, undefined, commentary",
        ),
        sa.Column("comment", sa.Text(), nullable=False),
    )
    op.create_table(
        "card_value",
        sa.Column("card_id", sa.Integer(), nullable=False, comment="one distinct card; HDUs refer to it"),
        sa.Column("label_id", sa.Integer(), nullable=False, comment="its keyword, kind and comment"),
        sa.Column("text", sa.Text(), nullable=True, comment="its value; null: undefined"),
    )
    op.create_table(
        "hdu_header",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("hdu", sa.Integer(), nullable=False, comment="from 0"),
        sa.Column("name", sa.String(), nullable=False, comment="EXTNAME"),
        sa.Column("version", sa.Integer(), nullable=False, comment="EXTVER"),
        sa.Column(
            "type",
            sa.String(),
            nullable=False,
            comment="PRIMARY, IMAGE, BINTABLE, TABLE, GROUPS or COMPRESSED",
        ),
        sa.Column("bitpix", sa.Integer(), nullable=True),
        sa.Column("shape", sa.ARRAY(sa.BigInteger()), nullable=True, comment="the fastest axis last"),
        sa.Column("header_at", sa.BigInteger(), nullable=False, comment="byte in the (uncompressed) file"),
        sa.Column("data_at", sa.BigInteger(), nullable=False),
        sa.Column("data_size", sa.BigInteger(), nullable=True, comment="bytes, without padding; null: not known"),
        sa.Column("cards", sa.ARRAY(sa.Integer()), nullable=False, comment="card_value.card_id, in order"),
    )
    op.create_table(
        "local_header",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("cal_ver", sa.String(), nullable=True),
        sa.Column("crds_ctx", sa.String(), nullable=True),
        sa.Column("date", sa.TIMESTAMP(), nullable=True),
        sa.Column("asntable", sa.String(), nullable=True),
    )
    op.create_table(
        "header_finding",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("hdu", sa.Integer(), nullable=False),
        sa.Column("byte", sa.BigInteger(), nullable=False, comment="in the (uncompressed) file"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "harm",
            sa.Boolean(),
            nullable=False,
            comment="the file is incomplete, or no FITS structure",
        ),
    )
    op.create_table(
        "association_member",
        sa.Column("file_id", sa.BigInteger(), nullable=False, comment="of the association file"),
        sa.Column("product", sa.String(), nullable=False, comment="name that its products begin with"),
        sa.Column("member", sa.String(), nullable=False, comment="filename of an input"),
        sa.Column("exposure_type", sa.String(), nullable=True, comment="what the input is for"),
    )


def downgrade() -> None:
    raise NotImplementedError("a catalog is never taken back to an older schema")
