"""Many FITS files as the pipeline's data models write them, with values that differ as in real exposures.

`stdatamodels` writes one file for each of a few kinds of exposure, with all keywords of its core schema that
apply. From these the others are made: numbers with many digits, times and names are new in every file; what belongs
to a visit or a program is shared by the files of that visit or program.
"""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

PER_FOLDER = 1000
_VISITS = 40  # files that share a visit's values
_INSTRUMENTS = ("NIRISS", "NIRCAM", "NIRSPEC", "MIRI")
_PARTS = ("program", "observation", "visit", "target", "exposure", "aperture", "dither", "ephemeris", "guidestar",
          "pointing", "subarray", "time", "velocity_aberration", "wcsinfo", "ref_file", "cal_step", "asn")  # fmt: skip
_OF_VISIT = {"VSTSTART", "VISITEND", "GSSTRTTM", "GSENDTIM", "GS_RA", "GS_DEC", "GS_URA", "GS_UDEC", "GS_MAG",
             "GS_UMAG", "GS_V3_PA", "TARG_RA", "TARG_DEC", "PROP_RA", "PROP_DEC", "PWFSEET", "NWFSEST", "MU_RA",
             "MU_DEC", "VISIT_ID", "PROGRAM", "OBSERVTN", "TARGNAME", "TITLE", "PI_NAME", "GDSTARID"}  # fmt: skip
_OF_FILE_TEXT = {"FILENAME", "DATE", "DATE-OBS", "TIME-OBS", "DATE-BEG", "DATE-END", "OBS_ID", "OSF_FILE", "S_REGION",
                 "ASNTABLE", "ACT_ID", "SEQ_ID"}  # fmt: skip


@dataclass(frozen=True)
class Template:
    """A file, and where in it the digits stand that differ from file to file, or from visit to visit."""

    content: bytes
    of_file: tuple[int, ...]
    of_visit: tuple[int, ...]


def make_templates(folder: Path) -> list[Template]:
    """Write one file of each kind."""
    return [_template(_write_model(folder / f"{name}.fits", name)) for name in _INSTRUMENTS]


def _write_model(path: Path, instrument: str) -> Path:
    from stdatamodels.jwst import datamodels

    rng = random.Random(instrument)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = datamodels.ImageModel((8, 8))
        for name in ("dq", "err", "var_poisson", "var_rnoise", "var_flat"):
            setattr(model, name, np.zeros((8, 8), np.uint32 if name == "dq" else np.float32))
        model.meta.instrument.name = instrument
        for part in _PARTS:
            _fill(model, f"meta.{part}", model.schema, rng)
        for name in ("calibration_software_version", "origin", "prd_software_version", "oss_software_version"):
            setattr(model.meta, name, f"{rng.randrange(9)}.{rng.randrange(20)}.{rng.randrange(9)}")
        model.meta.wcsinfo.s_region = "POLYGON ICRS  " + " ".join(f"{rng.uniform(100, 300):.9f}" for _ in range(8))
        model.save(str(path))
        model.close()
    return path


def _fill(model: Any, prefix: str, schema: Any, rng: random.Random) -> None:
    from stdatamodels.schema import walk_schema

    wanted: list[tuple[str, Any]] = []

    def note(entry: Any, path: list[str], *_: Any) -> None:
        if "fits_keyword" in entry and ".".join(path).startswith(prefix + "."):
            wanted.append((".".join(path), entry))

    walk_schema(schema, note)
    for path, entry in wanted:
        if rng.random() < 0.42:
            try:
                model[path] = _value(entry, rng)
            except Exception:  # a value that the schema does not allow: the file does without it
                continue


def _value(entry: Any, rng: random.Random) -> Any:
    if "enum" in entry:
        return rng.choice(entry["enum"])
    kinds = {
        "number": lambda: rng.uniform(-400, 60000),
        "integer": lambda: rng.randrange(3000),
        "boolean": lambda: rng.random() < 0.3,
    }
    return kinds.get(entry.get("type"), lambda: f"value {rng.randrange(10**6)}")()


def _template(path: Path) -> Template:
    content = path.read_bytes()
    places: dict[bool, list[int]] = {True: [], False: []}
    with fits.open(path) as hdus:
        headers = [(hdu._header_offset, hdu._data_offset) for hdu in hdus]
    keyword = ""
    for begin, end in headers:
        for at in range(begin, end, 80):
            image = content[at : at + 80]
            keyword = image[:8].decode().strip() if image[:8] != b"CONTINUE" else keyword
            digits = _digits(keyword, image)
            places[keyword in _OF_VISIT].extend(at + place for place in digits)
    return Template(content, tuple(places[False]), tuple(places[True]))


def _digits(keyword: str, image: bytes) -> list[int]:
    """The places of digits in a card that differ from file to file, without the leading one."""
    value = image.split(b" / ")[0] if b"'" not in image[:12] else image[: image.rfind(b"'") + 1]
    places = [place for place in range(10, len(value)) if value[place : place + 1].isdigit()]
    is_long = b"." in value and len(places) > 8 and b"'" not in value
    return places[1:] if is_long or keyword in _OF_FILE_TEXT | _OF_VISIT else []


def write_exposures(folder: Path, count: int, templates: list[Template]) -> int:
    """Write ``count`` files; return the bytes of their headers."""
    header_bytes = 0
    sizes = [_header_bytes(template) for template in templates]
    for n in range(count):
        if n % PER_FOLDER == 0:
            (folder / f"{n // PER_FOLDER:04}").mkdir(parents=True, exist_ok=True)
        kind = n // _VISITS % len(templates)
        template = templates[kind]
        content = bytearray(template.content)
        _scatter(content, template.of_file, n)
        _scatter(content, template.of_visit, 10**9 + n // _VISITS)
        (folder / f"{n // PER_FOLDER:04}" / f"jw{n:09}_cal.fits").write_bytes(content)
        header_bytes += sizes[kind]
    return header_bytes


def _scatter(content: bytearray, places: tuple[int, ...], seed: int) -> None:
    digits = str(random.Random(seed).getrandbits(4 * len(places))).rjust(len(places), "1")[-len(places) :]
    for place, digit in zip(places, digits.encode(), strict=True):
        content[place] = digit


def _header_bytes(template: Template) -> int:
    import io

    with fits.open(io.BytesIO(template.content)) as hdus:
        return sum(hdu._data_offset - hdu._header_offset for hdu in hdus)
