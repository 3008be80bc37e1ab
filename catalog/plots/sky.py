"""The footprints of files on the sky."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from catalog.plots.canvas import GREY, Drawing, instrument_colours, project_style, sheet
from catalog.plots.labels import name_places
from catalog.plots.outside_text import without_markup
from catalog.plots.selection import FilesToDraw, column_or_null, condition_of_choice, nothing
from catalog.questions.conditions import Condition
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.sql import objects_of_rows
from catalog.text import plural
from catalog.vocabulary.region import Values, corners, degrees, directions, distances, middle, on_sky

WIDE_DEGREES = 15.0
"""Footprints with a larger radius are drawn on the whole sky."""
_NAMED = 14
"""How many targets get their names on a map."""


@dataclass(frozen=True)
class Footprint:
    """One place that was observed.

    Attributes
    ----------
    region : str or None
        The region, as the archive writes it; None if there is none.
    ra, dec : float or None
        The place of the target in degrees, ICRS.
    instrument : str
        The instrument.
    target : str or None
        The name of the target.
    files : int
        How many files were taken there.
    """

    region: str | None
    ra: float | None
    dec: float | None
    instrument: str
    target: str | None
    files: int

    @cached_property
    def places(self) -> list[Values]:
        """The corners of each shape; a single place if there is no region."""
        shapes = corners(self.region or "")
        if not shapes and self.ra is not None and self.dec is not None:
            place = np.array([[self.ra, self.dec]])
            return [place] if on_sky(place) else []
        return shapes

    @property
    def is_misplaced(self) -> bool:
        """Whether it has a place that is not on the sky, or cannot be read."""
        return not self.places and bool(self.region or (self.ra is not None and self.dec is not None))


@dataclass(frozen=True)
class Sky:
    """Footprints, and the area of the sky that they cover.

    Attributes
    ----------
    footprints : tuple of Footprint
        The footprints, each once.
    centre : tuple of float
        Right ascension and declination of their middle, in degrees.
    radius : float
        The radius of the circle around the middle that contains all of them, in degrees.
    unplaced : int
        How many files have no place.
    misplaced : int
        How many footprints are not on the sky, or cannot be read.
    """

    footprints: tuple[Footprint, ...]
    centre: tuple[float, float]
    radius: float
    unplaced: int
    misplaced: int = 0

    @property
    def files(self) -> int:
        """How many files have a place."""
        return sum(footprint.files for footprint in self.footprints)


@asks_again
def read_footprints(database: Database, choice: FilesToDraw) -> Sky:
    """Read the footprints of a choice.

    Parameters
    ----------
    database : Database
        The catalog.
    choice : FilesToDraw
        The files; a file without a footprint takes that of its observation, or the place of its target.

    Raises
    ------
    UsageError
        If no chosen file has a place on the sky.
    """
    condition = condition_of_choice(database, choice)
    with database.read() as connection:
        sql, values = _footprints_sql(connection, choice, condition)
        all_footprints = objects_of_rows(Footprint, connection.execute(sql, values))
    placed = [footprint for footprint in all_footprints if footprint.places]
    if not placed:
        raise nothing(database, choice, "footprints")
    everywhere = np.concatenate([shape for footprint in placed for shape in footprint.places])
    centre = middle(everywhere)
    return Sky(
        tuple(placed),
        (float(centre[0]), float(centre[1])),
        float(distances(everywhere, centre).max()),
        unplaced=sum(footprint.files for footprint in all_footprints if not footprint.places),
        misplaced=sum(footprint.is_misplaced for footprint in all_footprints),
    )


def _footprints_sql(connection: Any, choice: FilesToDraw, condition: Condition) -> tuple[str, list[object]]:
    def of(name: str, kind: str, view: str = "files", alias: str = "f") -> str:
        return column_or_null(connection, view, name, kind, alias)

    region, seen = of("s_region", "VARCHAR"), of("s_region", "VARCHAR", "observations", "o")
    sql = f"""
        SELECT region, any_value(ra) AS ra, any_value(dec) AS dec, instrument, any_value(target) AS target,
               count(*) AS files
        FROM (SELECT coalesce(nullif({region}, ''), {seen}) AS region, {of("targ_ra", "DOUBLE")} AS ra,
                     {of("targ_dec", "DOUBLE")} AS dec, coalesce(f.instrument, 'other') AS instrument,
                     {of("targname", "VARCHAR")} AS target
              FROM files f LEFT JOIN observations o ON o.obs_id = f.obs_id
              WHERE {condition.sql})
        GROUP BY region, instrument, CASE WHEN region IS NULL THEN target END"""
    values = list(condition.values)
    if choice.is_everything_of:
        within = "true"
        if choice.search is not None:
            within = "o.obs_id IN (SELECT obs_id FROM search_observations WHERE search = ?)"
            values.append(choice.search)
        sql += f"""
        UNION ALL
        SELECT {seen} AS region, any_value({of("s_ra", "DOUBLE", "observations", "o")}),
               any_value({of("s_dec", "DOUBLE", "observations", "o")}),
               lower(split_part(coalesce({of("instrument_name", "VARCHAR", "observations", "o")}, 'other'), '/', 1)),
               any_value({of("target_name", "VARCHAR", "observations", "o")}), 0
        FROM observations o
        WHERE {within} AND {seen} IS NOT NULL AND o.obs_id NOT IN (SELECT obs_id FROM files WHERE obs_id IS NOT NULL)
        GROUP BY ALL"""
    return f"FROM ({sql}) ORDER BY instrument, target, region", values


def draw_sky(database: Database, chosen: FilesToDraw | None = None) -> Drawing:
    """Draw the footprints of a choice: on a gnomonic map, where great circles are straight, or on the whole sky.

    Parameters
    ----------
    database, chosen
        See `read_footprints`.

    Raises
    ------
    UsageError
        See `read_footprints`.
    """
    choice = chosen or FilesToDraw()
    return draw_footprints(read_footprints(database, choice), choice.told())


def draw_footprints(sky: Sky, title: str) -> Drawing:
    """Draw footprints that have been read."""
    with project_style():
        wide = sky.radius > WIDE_DEGREES
        figure = sheet(10.0, 5.8) if wide else sheet(8.0, 6.8)
        axes = _whole_sky(figure, sky) if wide else _map_of_region(figure, sky)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        caption = f"{plural(len(sky.footprints), 'footprint')} of {plural(sky.files, 'file')}"
        figure.suptitle(f"{without_markup(title, 110)}\n{caption}", x=0.01, ha="left", fontsize=10)
        name_places(axes, _most_observed_targets(axes, sky, wide))
    caption += f"; {sky.unplaced:,} files have no place" if sky.unplaced else ""
    left_out = (f"{plural(sky.misplaced, 'footprint')} that cannot be on the sky",) if sky.misplaced else ()
    return Drawing(figure, caption, left_out, sky)


def _by_instrument(sky: Sky) -> dict[str, list[Footprint]]:
    groups: dict[str, list[Footprint]] = {}
    for footprint in sky.footprints:
        groups.setdefault(footprint.instrument, []).append(footprint)
    return groups


def _label(instrument: str, group: list[Footprint]) -> str:
    return f"{without_markup(instrument.upper())} ({plural(sum(footprint.files for footprint in group), 'file')})"


def _whole_sky(figure: Any, sky: Sky) -> Any:
    """Return Mollweide's equal-area map; right ascension rises to the left, as seen from inside."""
    axes = figure.add_subplot(projection="mollweide")
    groups = _by_instrument(sky)
    for place, (instrument, colour) in enumerate(instrument_colours(groups).items()):
        group = groups[instrument]
        centres = _midsts(group)
        ring = {"s": 120.0 * 0.55**place, "facecolors": "none", "edgecolors": colour, "linewidths": 1.6}
        axes.scatter(*_on_map(centres), **ring, label=_label(instrument, group), zorder=3)  # rings inside each other
    axes.set_xticks(np.radians(np.arange(-150, 151, 30)))
    axes.set_xticklabels([f"{int(-x / 15) % 24}h" for x in range(-150, 151, 30)], color=GREY, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(color=GREY, alpha=0.3, linewidth=0.5)
    return axes


def _midsts(group: list[Footprint]) -> Values:
    """Return the middle of each footprint, computed for all of them at once."""
    shapes = [np.concatenate(footprint.places) for footprint in group]
    starts = np.cumsum([0, *(len(footprint) for footprint in shapes[:-1])])
    return degrees(np.add.reduceat(directions(np.concatenate(shapes)), starts, axis=0))


def _on_map(places: Values) -> tuple[Values, Values]:
    ra = (places[:, 0] + 180.0) % 360.0 - 180.0
    return -np.radians(ra), np.radians(places[:, 1])


def _most_observed_targets(axes: Any, sky: Sky, wide: bool) -> list[tuple[str, float, float]]:
    """Return the targets with most files and their places on the map; of two spellings of a name, the first."""
    files: dict[str, int] = {}
    where: dict[str, Values] = {}
    for footprint in sky.footprints:
        if footprint.target:
            files[footprint.target] = files.get(footprint.target, 0) + footprint.files
            if footprint.target not in where:
                where[footprint.target] = middle(np.concatenate(footprint.places))
    spelled: dict[str, str] = {}
    for name in sorted(files, key=lambda name: (-files[name], name)):
        spelled.setdefault(re.sub(r"[\W_]", "", name).upper() or name, name)
    named = []
    for name in list(spelled.values())[:_NAMED]:
        place = where[name][None]
        x, y = _on_map(place) if wide else axes.wcs.wcs_world2pix(place, 0).T
        if np.isfinite(x[0]) and np.isfinite(y[0]):
            named.append((name, float(x[0]), float(y[0])))
    return named


def _map_of_region(figure: Any, sky: Sky) -> Any:
    """Draw a gnomonic (TAN) map around the middle; the sides of footprints, which are great circles, are straight."""
    from matplotlib.collections import PolyCollection

    wcs = _map_around(sky)
    axes = figure.add_subplot(projection=wcs)
    groups = _by_instrument(sky)
    for place, (instrument, colour) in enumerate(instrument_colours(groups).items()):
        group = groups[instrument]
        drawn = _projected(wcs, [shape for footprint in group for shape in footprint.places])
        shapes, points = (
            [footprint for footprint in drawn if len(footprint) > 2],
            [footprint for footprint in drawn if len(footprint) == 1],
        )
        strength = max(0.06, min(0.35, 4 / max(len(shapes), 1)))
        outlined = PolyCollection(shapes, facecolors="none", edgecolors=colour, linewidths=max(0.7, 3.2 - place))
        filled = PolyCollection(shapes, facecolors=colour, alpha=strength, linewidths=0)
        for collection in (filled, outlined):
            axes.add_collection(collection)
        at = np.concatenate(points) if points else np.empty((0, 2))
        axes.scatter(at[:, 0], at[:, 1], marker="+", color=colour, label=None)
        axes.plot([], [], color=colour, linewidth=4, alpha=0.7, label=_label(instrument, group))
    axes.set_xlim(-50, 50)
    axes.set_ylim(-50, 50)
    axes.set_aspect("equal")
    _grid(axes)
    return axes


def _projected(wcs: Any, shapes: list[Values]) -> list[Values]:
    """Put all shapes on a map at once."""
    pixels = wcs.wcs_world2pix(np.concatenate(shapes), 0)
    return list(np.split(pixels, np.cumsum([len(shape) for shape in shapes[:-1]])))


def _map_around(sky: Sky) -> Any:
    """Return the projection in which the footprints fit into a hundred pixels."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = list(sky.centre)
    wcs.wcs.crpix = [1.0, 1.0]
    scale = np.degrees(np.tan(np.radians(max(sky.radius, 1 / 3600)))) / 45
    wcs.wcs.cdelt = [-scale, scale]
    wcs.wcs.radesys = "ICRS"
    return wcs


def _grid(axes: Any) -> None:
    lon, lat = axes.coords
    lon.set_axislabel("right ascension (ICRS)")
    lat.set_axislabel("declination (ICRS)")
    lon.set_ticks(number=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes.coords.grid(color=GREY, alpha=0.5, linestyle=":", linewidth=0.6)
