"""FITS files in the layouts of the JWST pipeline, small, for pictures: written through its own data models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

WAVELENGTHS = 240
START_MJD = 59786.9


def primary(**cards: object) -> fits.PrimaryHDU:
    """A primary HDU as every file has."""
    header = fits.Header({"TELESCOP": "JWST", "TARGNAME": "WASP-39", "DATE-OBS": "2022-07-26", **cards})
    return fits.PrimaryHDU(header=header)


def transit(times: Any, depth: float = 0.02) -> Any:
    """The light of a star with a planet before it in the middle third."""
    third = (times - times[0]) / (np.ptp(times) or 1.0)
    return 1.0 - depth * ((third > 1 / 3) & (third < 2 / 3))


def new_x1dints(path: Path, integrations: int = 30) -> Path:
    """A time series as the pipeline writes it since 1.17: a table an order, a row an integration."""
    from stdatamodels.jwst import datamodels

    rng = np.random.default_rng(1)
    model = datamodels.TSOMultiSpecModel()
    times = START_MJD + np.arange(integrations) * 0.004
    for order, low, high in ((1, 0.85, 2.8), (2, 0.6, 1.4)):
        spec = datamodels.TSOSpecModel()
        row = spec.get_dtype("spec_table")
        table = np.zeros(integrations, dtype=[(n, t, WAVELENGTHS) if n in _VECTORS else (n, t) for n, t in _plain(row)])
        wavelength = np.linspace(high, low, WAVELENGTHS)  # as SOSS has it, falling
        table["INT_NUM"] = np.arange(1, integrations + 1)
        table["WAVELENGTH"] = wavelength
        noise = 1 + 0.001 * rng.standard_normal(table["FLUX"].shape)
        flux = 0.05 * wavelength**-1.5 * transit(times)[:, None] * noise
        table["FLUX"], table["FLUX_ERROR"] = flux, flux * 0.001
        table["FLUX"][:, 5] = 1e6
        table["DQ"][:, 5] = 1  # a wild point, flagged
        table["N_ALONGDISP"] = WAVELENGTHS
        for name, offset in (("MJD-BEG", -0.002), ("MJD-AVG", 0.0), ("MJD-END", 0.002)):
            table[name] = times + offset
        spec.spec_table = table
        spec.spectral_order = order
        spec.spec_table.columns["WAVELENGTH"].unit = "um"
        spec.spec_table.columns["FLUX"].unit = "Jy"
        model.spec.append(spec)
    return _saved(model, path)


_VECTORS = ("WAVELENGTH", "FLUX", "FLUX_ERROR", "DQ")


def _plain(row: Any) -> list[tuple[str, Any]]:
    return [(name, row[name].base) for name in row.names]


def _saved(model: Any, path: Path) -> Path:
    model.meta.telescope = "JWST"
    model.meta.target.catalog_name = "WASP-39"
    model.meta.instrument.name = "NIRISS"
    model.meta.exposure.type = "NIS_SOSS"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    model.close()
    return path


def old_x1dints(path: Path, integrations: int = 8) -> Path:
    """A time series as the pipeline wrote it until 1.17: a table an integration and order, times in INT_TIMES."""
    wavelength = np.linspace(0.85, 2.8, WAVELENGTHS)
    times = START_MJD + np.arange(integrations) * 0.01
    tables = []
    for number, light in enumerate(transit(times)):
        for order in (1, 2):
            flux = 0.05 * wavelength**-1.5 * light
            columns = [
                fits.Column("WAVELENGTH", "D", unit="um", array=wavelength),
                fits.Column("FLUX", "D", unit="Jy", array=flux),
                fits.Column("FLUX_ERROR", "D", unit="Jy", array=flux * 0.01),
                fits.Column("DQ", "J", array=np.zeros(WAVELENGTHS, int)),
            ]
            cards = fits.Header({"SPORDER": order})
            tables.append(fits.BinTableHDU.from_columns(columns, cards, name="EXTRACT1D", ver=2 * number + order))
    when = fits.BinTableHDU.from_columns(
        [
            fits.Column("integration_number", "J", array=np.arange(1, integrations + 1)),
            fits.Column("int_mid_MJD_UTC", "D", array=times),
        ],
        name="INT_TIMES",
    )
    fits.HDUList([primary(INSTRUME="NIRISS", EXP_TYPE="NIS_SOSS"), *tables, when]).writeto(path)
    return path


def x1d(path: Path, bright: bool = False) -> Path:
    """One extracted spectrum of a point source, or of an extended one, which has a surface brightness only."""
    wavelength = np.linspace(1.0, 5.0, WAVELENGTHS)
    flux = wavelength**-2.0
    nothing = np.zeros(WAVELENGTHS)
    columns = [
        fits.Column("WAVELENGTH", "D", unit="um", array=wavelength),
        fits.Column("FLUX", "D", unit="Jy", array=nothing if bright else flux),
        fits.Column("FLUX_ERROR", "D", unit="Jy", array=flux * 0.05),
        fits.Column("SURF_BRIGHT", "D", unit="MJy/sr", array=flux),
        fits.Column("SB_ERROR", "D", unit="MJy/sr", array=flux * 0.05),
        fits.Column("DQ", "J", array=nothing.astype(int)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="EXTRACT1D")
    fits.HDUList([primary(INSTRUME="NIRSPEC", EXP_TYPE="NRS_FIXEDSLIT", GRATING="G395M"), table]).writeto(path)
    return path


def sky_image(path: Path, side: int = 300) -> Path:
    """A combined image (i2d), north up, with stars and a corner that no exposure covers."""
    rng = np.random.default_rng(2)
    row, column = np.mgrid[0:side, 0:side]
    pixels = rng.normal(1.0, 0.05, (side, side))
    for y, x, flux in rng.uniform((5, 5, 1), (side - 5, side - 5, 300), (min(40, 12_000 // side), 3)):
        pixels += flux * np.exp(-0.5 * ((row - y) ** 2 + (column - x) ** 2) / 4)
    pixels[: side // 6, : side // 5] = np.nan
    cards = {
        "WCSAXES": 2, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
        "CRVAL1": 217.36, "CRVAL2": -3.44, "CRPIX1": side / 2, "CRPIX2": side / 2,
        "CDELT1": -1.7e-5, "CDELT2": 1.7e-5, "RADESYS": "ICRS", "BUNIT": "MJy/sr",
    }  # fmt: skip
    science = fits.ImageHDU(pixels.astype("f4"), fits.Header(cards), name="SCI")
    fits.HDUList([primary(INSTRUME="NIRCAM", EXP_TYPE="NRC_IMAGE", FILTER="F200W"), science]).writeto(path)
    return path


def soss_image(path: Path, integrations: int = 2) -> Path:
    """A spectral image of two traces, with nominal keywords that call its axes right ascension and declination."""
    column = np.linspace(0, 1, 1024)
    row = np.arange(128)[:, None]
    trace = 500 * np.exp(-0.5 * ((row - 30 - 40 * (column - 0.3) ** 2) / 5) ** 2)
    pixels = np.repeat(trace[None], integrations, axis=0) + 2
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 217.0, "CRVAL2": -3.0, "BUNIT": "DN/s"}
    science = fits.ImageHDU(pixels.astype("f4"), fits.Header(cards), name="SCI")
    fits.HDUList([primary(INSTRUME="NIRISS", EXP_TYPE="NIS_SOSS"), science]).writeto(path)
    return path


def rectified_image(path: Path) -> Path:
    """A rectified spectral image (s2d), with the wavelength of every pixel."""
    wavelength = np.broadcast_to(np.linspace(2.9, 5.2, 400), (30, 400))
    slit = np.exp(-0.5 * ((np.arange(30)[:, None] - 15) / 2) ** 2)
    science = fits.ImageHDU((slit * wavelength**-2).astype("f4"), fits.Header({"BUNIT": "MJy/sr"}), name="SCI")
    waves = fits.ImageHDU(wavelength.astype("f4"), name="WAVELENGTH")
    fits.HDUList([primary(INSTRUME="NIRSPEC", EXP_TYPE="NRS_FIXEDSLIT"), science, waves]).writeto(path)
    return path


def ramp(path: Path) -> Path:
    """Raw counts of two integrations of three groups, as unsigned 16-bit integers."""
    counts = 8000 + 100 * np.arange(3)[None, :, None, None] * np.ones((2, 3, 64, 64))
    counts[..., 20:25, 30:35] *= np.array([1, 1.5, 2])[None, :, None, None]
    science = fits.ImageHDU(counts.astype("u2"), fits.Header({"BUNIT": "DN"}), name="SCI")
    fits.HDUList([primary(INSTRUME="NIRCAM", EXP_TYPE="NRC_IMAGE"), science]).writeto(path)
    return path
