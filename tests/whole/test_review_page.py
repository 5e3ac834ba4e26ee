"""Every command of `docs/review.md` runs as it stands there, in one folder; between them people correct a mask."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli import main
from tests import ROOT
from tests.models import NEEDS_TORCH
from tests.runs import noseam

PAGE = ROOT / "docs" / "review.md"
EXPORT = "masks/review/export-1"


def listed(table: Path) -> list[dict[str, str]]:
    """Return the windows that a table lists."""
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def correct(folder: Path) -> None:
    """Put the truth into the windows of an export, as people would."""
    for row in listed(folder / EXPORT / "windows.csv"):
        truth = np.asarray(Image.open(folder / "survey/truth" / Path(row["image"]).with_suffix(".png")))
        top, left, height, width = (int(row[name]) for name in ("row_off", "col_off", "height", "width"))
        labels = truth[top : top + height, left : left + width]
        Image.fromarray(labels).save(folder / EXPORT / f"masks/{row['name']}.png")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return what each command said."""
    folder = tmp_path_factory.mktemp("review")
    commands = re.findall(r"^    (noseam .*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 8
    found = {"folder": str(folder)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands:
            if "--import" in command:
                correct(folder)
            result = CliRunner().invoke(main, shlex.split(command)[1:], catch_exceptions=False)
            assert result.exit_code == 0, f"{command}\n{result.output}"
            found[command] = result.output
    return found


def output(said: Mapping[str, str], part: str) -> str:
    return next(text for command, text in said.items() if part in command)


@NEEDS_TORCH
def test_windows_are_listed_and_taken_back(said: Mapping[str, str]) -> None:
    assert "3 windows of 256 px in 2 of 3 images, chosen by confidence:\n" in output(said, "--export")
    assert re.search(r"^3 windows of 2 images taken, .* people changed \d+\.\d% of these labels$",
                     output(said, "--import"), re.MULTILINE)  # fmt: skip


@NEEDS_TORCH
def test_the_model_learned_from_both_folders(said: Mapping[str, str]) -> None:
    card = (Path(said["folder"]) / "better/README.md").read_text()
    assert "noseam train crops masks/review/crops --out better --base bundled:demo" in card
    assert "| training | 4 | 3 |" in card


@NEEDS_TORCH
def test_the_better_model_makes_all_masks_anew_and_the_next_round_leaves_out_what_came_back(
    said: Mapping[str, str],
) -> None:
    masks = Path(said["folder"]) / "masks"
    lines = (masks / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["done"] * 6
    result = noseam("review", masks, "--export", 3)
    assert result.exit_code == 0, result.output
    first, second = (
        {row["name"] for row in listed(masks / f"review/export-{number}/windows.csv")} for number in (1, 2)
    )
    assert len(first) == len(second) == 3
    assert not first & second
