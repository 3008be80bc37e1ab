"""Extracted spectra, in every format that the pipeline has written them.

The formats are: a table of one spectrum (``x1d``); a table for each integration (``x1dints`` until pipeline 1.17); a
table for each order with a row for each integration and its times (``x1dints`` since then); a table for each source;
and combined spectra (``c1d``). They are those of ``stdatamodels``: spec, tso_spec, wfss_spec and combinedspec.
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
"""The size in bytes of the largest table that is read."""
_DO_NOT_USE = 1
"""The bit of a DQ value that means: do not use."""
_TIMES = ("MJD-AVG", "TDB-MID", "MJD-BEG")


@dataclass(frozen=True)
class Spectrum:
    """One extracted spectrum.

    Attributes
    ----------
    wavelength, flux, error : ndarray
        Values in order of rising wavelength; not-a-number if the flux must not be used.
    units : tuple of str
        The units of wavelength and flux.
    quantity : str
        flux, or surface brightness.
    label : str
        The order, slit or source; empty if there is only one.
    integration : int or None
        The number of the integration, if it is part of a time series.
    mjd : float or None
        The middle of the integration.
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
        In rising order.
    flux : ndarray, shape (n_integrations, n_wavelengths)
        Not-a-number where the flux must not be used.
    mjd : ndarray, shape (n_integrations,)
        Not-a-number if the file does not tell the time.
    units, quantity, label
        The same as in `Spectrum`.
    """

    wavelength: Values
    flux: Values
    mjd: Values
    units: tuple[str, str]
    quantity: str
    label: str


def spectra(file: OpenFits) -> list[Spectrum]:
    """Read all spectra of a file in their order; what cannot be read is left out, and noted.

    Parameters
    ----------
    file : OpenFits
        The file that `catalog.plots.fits_file.open_fits` opened.
    """
    tables = [hdu for hdu in file.hdus if hdu_name(hdu) in ("EXTRACT1D", "COMBINE1D") and _is_table(file, hdu)]
    times = _integration_times(file)
    labels = _labels(tables)
    several, seen = Counter(labels), Counter[str]()
    read_spectra: list[Spectrum] = []
    for hdu, label in zip(tables, labels, strict=True):
        seen[label] += 1
        read_spectra += _all_of(file, hdu, label, seen[label] if several[label] > 1 else None, times)
    return read_spectra


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
    """Read the spectra with wavelengths from one table."""
    try:
        with reading_contents():
            read = list(_of_table(hdu, label, number, times))
    except Unreadable as error:
        file.leave_out(hdu, error)
        return []
    drawn = [each for each in read if len(each.wavelength)]
    if read and not drawn:
        file.leave_out(hdu, f"{label or 'its spectrum'} has no wavelengths")
    return drawn


def is_time_series(read_spectra: list[Spectrum]) -> bool:
    """Say whether spectra are integrations that follow each other."""
    longest = max(Counter(spectrum.label for spectrum in read_spectra).values(), default=0)
    return longest > 1 and all(spectrum.integration is not None for spectrum in read_spectra)


def series(read_spectra: list[Spectrum]) -> list[Series]:
    """Join the integrations of each order, slit or source, on one scale of wavelength."""
    groups: dict[str, list[Spectrum]] = {}
    for spectrum in read_spectra:
        groups.setdefault(spectrum.label, []).append(spectrum)
    return [_joined_integrations(group) for group in groups.values()]


def _joined_integrations(group: list[Spectrum]) -> Series:
    scale = max((spectrum.wavelength for spectrum in group), key=len)
    flux = np.full((len(group), len(scale)), np.nan)
    for row, spectrum in zip(flux, group, strict=True):
        if np.array_equal(spectrum.wavelength, scale):
            row[:] = spectrum.flux
        elif len(spectrum.wavelength):
            row[:] = np.interp(scale, spectrum.wavelength, spectrum.flux, left=np.nan, right=np.nan)
    mjd = np.array([np.nan if spectrum.mjd is None else spectrum.mjd for spectrum in group])
    first = group[0]
    return Series(scale, flux, mjd, first.units, first.quantity, first.label)


def _labels(tables: list[Any]) -> list[str]:
    """Name each table by the header keywords in which the tables differ."""
    words = (("SPORDER", "order"), ("SLTNAME", "slit"), ("SOURCEID", "source"))
    differing = [(key, word) for key, word in words if len({card_text(hdu.header, key) for hdu in tables}) > 1]
    named = [[(word, card_text(hdu.header, key)) for key, word in differing] for hdu in tables]
    return [", ".join(f"{word} {value}" for word, value in words_of_table if value) for words_of_table in named]


def _integration_times(file: OpenFits) -> dict[int, float]:
    """Return the middle of each integration by its number, from the table INT_TIMES."""
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
        mjd = next((mjd_of_card for key in _TIMES if is_date(mjd_of_card := card_number(hdu.header, key))), None)
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
    """Write a FITS unit as people write it.

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
