"""Extracted spectra, read from every form that the pipeline has given them.

A table of one spectrum (``x1d``); a table for each integration (``x1dints`` until pipeline 1.17); a table for each
order whose rows are the integrations, with their times (``x1dints`` since); a table for each source; and combined
spectra (``c1d``). The layouts are those of ``stdatamodels``: spec, tso_spec, wfss_spec and combinedspec.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.plots.fits_file import OpenFits, Unreadable, hdu_name, reading_contents
from catalog.plots.outside_text import card_number, card_text, drawable, is_date, without_markup
from catalog.text import size

Values = npt.NDArray[np.float64]

_LARGEST_TABLE = 4_000_000_000
"""Bytes of a table that is read at once."""
_DO_NOT_USE = 1
"""The bit of a DQ value that says so."""
_TIMES = ("MJD-AVG", "TDB-MID", "MJD-BEG")


@dataclass(frozen=True)
class Spectrum:
    """One extracted spectrum.

    Attributes
    ----------
    wavelength, flux, error : ndarray
        Rising in wavelength; not-a-number where the flux is not to be used.
    units : tuple of str
        Of wavelength and flux.
    quantity : str
        flux, or surface brightness.
    label : str
        Which order, slit or source; empty where there is only one.
    integration : int or None
        Its number, where it is one of a time series.
    mjd : float or None
        The middle of that integration.
    """

    wavelength: Values
    flux: Values
    error: Values
    units: tuple[str, str]
    quantity: str = "flux"
    label: str = ""
    integration: int | None = None
    mjd: float | None = None


@dataclass(frozen=True)
class Series:
    """The integrations of one order, slit or source.

    Attributes
    ----------
    wavelength : ndarray, shape (n_wavelengths,)
        Rising.
    flux : ndarray, shape (n_integrations, n_wavelengths)
        Not-a-number where not to be used.
    mjd : ndarray, shape (n_integrations,)
        Not-a-number where the file does not say.
    units, quantity, label
        As in `Spectrum`.
    """

    wavelength: Values
    flux: Values
    mjd: Values
    units: tuple[str, str]
    quantity: str
    label: str


def spectra(file: OpenFits) -> list[Spectrum]:
    """Read every spectrum of a file, in its order; what cannot be read is left out, and noted.

    Parameters
    ----------
    file : OpenFits
        See `catalog.plots.fits_file.open_fits`.
    """
    tables = [hdu for hdu in file.hdus if hdu_name(hdu) in ("EXTRACT1D", "COMBINE1D") and _is_table(file, hdu)]
    times = _integration_times(file)
    labels = _labels(tables)
    several, seen = Counter(labels), Counter[str]()
    found: list[Spectrum] = []
    for hdu, label in zip(tables, labels, strict=True):
        seen[label] += 1
        found += _all_of(file, hdu, label, seen[label] if several[label] > 1 else None, times)
    return found


def _is_table(file: OpenFits, hdu: Any) -> bool:
    try:
        with reading_contents():
            if hdu.size > _LARGEST_TABLE:
                raise Unreadable(f"a table of {size(hdu.size)} is too large to be drawn")
            return not hdu.is_image and hdu.data is not None and hdu.columns is not None
    except Unreadable as error:
        file.leave_out(hdu, error)
        return False


def _all_of(file: OpenFits, hdu: Any, label: str, number: int | None, times: dict[int, float]) -> list[Spectrum]:
    """Read the spectra of one table that have wavelengths."""
    try:
        with reading_contents():
            read = list(_of_table(hdu, label, number, times))
    except Unreadable as error:
        file.leave_out(hdu, error)
        return []
    drawn = [one for one in read if len(one.wavelength)]
    if read and not drawn:
        file.leave_out(hdu, f"{label or 'its spectrum'} has no wavelengths")
    return drawn


def is_time_series(found: list[Spectrum]) -> bool:
    """Say whether spectra are integrations that follow each other."""
    longest = max(Counter(one.label for one in found).values(), default=0)
    return longest > 1 and all(one.integration is not None for one in found)


def series(found: list[Spectrum]) -> list[Series]:
    """Put the integrations of each order, slit or source together, on one scale of wavelength each."""
    groups: dict[str, list[Spectrum]] = {}
    for one in found:
        groups.setdefault(one.label, []).append(one)
    return [_together(group) for group in groups.values()]


def _together(group: list[Spectrum]) -> Series:
    scale = max((one.wavelength for one in group), key=len)
    flux = np.full((len(group), len(scale)), np.nan)
    for row, one in zip(flux, group, strict=True):
        if np.array_equal(one.wavelength, scale):
            row[:] = one.flux
        elif len(one.wavelength):
            row[:] = np.interp(scale, one.wavelength, one.flux, left=np.nan, right=np.nan)
    mjd = np.array([np.nan if one.mjd is None else one.mjd for one in group])
    first = group[0]
    return Series(scale, flux, mjd, first.units, first.quantity, first.label)


def _labels(tables: list[Any]) -> list[str]:
    """Name each table by the header keywords in which the tables differ."""
    words = (("SPORDER", "order"), ("SLTNAME", "slit"), ("SOURCEID", "source"))
    differing = [(key, word) for key, word in words if len({card_text(hdu.header, key) for hdu in tables}) > 1]
    named = [[(word, card_text(hdu.header, key)) for key, word in differing] for hdu in tables]
    return [", ".join(f"{word} {value}" for word, value in one if value) for one in named]


def _integration_times(file: OpenFits) -> dict[int, float]:
    """Integration number to the middle of the integration, from the table INT_TIMES."""
    for hdu in file.hdus:
        if hdu_name(hdu) == "INT_TIMES":
            try:
                with reading_contents():
                    return _times_of(hdu)
            except Unreadable as error:
                file.leave_out(hdu, error)
    return {}


def _times_of(hdu: Any) -> dict[int, float]:
    column = {name.lower(): name for name in hdu.columns.names} if hdu.data is not None else {}
    number, middle = column.get("integration_number"), column.get("int_mid_mjd_utc")
    if not (number and middle):
        return {}
    pairs = zip(hdu.data[number].tolist(), hdu.data[middle].tolist(), strict=True)
    return {int(n): float(t) for n, t in pairs if is_date(float(t))}


def _of_table(hdu: Any, label: str, number: int | None, times: dict[int, float]) -> Iterator[Spectrum]:
    column = {name.upper(): name for name in hdu.columns.names}
    if "WAVELENGTH" not in column:
        return
    wavelength = np.asarray(hdu.data[column["WAVELENGTH"]], dtype=float)
    if wavelength.ndim > 2:
        raise ValueError(f"its wavelengths have {wavelength.ndim} axes")
    if wavelength.ndim == 1:
        integration = None if number is None else int(card_number(hdu.header, "INT_NUM") or number)
        mjd = next((one for key in _TIMES if is_date(one := card_number(hdu.header, key))), None)
        if mjd is None and integration is not None:
            mjd = times.get(integration)
        yield _spectrum(hdu, column, slice(None), label, integration, mjd)
        return
    numbers = hdu.data[column["INT_NUM"]] if "INT_NUM" in column else None
    names = hdu.data[column["SOURCE_ID"]] if "SOURCE_ID" in column else None
    middle = next((column[key] for key in _TIMES if key in column), None)
    for row in range(len(wavelength)):
        integration = int(numbers[row]) if numbers is not None else None
        mjd = float(hdu.data[middle][row]) if middle is not None else times.get(integration or 0)
        mjd = mjd if is_date(mjd) else None
        source = f"source {names[row]}" if names is not None else ""
        yield _spectrum(hdu, column, row, ", ".join(filter(None, (label, source))), integration, mjd)


def _spectrum(
    hdu: Any, column: dict[str, str], row: Any, label: str, integration: int | None, mjd: float | None
) -> Spectrum:
    def values(*names: str) -> Values | None:
        name = next((column[name] for name in names if name in column), None)
        return None if name is None else drawable(hdu.data[name][row])

    wavelength = values("WAVELENGTH")
    assert wavelength is not None
    flux, error, quantity, shown = values("FLUX"), values("FLUX_ERROR", "ERROR"), "flux", "FLUX"
    if flux is None or not np.any(np.nan_to_num(flux)):
        bright = values("SURF_BRIGHT")
        if bright is not None and np.any(np.nan_to_num(bright)):
            flux, error, quantity, shown = bright, values("SB_ERROR"), "surface brightness", "SURF_BRIGHT"
    flux = np.full_like(wavelength, np.nan) if flux is None else flux.copy()
    quality = values("DQ")
    if quality is not None:
        flags = np.nan_to_num(np.clip(quality, 0, 2**62)).astype(np.int64)
        flux[flags & _DO_NOT_USE != 0] = np.nan
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order]) & (wavelength[order] > 0)]
    unit = {c.name.upper(): c.unit for c in hdu.columns}
    units = (unit_text(unit.get("WAVELENGTH") or "um"), unit_text(unit.get(shown) or ""))
    spread = np.full_like(flux, np.nan) if error is None else error
    return Spectrum(wavelength[order], flux[order], spread[order], units, quantity, label, integration, mjd)


def unit_text(unit: str) -> str:
    """Write a FITS unit as people do.

    Examples
    --------
    >>> unit_text("um"), unit_text("MJy/sr")
    ('µm', 'MJy sr⁻¹')
    """
    from astropy import units

    try:
        return without_markup(str(units.Unit(unit).to_string("unicode")).replace("μ", "µ")) if unit else ""
    except (ValueError, TypeError):
        return without_markup(unit)
