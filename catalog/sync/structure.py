"""Is a fetched file whole FITS; the header index asks the same judge."""

from catalog.fits.whole import fits_problem, is_fits_name, is_packed_fits_name

__all__ = ["fits_problem", "is_fits_name", "is_packed_fits_name"]
