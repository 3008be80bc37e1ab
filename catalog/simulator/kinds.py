"""The vocabulary of the made-up archive: kinds of exposure and their files.

The schemas of ``stdatamodels`` allow every keyword value here; a test checks this.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Optics:
    """The optical elements in one activity of a visit."""

    filter: str | None = None
    pupil: str | None = None
    grating: str | None = None
    band: str | None = None
    channel: str | None = None
    slit: str | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements in the order in which a level-3 name has them."""
        if self.channel and self.band:
            return (f"ch{self.channel[0]}", self.band)
        return tuple(part for part in (self.filter, self.pupil, self.grating, self.slit) if part)


@dataclass(frozen=True)
class Kind:
    """One way of observing: an ``exp_type`` with everything that depends on it.

    Attributes
    ----------
    instrument : str
        One of `catalog.missions.Mission.services`.
    mode : str
        The second half of CAOM's ``instrument_name``, such as SOSS in NIRISS/SOSS.
    detectors : tuple of str
        The detectors; each gives one file with each suffix.
    optics : tuple of Optics
        The optical elements of each activity.
    stage2, stage3 : tuple of str
        The suffixes of the files of exposures, and of the level-3 products made from them.
    segments, dithers : int
        The most segments of one exposure, and the most exposures in one activity.
    frame_s : float
        The time of one frame, in seconds.
    """

    instrument: str
    exp_type: str
    mode: str
    template: str
    detectors: tuple[str, ...]
    optics: tuple[Optics, ...]
    aperture: str
    subarray: str
    size: tuple[int, int]
    readpatt: str
    frame_s: float
    stage2: tuple[str, ...]
    stage3: tuple[str, ...]
    association: str
    tso: bool = False
    spectral: bool = False
    segments: int = 1
    dithers: int = 1
    ngroups: int = 5
    nints: int = 1
    patttype: str | None = None

    @property
    def files_per_activity(self) -> int:
        """How many files one exposure segment has, from all detectors."""
        return len(self.detectors) * len(self.stage2)


IMAGING = ("uncal", "rate", "rateints", "cal", "i2d")
SPECTRAL = ("uncal", "rate", "cal", "s2d", "x1d")
SERIES = ("uncal", "rateints", "calints", "x1dints")

# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind(
        "niriss", "NIS_SOSS", "SOSS", "NIRISS Single-Object Slitless Spectroscopy", ("NIS",), (Optics("CLEAR",
        "GR700XD"), Optics("F277W", "GR700XD")), "NIS_SUBSTRIP256", "SUBSTRIP256", (2048, 256), "NISRAPID", 5.494,
        SERIES, ("x1dints",), "tso3", tso=True, spectral=True, segments=3, ngroups=9, nints=180,
    ),
    Kind(
        "niriss", "NIS_AMI", "AMI", "NIRISS Aperture Masking Interferometry", ("NIS",), (Optics("F380M", "NRM"),
        Optics("F480M", "NRM")), "NIS_SUB80", "SUB80", (80, 80), "NISRAPID", 0.07544, ("uncal", "rate", "rateints",
        "calints"), (), "ami3", dithers=4, ngroups=12, nints=60, patttype="AMI",
    ),
    Kind(
        "niriss", "NIS_IMAGE", "IMAGE", "NIRISS External Calibration", ("NIS",), (Optics("CLEAR", "F150W"),
        Optics("CLEAR", "F200W")), "NIS_CEN", "FULL", (2048, 2048), "NIS", 10.73677, IMAGING, ("i2d",), "image3",
        dithers=4, ngroups=10, patttype="IMAGING",
    ),
    Kind(
        "niriss", "NIS_WFSS", "WFSS", "NIRISS Wide Field Slitless Spectroscopy", ("NIS",), (Optics("GR150R", "F200W"),
        Optics("GR150C", "F200W")), "NIS_CEN", "FULL", (2048, 2048), "NIS", 10.73677, ("uncal", "rate", "cal", "x1d"),
        ("x1d",), "spec3", spectral=True, dithers=3, ngroups=12, patttype="WFSS",
    ),
    Kind(
        "nircam", "NRC_IMAGE", "IMAGE", "NIRCam Imaging", ("NRCA1", "NRCA2", "NRCA3", "NRCA4", "NRCB1", "NRCB2",
        "NRCB3", "NRCB4"), (Optics("F200W", "CLEAR"),), "NRCALL_FULL", "FULL", (2048, 2048), "SHALLOW4", 10.73677,
        ("uncal", "rate", "cal", "i2d"), ("i2d",), "image3", dithers=3, ngroups=6, patttype="INTRAMODULEBOX",
    ),
    Kind(
        "nircam", "NRC_IMAGE", "IMAGE", "NIRCam Imaging", ("NRCALONG", "NRCBLONG"), (Optics("F444W", "CLEAR"),
        Optics("F356W", "CLEAR")), "NRCALL_FULL", "FULL", (2048, 2048), "MEDIUM8", 10.73677, IMAGING, ("i2d",),
        "image3", dithers=3, ngroups=6, patttype="INTRAMODULEBOX",
    ),
    Kind(
        "nircam", "NRC_TSGRISM", "GRISM", "NIRCam Grism Time Series", ("NRCALONG",), (Optics("F322W2", "GRISMR"),
        Optics("F444W", "GRISMR")), "NRCA5_GRISM256_F322W2", "SUBGRISM256", (2048, 256), "RAPID", 1.34669, SERIES,
        ("x1dints",), "tso3", tso=True, spectral=True, segments=4, ngroups=12, nints=366,
    ),
    Kind(
        "nircam", "NRC_WFSS", "GRISM", "NIRCam Wide Field Slitless Spectroscopy", ("NRCALONG", "NRCBLONG"),
        (Optics("F356W", "GRISMR"),), "NRCALL_FULL", "FULL", (2048, 2048), "SHALLOW4", 10.73677, ("uncal", "rate",
        "cal", "x1d"), ("x1d",), "spec3", spectral=True, dithers=2, ngroups=7,
    ),
    Kind(
        "nirspec", "NRS_BRIGHTOBJ", "SLIT", "NIRSpec Bright Object Time Series", ("NRS1", "NRS2"), (Optics("F290LP",
        None, "G395H", slit="S1600A1"),), "NRS_S1600A1_SLIT", "SUB2048", (2048, 32), "NRSRAPID", 0.90156, SERIES,
        ("x1dints",), "tso3", tso=True, spectral=True, segments=3, ngroups=70, nints=155,
    ),
    Kind(
        "nirspec", "NRS_IFU", "IFU", "NIRSpec IFU Spectroscopy", ("NRS1", "NRS2"), (Optics("F170LP", None, "G235H"),
        Optics("F290LP", None, "G395H")), "NRS_FULL_IFU", "FULL", (2048, 2048), "NRSIRS2RAPID", 14.58889, ("uncal",
        "rate", "cal", "s3d", "x1d"), ("s3d", "x1d"), "spec3", spectral=True, dithers=4, ngroups=20,
    ),
    Kind(
        "nirspec", "NRS_FIXEDSLIT", "SLIT", "NIRSpec Fixed Slit Spectroscopy", ("NRS1", "NRS2"), (Optics("F100LP",
        None, "G140M", slit="S200A1"),), "NRS_S200A1_SLIT", "SUBS200A1", (2048, 64), "NRSRAPID", 1.55754, SPECTRAL,
        ("s2d", "x1d"), "spec3", spectral=True, dithers=3, ngroups=30,
    ),
    Kind(
        "nirspec", "NRS_MSASPEC", "MSA", "NIRSpec MultiObject Spectroscopy", ("NRS1", "NRS2"), (Optics("CLEAR", None,
        "PRISM"), Optics("F170LP", None, "G235M")), "NRS_FULL_MSA", "FULL", (2048, 2048), "NRSIRS2", 14.58889,
        SPECTRAL, ("s2d", "x1d"), "spec3", spectral=True, dithers=3, ngroups=19,
    ),
    Kind(
        "miri", "MIR_IMAGE", "IMAGE", "MIRI Imaging", ("MIRIMAGE",), (Optics("F770W",), Optics("F1500W",)),
        "MIRIM_FULL", "FULL", (1032, 1024), "FASTR1", 2.77504, IMAGING, ("i2d",), "image3", dithers=4, ngroups=30,
        patttype="REULEAUX",
    ),
    Kind(
        "miri", "MIR_MRS", "IFU", "MIRI Medium Resolution Spectroscopy", ("MIRIFUSHORT", "MIRIFULONG"),
        (Optics(band="SHORT", channel="12"), Optics(band="MEDIUM", channel="12"), Optics(band="LONG", channel="12")),
        "MIRIFU_CHANNEL1A", "FULL", (1032, 1024), "FASTR1", 2.77504, ("uncal", "rate", "cal", "s3d", "x1d"), ("s3d",
        "x1d"), "spec3", spectral=True, dithers=4, ngroups=25, patttype="4-POINT-SETS",
    ),
    Kind(
        "miri", "MIR_LRS-SLITLESS", "SLITLESS", "MIRI Low Resolution Spectroscopy", ("MIRIMAGE",),
        (Optics("P750L",),), "MIRIM_SLITLESSPRISM", "SLITLESSPRISM", (72, 416), "FASTR1", 0.15904, SERIES,
        ("x1dints",), "tso3", tso=True, spectral=True, segments=5, ngroups=45, nints=250,
    ),
    Kind(
        "miri", "MIR_LRS-FIXEDSLIT", "SLIT", "MIRI Low Resolution Spectroscopy", ("MIRIMAGE",), (Optics("P750L",),),
        "MIRIM_SLIT", "FULL", (1032, 1024), "FASTR1", 2.77504, SPECTRAL, ("s2d", "x1d"), "spec3", spectral=True,
        dithers=2, ngroups=60,
    ),
    Kind(
        "fgs", "FGS_IMAGE", "IMAGE", "FGS External Calibration", ("GUIDER1", "GUIDER2"), (Optics(),), "FGS1_FULL",
        "FULL", (2048, 2048), "FGS", 10.73677, ("uncal", "rate", "cal", "i2d"), ("i2d",), "image3", dithers=3,
        ngroups=4,
    ),
)
# fmt: on
"""Kinds of exposure; the position in this tuple is the kind's number in the simulator's tables."""


