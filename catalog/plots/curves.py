"""Light curves: the tables of flux against time that the pipeline writes as ECSV (``whtlt``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import DiskError, UsageError
from catalog.plots.canvas import COLOURS
from catalog.plots.fits_file import Unreadable, reading_contents
from catalog.plots.outside_text import Values, drawable, without_markup
from catalog.text import harmless, plural

_PANELS = 6
"""How many fluxes are drawn. Each has an axis of its own, since orders differ by more than any of them varies."""
_TIME = ("int_mid_mjd_utc", "mjd_utc", "mjd", "int_start_mjd_utc", "int_mid_bjd_tdb", "bjd_tdb")


def draw_curves(figure: Any, source: Path) -> tuple[Any, str, list[str]]:
    """Draw every flux of a table against its time.

    Parameters
    ----------
    figure : Figure
        An empty one.
    source : Path
        An ECSV file with a column of MJD or BJD, and one or more columns whose names contain flux.

    Returns
    -------
    axes : Axes
    told : str
        A description of the picture, in one line.
    left_out : list of str
        The parts that were not drawn, in one line each.

    Raises
    ------
    DiskError
        If it is no ECSV table.
    UsageError
        If it has no such columns, or no times in them.
    """
    table = _read(source)
    by_lower = {name.lower(): name for name in table.colnames}
    time = next((by_lower[name] for name in _TIME if name in by_lower), None)
    fluxes = [name for name in table.colnames if "flux" in name.lower() and "err" not in name.lower()]
    if time is None or not fluxes:
        raise UsageError(f"it has no time and flux to draw, only {harmless(', '.join(table.colnames))}")
    left_out: list[str] = []
    when = _numbers(table, time, left_out)
    has_time = np.isfinite(when) if when is not None else np.zeros(0, bool)
    curves = {name: flux for name in fluxes if (flux := _numbers(table, name, left_out)) is not None}
    if when is None or not has_time.any() or not curves:
        why = left_out or [f"column {harmless(time)} has no time" if len(table) else "it has no rows"]
        raise UsageError(f"{source} has nothing to draw: {why[0]}")
    if not has_time.all():
        left_out.append(f"{plural(int((~has_time).sum()), 'point')} without a time")
    day = float(np.floor(when[has_time].min()))
    left_out += [f"column {harmless(name)}, beyond the first {_PANELS} fluxes" for name in list(curves)[_PANELS:]]
    drawn = dict(list(curves.items())[:_PANELS])
    panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for place, (panel, (name, flux)) in enumerate(zip(panels, drawn.items(), strict=True)):
        label = without_markup(re.sub(r"[_ ]+", " ", name).strip())
        hours = (when[has_time] - day) * 24
        panel.plot(hours, flux[has_time], ".", markersize=4, color=COLOURS[place % len(COLOURS)], label=label)
        unit = table[name].unit
        panel.set_ylabel("flux" + (f" ({without_markup(unit.to_string('unicode'))})" if unit else ""))
        if len(drawn) > 1:
            panel.legend(loc="best")
    scale = "BJD (TDB)" if "bjd" in time.lower() else "MJD (UTC)"
    panels[-1].set_xlabel(f"hours since {scale} {day:.0f}")
    return panels[0], f"{plural(len(drawn), 'light curve')} of {plural(int(has_time.sum()), 'point')}", left_out


def _numbers(table: Any, name: str, left_out: list[str]) -> Values | None:
    """Return a column as numbers, one for each row; note a column with other values, and return None."""
    given = table[name]
    given = getattr(given, "mjd", given)  # a column of times in astropy
    try:
        numbers = drawable(given)
    except (TypeError, ValueError):
        numbers = None
    if numbers is None or numbers.shape != (len(table),):
        left_out.append(f"column {harmless(name)} has no numbers")
        return None
    return numbers


def _read(source: Path) -> Any:
    from astropy.table import Table

    try:
        with reading_contents():
            return Table.read(source, format="ascii.ecsv")
    except Unreadable as error:
        raise DiskError(f"cannot read {source} as ECSV: {harmless(str(error))}") from error
