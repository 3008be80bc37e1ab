"""The product lists of observations, looked up in the time that the list takes, however large the archive is.

A join would read the whole table of products for each request, and a harvest of a million files makes thousands of
them. So products and their owners are kept in Arrow columns, with the numbers of their rows in the order of each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]

_OWNER = ("obsid", "obs_id", "dataproduct_type", "calib_level", "proposal_id", "dataRights", "filters")
_PRODUCT = ("filename", "size", "calib_level", "description", "product_type", "subgroup", "prvversion")
_MANY_VALUES = ("obsid", "obs_id", "filename", "size")

RELATION = "product_list"
LISTED = f"""
    SELECT owner_obsid AS "obsID", 'JWST' AS obs_collection, owner_dataproduct_type AS dataproduct_type,
           owner_obs_id AS obs_id, description, CASE WHEN owner_calib_level = 3 THEN 'D' ELSE 'S' END AS type,
           'mast:JWST/product/' || filename AS "dataURI", product_type AS "productType",
           CASE WHEN owner_obsid = parent AND product_type IN ('SCIENCE', 'INFO')
                THEN 'Minimum Recommended Products' END AS "productGroupDescription",
           subgroup AS "productSubGroupDescription", NULL::VARCHAR AS "productDocumentationURL", 'CALJWST' AS project,
           prvversion, owner_proposal_id AS proposal_id, filename AS "productFilename", size, parent AS parent_obsid,
           "owner_dataRights" AS "dataRights", calib_level, owner_filters AS filters
    FROM {RELATION}
"""
"""The archive's columns of the rows that `ProductLists.of` returns, which are registered as `RELATION`."""


@dataclass(frozen=True)
class Groups:
    """The numbers of rows by the value of one key.

    Attributes
    ----------
    keys : array
        The keys of the rows, ascending.
    rows : array
        The number of the row of each key.
    """

    keys: Numbers
    rows: Numbers

    @classmethod
    def by(cls, keys: Numbers, rows: Numbers) -> Groups:
        """Group rows by their keys."""
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], rows[order])

    def of(self, wanted: Numbers) -> tuple[Numbers, Numbers]:
        """Return the rows of some keys, and for each row the place of its key among those that are wanted."""
        first, end = np.searchsorted(self.keys, wanted), np.searchsorted(self.keys, wanted, "right")
        places = np.repeat(np.arange(len(wanted)), end - first)
        spans = [np.arange(a, b) for a, b in zip(first.tolist(), end.tolist(), strict=True)]
        return self.rows[np.concatenate(spans)] if spans else wanted, places


@dataclass(frozen=True)
class ProductLists:
    """The products that the archive has at the moment, and the observations that list them.

    Attributes
    ----------
    owners, products : pyarrow.Table
        The columns that answers show.
    numbers : dict
        The row of each observation that can be asked for, by its ``obsid``.
    unit, visit : array
        Unit and visit of each observation.
    owner_of : array
        The row of the observation to which each product belongs.
    own, combined, shared : Groups
        Products by their unit, by the unit in which they are combined, and by the visit whose observations share them.
    """

    owners: pa.Table
    products: pa.Table
    numbers: dict[str, int]
    unit: Numbers
    visit: Numbers
    owner_of: Numbers
    own: Groups
    combined: Groups
    shared: Groups

    def of(self, obsids: Sequence[str]) -> pa.Table:
        """Return the products of observations: their own, those of exposures combined in them, and their visit's."""
        asked = np.array([self.numbers[obsid] for obsid in obsids if obsid in self.numbers], np.int64)
        found = [self.own.of(self.unit[asked]), self.combined.of(self.unit[asked]), self.shared.of(self.visit[asked])]
        rows = np.concatenate([of_key for of_key, _ in found])
        parents = asked[np.concatenate([places for _, places in found])]
        parent = self.owners.column("obsid").take(pa.array(parents))
        listed = self.products.take(pa.array(rows)).append_column("parent", parent)
        owners = self.owners.take(pa.array(self.owner_of[rows]))
        for name in _OWNER:
            listed = listed.append_column(f"owner_{name}", owners.column(name))
        keys = pa.table({"row": rows, "parent": parent})
        return listed.take(pc.sort_indices(keys, [("row", "ascending"), ("parent", "ascending")]))


def read_product_lists(con: duckdb.DuckDBPyConnection) -> ProductLists:
    """Read the lists as they are now."""
    owned = "FROM observation WHERE _unit IS NOT NULL ORDER BY _unit"
    present = "FROM product WHERE NOT _gone ORDER BY _product"
    owners = con.execute(f"SELECT _unit, _visit, NOT _gone AS here, obsid {owned}").fetchnumpy()
    keys = con.execute(f"SELECT _unit, _visit, coalesce(_parent, -1) AS _parent, _shared {present}").fetchnumpy()
    shared, rows = keys["_shared"], np.arange(len(keys["_unit"]))
    combined = ~shared & (keys["_parent"] >= 0)
    obsids = zip(owners["obsid"].tolist(), owners["here"].tolist(), strict=True)
    return ProductLists(
        _columns(con, _OWNER, owned),
        _columns(con, _PRODUCT, present),
        {obsid: row for row, (obsid, here) in enumerate(obsids) if here},
        owners["_unit"],
        owners["_visit"],
        np.searchsorted(owners["_unit"], keys["_unit"]),
        Groups.by(keys["_unit"][~shared], rows[~shared]),
        Groups.by(keys["_parent"][combined], rows[combined]),
        Groups.by(keys["_visit"][shared], rows[shared]),
    )


def _columns(con: duckdb.DuckDBPyConnection, names: Sequence[str], source: str) -> pa.Table:
    """Read columns one by one; those with few different values become dictionaries."""
    columns = {}
    for name in names:
        column = con.execute(f'SELECT "{name}" {source}').to_arrow_table().column(0)
        packed = column if name in _MANY_VALUES else column.dictionary_encode()
        columns[name] = packed.combine_chunks()
    return pa.table(columns)
