"""Ctrl-C and full disks at chosen moments of commands that write; `make kills` tries many more."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.process import interrupts
from catalog.simulator import Simulator

from .conftest import Command, copy_of
from .kills_commands import COMMANDS, Place, prepared, tried, wrong


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder with a catalog, fetched files and older answers."""
    with Simulator(files=20, instruments=["niriss"]) as sky:
        made = prepared(tmp_path_factory.mktemp("moments"), sky)
        yield made
        made.close()


@pytest.mark.long
def test_whatever_befalls_a_command_that_writes_nothing_is_half_written(place: Place) -> None:
    chance, counts = random.Random(4), dict.fromkeys(COMMANDS, (12, 0.2))
    found = [fault for command in chance.sample(COMMANDS, 5) for fault in tried(place, command, chance, counts)]
    assert found == []


@pytest.mark.long
@pytest.mark.parametrize("command", ["harvest", "sql FROM~files -o a.csv", "index data", "login --file"])
def test_a_disk_that_is_full_from_the_start_is_one_line(place: Place, command: str) -> None:
    place.renew()
    before = place.files()
    ended = place.run(command, "full", 1)
    assert (ended.code, list(wrong(place, ended, "full", before))) == (1, [])
    assert ended.told.count("mastlake: ") == 1


def test_a_ctrl_c_waits_for_a_block_that_must_not_end_half_way() -> None:
    done = []

    def interrupted_half_way() -> None:
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        interrupted_half_way()
    assert done == [1]


_HEARS_NOTHING = """
import hashlib, os, signal, sys, threading, time
from catalog.process import exit as leaving
from catalog.process.interrupts import held_back
from catalog.process.unheard import ended_if_unheard
def left(code, said):
    print(said, flush=True)
    os._exit(code)
def in_c(times):  # without the interpreter's lock, and no signal is heard
    hashlib.pbkdf2_hmac("sha256", b"", b"", times)
began = time.monotonic()
in_c(10**4)
for_three_seconds = int(3 * 10**4 / (time.monotonic() - began))
leaving.at_once = left if sys.argv[1] != "of a user" else None
pressed = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
with ended_if_unheard(), ended_if_unheard():
    pressed.start()
    if sys.argv[1] == "heard":
        pressed.join()
    elif sys.argv[1] == "of a user":
        in_c(for_three_seconds)
    elif sys.argv[1] == "held back":
        with held_back():
            in_c(10**9)
    else:
        in_c(10**9)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "code"), [("unheard", 130), ("held back", 130), ("heard", -signal.SIGINT), ("of a user", -signal.SIGINT)]
)
def test_a_command_that_cannot_hear_a_ctrl_c_is_ended(where: str, code: int) -> None:
    command = [sys.executable, "-c", _HEARS_NOTHING, where]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    said = "interrupted; what was finished is kept\n" if code == 130 else ""
    assert (ended.returncode, ended.stdout) == (code, said)


def test_a_ctrl_c_that_python_cannot_raise_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched:
        pass

    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    interrupts.repeat_lost()
    watched = [Watched()]
    kept = weakref.ref(watched[0], lambda reference: signal.raise_signal(signal.SIGINT))

    def interrupted() -> None:
        watched.clear()
        threading.Event().wait(60)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert kept() is None


@pytest.mark.parametrize(
    "words",
    [
        ["sync", "--dest", "\udcff"], ["sync", "--keep-old", "\udcff", "--dest", "d"], ["find", "--target", "\udcff"],
        ["forget", "\udcff"], ["sql", "SELECT '\udcff'"], ["products", "\udcff"], ["keywords", "\udcff"],
        ["inputs", "\udcff"], ["searches", "rename", "soss", "\udcff"], ["plot", "x" * 300], ["outdated", "x" * 5000],
        ["sync", "--dest", "x" * 300], ["preview", "soss", "--dest", "\udcff"], ["harvest", "\udcff"],
        ["find", "-k", "targname=\udcff"], ["changes", "--search", "\udcff"], ["index", "x" * 5000],
    ],
    ids=lambda words: " ".join(words)[:24].encode(errors="replace").decode(),
)  # fmt: skip
def test_words_that_are_not_utf_8_and_names_that_are_too_long_are_one_line(
    mastlake: Command, place: Place, tmp_path: Path, words: list[str]
) -> None:
    copy_of(place.template / "c.duckdb", tmp_path / "catalog.duckdb")
    outcome = mastlake("--server", "http://127.0.0.1:9", *words)
    assert outcome.code in (0, 1, 2)
    assert outcome.err.count("mastlake: ") <= 1
    assert "Traceback" not in outcome.err
    assert [path for path in tmp_path.iterdir() if b"\xff" in os.fsencode(path)] == []
