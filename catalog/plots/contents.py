"""What is in a file, at a glance: its spectra, its image, or its light curve."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from catalog.errors import DiskError, UsageError
from catalog.plots.canvas import Drawing, checked_ending, look, sheet
from catalog.plots.curves import draw_curves
from catalog.plots.images import draw_image
from catalog.plots.series import is_time_series, spectra
from catalog.plots.spectra import draw_lines, draw_time_series

_CAPTION = ("TARGNAME", "INSTRUME", "EXP_TYPE", "FILTER", "PUPIL", "GRATING", "BAND", "DATE-OBS")


def plot_file(source: Path, picture: Path) -> str:
    """Draw a FITS file's science data to a file.

    Parameters
    ----------
    source : Path
        See `draw_file`.
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
        If it holds nothing to draw, or the ending is not of a picture.
    """
    checked_ending(picture)
    drawing = draw_file(source)
    drawing.write(picture)
    return drawing.told


def draw_file(source: Path, hdu: str | None = None) -> Drawing:
    """Draw a file's science data.

    Parameters
    ----------
    source : Path
        A light curve (ECSV), or FITS: with spectra in EXTRACT1D or COMBINE1D tables (a time series becomes time
        against wavelength), or with an image of two to four axes, drawn on the sky where its WCS says so.
    hdu : str, optional
        Draw the image of this HDU, by name or number, instead of the science image.

    Returns
    -------
    Drawing

    Raises
    ------
    DiskError
        If the file cannot be read.
    UsageError
        If it holds nothing to draw.
    """
    from astropy.io import fits

    if source.suffix.lower() == ".ecsv":
        return _light_curve(source)
    with warnings.catch_warnings(record=True) as warned:  # breaking the standard a little is not in the way
        warnings.simplefilter("always")
        try:
            with fits.open(source, memmap=False) as hdus, look():
                figure = sheet()
                axes, told = _draw(figure, hdus, hdu)
                axes.set_title(f"{source.name}\n{_caption(hdus[0].header)}", fontsize=10, loc="left")
        except (OSError, TypeError, ValueError) as error:
            cut = any("truncated" in str(one.message) for one in warned)
            if not isinstance(error, OSError) and not cut:
                raise
            reason = (
                "it is cut short" if cut else (error.strerror if isinstance(error, OSError) else None) or str(error)
            )
            raise DiskError(
                f"cannot read {source} as FITS: {reason.splitlines()[0].partition('. ')[0].rstrip('.')}"
            ) from error
    return Drawing(figure, told)


def _light_curve(source: Path) -> Drawing:
    with look():
        figure = sheet()
        axes, told = draw_curves(figure, source)
        axes.set_title(source.name, fontsize=10, loc="left")
    return Drawing(figure, told)


def _draw(figure: Any, hdus: Any, wanted: str | None) -> tuple[Any, str]:
    if wanted is not None:
        return draw_image(figure, _image_named(hdus, wanted), hdus[0].header)
    found = spectra(hdus)
    if found:
        return draw_time_series(figure, found) if is_time_series(found) else draw_lines(figure, found)
    for one in hdus:
        if one.name in ("SCI", "PRIMARY") and _is_picture(one):
            return draw_image(figure, one, hdus[0].header, _wavelengths(hdus, one))
    for one in hdus:
        if _is_picture(one):
            return draw_image(figure, one, hdus[0].header)
    held = ", ".join(one.name or "unnamed" for one in hdus)
    raise UsageError(f"it holds neither an image nor extracted spectra, only {held}")


def _image_named(hdus: Any, wanted: str) -> Any:
    key: str | int = int(wanted) if wanted.isdigit() else wanted
    try:
        found = hdus[key]
    except (KeyError, IndexError):
        found = None
    if found is None or not _is_picture(found):
        images = ", ".join(one.name for one in hdus if _is_picture(one))
        raise UsageError(
            f"there is no image in HDU {wanted}; " + (f"there is in {images}" if images else "in no other either")
        )
    return found


def _is_picture(hdu: Any) -> bool:
    return bool(hdu.is_image and len(hdu.shape) >= 2 and min(hdu.shape) > 0)


def _wavelengths(hdus: Any, image: Any) -> Any:
    """The wavelength of every pixel of a rectified spectrum; its HDU stands beside the image's."""
    for one in hdus:
        if one.name == "WAVELENGTH" and one.is_image and one.shape[-1:] == image.shape[-1:] and one.ver == image.ver:
            return one.data
    return None


def _caption(header: Any) -> str:
    parts = [header.get(key) for key in _CAPTION]
    return "  ".join(str(part) for part in parts if part)
