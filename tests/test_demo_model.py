"""The bundled model: small enough to ship, right on scenes it never saw, and without seams."""

from __future__ import annotations

from pathlib import Path

import pytest

from segment import api
from segment.checkpoint import BUNDLED_MODELS, describe_checkpoint, load_checkpoint
from segment.evaluate import Evaluation
from segment.evaluate import evaluate as compare
from tiler.classes import DRONE_CLASSES
from tiler.scenes.survey import SurveyRequest, make_survey

FOLDER = BUNDLED_MODELS["demo"]
SEAM_PX = 32
"""Width of the band where tiles meet, model pixels: the same for blended and for hard-cut tiles."""


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of a seed that neither the training nor the demo uses."""
    folder = tmp_path_factory.mktemp("survey")
    request = SurveyRequest(photos=3, photo_shape=(2000, 3000), orthomosaics=0, seed=77)
    make_survey(folder, request)
    return folder


def evaluation(survey: Path, *, overlap: float | None = None) -> Evaluation:
    """Segment the survey with the bundled model and hold it against the truth."""
    masks = survey / f"masks {overlap}"
    outcomes = api.segment(survey / "images", masks, model="demo", overlap=overlap, device="cpu", format="geotiff")
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    return compare(masks, survey / "truth", classes=DRONE_CLASSES, seam_px=SEAM_PX)


@pytest.fixture(scope="module")
def blended(survey: Path) -> Evaluation:
    return evaluation(survey)


def test_it_is_small_and_says_that_it_is_a_demonstration() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 8_000_000
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_500_000
    assert "demonstration" in (FOLDER / "README.md").read_text()
    assert "make.sh" in (FOLDER / "README.md").read_text()


def test_it_is_a_checkpoint_of_the_drone_classes() -> None:
    checkpoint = load_checkpoint(describe_checkpoint("demo"))
    assert checkpoint.description.classes == DRONE_CLASSES
    assert (checkpoint.description.tiling.window_px, checkpoint.description.tiling.input_px) == (1024, 512)


def test_it_is_right_on_scenes_that_it_never_saw(blended: Evaluation) -> None:
    assert blended.metrics.miou >= 0.80
    assert blended.metrics.accuracy > 0.9 > blended.metrics.majority_accuracy


def test_blended_tiles_show_no_seam_and_hard_cut_ones_do(survey: Path, blended: Evaluation) -> None:
    """Judged in the same band of pixels, which a hard cut runs through and a blend does not show."""
    hard = evaluation(survey, overlap=0.0)
    for found in (blended, hard):
        assert found.seam is not None
        assert found.interior is not None
