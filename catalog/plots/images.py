"""Science images: one plane of a file, its stretch, and its axes on the sky."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.plots.canvas import GREY
from catalog.plots.fits_file import hdu_name
from catalog.plots.outside_text import card_number, card_text, drawable, without_markup

Pixels = npt.NDArray[np.float64]

_DISPERSED = (
    "SOSS", "WFSS", "LRS", "MRS", "SPEC", "SLIT", "IFU", "BRIGHTOBJ", "GRISM", "TSGRISM", "AUTOWAVE", "LAMP",
)  # fmt: skip
_MOST_PIXELS = 2400
"""A longer side is averaged down, since no screen and no page shows more."""
_CUBE_PLANES = 64
_AT_ONCE = 1 << 24
"""The most pixels in memory at once."""
_MOST_READ = 1 << 28
"""The most pixels of a plane that are read; of a larger plane, only some rows of each block are read."""


@dataclass(frozen=True)
class Plane:
    """Two axes of an image, ready to be drawn.

    Attributes
    ----------
    pixels : ndarray
        Rows by columns; not-a-number for a pixel without a value.
    step : tuple of int
        The rows and columns of the file that were averaged into one pixel.
    told : str
        The part of the file that this is; empty for all of it.
    """

    pixels: Pixels
    step: tuple[int, int] = (1, 1)
    told: str = ""


def plane_of(hdu: Any, cube: bool = False) -> Plane:
    """Return the plane of an image HDU, with any number of axes, that shows its contents best.

    Parameters
    ----------
    hdu : ImageHDU
        2-D: all of it. 3-D: the first integration, or the median of a cube's wavelengths. 4-D (a ramp of
        integration, group, row, column): the last group less the first, in the first integration.

    cube : bool
        Whether the third axis is wavelength.

    Returns
    -------
    Plane
    """
    plane = _whole_plane(hdu, cube)
    height, width = hdu.shape[-2:]
    down, taken = _rows_taken(height, width)
    if taken == down:
        return plane
    partly = f"{taken:,} of every {down:,} rows"
    return replace(plane, told=f"{plane.told}, {partly}" if plane.told else partly)


def _whole_plane(hdu: Any, cube: bool) -> Plane:
    shape = hdu.shape
    if len(shape) == 2:
        pixels, step = _reduced(hdu.section, ())
        return Plane(pixels, step)
    if len(shape) == 3 and cube:
        return _collapsed(hdu)
    if len(shape) == 3:
        pixels, step = _reduced(hdu.section, (0,))
        return Plane(pixels, step, f"first of {shape[0]:,} integrations" if shape[0] > 1 else "")
    index = (0,) * (len(shape) - 3)
    pixels, step = _reduced(hdu.section, (*index, shape[-3] - 1))
    if shape[-3] > 1:
        pixels = pixels - _reduced(hdu.section, (*index, 0))[0]
    return Plane(pixels, step, _of_ramp(shape))


def _of_ramp(shape: tuple[int, ...]) -> str:
    groups, integrations = shape[-3], shape[-4]
    part_drawn = f"last less first of {groups} groups" if groups > 1 else ""
    return part_drawn + (f", first of {integrations:,} integrations" if integrations > 1 else "")


def is_cube(primary: Any, header: Any) -> bool:
    """Say whether an image's third axis is wavelength; nominal keywords may claim this even for two axes."""
    model, name = card_text(primary, "DATAMODL"), card_text(primary, "FILENAME")
    wave = card_text(header, "CTYPE3").startswith("WAVE")
    return card_number(header, "NAXIS") == 3 and ("IFUCube" in model or name.endswith("_s3d.fits") or wave)


def _collapsed(hdu: Any) -> Plane:
    """Return the median of some planes that are evenly chosen."""
    planes = hdu.shape[0]
    planes_taken = np.unique(np.linspace(0, planes - 1, min(planes, _CUBE_PLANES)).astype(int))
    stack = [_reduced(hdu.section, (int(place),)) for place in planes_taken]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a pixel without values in all planes has no median
        pixels = np.nanmedian([plane for plane, _ in stack], axis=0)
    some = f"{len(planes_taken):,} of {planes:,}" if len(planes_taken) < planes else f"{planes:,}"
    return Plane(pixels, stack[0][1], f"median of {some} wavelengths")