@dataclass(frozen=True)
class Suffix:
    """The meaning of one file suffix for the keyword search and for CAOM.

    Attributes
    ----------
    level : int
        CAOM's ``calib_level`` of an exposure's file.
    product_level : str
        The keyword search's ``productLevel`` of an exposure's file.
    model : str
        The value of ``DATAMODL``.
    """

    name: str
    level: int
    product_level: str
    model: str
    description: str


SUFFIXES: tuple[Suffix, ...] = (
    Suffix("uncal", 1, "1b", "Level1bModel", "exposure (L1b): Uncalibrated 4D exposure data"),
    Suffix("rate", 2, "2a", "ImageModel", "exposure (L2a): 2D count rate averaged over integrations"),
    Suffix("rateints", 2, "2a", "CubeModel", "exposure (L2a): 3D countrate per integration"),
    Suffix("cal", 2, "2b", "ImageModel", "exposure (L2b): 2D calibrated exposure average over integrations"),
    Suffix("calints", 2, "2b", "CubeModel", "exposure (L2b): 3D calibrated exposure"),
    Suffix("i2d", 2, "2b", "ImageModel", "exposure/target (L2b/L3): rectified 2D image"),
    Suffix("s2d", 2, "2b", "MultiSlitModel", "exposure/target (L2b/L3): 2D rectified and resampled spectrum"),
    Suffix("s3d", 2, "2b", "IFUCubeModel", "exposure/target (L2b/L3): 3D image of spectrum"),
    Suffix("x1d", 2, "2b", "MultiSpecModel", "exposure/target (L2b/L3): 1D extracted spectrum"),
    Suffix("x1dints", 2, "2b", "MultiSpecModel", "exposure/target (L2b/L3): 1D extracted spectrum per integration"),
)

GUIDE_MODES: tuple[tuple[str, str, str], ...] = (
    ("gs-acq1", "FGS_ACQ1", "FGS1 guide star acquisition"),
    ("gs-acq2", "FGS_ACQ2", "FGS2 guide star acquisition"),
    ("gs-track", "FGS_TRACK", "FGS guide star tracking"),
    ("gs-fg", "FGS_FINEGUIDE", "FGS guide star fine guide"),
    ("gs-id", "FGS_ID-IMAGE", "FGS guide star identification"),
)
"""The guide-star files of one visit: name, ``exp_type`` and CAOM's description."""
