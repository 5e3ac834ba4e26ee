"""How far the making of scenes is, before the first image is whole."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

from tests import ROOT
from tiler.scenes.scene import make_scene
from tiler.scenes.watch import noter, watched


def test_shares_of_images_are_told_in_megapixels() -> None:
    told: list[tuple[int, int]] = []
    reached = threading.Event()

    def advance(done: int, total: int) -> None:
        told.append((done, total))
        if done == 27:
            reached.set()

    with watched([48.0, 12.0], advance) as shares:
        noter(shares, 0)(0.5)
        noter(shares, 1)(0.25)
        assert reached.wait(20)
    assert set(told[:-1]) <= {(0, 60), (24, 60), (27, 60)}
    assert told[-1] == (60, 60)
    assert not shares.exists()


def test_a_scene_tells_of_each_part_of_its_making() -> None:
    shares: list[float] = []
    make_scene(600, 800, seed=1, gsd_m=0.05, advance=shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert all(sum(low <= share < low + 0.25 for share in shares) > 0 for low in (0, 0.25, 0.5, 0.75))
    assert shares[-1] < 1


def test_a_terminal_shows_megapixels_and_time_left_before_the_first_image_is_whole(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "cli", "scenes", str(tmp_path / "made-up"), "--photos", "1"]
    command += ["--photo-size", "2000", "3000"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=terminal) as made:
        os.close(terminal)
        shown = b""
        try:
            while not (tmp_path / "made-up/images/IMG_0001.jpg").exists() and (new := os.read(screen, 4096)):
                shown += new
        except OSError:  # the other end is closed
            pass
        while made.poll() is None:
            try:
                os.read(screen, 4096)
            except OSError:
                break
    os.close(screen)
    assert made.returncode == 0
    assert re.search(rb"[1-5]/6 megapixels, \d\d:\d\d left", shown)
