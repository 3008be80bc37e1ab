"""The tables of a catalog, as SQLAlchemy models.

These are the fixed columns. Three tables grow by columns of the archive when these first appear: `file_version`,
`observation_version` and `product_version`.

No table has a primary key, a unique constraint, a foreign key or an index. The same schema must also work in DuckLake,
which has none of them; and in a column store they cost more than they give. The merge keeps keys unique.
"""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Double, Integer, MetaData, SmallInteger, String, Table, Text
from sqlalchemy.types import TIMESTAMP, UserDefinedType

from catalog.missions import JWST
from catalog.store.history.footprints import STORED_SHAPES
from catalog.store.schema.column_meanings import COLUMNS

metadata = MetaData()


class Shapes(UserDefinedType[object]):
    """The type of the column of `footprints` that has the shapes of a region."""

    cache_ok = True

    def get_col_spec(self, **options: object) -> str:
        """Return the type, as DuckDB writes it."""
        return STORED_SHAPES


def _mission() -> Column[object]:
    return Column("mission", String, nullable=False, server_default=JWST.collection, comment="as CAOM calls it")


searches = Table(
    "searches",
    metadata,
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False, comment="files: a keyword search; observations: an advanced search"),
    Column(
        "instrument",
        String,
        comment="whose keyword search is asked; null for an observation search",
    ),
    Column("criteria", ARRAY(Text), comment="as the user wrote them, KEYWORD=VALUE"),
    Column("cone", String, comment="of an observation search: RA,DEC,RADIUS in degrees"),
    Column("cursor_mjd", Double, comment="newest ingest completion seen, MJD (UTC)"),
    Column("created_at", TIMESTAMP, nullable=False),
    Column("edited_run", Integer, comment="newest run when its criteria were edited; null: never"),
    Column("declared", Boolean, comment="mastlake.toml described it at its last run"),
    _mission(),
    comment="saved searches",
)

search_cursor = Table(
    "search_cursor",
    metadata,
    Column("search", String, nullable=False),
    Column("instrument", String, nullable=False, comment="whose keyword search was read up to the cursor"),
    Column("cursor_mjd", Double, comment="newest ingest completion seen, MJD (UTC)"),
    comment="how far each search has seen what the archive took in, by instrument",
)

search_edit = Table(
    "search_edit",
    metadata,
    Column("search", String, nullable=False, comment="its name afterwards, or before it was removed"),
    Column("act", String, nullable=False, comment="edited, renamed or removed"),
    Column("edited_at", TIMESTAMP, nullable=False, comment="UTC"),
    Column("run", Integer, nullable=False, comment="newest run then"),
    Column("former_name", String, nullable=False, comment="the name of the search before the edit"),
    Column("instrument", String, comment="as it was before; null for an observation search"),
    Column("criteria", ARRAY(Text), comment="as they were before"),
    Column("cone", String, comment="as it was before"),
    comment="what searches were before they were edited, renamed or removed",
)

