"""The bundled model to start from: small enough to ship, honest about itself, right on much of a wide world."""

from __future__ import annotations

from pathlib import Path

import pytest

from segment import api
from segment.evaluation.compare import evaluate
from segment.model.checkpoint import BUNDLED_MODELS, START_MODEL, describe_checkpoint
from tiler.classes import DRONE_CLASSES
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey

FOLDER = BUNDLED_MODELS[START_MODEL]


def test_it_is_small_and_its_card_says_what_it_can_do_and_where() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 8_000_000
    card = (FOLDER / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "made-up scenes alone" in card
    assert "make.sh" in card
    assert describe_checkpoint("start").measured in " ".join(card.split())


def test_it_knows_the_drone_classes_and_how_often_it_saw_each() -> None:
    found = describe_checkpoint("start")
    assert found.name == START_MODEL
    assert found.classes == DRONE_CLASSES
    assert (found.tiling.window_px, found.tiling.input_px) == (1024, 512)
    assert len(found.frequencies) == len(DRONE_CLASSES.names)
    assert found.tuned_balance is not None


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Varied scenes of a seed that the training does not use."""
    folder = tmp_path_factory.mktemp("survey")
    options = SceneOptions(photos=8, photo_shape=(768, 1152), gsd_m=0.004, gsd_to_m=0.03, seed=78, world="varied")
    make_survey(folder, options)
    return folder


def test_it_is_right_on_most_of_scenes_that_it_never_saw(survey: Path) -> None:
    masks = survey / "masks"
    api.segment(survey / "images", masks, model="start", device="cpu", report=False)
    found = evaluate(masks, survey / "truth", classes=DRONE_CLASSES)
    print(f"accuracy {found.metrics.accuracy:.2%}, mIoU {found.metrics.miou:.2%}")
    assert found.metrics.accuracy > found.metrics.majority_accuracy + 0.2
    assert found.metrics.miou > 0.2
