"""The programs and targets of the made-up archive, and the visits that it always has.

The programs of the tutorial's search have their real numbers. People, titles and times are made up.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One target: the archive's name, the proposer's name, and its place (ICRS, degrees)."""

    name: str
    proposed: str
    ra: float
    dec: float
    category: str | None
    description: str | None


_HOST = "Exoplanet Systems; Exoplanets; "
TARGETS: tuple[Target, ...] = (
    Target("WASP-39", "WASP-39", 217.32665, -3.4445, "Star", _HOST + "G stars"),
    Target("WASP-96", "WASP-96", 1.04641, -47.36064, "Star", _HOST + "G dwarfs"),
    Target("HAT-P-14", "HAT-P-14", 260.11617, 38.24217, "Star", _HOST + "F dwarfs; F stars"),
    Target("HAT-P-18", "HAT-P-18", 256.34638, 33.01231, "Star", _HOST + "K dwarfs"),
    Target("BD+60 1753", "BD+60-1753", 261.21786, 60.43078, "Calibration", "Spectrophotometric; A stars"),
    Target("TRAPPIST-1", "TRAPPIST-1", 346.62239, -5.04128, "Star", _HOST + "M dwarfs"),
    Target("WASP-43", "WASP-43", 154.90812, -9.80656, "Star", _HOST + "K dwarfs"),
    Target("GJ 1214", "GJ-1214", 258.82892, 4.96383, "Star", _HOST + "M dwarfs"),
    Target("NGC 6552", "NGC-6552", 270.03021, 66.6151, "Galaxy", "Seyfert galaxies"),
    Target("NGC 7319", "NGC-7319", 339.01501, 33.97582, "Galaxy", "Active galactic nuclei"),
    Target("NGC 3324", "NGC-3324", 159.20862, -58.62011, "ISM", "H II regions"),
    Target("M 16", "M16-PILLARS", 274.70008, -13.80667, "ISM", "Star forming regions"),
    Target("LMC ASTROMETRIC FIELD", "LMC-ASTROMETRIC-FIELD", 80.48792, -69.49719, "Calibration", "Astrometric"),
    Target("2MASS J1757+6703", "J1757132", 269.3051, 67.06189, "Calibration", "A dwarfs"),
    Target("UNKNOWN", "ECLIPTIC-RA00", 9.34438, 1.43070, None, None),
    Target("EGS DEEP FIELD", "EGS-DEEP", 214.84, 52.82, "Galaxy", "High-redshift galaxies"),
)


@dataclass(frozen=True)
class StoryVisit:
    """A visit that every made-up archive has, so that the tutorial's search finds what readers expect."""

    program: int
    category: str
    pi: str
    title: str
    observation: int
    kind: str
    target: str
    start_mjd: float


_SERIES = "Stability of time series of transiting planets"
STORY: tuple[StoryVisit, ...] = (
    StoryVisit(1366, "ERS", "Aldebaran, Nadia", "Early release transits", 1, "NIS_SOSS", "WASP-39", 59786.8648),
    StoryVisit(1091, "COM", "Marden, Alix", "Flux calibration of GR700XD", 2, "NIS_SOSS", "BD+60-1753", 59735.276),
    StoryVisit(1541, "COM", "Espiga, Nestor", _SERIES, 1, "NIS_SOSS", "HAT-P-14", 59738.2979),
    StoryVisit(2734, "COM", "Ponte, Klara", "Early release images and spectra", 2, "NIS_SOSS", "WASP-96", 59751.1588),
    StoryVisit(2734, "COM", "Ponte, Klara", "Early release images and spectra", 1, "NIS_SOSS", "HAT-P-18", 59748.913),
    StoryVisit(
        1092, "COM", "Marden, Alix", "Wavelength calibration of GR700XD", 10, "NIS_SOSS", "BD+60-1753", 59736.02
    ),
    StoryVisit(1366, "ERS", "Aldebaran, Nadia", "Early release transits", 2, "NRC_TSGRISM", "WASP-39", 59782.43),
    StoryVisit(1366, "ERS", "Aldebaran, Nadia", "Early release transits", 3, "NRS_BRIGHTOBJ", "WASP-39", 59790.21),
    StoryVisit(1366, "ERS", "Aldebaran, Nadia", "Early release transits", 4, "MIR_LRS-SLITLESS", "WASP-43", 59915.1),
    StoryVisit(1039, "COM", "Dukes, Danya", "Latent images of the detectors", 4, "MIR_MRS", "NGC-6552", 59706.503),
    StoryVisit(
        2733, "COM", "Ponte, Klara", "Early release observations of a nebula", 2, "MIR_IMAGE", "NGC-3324", 59733.19
    ),
    StoryVisit(1093, "COM", "Sivar, Ana", "Interferometry through a mask", 7, "NIS_AMI", "J1757132", 59735.7),
    StoryVisit(1014, "COM", "Hoyt, Carl", "Focus of the guiders", 1, "FGS_IMAGE", "LMC-ASTROMETRIC-FIELD", 59720.4),
)

SURNAMES = ("Adler", "Brandt", "Castro", "Dimas", "Eklund", "Faber", "Garron", "Hale", "Ito", "Jansky", "Kovac", "Lund")
GIVEN = ("Ada", "Boris", "Chiara", "Dana", "Emil", "Farah", "Greta", "Hugo", "Ines", "Jonas", "Kim", "Lena")
SUBJECTS = (
    "Atmospheres of temperate planets",
    "Dust in nearby galaxies",
    "First light in deep fields",
    "Ices around protostars",
    "Kinematics of active nuclei",
    "Star formation at cosmic noon",
    "Rings and moons of giant planets",
    "Detector calibration",
    "Disks of young stars",
    "Stellar populations of dwarf galaxies",
)
CATEGORIES = ("GO", "GTO", "CAL", "GO", "DD")
