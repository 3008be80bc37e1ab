"""Spectra as lines, and time series of spectra as time against wavelength."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from catalog.plots.canvas import COLOURS, GREY
from catalog.plots.outside_text import without_markup
from catalog.plots.series import Series, Spectrum, Values, series
from catalog.text import plural

_NAMED = 8
"""With more lines than this, there is no legend."""
_MOST_COLUMNS = 1200


def draw_lines(figure: Any, drawn: list[Spectrum]) -> tuple[Any, str]:
    """Draw spectra as lines; a single one is drawn with its error.

    Parameters
    ----------
    figure : Figure
        An empty one.
    drawn : list of Spectrum
        The spectra, at least one.

    Returns
    -------
    axes : Axes
    told : str
        A description of the picture, in one line.
    """
    axes = figure.add_subplot()
    few = len(drawn) <= _NAMED
    for place, each in enumerate(drawn):
        colour = COLOURS[place % len(COLOURS)]
        if len(drawn) == 1:
            band = (each.flux - each.error, each.flux + each.error)
            axes.fill_between(each.wavelength, *band, color=colour, alpha=0.25, linewidth=0, label="error")
        alpha = 0.95 if few else 0.5
        axes.plot(
            each.wavelength,
            each.flux,
            color=colour,
            linewidth=0.9,
            alpha=alpha,
            label=without_markup(each.label) or None,
        )
    _limit_axis(axes, np.concatenate([each.flux for each in drawn]))
    _write_units(axes, drawn[0])
    if few and (len(drawn) == 1 or any(each.label for each in drawn)):
        axes.legend(loc="best")
    points = sum(len(each.wavelength) for each in drawn)
    return axes, f"{plural(len(drawn), 'spectrum', 'spectra')}, {points:,} points"


def _limit_axis(axes: Any, flux: Values) -> None:
    """Limit an axis to the range of the spectrum; a few wild points at a detector's edge do not count."""
    finite = flux[np.isfinite(flux)]
    if not finite.size:
        return
    low, high = np.percentile(finite, (0.5, 99.5))
    margin = 0.15 * (high - low) or abs(high) * 0.1 or 1.0
    axes.set_ylim(min(low, 0.0) if 0 <= low < 0.3 * high else low - margin, high + margin)


def _write_units(axes: Any, spectrum: Spectrum | Series) -> None:
    axes.set_xlabel(f"wavelength ({spectrum.units[0]})")
    axes.set_ylabel(f"{spectrum.quantity} ({spectrum.units[1]})" if spectrum.units[1] else spectrum.quantity)


def draw_time_series(figure: Any, integrations: list[Spectrum]) -> tuple[Any, str]:
    """Draw for each order the median spectrum, and below it time against wavelength.

    Colours show each integration's flux divided by the median flux at its wavelength, so that a transit or a drift of
    less than a per cent is visible.

    Parameters
    ----------
    figure : Figure
        An empty one.
    integrations : list of Spectrum
        The integrations.

    Returns
    -------
    axes : Axes
        The first axes, above all others.
    told : str
        A description of the picture, in one line.
    """
    groups = series(integrations)
    figure.set_size_inches(max(9.0, 4.6 * len(groups)), 7.0)
    above, below = figure.subplots(2, len(groups), squeeze=False, sharex="col", height_ratios=(1, 2.2))
    relative = [_relative(each) for each in groups]
    reach = _reach(relative)
    for place, each in enumerate(groups):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a wavelength without values has no median
            middle = np.nanmedian(each.flux, axis=0)
        above[place].plot(each.wavelength, middle, color=COLOURS[0], linewidth=0.9)
        _limit_axis(above[place], middle)
        _write_units(above[place], each)
        above[place].set_xlabel("")
        above[place].set_title(without_markup(each.label) or "median of all integrations", loc="right", fontsize=9)
        shown = _carpet(below[place], each, relative[place], reach)
    figure.colorbar(shown, ax=below[-1], label="flux / median of its wavelength", extend="both")
    counted = plural(max(len(each.flux) for each in groups), "integration")
    orders = f" of {len(groups)} spectra each" if len(groups) > 1 else ""
    return above[0], f"time series of {counted}{orders}, as time against wavelength"


def _relative(order: Series) -> Values:
    """Divide each wavelength by its median, and average into as many columns as can be seen."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(order.flux, axis=0)
        ratio = order.flux / np.where(middle > 0, middle, np.nan)
        step = -(-ratio.shape[1] // _MOST_COLUMNS)
        if step > 1:
            whole = ratio.shape[1] // step * step
            ratio = np.nanmean(ratio[:, :whole].reshape(len(ratio), -1, step), axis=2)
    return ratio


def _reach(relative: list[Values]) -> float:
    """Return how far from 1 the colours go; this is the same for every order."""
    away = np.abs(np.concatenate([ratio[np.isfinite(ratio)] for ratio in relative]) - 1.0)
    return max(float(np.percentile(away, 98)), 1e-4) if away.size else 0.01


def _carpet(axes: Any, order: Series, relative: Values, reach: float) -> Any:
    from matplotlib import colormaps

    timed = bool(len(order.mjd) > 1 and np.all(np.isfinite(order.mjd)) and np.all(np.diff(order.mjd) > 0))
    start = order.mjd[0] if timed else 0.0
    rows = (order.mjd - start) * 24 if timed else np.arange(1.0, len(order.flux) + 1)
    step = max(1, round(len(order.wavelength) / relative.shape[1]))
    columns = order.wavelength[: relative.shape[1] * step : step]
    shown = axes.pcolormesh(
        _edges(columns), _edges(rows), relative, vmin=1 - reach, vmax=1 + reach, rasterized=True,
        cmap=colormaps["RdYlBu_r"].with_extremes(bad=GREY),
    )  # fmt: skip
    axes.set_xlabel(f"wavelength ({order.units[0]})")
    if timed:
        axes.set_ylabel(f"hours since {_utc(start)} UTC")
    else:
        from matplotlib.ticker import MaxNLocator

        axes.set_ylabel("integration")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return shown


def _edges(middles: Values) -> Values:
    """Return the edges of cells with the given middles."""
    if len(middles) < 2:
        return np.array([middles[0] - 0.5, middles[0] + 0.5])
    between = (middles[1:] + middles[:-1]) / 2
    return np.concatenate(([2 * middles[0] - between[0]], between, [2 * middles[-1] - between[-1]]))


def _utc(mjd: float) -> str:
    from catalog.vocabulary.dates import iso

    return iso(mjd)[:16].replace("T", " ")