def _rows_taken(height: int, width: int) -> tuple[int, int]:
    """Return how many rows become one, and how many of these are read; for a very large plane, not all are."""
    down = max(1, -(-height // _MOST_PIXELS))
    return down, min(down, max(1, _MOST_READ // (height // down * width)))


def _reduced(section: Any, index: tuple[int, ...]) -> tuple[Pixels, tuple[int, int]]:
    """Read one plane in strips, averaged down to the size that can be seen."""
    height, width = section.shape[-2:]
    down, across = (max(1, -(-length // _MOST_PIXELS)) for length in (height, width))
    if width > _AT_ONCE:
        raise ValueError(f"a row of {width:,} pixels is too long to be drawn")
    rows, columns = height // down, width // across
    taken = _rows_taken(height, width)[1]
    strip = max(1, _AT_ONCE // (down * width)) if taken == down else 1
    pixels = np.empty((rows, columns))
    for start in range(0, rows, strip):
        stop = min(rows, start + strip)
        last = stop * down if taken == down else start * down + taken
        raw = drawable(section[(*index, slice(start * down, last), slice(0, columns * across))])
        blocks = raw.reshape(stop - start, -1, columns, across)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a block without values has no mean
            pixels[start:stop] = np.nanmean(blocks, axis=(1, 3))
    return pixels, (down, across)


def sky_axes(primary: Any, hdu: Any, step: tuple[int, int] = (1, 1)) -> Any:
    """Return the celestial WCS, for the reduced pixels, of an image whose axes are on the sky; None for other images.

    On a dispersed detector one axis is wavelength, whatever the nominal keywords say.
    """
    from astropy.wcs import WCS

    header = hdu.header
    dispersed = any(word in card_text(primary, "EXP_TYPE") for word in _DISPERSED)
    if (dispersed and not is_cube(primary, header)) or not card_text(header, "CTYPE1"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy repairs small faults, which do not matter for the picture
        try:
            wcs = WCS(header)
            if not (wcs.has_celestial and {wcs.wcs.lng, wcs.wcs.lat} == {0, 1}):
                return None
            plane = wcs.celestial
            if not _covers(plane, hdu.shape[-2:]):
                return None
            return plane if step == (1, 1) else plane.slice([slice(None, None, factor) for factor in step])
        except Exception:  # astropy's errors are of many classes; without a WCS, the axes are those of the detector
            return None


def _covers(wcs: Any, shape: tuple[int, int]) -> bool:
    """Say whether a WCS gives places on the sky everywhere in an image, and different ones for different pixels."""
    rows, columns = np.meshgrid(*(np.linspace(0, length - 1, 5) for length in shape), indexing="ij")
    ra, dec = wcs.wcs_pix2world(columns.ravel(), rows.ravel(), 0)
    if not (np.all(np.isfinite(ra)) and np.all(np.abs(dec) <= 90)):
        return False
    back = np.array(wcs.wcs_world2pix(ra, dec, 0))
    spread = max(1.0, 0.01 * max(shape))
    return bool(np.all(np.abs(back - (columns.ravel(), rows.ravel())) < spread))


def draw_plane(figure: Any, plane: Plane, hdu: Any, primary: Any, wavelengths: Pixels | None = None) -> tuple[Any, str]:
    """Draw an image with a colour bar.

    Parameters
    ----------
    figure : Figure
        An empty one.
    plane : Plane
        The plane that `plane_of` returned.
    hdu : ImageHDU
        The image.
    primary : Header
        The primary header of the file.
    wavelengths : ndarray, optional
        The wavelength of every pixel in micrometres, if the image is a rectified spectrum.

    Returns
    -------
    axes : Axes
    told : str
        A description of the picture, in one line.
    """
    spans = min(plane.pixels.shape) > 1  # axes on the sky with a single pixel would have no ticks and labels
    wcs = sky_axes(primary, hdu, plane.step) if spans else None
    axes = figure.add_subplot(projection=wcs) if wcs is not None else figure.add_subplot()
    (height, width), (down, across) = plane.pixels.shape, plane.step
    ratio = (width * across) / (height * down)
    figure.set_size_inches(min(11.0, max(6.0, 5.5 * ratio + 1.8)), 6.0 if ratio < 3 else 4.5)
    extent = None if wcs is not None else (-0.5, width * across - 0.5, -0.5, height * down - 0.5)
    aspect = "auto" if max(ratio, 1 / ratio) > 3 else down / across if wcs is not None else "equal"
    shown = axes.imshow(
        plane.pixels, origin="lower", aspect=aspect,
        norm=stretch(plane.pixels), cmap=_colours(), extent=extent,
        interpolation="antialiased" if min(plane.step) > 1 else "nearest",
    )  # fmt: skip
    bar = {"location": "bottom", "aspect": 60, "pad": 0.03} if ratio > 3 else {"shrink": 0.9}
    figure.colorbar(shown, ax=axes, label=without_markup(card_text(hdu.header, "BUNIT") or "counts"), **bar)
    _label(axes, wcs, wavelengths)
    size = f"{hdu.shape[-1]:,} x {hdu.shape[-2]:,} pixels"
    return axes, f"image of {size} from HDU {hdu_name(hdu) or 'without a name'}" + (
        f", {plane.told}" if plane.told else ""
    )


def stretch(pixels: Pixels) -> Any:
    """Return a norm that shows faint and bright pixels at once: an inverse hyperbolic sine from just below the sky.

    Black is two deviations below the median, so that noise is visible but does not dominate. White is a value that only
    a few pixels exceed, and at least 25 deviations above the median (R. H. Lupton et al., PASP 116, 133, 2004, for the
    function). A few hot or dead pixels do not count.
    """
    from astropy.stats import mad_std
    from astropy.visualization import AsinhStretch, ImageNormalize

    finite = pixels[np.isfinite(pixels)]
    finite = finite[:: max(1, finite.size // 1_000_000)]
    if not finite.size:
        return None
    middle, deviation = float(np.median(finite)), float(mad_std(finite))
    faint, bright = np.percentile(finite, (0.5, 99.7))
    low = max(faint, middle - 2 * deviation) if deviation else faint
    high = min(max(bright, middle + 25 * deviation), float(finite.max()))
    if not high > low:
        low, high = float(finite.min()), float(finite.max())
    if not high - low > 1e-9 * max(abs(low), abs(high), 1e-90):
        return None  # the contrast is too small for an axis
    return ImageNormalize(vmin=low, vmax=high, stretch=AsinhStretch(0.1), clip=False)


def _colours() -> Any:
    from matplotlib import colormaps

    return colormaps["inferno"].with_extremes(bad=GREY)


def _label(axes: Any, wcs: Any, wavelengths: Pixels | None) -> None:
    if wcs is not None:
        lon, lat = axes.coords
        lon.set_axislabel("right ascension (ICRS)")
        lat.set_axislabel("declination (ICRS)", minpad=0.6)
        lon.set_major_formatter("hh:mm:ss.s")
        lon.set_ticks(number=4)
        lat.set_major_formatter("dd:mm:ss")
        axes.coords.grid(color="white", alpha=0.25, linestyle=":", linewidth=0.6)
        return
    axes.set_xlabel("column (pixel)")
    axes.set_ylabel("row (pixel)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(True)
    if wavelengths is not None:
        _wavelength_axis(axes, wavelengths)


def _wavelength_axis(axes: Any, wavelengths: Pixels) -> None:
    """Write wavelengths along the upper edge, if they rise or fall steadily along a row."""
    wavelengths = drawable(wavelengths)
    if wavelengths.ndim not in (1, 2):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns outside of the spectrum have no wavelength
        row = np.nanmedian(wavelengths, axis=0) if wavelengths.ndim == 2 else wavelengths
    column = np.flatnonzero(np.isfinite(row))
    steps = np.diff(row[column])
    if column.size < 2 or not (np.all(steps > 0) or np.all(steps < 0)):
        return
    place, lengthened = _lengthened(column.astype(float), row[column])
    order = np.argsort(lengthened)
    upper = axes.secondary_xaxis(
        "top",
        functions=(lambda x: np.interp(x, place, lengthened), lambda w: np.interp(w, lengthened[order], place[order])),
    )
    upper.set_xlabel("wavelength (µm)")


def _lengthened(column: Pixels, scale: Pixels) -> tuple[Pixels, Pixels]:
    """Carry a scale on beyond both ends, as steep as it is there, so that ticks outside are no repetitions."""
    before = scale[0] + (scale[0] - scale[1]) / (column[1] - column[0]) * 1e4
    after = scale[-1] + (scale[-1] - scale[-2]) / (column[-1] - column[-2]) * 1e4
    return np.array([column[0] - 1e4, *column, column[-1] + 1e4]), np.array([before, *scale, after])