runs = Table(
    "runs",
    metadata,
    Column("run", Integer, nullable=False),
    Column("search", String, nullable=False),
    Column("kind", String, nullable=False, comment="full or incremental"),
    Column("server", String, nullable=False),
    Column("started_at", TIMESTAMP, nullable=False),
    Column("ended_at", TIMESTAMP, nullable=False),
    Column("cursor_mjd", Double, comment="the search's cursor after this run"),
    Column("files", BigInteger, nullable=False, comment="how many the search matched; 0 for an observation search"),
    Column("new", BigInteger, nullable=False, comment="of what was searched for: files or observations"),
    Column("changed", BigInteger, nullable=False),
    Column("withdrawn", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("observations", BigInteger, nullable=False),
    Column("products", BigInteger, nullable=False),
    Column("linked", BigInteger, nullable=False, comment="files with a product row"),
    Column("requests", BigInteger, nullable=False, comment="asked of the archive"),
    _mission(),
    comment="one row for each harvest of a search",
)

changes = Table(
    "changes",
    metadata,
    Column("run", Integer, nullable=False),
    Column("kind", String, nullable=False, comment="new, changed, withdrawn or returned"),
    Column("what", String, nullable=False, comment="file, observation or product"),
    Column("key", String, nullable=False, comment="filename, obs_id or data_uri"),
    Column("columns", ARRAY(Text), comment="that differ, where the kind is changed"),
    comment="what each run changed: new, changed, withdrawn and returned files, observations and products",
)

pending = Table(
    "pending",
    metadata,
    Column("what", String, nullable=False, comment="what is to be asked again: products, observation or program"),
    Column("key", String, nullable=False, comment="of which observation (obs_id) or program"),
    Column("search", String, nullable=False),
    Column("run", Integer, nullable=False),
    Column("reason", Text),
    comment="what could not be asked of the archive, and is asked again by the next harvest",
)

set_aside = Table(
    "set_aside",
    metadata,
    Column("run", Integer, nullable=False),
    Column("what", String, nullable=False, comment="file, observation or product"),
    Column("reason", Text, nullable=False, comment="why these rows cannot be kept"),
    Column("rows", BigInteger, nullable=False, comment="how many"),
    comment="rows of the archive that a run could not keep, counted by what is wrong with them",
)
ingest_mark = Table(
    "ingest_mark",
    metadata,
    Column("instrument", String, nullable=False, comment="whose keyword search lists the files"),
    Column("program", String, comment="of the observers, as the archive writes it"),
    Column("observation", String, nullable=False, comment="its number in the program, like jw02734-o001"),
    Column("mark", BigInteger, comment="of the names and ingest times of its files; null: it has none any more"),
    Column("since_run", Integer, nullable=False),
    comment="when the files of each observation were ingested, by which a harvest sees what was processed again",
)
product_reading = Table(
    "product_reading",
    metadata,
    Column("obs_id", String, nullable=False),
    Column("run", Integer, nullable=False, comment="the last run that read its products"),
    comment="when the products of each observation were last read",
)


def _versioned(name: str, comment: str, key: str, *columns: Column[object]) -> Table:
    """Make a table of versions: each row is true from ``since_run`` until ``until_run`` (null: now)."""
    return Table(
        name,
        metadata,
        Column(key, String, nullable=False),
        *columns,
        Column("since_run", Integer, nullable=False),
        Column("until_run", Integer),
        comment=comment,
    )


def _of_the_archive() -> tuple[Column[object], ...]:
    """Return the columns that rows of the archive have in addition to the archive's own."""
    odd = "values that their own column cannot hold, as the archive wrote them: a JSON object of texts by column"
    return (_mission(), Column("row_hash", BigInteger, nullable=False), Column("odd_cells", String, comment=odd))


file_version = _versioned(
    "file_version",
    "every state that files were in, from since_run until until_run; see the view files",
    "filename",
    Column("instrument", String, nullable=False, comment="whose keyword search returned it"),
    Column("obs_id", String, comment="CAOM's, from the file's product row; the keyword obs_id is si_obs_id"),
    Column("checked_run", Integer, nullable=False, comment="the last run that read the whole row"),
    Column("footprint", BigInteger, comment="footprints.number of its s_region, or else of its observation's"),
    *_of_the_archive(),
)
observation_version = _versioned(
    "observation_version",
    "every state that observations were in; see the view observations",
    "obs_id",
    *_of_the_archive(),
)
product_version = _versioned(
    "product_version",
    "every state that products were in; see the view products",
    "data_uri",
    *_of_the_archive(),
)
column_finding = Table(
    "column_finding",
    metadata,
    Column("run", Integer, nullable=False),
    _mission(),
    Column("what", String, nullable=False, comment="file, observation or product"),
    Column("column", String, nullable=False, comment="as the catalog spells it"),
    Column("kind", String, nullable=False, comment="type of this column"),
    Column("came_as", String, nullable=False, comment="type that most of the values had which the run brought"),
    Column("kept_in", String, nullable=False, comment="column that has the values which the first cannot hold"),
    comment="columns of the archive that came with another type than before, and where such values are kept",
)

observation_product_link = _versioned(
    "observation_product_link",
    "which products observations listed when; see the view observation_products",
    "obs_id",
    Column("data_uri", String, nullable=False),
)
search_file_membership = _versioned(
    "search_file_membership",
    "which files searches matched when; see the view search_files",
    "search",
    Column("filename", String, nullable=False),
)
search_observation_membership = _versioned(
    "search_observation_membership",
    "which observations searches led to when; see the view search_observations",
    "search",
    Column("obs_id", String, nullable=False),
)

footprints = Table(  # made from the archive's s_region; see sky_macros
    "footprints",
    metadata,
    Column("s_region", String, nullable=False, comment="as the archive writes it: POLYGON or CIRCLE, ICRS, degrees"),
    Column("ra", Double, nullable=False, comment="of the circle about it, degrees"),
    Column("dec", Double, nullable=False, comment="of the circle about it, degrees"),
    Column("radius", Double, nullable=False, comment="of the circle about it, degrees"),
    Column("number", BigInteger, comment="by which files.footprint refers to it"),
    Column("shapes", Shapes(), comment="what s_region says: corners as unit vectors, and a radius about them, radians"),
    Column("band", SmallInteger, comment="the degree of declination of the circle's centre; -100 of wide circles"),
    comment="every footprint (s_region) that was harvested, with a circle about it; see footprints_overlapping()",
)

local_file_version = Table(
    "local_file_version",
    metadata,
    Column("file_id", BigInteger, nullable=False, comment="one state of one file; its HDUs and cards carry it"),
    Column("path", String, nullable=False, comment="absolute"),
    Column("filename", String, nullable=False),
    Column("size", BigInteger, nullable=False, comment="bytes"),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("checksum", String, comment="MD5 of the bytes, where they were read whole"),
    Column("data_uri", String, comment="where a sync fetched it from"),
    Column("indexed", Boolean, nullable=False, comment="its headers are in the catalog"),
    Column("problem", Text, comment="what is wrong with its bytes or structure; null: nothing found"),
    Column("since_at", TIMESTAMP, nullable=False),
    Column("until_at", TIMESTAMP, comment="when it was seen changed, moved or gone; null: now"),
    Column("fetched_checksum", String, comment="MD5 of the bytes that a sync proved and put here"),
    Column("fetched_size", BigInteger, comment="bytes that a sync put here"),
    Column("fetched_mtime_ns", BigInteger, comment="modification time when a sync had put the file here"),
    Column("fetched_at", TIMESTAMP, comment="when a sync put the file here, UTC"),
    Column("fetched_run", Integer, comment="newest run when it was fetched: the version of its row then"),
    Column("trusted", Boolean, comment="a person accepted the bytes although their MD5 is not the archive's"),
    Column("ended", String, comment="why this state ended: changed, moved, gone or forgotten; null: it is true"),
    comment="every state that files on this disk were in; see the view local_files",
)

local_verdict = Table(  # a file without a row is current
    "local_verdict",
    metadata,
    Column("file_id", BigInteger, nullable=False),
    Column("state", String, nullable=False, comment="stale, corrupt, modified, unverified or unknown"),
    Column("reason", Text, nullable=False),
    Column("archived", Boolean, nullable=False, comment="the bytes are a version that the archive had"),
    comment="files on this disk that are not known to be the archive's, and why; see the view file_drift",
)

local_folder = Table(
    "local_folder",
    metadata,
    Column("path", String, nullable=False, comment="absolute"),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    comment="folders of files on this disk, as they were when their files were last looked at",
)

keywords = Table(
    "keywords",
    metadata,
    Column("name", String, nullable=False),
    Column("fits_keyword", String),
    Column("kind", String, nullable=False, comment="text, boolean, integer, number or time"),
    Column("unit", String),
    Column("meaning", Text),
    Column("allowed", ARRAY(Text)),
    Column("instruments", ARRAY(Text)),
    Column("hdu", String),
    _mission(),
    comment="the keyword dictionary: what the archive can be searched by",
)

card_label = Table(
    "card_label",
    metadata,
    Column("label_id", Integer, nullable=False),
    Column("keyword", String, nullable=False),
    Column("kind", String, nullable=False, comment="text, boolean, integer, number, complex, undefined, commentary"),
    Column("comment", Text, nullable=False),
    comment="keywords and comments of cards on this disk, each once; see the view cards",
)
card_value = Table(
    "card_value",
    metadata,
    Column("card_id", BigInteger, nullable=False, comment="one distinct card; HDUs refer to it"),
    Column("label_id", Integer, nullable=False, comment="its keyword, kind and comment"),
    Column("text", Text, comment="its value; null: undefined"),
    comment="distinct cards on this disk; see the view cards",
)
hdu_header = Table(
    "hdu_header",
    metadata,
    Column("file_id", BigInteger, nullable=False),
    Column("hdu", Integer, nullable=False, comment="from 0"),
    Column("name", String, nullable=False, comment="EXTNAME"),
    Column("version", Integer, nullable=False, comment="EXTVER"),
    Column("type", String, nullable=False, comment="PRIMARY, IMAGE, BINTABLE, TABLE, GROUPS or COMPRESSED"),
    Column("bitpix", Integer),
    Column("shape", ARRAY(BigInteger), comment="the fastest axis last"),
    Column("header_at", BigInteger, nullable=False, comment="byte in the (uncompressed) file"),
    Column("data_at", BigInteger, nullable=False),
    Column("data_size", BigInteger, comment="bytes, without padding; null: not known"),
    Column("cards", ARRAY(BigInteger), nullable=False, comment="card_value.card_id, in order"),
    comment="HDUs of files on this disk; see the view hdus",
)
local_header = Table(  # grows by the archive's keywords that headers have
    "local_header",
    metadata,
    Column("file_id", BigInteger, nullable=False),
    Column("cal_ver", String),
    Column("crds_ctx", String),
    Column("date", TIMESTAMP),
    Column("asntable", String),
    comment="one row for each file on this disk; see the view headers",
)
keyword_difference = Table(
    "keyword_difference",
    metadata,
    Column("file_id", BigInteger, nullable=False),
    Column("keyword", String, nullable=False, comment="the column's name in headers and files"),
    Column("header", Text, nullable=False, comment="the value that the file has"),
    Column("archive", Text, nullable=False, comment="the value that the archive has now"),
    comment="keywords whose value in a file is not the archive's; see the view keyword_drift",
)
header_finding = Table(
    "header_finding",
    metadata,
    Column("file_id", BigInteger, nullable=False),
    Column("hdu", Integer, nullable=False),
    Column("byte", BigInteger, nullable=False, comment="in the (uncompressed) file"),
    Column("reason", Text, nullable=False),
    Column("harm", Boolean, nullable=False, comment="the file is incomplete, or no FITS structure"),
    comment="what is not as the FITS standard has it; see the view findings",
)
association_member = Table(
    "association_member",
    metadata,
    Column("file_id", BigInteger, nullable=False, comment="of the association file"),
    Column("product", String, nullable=False, comment="name that its products begin with"),
    Column("member", String, nullable=False, comment="filename of an input"),
    Column("exposure_type", String, comment="what the input is for"),
    comment="members of association files on this disk; see the view lineage",
)

for _table in metadata.tables.values():
    for _column in _table.columns:
        _column.comment = _column.comment or COLUMNS.get(_column.name)
