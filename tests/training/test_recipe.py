"""What a training does where its user does not say: by what it starts from, and said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import SegformerForSemanticSegmentation, TrainingArguments

from segment.model.checkpoint import describe_checkpoint
from segment.model.config import Normalisation
from segment.model.presets import make_config
from segment.training.dataset import CropDataset
from segment.training.learner import Learner
from segment.training.loss import Objective
from segment.training.plan import plan_training
from segment.training.recipe import complete, recipe_in_words, recipe_of
from segment.training.request import TrainRequest
from segment.training.train import train
from segment.training.variation import Variation
from tests.crop_folder import crop_folder
from tests.models import class_table
from tiler.errors import ClassTableError
from tiler.grid.tiling import Tiling
from tiler.remap.options import RemapOptions


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    folder = tmp_path_factory.mktemp("recipe")
    crops = crop_folder(folder / "crops")
    return TrainRequest(crops=(crops,), out=folder / "out", base="nano", input_px=64, workers=0, device="cpu")


@pytest.mark.parametrize(
    ("base", "recipe", "expected"),
    [
        ("nano", "auto", "scratch"),
        ("b5", "auto", "scratch"),
        ("nvidia/mit-b0", "auto", "finetune"),
        ("demo", "auto", "adapt"),
        ("bundled:start", "auto", "adapt"),
        ("./b5", "auto", "finetune"),
        ("b5", "finetune", "finetune"),
        ("demo", "scratch", "scratch"),
    ],
)
def test_the_base_says_the_recipe_unless_the_user_does(
    asked: TrainRequest, base: str, recipe: Any, expected: str
) -> None:
    assert recipe_of(replace(asked, base=base, recipe=recipe)) == expected


def test_random_weights_learn_faster_than_those_of_a_model() -> None:
    crops = {"crops": (Path(),), "out": Path("out")}
    bases = ("b0", "nvidia/mit-b0", "start")
    scratch, finetune, adapt = (complete(TrainRequest(**crops, base=base)) for base in bases)  # type: ignore[arg-type]
    assert (scratch.lr, scratch.head_lr_factor) == (6e-4, 1)
    assert (finetune.lr, finetune.head_lr_factor) == (6e-5, 10)
    assert (adapt.lr, adapt.head_lr_factor) == (4e-4, 1)
    assert [found.loss for found in (scratch, finetune, adapt)] == ["ce", "ce", "ce+dice"]
    assert [(found.dropout, found.variation.colour, found.coarse_first) for found in (scratch, finetune, adapt)] == [
        (0.1, 0.2, 0), (0.1, 0.2, 0), (0, 0, 0.5)
    ]  # fmt: skip


def test_a_checkpoint_in_a_folder_of_a_short_name_is_none_that_comes_with_noseam(
    asked: TrainRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "start").mkdir()
    assert recipe_of(replace(asked, base="start")) == "adapt"
    (tmp_path / "start/config.json").write_text("{}")
    assert recipe_of(replace(asked, base="start")) == "finetune"
    assert recipe_of(replace(asked, base="bundled:start")) == "adapt"


def test_what_the_user_says_wins_and_is_told(asked: TrainRequest) -> None:
    given = replace(asked, lr=0.01, schedule="poly", ema=0.0, variation=Variation(colour=0.3, tilt=True))
    found = complete(given)
    assert (found.lr, found.schedule, found.ema, found.warmup) == (0.01, "poly", 0.0, 0.05)
    assert found.variation == given.variation
    words = recipe_in_words(given)
    assert "dropout 0.1, 0% of the steps at half of the input, colours change by 0.3 (given), " in words
    assert words.startswith(
        "scratch: loss ce, rate 0.01 (given), of the head 1 x that, poly (given), warm-up over 0.05 "
    )
    assert words.endswith("mean of weights none (given)")


def test_a_recipe_is_a_part_of_the_settings(asked: TrainRequest) -> None:
    settings = plan_training(asked).settings
    assert (settings["lr"], settings["schedule"], settings["ema"]) == (6e-4, "cosine", 0.999)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_steps": 5, "validate_every": 2}, [2, 4, 5]),
        ({"epochs": 3}, [2, 4, 6]),  # two steps each
        ({"max_steps": 3}, [2, 3]),
    ],
)
def test_steps_of_validation_follow_from_their_numbers(
    asked: TrainRequest, changes: dict[str, Any], expected: list[int]
) -> None:
    plan = plan_training(replace(asked, **changes))
    assert [step for step in range(1, plan.steps + 1) if plan.validates_after(step)] == expected


@pytest.mark.parametrize(("epoch", "parts"), [(500, 1), (501, 2), (1300, 3)])
def test_long_epochs_are_judged_within(asked: TrainRequest, epoch: int, parts: int) -> None:
    plan = replace(plan_training(asked), steps_per_epoch=epoch, steps=2 * epoch)
    steps = [step for step in range(1, plan.steps + 1) if plan.validates_after(step)]
    assert len(steps) == 2 * parts
    assert {epoch, 2 * epoch} <= set(steps)
    assert max(after - before for before, after in zip([0, *steps], steps, strict=False)) <= 500


def test_classes_are_left_out_and_merged_as_crops_are_read(asked: TrainRequest, tmp_path: Path) -> None:
    remap = RemapOptions(ignore=("class 0",), map=("class 1=roof",))
    plan = plan_training(replace(asked, remap=remap))
    plain = plan_training(asked)
    assert plan.crops.classes.names == ("roof",)
    assert plan.crops.train.pixels.tolist() == plain.crops.train.pixels[:, 1:].tolist()
    assert plan.crops.train.labelled == int(plain.crops.train.pixels[:, 1].sum())
    assert plan.settings != plain.settings
    shown, whole = (
        CropDataset(
            crops.val.crops, classes=2, input_px=64, normalisation=Normalisation(), seed=None, lookup=crops.lookup
        )[0]["labels"]
        for crops in (plan.crops, plain.crops)
    )
    assert set(whole.flatten().tolist()) == {0, 1, 255}
    assert torch.equal(shown, torch.where(whole == 1, 0, 255))


def test_a_model_of_merged_classes_knows_these_alone(asked: TrainRequest, tmp_path: Path) -> None:
    both = RemapOptions(map=("class 0,class 1=ground",))
    request = replace(asked, remap=both, max_steps=1, out=tmp_path / "out")
    train(request)
    assert describe_checkpoint(str(request.out)).classes.names == ("ground",)
    assert "--map 'class 0,class 1=ground'" in (request.out / "README.md").read_text()
    with pytest.raises(ClassTableError, match=r"--ignore class 2: no such class; did you mean class"):
        train(replace(request, remap=RemapOptions(ignore=("class 2",))))


def learner(tmp_path: Path, factor: float, **known: Any) -> Learner:
    network = SegformerForSemanticSegmentation(make_config("nano", class_table(3), Tiling(64, 64)))
    arguments = TrainingArguments(
        output_dir=str(tmp_path), learning_rate=1e-3, weight_decay=0.5, use_cpu=True, report_to="none"
    )
    return Learner(objective=Objective(), head_lr_factor=factor, model=network, args=arguments, **known)


def rates(optimizer: torch.optim.Optimizer) -> dict[int, tuple[float, float]]:
    """Return rate and decay of each weight by its identity."""
    return {
        id(each): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for each in group["params"]
    }


def test_the_head_learns_at_its_own_rate_and_decays_as_ever(tmp_path: Path) -> None:
    trainer = learner(tmp_path, 10)
    found = rates(trainer.create_optimizer())
    network = trainer.model
    assert len(found) == len(list(network.parameters()))
    assert found[id(network.decode_head.classifier.weight)] == (0.01, 0.5)
    assert found[id(network.decode_head.classifier.bias)] == (0.01, 0)
    assert {rate for rate, _ in (found[id(each)] for each in network.segformer.parameters())} == {1e-3}
    plain = learner(tmp_path, 1)
    without = rates(plain.create_optimizer())
    decays = [
        {name for name, each in net.named_parameters() if at[id(each)][1]}
        for net, at in ((network, found), (plain.model, without))
    ]
    assert decays[0] == decays[1]
    assert 0 < len(decays[0]) < len(found)


def test_a_step_counts_a_quarter_of_the_pixels_and_a_validation_all(tmp_path: Path) -> None:
    trainer = learner(tmp_path, 1, coarse_steps=7)
    shown = {"pixel_values": torch.randn(2, 3, 128, 128), "labels": torch.randint(0, 3, (2, 128, 128))}
    pixels, labels = shown["pixel_values"], shown["labels"]
    halved = pixels.reshape(2, 3, 64, 2, 64, 2).mean(dim=(3, 5))
    expected = {
        (6, True): (halved, labels[:, 1::2, ::2][:, ::2, 1::2]),  # of each block of two by two, another one each time
        (7, True): (pixels, labels[:, 1::2, 1::2]),
        (8, True): (pixels, labels[:, ::2, ::2]),
        (6, False): (pixels, labels),
    }
    for (step, training), (seen, truth) in expected.items():
        trainer.state.global_step = step
        losses = []
        network = trainer.model.train(training)
        for loss in (lambda: trainer.compute_loss(network, shown), lambda: slow_loss(network, seen, truth)):  # noqa: B023
            torch.manual_seed(5)
            losses.append(loss().item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def slow_loss(network: SegformerForSemanticSegmentation, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = network(pixel_values=pixels).logits
    fine = torch.nn.functional.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=False)
    return torch.nn.functional.cross_entropy(fine, labels)
