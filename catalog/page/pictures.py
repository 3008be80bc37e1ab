"""Pictures of files: quicklooks of local FITS files and previews on disk; they are kept beside the catalog.

A catalog can name any path as a local file, so the bytes of a path are never sent. FITS files are drawn, and previews
are decoded and written anew.
"""

from __future__ import annotations

import hashlib
import io
import stat
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.responses import Response

from catalog._version import __version__
from catalog.api.catalog import Catalog
from catalog.atomic_file import put_in_place
from catalog.errors import DiskError, MastlakeError, UsageError
from catalog.page.answer import Asked, Page, WayBack, link
from catalog.page.criteria import key_text, read_state
from catalog.page.missing import NoSuchPage

_SMALL, _LARGE = 420, 1350
_MOST_PIXELS = 60_000_000
_KEPT = 4000
_IMAGES = (".jpg", ".jpeg", ".png")
_drawing = threading.Lock()
"""Only one thread draws at a time, since the settings of Matplotlib belong to the whole process."""


def picture(asked: Asked) -> Response:
    """Answer with the picture of a local file as PNG."""
    name = asked.parameter("name")
    rows = asked.lake.sql(
        "SELECT path, filename FROM local_files WHERE filename = ? ORDER BY path LIMIT 1", [name]
    ).rows.to_pylist()
    if not rows:
        raise NoSuchPage(f"no file {name} lies on this disk")
    path = Path(rows[0]["path"])
    width = _SMALL if asked.parameter("small") else _LARGE
    try:
        content = _cached_picture(asked.lake, path, width)
    except UsageError as error:
        raise NoSuchPage(str(error)) from error
    return Response(content, media_type="image/png", headers={"cache-control": "private, max-age=60"})


def _cached_picture(lake: Catalog, path: Path, width: int) -> bytes:
    try:
        about = path.stat()
    except OSError as error:
        raise NoSuchPage(f"{path.name} is no longer where it was") from error
    if not stat.S_ISREG(about.st_mode):
        raise NoSuchPage(f"{path.name} is no file")
    stamp = f"{path} {about.st_size} {about.st_mtime_ns} {about.st_ino} {width} {__version__}"
    folder = lake.beside.with_name(f"{lake.beside.name}.pictures")
    picture = folder / f"{hashlib.sha256(stamp.encode('utf-8', 'surrogateescape')).hexdigest()}.png"
    with suppress(OSError):
        if picture.is_file() and not folder.is_symlink():
            return picture.read_bytes()
    with _drawing:
        content = _draw(lake, path, width)
    with suppress(OSError, DiskError):  # if the folder cannot be written, no pictures are kept
        _keep(folder, picture, content)
    return content


def _keep(folder: Path, picture: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        return
    older = sorted(folder.glob("*.png"), key=lambda picture_file: picture_file.stat().st_mtime)
    for picture_file in older[: max(0, len(older) - _KEPT)]:
        picture_file.unlink(missing_ok=True)
    with put_in_place(picture) as sink:
        sink.write(content)


def _draw(lake: Catalog, path: Path, width: int) -> bytes:
    if path.suffix.lower() in _IMAGES:
        return _scaled_png(path, width)
    content = lake.plot(path).png()
    return content if width == _LARGE else _scaled_png(io.BytesIO(content), width)


def _scaled_png(source: Any, width: int) -> bytes:
    """Return an image as PNG, no wider than asked for."""
    from PIL import Image

    sink = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise UsageError("this picture is too large")
                image.thumbnail((width, 4 * width))
                image.convert("RGB").save(sink, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"this picture cannot be read: {error}") from error
    return sink.getvalue()


def wall(asked: Asked) -> Page:
    """Make the wall of pictures of a choice of files: quicklooks of files on disk, or previews on disk."""
    from dataclasses import replace

    state = read_state(asked.request.query_params.multi_items())
    if not state.picked.get("disk"):
        state = replace(state, limit=100)
    table = replace(state, columns=("targname", "exp_type", "date_obs")).table
    lake = asked.lake
    leaf = lake.leaf(state.choice, table)
    rows = leaf.rows.to_pylist()
    here = _on_disk(lake, [row["filename"] for row in rows])
    shown = [{**row, "picture": here[row["filename"]]} for row in rows if row["filename"] in here]
    facts = {"files": shown, "looked_at": len(rows),
             "next": leaf.after and state.address("/wall.json", after=key_text(leaf.after))}  # fmt: skip
    drawn = {
        "state": state, "chips": state.told(), "link": link,
        "following": state.address("/wall", after=key_text(leaf.after)) if leaf.after else None,
        "only_here": None if "disk" in state.picked else state.address("/wall", picked={**state.picked, "disk": _HERE}),
    }  # fmt: skip
    return Page("wall.html", "Pictures", facts, WayBack("", leaf.sql, ""), drawn)


_HERE = ("current", "stale", "corrupt", "modified", "unverified", "unknown")


def _on_disk(lake: Catalog, names: list[str]) -> dict[str, str]:
    """Return the local file that shows each file: the file itself, or else a preview with the same name."""
    stems = {name.removesuffix(".gz").removesuffix(".fits"): name for name in names}
    rows = lake.sql(
        """SELECT filename FROM local_files WHERE filename IN (SELECT unnest(?))
           OR regexp_replace(filename, '\\.(jpe?g|png)$', '') IN (SELECT unnest(?))""",
        [names, list(stems)],
    )["filename"]
    own = {name: name for name in rows if name in set(names)}
    previews = {stems[stem]: name for name in rows if (stem := name.rsplit(".", 1)[0]) in stems and name not in own}
    return {**previews, **own}


def has_picture(lake: Catalog, name: str) -> bool:
    """Say whether a local file can be drawn."""
    try:
        return bool(_on_disk(lake, [name]))
    except MastlakeError:
        return False
