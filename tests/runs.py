"""Whole runs of the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image
from rasterio import Affine

from cli import main
from segment.plan.request import Request
from segment.plan.survey import SurveyPlan, plan_survey
from tests import ROOT
from tests.make import UTM, noise, write_tif
from tiler.files.walk import walk_survey

MANIFEST = "manifest.jsonl"
LOCK, HOLDER, MEMORY, RUN = ".noseam.lock", ".noseam.holder", ".noseam.survey.json", ".noseam.run.json"
_OF_ONE_RUN = r"manifest\.jsonl|\.noseam\.lock|\.noseam\.run\.|report/(?!images)"
NORTH_UP = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)


def make_survey(folder: Path, *, photos: int, rasters: int, height: int = 600, width: int = 800) -> Path:
    """Write smooth pictures, some of them as JPEG and some as georeferenced TIFFs; return the folder."""
    (folder / "maps").mkdir(parents=True)
    for index in range(photos + rasters):
        coarse = Image.fromarray(noise(height // 30 + 1, width // 30 + 1, 3, seed=index))
        picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
        if index < photos:
            picture.save(folder / f"photo_{index}.jpg")
        else:
            pixels = np.asarray(picture).transpose(2, 0, 1)
            write_tif(folder / "maps" / f"map_{index}.tif", pixels, crs=UTM, transform=NORTH_UP)
    return folder


def segment_command(survey: Path, out: Path, model: Path, *more: str) -> list[str]:
    """Return the command that segments a survey, one core for the network."""
    return [
        sys.executable, "-m", "cli", "segment", str(survey), "--out", str(out), "--model", str(model), "--threads", "1",
        *more,
    ]  # fmt: skip


def plan_for(folder: Path, request: Request) -> SurveyPlan:
    """Return the plan of a survey."""
    return plan_survey(walk_survey([folder], out=request.out), request)


def noseam(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start a command at the root of the repository; its output can be read."""
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **options
    )


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command at the root of the repository to its end."""
    with start(command, **options) as process:
        stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def exit_code(process: subprocess.Popen[str] | subprocess.CompletedProcess[str]) -> int:
    """Return what a shell calls the exit code of an ended process: 128 + n where signal n ended it."""
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too, except those that differ between any two runs."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}
    return {name: data for name, data in found.items() if not re.match(_OF_ONE_RUN, name)}
