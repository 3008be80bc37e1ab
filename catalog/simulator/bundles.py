"""Bundles of products: a script of curl commands, or an archive that contains the files."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Sequence

from catalog.simulator.state import ArchiveState


def curl_script(host: str, uris: Sequence[str]) -> bytes:
    """Write the script that fetches products with curl."""
    base = f"http://{host}/api/v0.1/Download/file?uri="
    lines = [f"curl --globoff --location-trusted -f --output '{_name(uri)}' '{base}{uri}'" for uri in uris]
    return ("#!/bin/bash\n" + "\n".join(lines) + "\n").encode()


def packed(state: ArchiveState, uris: Sequence[str], kind: str) -> bytes:
    """Pack the products that exist and are public.

    Parameters
    ----------
    kind : str
        ``zip`` or ``tar.gz``.
    """
    files = {uri: state.find_file(uri) for uri in uris}
    bodies = {
        f"MAST/JWST/{_name(uri)}": b"".join(served.body.read(0, served.body.size))
        for uri, served in files.items()
        if served is not None and not served.exclusive
    }
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            for name, body in bodies.items():
                archive.writestr(name, body)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, body in bodies.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def _name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]
