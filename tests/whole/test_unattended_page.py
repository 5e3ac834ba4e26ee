"""The script of `docs/unattended.md` runs as it stands there, and the page names what the records hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cli import main
from tests import ROOT
from tests.make import noise
from tests.models import checkpoint_folder
from tiler.doubt import KINDS
from tiler.grid.tiling import Tiling

PAGE = (ROOT / "docs" / "unattended.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, and a survey of two pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("night")
    checkpoint_folder(folder / "model", classes=3, tiling=Tiling(64, 64, 0.25))
    (folder / "survey").mkdir()
    for name in ("a", "b"):
        Image.fromarray(noise(40, 50, 3)).save(folder / "survey" / f"{name}.png")
    (folder / "survey" / "bad.png").write_bytes(b"no picture")
    (folder / "bin").mkdir()
    (folder / "bin" / "noseam").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli "$@"\n')
    (folder / "bin" / "noseam").chmod(0o755)
    return folder


def night(folder: Path, minutes: str = "420") -> subprocess.CompletedProcess[str]:
    """Run the page's script."""
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    script = script.replace(" 420 ", f" {minutes} ")
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["/bin/sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
                          timeout=120, check=True)  # fmt: skip


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_each_night_goes_on_until_all_is_done(folder: Path) -> None:
    first = night(folder, "1e-9")
    assert first.stdout == "more to do: tomorrow's run goes on\n", first.stderr
    assert "2 of 3 images left: --max-runtime is over; the same command goes on" in first.stderr
    second = night(folder)
    assert second.stdout.startswith("all looked at, some failed:\npath,reason,advice\n"), second.stderr
    assert "bad.png" in second.stdout
    (folder / "survey" / "bad.png").unlink()
    third = night(folder)
    assert (third.stdout, third.stderr) == ("all done\n", "")
    assert json.loads((folder / "masks" / "sums.json").read_text())["skipped"] == 2


def test_the_page_names_every_key_of_the_records(folder: Path) -> None:
    if not (folder / "masks" / "manifest.jsonl").exists():
        night(folder)
    sums = json.loads((folder / "masks" / "sums.json").read_text())
    lines = [json.loads(line) for line in (folder / "masks" / "manifest.jsonl").read_text().splitlines()]
    keys = {*sums, *(key for line in lines for key in line)}
    assert len(keys) > 15
    assert [key for key in sorted(keys) if f"`{key}`" not in PAGE] == []
    assert [kind for kind in KINDS if f"\n| {kind} |" not in PAGE] == []


def test_page_help_and_readme_say_one_precedence() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "| `--max-runtime` stopped it, and images are left | 5 | 5 |" in PAGE
    assert "| 5 | stopped by `--max-runtime` with images left, whatever failed; the same command goes on |" in readme
    assert "5 stopped by --max-runtime with images left, whatever failed" in " ".join((main.help or "").split())
