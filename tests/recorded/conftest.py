"""The recorded archive, where it lies beside the repository."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RECORD = Path(__file__).resolve().parents[3] / "shared" / "archive"


def _replay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("replay", RECORD / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def record() -> Path:
    """The folder of the record."""
    if not (RECORD / "replay.py").exists():
        pytest.skip(f"the recorded archive is not at {RECORD}")
    return RECORD


@pytest.fixture(scope="session")
def replay(record: Path) -> ModuleType:
    """The server's code."""
    return _replay()


@pytest.fixture
def recorded(replay: ModuleType, record: Path) -> Iterator[Any]:
    """A running server of the record; it has `url`, and `archive` with `move` and `faults`."""
    server = replay.serve([record / "data"])
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
