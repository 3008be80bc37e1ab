"""Pictures of data: what is in a FITS file, at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.errors import DiskError, UsageError

_INCHES = (9.0, 5.0)


def plot_file(source: Path, picture: Path) -> str:
    """Draw a FITS file's science data.

    Parameters
    ----------
    source : Path
        A science image (2-D, or more: the first plane), or spectra in EXTRACT1D tables.
    picture : Path
        PNG, SVG or PDF by its ending.

    Returns
    -------
    str
        What was drawn, in a line.

    Raises
    ------
    DiskError
        If the file cannot be read, or the picture not be written.
    UsageError
        If it holds neither.
    """
    import matplotlib as mpl
    from astropy.io import fits

    mpl.use("agg")
    from matplotlib import pyplot

    try:
        with fits.open(source) as hdus:
            figure, axes = pyplot.subplots(figsize=_INCHES, layout="constrained")
            try:
                told = _draw(figure, axes, hdus)
                axes.set_title(f"{source.name}\n{_caption(hdus[0].header)}", fontsize=10)
                figure.savefig(picture, dpi=150)
            finally:
                pyplot.close(figure)
    except OSError as error:
        raise DiskError(f"cannot plot {source} to {picture}: {error}") from error
    return told


def _draw(figure: Any, axes: Any, hdus: Any) -> str:
    spectra = [hdu for hdu in hdus if hdu.name == "EXTRACT1D" and hdu.data is not None]
    if spectra:
        return _spectra(axes, spectra)
    for hdu in hdus:
        if (
            hdu.name in ("SCI", "PRIMARY")
            and getattr(hdu, "data", None) is not None
            and hdu.is_image
            and hdu.data.ndim >= 2
        ):
            return _image(figure, axes, hdu)
    raise UsageError("it holds neither a science image nor EXTRACT1D spectra")


def _image(figure: Any, axes: Any, hdu: Any) -> str:
    import numpy as np
    from astropy.visualization import AsinhStretch, ImageNormalize, PercentileInterval

    plane = np.asarray(hdu.data, dtype=float)
    extra = plane.shape[:-2]
    while plane.ndim > 2:
        plane = plane[0]
    finite = plane[np.isfinite(plane)]
    norm = ImageNormalize(finite, interval=PercentileInterval(99.5), stretch=AsinhStretch(0.1)) if finite.size else None
    shown = axes.imshow(plane, origin="lower", aspect="auto", norm=norm, cmap="inferno", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label=hdu.header.get("BUNIT", "counts"))
    axes.set_xlabel("column (pixel)")
    axes.set_ylabel("row (pixel)")
    planes = f", first of {int(np.prod(extra))} planes" if extra else ""
    return f"image of {plane.shape[1]} x {plane.shape[0]} pixels from HDU {hdu.name}{planes}"


def _spectra(axes: Any, spectra: list[Any]) -> str:
    import numpy as np

    drawn = 0
    for hdu in spectra:
        columns = {name.upper(): name for name in hdu.columns.names}
        wavelength = np.atleast_2d(np.asarray(hdu.data[columns["WAVELENGTH"]], dtype=float))
        flux = np.atleast_2d(np.asarray(hdu.data[columns["FLUX"]], dtype=float))
        for w, f in zip(wavelength, flux, strict=True):
            axes.plot(w, f, linewidth=0.8, alpha=0.8)
            drawn += 1
    units = {c.name.upper(): c.unit for c in spectra[0].columns}
    axes.set_xlabel(f"wavelength ({units.get('WAVELENGTH') or 'um'})")
    axes.set_ylabel(f"flux ({units.get('FLUX') or 'arbitrary'})")
    return f"{drawn} {'spectrum' if drawn == 1 else 'spectra'}"


def _caption(header: Any) -> str:
    parts = [header.get(key) for key in ("TARGNAME", "INSTRUME", "EXP_TYPE", "FILTER", "PUPIL", "DATE-OBS")]
    return "  ".join(str(part) for part in parts if part)
