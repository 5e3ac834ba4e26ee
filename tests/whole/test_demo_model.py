"""The bundled model: small enough to ship, right on scenes it never saw, and without seams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segment import api
from segment.evaluation.compare import evaluate as compare
from segment.evaluation.results import Evaluation
from segment.model.checkpoint import BUNDLED_MODELS, DEMO_MODEL, describe_checkpoint, load_checkpoint
from segment.model.network import Normalised
from segment.model.segmenter import Stock
from tiler.classes import DRONE_CLASSES
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey

FOLDER = BUNDLED_MODELS[DEMO_MODEL]
TILE = 512
"""Side of the tiles: a photo has six of them, so that there are seams to judge."""


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of a seed that neither the training nor the demo uses; without overlap six tiles cover each exactly."""
    folder = tmp_path_factory.mktemp("survey")
    make_survey(folder, SceneOptions(photos=4, photo_shape=(2048, 3072), orthomosaics=0, seed=77))
    return folder


def masks(survey: Path, name: str, **options: Any) -> Path:
    """Segment the survey with the bundled model and return the folder of the masks."""
    folder = survey / name
    options = {"tile": str(TILE), "device": "cpu", "format": "geotiff", **options}
    outcomes = api.segment(survey / "images", folder, model="demo", **options)
    assert [outcome.state for outcome in outcomes] == ["done"] * 4
    return folder


@pytest.fixture(scope="module")
def blended(survey: Path) -> Path:
    return masks(survey, "blended")


def evaluate(masks: Path, *, shifted: Path | None = None) -> Evaluation:
    return compare(masks, masks.parent / "truth", shifted=shifted, classes=DRONE_CLASSES)


def test_it_is_small_and_says_that_it_is_a_demonstration() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 8_000_000
    card = (FOLDER / "README.md").read_text()
    assert "A demonstration" in card
    assert "make.sh" in card


def test_it_is_a_checkpoint_of_the_drone_classes() -> None:
    checkpoint = load_checkpoint(describe_checkpoint("demo"))
    assert checkpoint.description.classes == DRONE_CLASSES
    assert (checkpoint.description.tiling.window_px, checkpoint.description.tiling.input_px) == (1024, 512)


def test_it_is_right_on_scenes_that_it_never_saw(blended: Path) -> None:
    found = evaluate(blended)
    assert found.metrics.miou >= 0.80
    assert found.metrics.accuracy > 0.95 > found.metrics.majority_accuracy


def test_seams_cost_nothing_and_hardly_a_label_depends_on_the_grid(survey: Path, blended: Path) -> None:
    """The same places are judged where tiles meet there and where they do not."""
    found = evaluate(blended, shifted=masks(survey, "shifted", grid_shift_px=192))
    assert found.dependence is not None
    assert found.seams is not None
    assert found.seams.control is not None
    lost = found.seams.control.accuracy - found.seams.seam.accuracy
    fwiou = found.seams.control.fwiou - found.seams.seam.fwiou
    print(f"depends on the grid {found.dependence.share:.3%}, lost {lost:+.4f}, fwIoU {fwiou:+.4f}")
    assert found.dependence.share < 0.006
    assert abs(lost) < 0.002
    assert abs(fwiou) < 0.004


def test_hard_cut_tiles_show_the_seams_that_blended_ones_do_not(survey: Path, blended: Path) -> None:
    """Both are judged in bands of one width around the lines where tiles meet."""
    soft, hard = evaluate(blended), evaluate(masks(survey, "cut", overlap=0.0))
    lost = [found.interior_miou - found.seam_miou for found in (soft, hard)]
    blocks = [found.blocks.blockiness if found.blocks else 0 for found in (soft, hard)]
    print(f"mIoU lost at seams {lost}, blockiness {blocks}")
    assert lost[1] > lost[0] + 0.02
    assert 0.9 < blocks[0] < 1.1
    assert blocks[1] > 1.1


def test_the_fast_engine_gives_the_labels_of_transformers(
    survey: Path, blended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_checkpoint(describe_checkpoint("demo"))
    stock = Normalised(Stock(model.network), model.description.normalisation)
    monkeypatch.setattr("segment.model.segmenter.load_segmenter", lambda *_: stock)
    eager = masks(survey, "eager", engine="torch", precision="fp32")
    exact = masks(survey, "exact", engine="openvino", precision="fp32")
    shares = [np.mean([_equal(mask, folder) for mask in eager.glob("*.tif")]) for folder in (exact, blended)]
    print(f"labels equal to those of transformers in fp32: OpenVINO in fp32 {shares[0]:.5%}, auto {shares[1]:.4%}")
    assert shares[0] >= 0.9999
    assert shares[1] >= 0.997


def _equal(mask: Path, folder: Path) -> float:
    with Image.open(mask) as expected, Image.open(folder / mask.name) as found:
        return float(np.mean(np.asarray(found) == np.asarray(expected)))
