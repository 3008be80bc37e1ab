"""The contents of a file at a glance: its spectra, its image, or its light curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.errors import UsageError
from catalog.plots.canvas import Drawing, checked_ending, project_style, sheet
from catalog.plots.curves import draw_curves
from catalog.plots.fits_file import (
    OpenFits,
    Unreadable,
    check_regular,
    hdu_name,
    hdu_version,
    image_shape,
    open_fits,
    reading_contents,
)
from catalog.plots.images import Plane, draw_plane, is_cube, plane_of
from catalog.plots.outside_text import card_text, without_markup
from catalog.plots.series import is_time_series, spectra
from catalog.plots.spectra import draw_lines, draw_time_series
from catalog.text import harmless

_CAPTION = ("TARGNAME", "INSTRUME", "EXP_TYPE", "FILTER", "PUPIL", "GRATING", "BAND", "DATE-OBS")


def plot_file(source: Path, picture: Path) -> str:
    """Draw the science data of a FITS file into a picture file.

    Parameters
    ----------
    source : Path
        The FITS file; see `draw_file`.
    picture : Path
        The path of the picture, which ends in png, svg or pdf.

    Returns
    -------
    str
        A description of the picture, in one line.

    Raises
    ------
    DiskError
        If the file cannot be read, or the picture cannot be written.
    UsageError
        If the file has nothing to draw, or the ending is not that of a picture.
    """
    checked_ending(picture)
    drawing = draw_file(source)
    drawing.write(picture)
    return drawing.told


def draw_file(source: Path, hdu: str | None = None) -> Drawing:
    """Draw the science data of a file, as far as it can be read.

    Parameters
    ----------
    source : Path
        A light curve (ECSV), or a FITS file. It has spectra in EXTRACT1D or COMBINE1D tables (a time series is drawn as
        time against wavelength), or an image of two to four axes, which is drawn on the sky if its WCS allows.
    hdu : str, optional
        Draw the image of this HDU, given by name or number, instead of the science image.

    Returns
    -------
    Drawing
        The picture; `Drawing.left_out` has a line for each part of the file that could not be drawn.

    Raises
    ------
    DiskError
        If the file cannot be read.
    UsageError
        If the file has nothing to draw.
    """
    if source.suffix.lower() == ".ecsv":
        return _light_curve(source)
    with open_fits(source) as file, project_style():
        figure = sheet()
        axes, caption = _draw(figure, file, hdu)
        title = f"{without_markup(source.name)}\n{without_markup(_caption(file.hdus[0].header), 110)}"
        axes.set_title(title, fontsize=10, loc="left")
        return Drawing(figure, harmless(caption), tuple(map(harmless, file.left_out)))


def _light_curve(source: Path) -> Drawing:
    check_regular(source)
    with project_style():
        figure = sheet()
        axes, caption, left_out = draw_curves(figure, source)
        axes.set_title(without_markup(source.name), fontsize=10, loc="left")
    return Drawing(figure, caption, tuple(map(harmless, left_out)))


def _draw(figure: Any, file: OpenFits, hdu_wanted: str | None) -> tuple[Any, str]:
    if hdu_wanted is not None:
        return _draw_image(figure, file, [_image_named(file, hdu_wanted)])
    read_spectra = spectra(file)
    if read_spectra:
        return (
            draw_time_series(figure, read_spectra) if is_time_series(read_spectra) else draw_lines(figure, read_spectra)
        )
    pictures = [hdu for hdu in file.hdus if _is_picture(hdu)]
    if pictures:
        return _draw_image(figure, file, sorted(pictures, key=lambda hdu: hdu_name(hdu) not in ("SCI", "PRIMARY")))
    held = ", ".join(harmless(hdu_name(hdu)) or "unnamed" for hdu in file.hdus)
    raise file.nothing(f"it holds neither an image nor extracted spectra, only {held}")


def _draw_image(figure: Any, file: OpenFits, pictures: list[Any]) -> tuple[Any, str]:
    """Draw the first of some images that can be read."""
    primary = file.hdus[0].header
    for picture in pictures:
        plane = _plane(file, picture)
        if plane is not None:
            return draw_plane(figure, plane, picture, primary, _wavelengths(file, picture))
    raise file.nothing("it holds no image that can be read")


def _plane(file: OpenFits, image: Any) -> Plane | None:
    try:
        with reading_contents():
            return plane_of(image, is_cube(file.hdus[0].header, image.header))
    except Unreadable as error:
        file.leave_out(image, error)
        return None


def _image_named(file: OpenFits, name: str) -> Any:
    hdu = file.named(name)
    if hdu is None or not _is_picture(hdu):
        images = ", ".join(harmless(hdu_name(each)) for each in file.hdus if _is_picture(each))
        raise UsageError(
            f"there is no image in HDU {name}; " + (f"there is in {images}" if images else "in no other either")
        )
    return hdu


def _is_picture(hdu: Any) -> bool:
    shape = image_shape(hdu)
    return len(shape) >= 2 and min(shape) > 0


def _wavelengths(file: OpenFits, image: Any) -> Any:
    """Return the wavelength of every pixel of a rectified spectrum, from an HDU beside the image's."""
    shape = image_shape(image)
    for hdu in file.hdus:
        if (
            hdu_name(hdu) == "WAVELENGTH"
            and image_shape(hdu)[-1:] == shape[-1:]
            and hdu_version(hdu) == hdu_version(image)
        ):
            try:
                with reading_contents():
                    return hdu.data
            except Unreadable as error:
                file.leave_out(hdu, error)
    return None


def _caption(header: Any) -> str:
    return "  ".join(filter(None, (card_text(header, key) for key in _CAPTION)))
