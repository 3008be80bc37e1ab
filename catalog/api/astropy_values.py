"""Objects of astropy as plain values for criteria: `Time`, `Quantity`, `SkyCoord` and `Angle`.

They are recognized by their attributes, so that a question without them does not import astropy.
"""

from __future__ import annotations

from typing import Any

from catalog.errors import BadValue
from catalog.vocabulary.keywords import lookup


def plain_value(keyword: str, value: Any) -> Any:
    """Return a value as text or number; a value that is not astropy's stays as it is.

    Parameters
    ----------
    keyword : str
        MAST's spelling or the FITS keyword; a quantity is converted to the keyword's unit.
    value : object
        One value, or a list or pair of values.

    Raises
    ------
    BadValue
        If the keyword has no unit, or one to which the quantity cannot be converted; or for an array.

    Examples
    --------
    >>> from astropy import units
    >>> from astropy.time import Time
    >>> plain_value("effexptm", (1 * units.min, None))
    (60.0, None)
    >>> plain_value("date_obs", Time(59731.5, format="mjd"))
    '2022-06-01T12:00:00.000000'
    """
    if isinstance(value, list | tuple):
        return type(value)(plain_value(keyword, each) for each in value)
    if hasattr(value, "isot") and hasattr(value, "utc"):
        moment = value.utc.copy()
        moment.precision = 6
        return str(_single(keyword, moment).isot)
    if hasattr(value, "to_value") and hasattr(value, "unit"):
        return _in_unit_of(keyword, _single(keyword, value))
    return value


def plain_cone(value: Any) -> Any:
    """Return a cone as right ascension, declination and radius in degrees, if it is a `SkyCoord` and an angle.

    Parameters
    ----------
    value : object
        A `SkyCoord` and a radius (an angle, or a number of degrees). Anything else stays as it is.

    Raises
    ------
    BadValue
        If there is more than one place, or the radius is no angle.

    Examples
    --------
    >>> from astropy import units
    >>> from astropy.coordinates import SkyCoord
    >>> plain_cone((SkyCoord(10.5, -47.25, unit="deg"), 30 * units.arcsec))
    (10.5, -47.25, 0.008333333333333333)
    """
    if not (isinstance(value, list | tuple) and len(value) == 2 and hasattr(value[0], "icrs")):
        return value
    place, radius = value
    icrs = _single("cone", place).icrs
    if hasattr(radius, "to_value"):
        radius = _converted("cone", _single("cone", radius), "deg")
    return float(icrs.ra.deg), float(icrs.dec.deg), float(radius)


def _in_unit_of(keyword: str, quantity: Any) -> float:
    unit = lookup(keyword).unit
    if unit is None:
        raise BadValue(f"{keyword} has no unit; give a number in place of {quantity}")
    return _converted(keyword, quantity, unit)


def _converted(keyword: str, quantity: Any, unit: str) -> float:
    from astropy.units import UnitConversionError

    try:
        return float(quantity.to_value(unit))
    except UnitConversionError:
        raise BadValue(f"{keyword} is in {unit}, which {quantity} is not") from None


def _single(keyword: str, value: Any) -> Any:
    if getattr(value, "shape", ()) != ():
        raise BadValue(f"{keyword}: one value is needed, not an array of them")
    return value
