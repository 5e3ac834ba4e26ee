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
from commands.results import give_json
from segment.record.sums import Sums
from tests import ROOT
from tests.make import noise
from tests.models import checkpoint_folder
from tiler.doubt import KINDS
from tiler.grid.tiling import Tiling

NEEDS_SHELL = pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
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
    """Run the page's script as cron would: from another folder, with a short PATH."""
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    places = ("/data/flights", str(folder)), ("/opt/noseam/.venv/bin", str(folder / "bin"))
    for old, new in ((" 420 ", f" {minutes} "), *places):
        assert script.count(old) == 1
        script = script.replace(old, new)
    (folder / "night.sh").write_text(script)
    (folder / "night.sh").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name.startswith("NOSEAM_") or name == "HOME"}
    return subprocess.run([folder / "night.sh"], cwd="/", env=environment | {"PATH": "/usr/bin:/bin"}, text=True,
                          capture_output=True, timeout=120, check=False)  # fmt: skip


@NEEDS_SHELL
def test_each_night_goes_on_until_all_is_done(folder: Path) -> None:
    first = night(folder, "1e-9")
    assert (first.returncode, first.stdout) == (5, "more to do: tomorrow's run goes on\n"), first.stderr
    assert "2 of 3 images left: --max-runtime is over; the same command goes on" in first.stderr
    second = night(folder)
    assert second.returncode == 3
    assert second.stdout.startswith("all looked at, some failed:\npath,reason,advice\n"), second.stderr
    assert "bad.png" in second.stdout
    (folder / "survey" / "bad.png").unlink()
    third = night(folder)
    assert (third.returncode, third.stdout, third.stderr) == (0, "all done\n", "")
    assert json.loads((folder / "masks" / "sums.json").read_text())["skipped"] == 2
    (folder / "survey").rename(folder / "away")
    (folder / "survey").mkdir()
    fourth = night(folder)
    assert (fourth.returncode, fourth.stdout) == (4, "no image found: is the drive mounted?\n")
    assert json.loads((folder / "masks" / "sums.json").read_text())["end"] == "no image"
    (folder / "survey").rmdir()
    fifth = night(folder)
    assert (fifth.returncode, fifth.stdout) == (2, "it did not run: see above\n")
    assert not (folder / "masks" / "sums.json").exists()
    (folder / "away").rename(folder / "survey")


@NEEDS_SHELL
@pytest.mark.parametrize(
    ("code", "left", "said"),
    [
        (143, 1, "somebody stopped it: tomorrow's run goes on\n"),
        (130, 1, "somebody stopped it: tomorrow's run goes on\n"),
        (3, 10, "it stopped early, and images are left: see above; what failed:\npath,reason,advice\n"),
        (3, 0, "all looked at, some failed:\npath,reason,advice\n"),
        (3, None, "it stopped early, and images are left: see above; what failed:\npath,reason,advice\n"),
        (1, 0, "an error ended it, before the work or after it: see above\n"),
        (75, None, "another run is still at work\n"),
        (137, None, "it ended with 137: see above; tomorrow's run goes on\n"),
    ],
)
def test_the_script_has_words_for_every_end(tmp_path: Path, code: int, left: int | None, said: str) -> None:
    """The program that ends so is a stand-in; its sums are those of `Sums`, as `give_json` writes them."""
    for name in ("bin", "masks"):
        (tmp_path / name).mkdir()
    give_json(Sums(0).as_dict(tmp_path, "complete"), as_json=False, json_file=tmp_path / "masks" / "sums.json")
    if left is not None:
        give_json(Sums(left).as_dict(tmp_path, "errors"), as_json=False, json_file=tmp_path / "tonight.json")
    (tmp_path / "masks" / "failures.csv").write_text("path,reason,advice\n")
    sums = "test -f tonight.json && mv tonight.json masks/sums.json"
    (tmp_path / "bin" / "noseam").write_text(f"#!/bin/sh\n{sums}\nexit {code}\n")
    (tmp_path / "bin" / "noseam").chmod(0o755)
    ended = night(tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, said, "")


def test_the_page_names_every_key_of_the_records(folder: Path) -> None:
    if not (folder / "masks" / "sums.json").exists():
        night(folder)
    sums = json.loads((folder / "masks" / "sums.json").read_text())
    lines = [json.loads(line) for line in (folder / "masks" / "manifest.jsonl").read_text().splitlines()]
    keys = {*sums, *(key for line in lines for key in line)}
    assert len(keys) > 15
    assert [key for key in sorted(keys) if f"`{key}`" not in PAGE] == []
    assert [kind for kind in KINDS if f"\n| {kind} |" not in PAGE] == []


def test_page_and_help_say_one_precedence() -> None:
    assert "| `--max-runtime` stopped it, and images are left | 5 | 5 |" in PAGE
    assert "| 5 | stopped by `--max-runtime` with images left, whatever failed; the same command goes on |" in PAGE
    assert "5 stopped by --max-runtime with images left, whatever failed" in " ".join((main.help or "").split())
