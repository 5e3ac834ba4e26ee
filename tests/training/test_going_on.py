"""A training that was stopped goes on as if it had not been, and one that ended may go further."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from segment.errors import TrainError
from segment.training.ending import since_best
from segment.training.request import TrainRequest
from segment.training.train import train
from tests.crop_folder import crop_folder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    """Return a request with all that has a state of its own: two epochs of four steps, judged after 3, 6 and 8."""
    folder = tmp_path_factory.mktemp("going-on")
    return TrainRequest(
        crops=(crop_folder(folder / "crops", train=16),), out=folder / "whole", base="nano", epochs=2, lr=5e-3,
        input_px=64, workers=0, device="cpu", validate_every=3, schedule="poly", warmup=0.25, head_lr_factor=2, ema=0.8,
        loss="ce+lovasz", ohem=0.9, class_weights="sqrt", patience=5, dropout=0.2, coarse_first=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(asked: TrainRequest) -> TrainRequest:
    train(asked)
    return asked


class StoppedError(Exception):
    """What stops a training in these tests."""


def stop_after(last: int) -> Any:
    def advance(done: int, total: int) -> None:
        if done == last:
            raise StoppedError

    return advance


def files_of(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {str(path.relative_to(out)): load_file(path) for path in sorted(out.rglob("*.safetensors"))}


def assert_same(first: Path, second: Path) -> None:
    ours, theirs = files_of(first), files_of(second)
    assert ours.keys() == theirs.keys()
    for name, tensors in ours.items():
        assert all(torch.equal(tensor, theirs[name][key]) for key, tensor in tensors.items()), name


@pytest.mark.parametrize(("last", "workers"), [(4, 0), (5, 2), (7, 0)])
def test_a_stop_at_any_step_changes_no_bit(whole: TrainRequest, tmp_path: Path, last: int, workers: int) -> None:
    request = replace(whole, out=tmp_path / "out", workers=workers)
    with pytest.raises(StoppedError):
        train(request, stop_after(last))
    steps: list[int] = []
    result = train(request, lambda done, total: steps.append(done))
    assert steps[0] == 3 * (last // 3) + 1
    assert [row["step"] for row in result.rows] == [3, 6, 8]
    assert_same(request.out, whole.out)
    for name in ("config.json", "confusion.csv"):
        assert (request.out / name).read_bytes() == (whole.out / name).read_bytes()


def test_a_lost_mean_is_told(whole: TrainRequest, tmp_path: Path) -> None:
    request = replace(whole, out=tmp_path / "out")
    with pytest.raises(StoppedError):
        train(request, stop_after(4))
    (request.out / "state/checkpoint-3/mean.safetensors").unlink()
    with pytest.raises(ValueError, match=r"mean\.safetensors: the mean of the weights cannot be read"):
        train(request)


def test_every_row_has_the_iou_of_every_class(whole: TrainRequest) -> None:
    with (whole.out / "learning_curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3", "6", "8"]
    for row in rows:
        both = [float(row[f"iou_class {index}"]) for index in range(2)]
        assert float(row["miou"]) == pytest.approx(sum(both) / 2)


def test_a_training_that_gets_no_better_ends(
    asked: TrainRequest, tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = SimpleNamespace(miou=0.25, accuracy=0.5, iou=(0.5, 0.0), present=(0, 1))
    monkeypatch.setattr("segment.training.scores.measure", lambda matrix: judged)
    request = replace(asked, out=tmp_path / "out", patience=2, validate_every=1)
    with caplog.at_level(logging.INFO, "segment"):
        result = train(request)
    assert "2 validations in a row brought no better mIoU" in caplog.text
    assert (result.steps, [row["step"] for row in result.rows]) == (3, [1, 2, 3])
    assert "3 steps" in (request.out / "README.md").read_text()
    (request.out / "config.json").unlink()  # as if it had been killed before the model was written
    steps: list[int] = []
    assert train(request, lambda done, total: steps.append(done)).steps == 3
    assert steps == []
    with pytest.raises(TrainError, match=r"2 validations in a row .* --extend needs a greater one"):
        train(replace(request, max_steps=10, extend=True))
    assert train(replace(request, extend=True, patience=3)).steps == 4


def test_validations_since_the_best_are_counted() -> None:
    def history(*found: float) -> list[dict[str, float]]:
        return [{"loss": 1.0}, *({"eval_miou": miou} for miou in found)]

    assert [since_best(history(*found)) for found in [(), (0.1,), (0.1, 0.2), (0.2, 0.2, 0.1)]] == [0, 0, 0, 2]
    assert since_best(history(float("nan"), 0.1)) == 0


def test_a_finished_training_goes_on_past_its_end(whole: TrainRequest, tmp_path: Path) -> None:
    """Its rates from there on are those of a training that was so long from the start."""
    short = replace(whole, out=tmp_path / "out", max_steps=4, patience=None)
    train(short)
    longer = replace(short, max_steps=6)
    with pytest.raises(TrainError, match=r"steps was 4, is 6\. --extend goes on to the new end, --fresh"):
        train(longer)
    before = (short.out / "model.safetensors").read_bytes()
    with pytest.raises(StoppedError):
        train(replace(longer, extend=True), stop_after(5))
    assert (short.out / "model.safetensors").read_bytes() == before
    result = train(longer)  # the end is another now, so the same command goes on
    assert (result.steps, [row["step"] for row in result.rows]) == (6, [3, 4, 6])
    history = json.loads((short.out / "state/checkpoint-6/trainer_state.json").read_text())["log_history"]
    rates = {entry["step"]: entry["learning_rate"] for entry in history if "loss" in entry}
    assert rates[6] == pytest.approx(5e-3 * ((6 - 5) / (6 - 2)) ** 0.9)
    assert train(replace(longer, extend=True)).steps == 6


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"max_steps": 2}, "8 steps are done, and 2 are asked for in all"),
        ({"lr": 1.0}, r"lr was 0\.005, is 1\.0"),
    ],
)
def test_an_end_that_lies_behind_and_other_settings_are_refused(
    whole: TrainRequest, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(TrainError, match=match):
        train(replace(whole, extend=True, **changes))


def test_going_on_and_starting_over_exclude_each_other(asked: TrainRequest) -> None:
    with pytest.raises(TrainError, match="fresh starts over, and extend goes on"):
        replace(asked, fresh=True, extend=True)
