"""What the pages show in Python runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import noseam
from tests import ROOT
from tests.labelled import write_mask
from tests.models import NEEDS_TORCH, checkpoint_folder
from tests.runs import make_survey
from tiler.grid.tiling import Tiling
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey as make_scenes


@NEEDS_TORCH
def test_the_example_in_python_runs_as_typed(tmp_path: Path) -> None:
    """The survey has the names of the page's, and is smaller."""
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/training.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    make_scenes(tmp_path / "made-up", SceneOptions(photos=2, photo_shape=(500, 700), orthomosaics=0), jobs=1)
    (tmp_path / "example.py").write_text(example)
    found = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "example.py"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    crops, miou, *images, scores = found.stdout.splitlines()
    assert crops == "2 2 []"
    assert 0 <= float(miou) <= 1
    assert sorted(images) == [f"made-up/images/IMG_000{number}.jpg done " for number in (1, 2)]
    assert len(scores.split()) == 3


def test_the_names_of_the_example_are_no_functions_of_noseam() -> None:
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/training.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    names = set(re.findall(r"^(?:for )?(\w+) (?:=|in) ", example, re.MULTILINE))
    assert len(names) == 4
    assert not names & set(noseam.__all__)


def test_polygons_of_a_run_are_a_geopackage_by_default(tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "survey", photos=1, rasters=0, height=120, width=160)
    model = checkpoint_folder(tmp_path / "model", classes=3, tiling=Tiling(window_px=160, input_px=64))
    (outcome,) = noseam.segment(survey, tmp_path / "masks", model=str(model), polygons=True, device="cpu")
    assert outcome.state == "done"
    assert (tmp_path / "masks/photo_0_polygons.gpkg").read_bytes().startswith(b"SQLite format 3")
    write_mask(tmp_path / "labels", "a")
    (written,) = noseam.polygons(tmp_path / "labels", tmp_path / "vectors")
    assert written.path == tmp_path / "vectors/a_polygons.gpkg"
    assert written.path.read_bytes().startswith(b"SQLite format 3")
