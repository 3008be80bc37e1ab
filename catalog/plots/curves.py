"""Light curves: the tables of flux against time that the pipeline writes as ECSV (``whtlt``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import DiskError, UsageError
from catalog.plots.canvas import COLOURS
from catalog.plots.series import Values
from catalog.readable import plural

_TIME = ("int_mid_mjd_utc", "mjd_utc", "mjd", "int_start_mjd_utc", "int_mid_bjd_tdb", "bjd_tdb")


def draw_curves(figure: Any, source: Path) -> tuple[Any, str]:
    """Draw every flux of a table against its time.

    Parameters
    ----------
    figure : Figure
        An empty one.
    source : Path
        ECSV, with a column of MJD or BJD, and one or more whose names say flux.

    Returns
    -------
    axes : Axes
    told : str
        What was drawn, in a line.

    Raises
    ------
    DiskError
        If it is no ECSV table.
    UsageError
        If it has no such columns.
    """
    table = _read(source)
    by_lower = {name.lower(): name for name in table.colnames}
    time = next((by_lower[name] for name in _TIME if name in by_lower), None)
    fluxes = [name for name in table.colnames if "flux" in name.lower() and "err" not in name.lower()]
    if time is None or not fluxes:
        raise UsageError(f"it has no time and flux to draw, only {', '.join(table.colnames)}")
    when = np.asarray(table[time], dtype=float)
    day = float(np.floor(np.nanmin(when)))
    axes = figure.add_subplot()
    for place, name in enumerate(fluxes):
        flux: Values = np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)
        label = re.sub(r"[_ ]+", " ", name).strip()
        axes.plot((when - day) * 24, flux, ".", markersize=4, color=COLOURS[place % len(COLOURS)], label=label)
    scale = "BJD (TDB)" if "bjd" in time.lower() else "MJD (UTC)"
    axes.set_xlabel(f"hours since {scale} {day:.0f}")
    unit = table[fluxes[0]].unit
    axes.set_ylabel("flux" + (f" ({unit.to_string('unicode')})" if unit else ""))
    if len(fluxes) > 1:
        axes.legend(loc="best")
    return axes, f"{plural(len(fluxes), 'light curve')} of {plural(len(table), 'point')}"


def _read(source: Path) -> Any:
    from astropy.io.ascii import InconsistentTableError
    from astropy.table import Table

    try:
        return Table.read(source, format="ascii.ecsv")
    except OSError as error:
        raise DiskError(f"cannot read {source}: {error.strerror or error}") from error
    except (InconsistentTableError, ValueError) as error:
        raise DiskError(f"cannot read {source} as ECSV: {str(error).splitlines()[0]}") from error
