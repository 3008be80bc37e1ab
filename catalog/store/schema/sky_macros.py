"""Spherical geometry as SQL macros, so that any DuckDB client can ask for footprints.

A footprint is the archive's ``s_region``: one or more of ``POLYGON`` and ``CIRCLE``, with or without ``ICRS``. A shape
has corners, which are unit vectors, and a radius around them: a circle has one corner, and a polygon has the radius 0.
Sides are arcs of great circles. Polygons are smaller than half of the sky, and may turn either way.

DuckDB replaces the name of a macro's argument by its text everywhere, even inside lambdas. A column with the name of a
lambda's variable would be taken for the variable, so these names end in ``_``. A value that is used more than once
becomes the only element of a list, over which a lambda runs, so that it is computed once.
"""

from __future__ import annotations

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.history.footprints import BAND_REACH, SHAPES, WIDE
from catalog.store.relations import ATTACHED_AS, attached
from catalog.store.schema.inlined_macros import inlined

_MACROS = {
    "separation(ra1, dec1, ra2, dec2)": """
        degrees(2 * asin(least(1.0, sqrt(
            pow(sin(radians(dec2 - dec1) / 2), 2)
            + cos(radians(dec1)) * cos(radians(dec2)) * pow(sin(radians(ra2 - ra1) / 2), 2)
        ))))
    """,
    "unit_vector(ra, declination)": """
        array_value(
            cos(radians(declination)) * cos(radians(ra)), cos(radians(declination)) * sin(radians(ra)),
            sin(radians(declination))
        )
    """,
    "angle_between(a, b)": "2 * asin(least(1.0, array_distance(a, b) / 2))",
    "region_parts(region)": r"""
        regexp_extract_all(
            regexp_replace(upper(region), 'ICRS|J2000|FK5|UNION|BARYCENTER|GEOCENTER|TOPOCENTER|[(),]', ' ', 'g'),
            '(?:POLYGON|CIRCLE)[-+0-9.E\s]*'
        )
    """,
    "region_numbers(part)": r"""
        list_transform(
            regexp_extract_all(part[8:], '[-+]?[0-9]+[.]?[0-9]*(?:E[-+]?[0-9]{1,2})?'), lambda n_: n_::DOUBLE
        )
    """,
    "region_shape(part)": """
        list_transform([region_numbers(part)], lambda n_:
            CASE WHEN part[1:1] = 'C' AND len(n_) = 3 AND abs(n_[2]) <= 90 AND n_[3] >= 0
                THEN {'corners': [unit_vector(n_[1], n_[2])], 'radius': radians(n_[3])}
                WHEN part[1:1] = 'P' AND len(n_) >= 6 AND len(n_) % 2 = 0
                    AND list_max(list_transform(n_[2:-:2], lambda d_: abs(d_))) <= 90
                THEN {'corners': list_transform(range(1, len(n_), 2), lambda i_: unit_vector(n_[i_], n_[i_ + 1])),
                      'radius': 0.0} END
        )[1]
    """,
    "region_shapes(region)": """
        list_filter(
            list_transform(region_parts(region), lambda part_: region_shape(part_)), lambda shape_: shape_ IS NOT NULL
        )
    """,
    "corners_centre(corners)": """
        list_transform([[
            list_sum(list_transform(corners, lambda c_: c_[1])),
            list_sum(list_transform(corners, lambda c_: c_[2])),
            list_sum(list_transform(corners, lambda c_: c_[3]))
        ]], lambda s_: list_transform([sqrt(s_[1] * s_[1] + s_[2] * s_[2] + s_[3] * s_[3])], lambda n_:
            array_value(s_[1] / n_, s_[2] / n_, s_[3] / n_))[1])[1]
    """,
    "shapes_circle(shapes)": """
        list_transform(list_filter([shapes], lambda shapes_: len(shapes_) > 0), lambda shapes_:
            list_transform([corners_centre(flatten(list_transform(shapes_, lambda s_: s_.corners)))], lambda c_: {
                'ra': (degrees(atan2(c_[2], c_[1])) + 360) % 360,
                'dec': degrees(atan2(c_[3], sqrt(c_[1] * c_[1] + c_[2] * c_[2]))),
                'radius': degrees(list_max(list_transform(shapes_, lambda s_:
                    s_.radius + list_max(list_transform(s_.corners, lambda p_: angle_between(c_, p_))))))
            })[1])[1]
    """,
    "region_circle(region)": "shapes_circle(region_shapes(region))",
    "region_sides(corners)": """
        list_transform(list_zip(corners, list_append(corners[2:], corners[1])), lambda s_:
            {'start': s_[1], 'stop': s_[2], 'pole': array_cross_product(s_[1], s_[2])})
    """,
    "pairs_of(ones, others)": """
        flatten(list_transform(ones, lambda one_: list_transform(others, lambda other_:
            {'one': one_, 'other': other_})))
    """,
    "side_distance(p, side)": """
        CASE WHEN array_inner_product(array_cross_product(side.pole, side.start), p) > 0
              AND array_inner_product(array_cross_product(side.stop, side.pole), p) > 0
             THEN asin(least(1.0, abs(array_inner_product(side.pole, p))
                                  / sqrt(array_inner_product(side.pole, side.pole))))
             ELSE least(angle_between(p, side.start), angle_between(p, side.stop)) END
    """,
    "sides_cross(one, other)": """
        array_inner_product(one.pole, other.start) * array_inner_product(one.pole, other.stop) < 0
        AND array_inner_product(one.pole, other.start) * array_inner_product(other.pole, one.stop) > 0
        AND array_inner_product(one.pole, other.start) * array_inner_product(other.pole, one.start) < 0
    """,
    "sides_hold(sides, p)": """
        list_sum(list_transform(sides, lambda s_: array_inner_product(s_.start, p))) > 0
        AND abs(list_sum(list_transform(sides, lambda s_:
            atan2(array_inner_product(p, s_.pole),
                  array_inner_product(s_.start, s_.stop)
                  - array_inner_product(p, s_.start) * array_inner_product(p, s_.stop))))) > pi()
    """,
    "sided_shapes(shapes)": """
        list_transform(shapes, lambda shape_: {'sides': region_sides(shape_.corners), 'radius': shape_.radius})
    """,
    "sides_overlap(a, b)": """
        sides_hold(a.sides, b.sides[1].start) OR sides_hold(b.sides, a.sides[1].start)
        OR list_bool_or(list_transform(pairs_of(a.sides, b.sides), lambda y_:
            sides_cross(y_.one, y_.other)
            OR least(side_distance(y_.one.start, y_.other), side_distance(y_.other.start, y_.one))
               <= a.radius + b.radius + 1e-12))
    """,
    "any_overlap(shapes, others)": """
        coalesce(list_bool_or(list_transform(pairs_of(sided_shapes(shapes), sided_shapes(others)), lambda x_:
            sides_overlap(x_.one, x_.other))), false)
    """,
    "footprints_overlap(region, other)": "any_overlap(region_shapes(region), region_shapes(other))",
}
"""Separation: the haversine formula (R. W. Sinnott, Sky and Telescope 68, 159, 1984). Point in polygon: the sum of the
angles under which the point sees the sides. Crossing of arcs: the signs of triple products, as in Google's S2 library
(``SimpleCrossing``). Shapes overlap if a corner of one lies in the other, if sides cross, or if the distance from a
corner of one to a side of the other is no more than the radii together."""


# Only the bands that the circle may touch are read. The tests are nested CASEs, since DuckDB reorders conditions that
# are joined by AND, and the last test costs a thousand times as much as the first. The region asked for is a row of its
# own: DuckDB plans each use of a macro anew, and the circle takes 2 ms. Shapes are read only for the few footprints
# whose circle is near; the second CASE looks at both sides of the join, so that DuckDB cannot test it earlier.
_NEAR = """
        FROM {footprints} JOIN (
            SELECT *, CAST(unnest(list_append(
                range(floor(greatest(asked_dec - asked_radius - {reach}, -90))::BIGINT,
                      floor(least(asked_dec + asked_radius + {reach}, 90))::BIGINT + 1), {wide})) AS SMALLINT) AS band
            FROM (
                SELECT circle.ra AS asked_ra, circle.dec AS asked_dec, circle.radius + 1e-9 AS asked_radius,
                       asked_shapes
                FROM (
                    SELECT shapes_circle(asked_shapes) AS circle, asked_shapes
                    FROM (SELECT region_shapes(region) AS asked_shapes)
                )
            )
        ) USING (band)
        WHERE CASE WHEN abs("dec" - asked_dec) <= radius + asked_radius
                   THEN separation(ra, "dec", asked_ra, asked_dec) <= radius + asked_radius ELSE false END
"""
_OVERLAPPING = """
    WITH near AS MATERIALIZED (SELECT footprints.rowid AS place, asked_shapes {near})
    SELECT {column} FROM footprints JOIN near ON footprints.rowid = place
    WHERE CASE WHEN place IS NULL THEN false ELSE any_overlap(CAST(shapes AS {shapes}), asked_shapes) END
"""
_OVERLAPPING_ATTACHED = """
    WITH near AS MATERIALIZED (SELECT footprints.{column}, shapes, asked_shapes {near})
    SELECT {column} FROM near WHERE any_overlap(CAST(shapes AS {shapes}), asked_shapes)
"""
"""Without numbers of rows: the shapes of all footprints in the bands are read.

`attached` does not pass on numbers of rows, and a lake does not keep them.
"""
_TABLE_MACROS = {"footprints_overlapping": "s_region", "footprint_numbers": "number"}
"""The column that each of these macros returns."""


def make_sky_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the macros; `footprints` must have all its columns."""
    make_region_macros(connection)
    for macro, column in _TABLE_MACROS.items():
        numbered = dialect_of(connection).numbers_rows
        of_own = (_OVERLAPPING if numbered else _OVERLAPPING_ATTACHED).format(
            column=column, near=_near_sql("footprints"), shapes=SHAPES
        )
        head, query = (
            f"{macro}(region)",
            _OVERLAPPING_ATTACHED.format(column=column, near=_near_sql(attached("footprints")), shapes=SHAPES),
        )
        of_attached = inlined({**_MACROS, head: query})[head]
        connection.execute(
            f"""CREATE OR REPLACE MACRO {macro}
                (region) AS TABLE ({of_own}), (region, {ATTACHED_AS}) AS TABLE ({of_attached})"""
        )


def _near_sql(footprints: str) -> str:
    return _NEAR.format(footprints=footprints, reach=BAND_REACH, wide=WIDE)


def make_region_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the macros that depend on their arguments only."""
    for macro, expression in inlined(_MACROS).items():
        connection.execute(f"CREATE OR REPLACE MACRO {macro} AS ({expression})")
