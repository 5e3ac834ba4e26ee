"""Comparing folders: counts do not depend on how masks are stored, a bad pair fails alone, reports parse."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from segment.errors import EvaluateError, RequestError
from segment.evaluation import image as image_module
from segment.evaluation.compare import evaluate
from segment.evaluation.lines import evaluation_as_lines
from segment.evaluation.metrics import confusion, measure
from segment.evaluation.report import write_report
from segment.evaluation.results import Evaluation
from segment.plan.request import Request
from segment.plan.survey import plan_survey
from segment.run.runner import Runner
from tests.evaluation.making import SHAPE, TABLE, as_json, labels, write_colours, write_gray, write_mask
from tests.grids import squares
from tests.make import noise
from tests.models import MeanEngine, class_table, runner_of
from tiler.classes import ClassTable
from tiler.errors import NoPairError, PairError
from tiler.files.outputs import Format
from tiler.files.walk import walk_survey
from tiler.grid.seams import read_grid
from tiler.grid.tiles import Grid, plan_grid
from tiler.masks.labels import open_labels


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    return predicted, truth


def test_counts_of_all_images_add_up_and_each_has_its_own_score(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    masks = [(labels(seed=2 * index), labels(seed=2 * index + 1)) for index in range(3)]
    for index, (ours, true) in enumerate(masks):
        write_mask(predicted / f"{index}_label.png", ours)
        write_gray(truth / f"{index}.png", true)
    told: list[tuple[int, int]] = []
    found = evaluate(predicted, truth, advance=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    each = [confusion(true, ours, 4) for ours, true in masks]
    np.testing.assert_array_equal(found.confusion, sum(each))
    assert found.metrics == measure(found.confusion)
    assert found.classes == TABLE.names
    assert [(score.name, score.pixels, score.accuracy, score.miou) for score in found.images] == [
        (f"{index}", measure(matrix).pixels, measure(matrix).accuracy, measure(matrix).miou)
        for index, matrix in enumerate(each)
    ]
    assert (found.seams, found.dependence, found.blocks, found.failed) == (None, None, None, ())


@pytest.mark.parametrize("counted_px", [1, 203 * 7, 203 * 256, 2**22])
@pytest.mark.parametrize("format", ["png", "geotiff"])
def test_blocks_of_any_size_give_one_answer(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted_px: int, format: Format
) -> None:
    predicted, truth = folders
    shape = (1030 if counted_px > 1 else 60, 203)
    ours, true, moved = (labels(seed=seed, shape=shape) for seed in range(3))
    grid, other = (
        plan_grid(shape, scale=0.5, tile=(64, 64), overlap=(0, 0), shift=(shift, shift)) for shift in (0, 32)
    )
    (tmp_path / "shifted").mkdir()
    write_mask(predicted / "a_label.tif", ours, grid=grid, format=format)
    write_mask(truth / "a.tif", true, format=format)
    write_mask(tmp_path / "shifted/a_label.tif", moved, grid=other, format=format)
    sure = np.where(ours == 255, 255, noise(*shape, high=255)).astype(np.uint8)
    write_mask(predicted / "a_confidence.tif", sure, grid=grid, format=format)
    whole = evaluate(predicted, truth, shifted=tmp_path / "shifted", seam_px=8)
    monkeypatch.setattr(image_module, "COUNTED_PX", counted_px)
    parts = evaluate(predicted, truth, shifted=tmp_path / "shifted", seam_px=8)
    np.testing.assert_array_equal(whole.confusion, confusion(true, ours, 4))
    assert as_json(parts) == as_json(whole)
    assert whole.seams is not None
    assert whole.seams.control is not None
    assert whole.dependence is not None
    assert whole.dependence.levels[0].pixels > 0


def test_colours_say_the_same_as_ids(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    ours, true = labels(seed=0), labels(seed=1)
    write_mask(predicted / "a_label.png", ours)
    write_gray(truth / "a.png", true)
    (tmp_path / "colours").mkdir()
    write_colours(tmp_path / "colours" / "a.png", true)
    by_id = evaluate(predicted, truth, classes=TABLE)
    by_colour = evaluate(predicted, tmp_path / "colours", classes=TABLE)
    np.testing.assert_array_equal(by_colour.confusion, by_id.confusion)


def test_a_colour_truth_without_a_table_is_told_what_it_needs(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    path = write_colours(truth / "a.png", labels(seed=1))
    (failed,) = evaluate(predicted, truth).failed
    assert str(path) in failed.reason
    assert "--classes" in failed.reason


def test_two_files_can_be_given_and_a_table_may_use_other_words(tmp_path: Path) -> None:
    ours, true = labels(seed=0), labels(seed=1)
    words = ClassTable(tuple("abcd"), TABLE.colours)
    found = evaluate(write_mask(tmp_path / "a.png", ours), write_gray(tmp_path / "b.png", true), classes=words)
    assert found.classes == tuple("abcd")
    np.testing.assert_array_equal(found.confusion, confusion(true, ours, 4))


def test_masks_that_noseam_did_not_write_need_a_table(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_gray(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=0))
    with pytest.raises(RequestError, match=r"a\.png: the mask does not say its class names; .*--classes"):
        evaluate(predicted, truth)
    assert evaluate(predicted, truth, classes=TABLE).metrics.accuracy == 1


def test_a_table_for_another_model_is_refused_at_once(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    path = write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=0))
    with pytest.raises(RequestError, match=f"{path}: the mask has 4 classes; expected 6, as in the class table"):
        evaluate(predicted, truth, classes=class_table(6))


@pytest.mark.parametrize(
    ("names", "reason"),
    [(tuple("abcd"), "the classes a, b, c, d; expected class 0, "), (tuple("abc"), "3 classes; expected 4")],
)
def test_a_mask_of_another_model_fails_alone(folders: tuple[Path, Path], names: tuple[str, ...], reason: str) -> None:
    predicted, truth = folders
    for name, own in (("1.png", TABLE.names), ("2.png", names)):
        write_mask(predicted / name, labels(seed=0), names=own)
        write_gray(truth / name, labels(seed=1))
    found = evaluate(predicted, truth)
    assert [failed.name for failed in found.failed] == ["2"]
    assert reason in found.failed[0].reason


def test_pairs_that_cannot_be_compared_fail_alone(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    for name in ("damaged", "good", "grid", "ids", "size"):
        write_mask(predicted / f"{name}.png", labels(seed=0))
        write_gray(truth / f"{name}.png", labels(seed=1))
    (truth / "damaged.png").write_bytes((truth / "damaged.png").read_bytes()[:2000])
    write_mask(predicted / "grid.png", labels(seed=0), NOSEAM_TILE_ROWS="0 x")
    write_gray(truth / "ids.png", np.full(SHAPE, 7, np.uint8))
    write_gray(truth / "size.png", labels(seed=1, shape=(20, 30)))
    found = evaluate(predicted, truth)
    reasons = {failed.name: failed.reason for failed in found.failed}
    assert [score.name for score in found.images] == ["good"]
    np.testing.assert_array_equal(found.confusion, confusion(labels(seed=1), labels(seed=0), 4))
    assert set(reasons) == {"damaged", "grid", "ids", "size"}
    assert str(truth / "damaged.png") in reasons["damaged"]
    assert f"{predicted / 'grid.png'} and {truth / 'grid.png'}: tag NOSEAM" in reasons["grid"]
    assert str(truth / "ids.png") in reasons["ids"]
    assert "class id 7 found; expected 0 to 3, or 255" in reasons["ids"]
    assert (
        f"{predicted / 'size.png'} has 203 x 301 pixels, but {truth / 'size.png'} has 30 x 20 pixels; exp"
        in reasons["size"]
    )


def test_where_every_pair_fails_there_is_a_report_without_scores(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=1, shape=(2, 3)))
    found = evaluate(predicted, truth)
    assert math.isnan(found.metrics.miou)
    assert as_json(found)["miou"] is None
    assert evaluation_as_lines(found)[-1] == "0 images compared, 1 failed, 0 without partner; there are no scores"
    write_report(found, tmp_path / "report")


def test_masks_without_partner_are_listed(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=1))
    ours = write_mask(predicted / "only_ours.png", labels(seed=0))
    true = write_gray(truth / "only_true.png", labels(seed=1))
    found = evaluate(predicted, truth)
    assert (found.only_predicted, found.only_truth) == ((ours,), (true,))
    lines = evaluation_as_lines(found)
    assert f"predicted only: {ours}" in lines
    assert f"truth only: {true}" in lines
    assert as_json(found)["only_truth"] == [str(true)]


def test_no_pair_at_all_is_an_error(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    with pytest.raises(NoPairError, match="no image in common: 1 predicted and 0 true masks without partner"):
        evaluate(predicted, truth)
    with pytest.raises(PairError, match="no such file or folder"):
        evaluate(predicted, truth / "nowhere")


def test_a_seam_zone_without_width_is_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(EvaluateError, match="at least 1 px wide, got 0"):
        evaluate(*folders, seam_px=0)


def test_a_table_that_numbers_the_same_classes_otherwise_is_refused(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=0))
    names = TABLE.names[1], TABLE.names[0], *TABLE.names[2:]
    with pytest.raises(RequestError, match=rf"class {names[1]} is 0 in the mask, 1 in the table"):
        evaluate(predicted, truth, classes=ClassTable(names, TABLE.colours))


def test_a_name_that_is_no_text_stands_in_the_report(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0))
    write_gray(truth / "a.png", labels(seed=0))
    (truth / os.fsdecode(b"m\xe4.png")).touch()
    paths = write_report(evaluate(predicted, truth), tmp_path / "report")
    assert b"m\xe4.png" in paths[0].read_bytes()


def test_class_names_that_are_no_list_are_refused(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    write_mask(predicted / "a.png", labels(seed=0), names=None, CLASS_NAMES="road, roof")
    write_gray(truth / "a.png", labels(seed=1))
    with pytest.raises(RequestError, match="does not say its class names"):
        evaluate(predicted, truth)
    evaluation = evaluate(predicted, truth, classes=class_table(3))
    assert "tag CLASS_NAMES: a JSON list of names expected, 'road, roof' found" in evaluation.failed[0].reason


HARD_CUT = Grid((200, 300), (200, 300), (100, 100), (0, 100), (0, 100, 200))
BLENDED = Grid((200, 300), (200, 300), (128, 128), (0, 72), (0, 86, 172))


def zone_of(grid: Grid, seam_px: int) -> NDArray[np.bool_]:
    """Return the seam zone at scale 1, said another way: the lines between tiles, widened."""
    lines = ([100], [100, 200]) if grid is HARD_CUT else ([100], [107, 193])
    half = seam_px // 2
    zone = np.zeros(grid.source_shape, np.bool_)
    for row in lines[0]:
        zone[row - half : row + half] = True
    for col in lines[1]:
        zone[:, col - half : col + half] = True
    return zone


@pytest.mark.parametrize("grid", [HARD_CUT, BLENDED], ids=["cut", "blended"])
@pytest.mark.parametrize("seam_px", [32, 8])
def test_errors_in_the_seam_zone_are_found_there_and_nowhere_else(
    folders: tuple[Path, Path], grid: Grid, seam_px: int
) -> None:
    predicted, truth = folders
    zone = zone_of(grid, seam_px)
    true = noise(200, 300, high=4)
    ours = np.where(zone & (noise(200, 300, high=2, seed=1) == 1), (true + 1) % 4, true).astype(np.uint8)
    write_mask(predicted / "a.png", ours, grid=grid)
    write_gray(truth / "a.png", true)
    found = evaluate(predicted, truth, seam_px=seam_px)
    assert found.seams is not None
    assert found.seams.seam == measure(confusion(true[zone], ours[zone], 4))
    assert found.seams.interior == measure(confusion(true[~zone], ours[~zone], 4))
    assert (found.seams.interior.accuracy, found.interior_miou) == (1, 1)
    assert 0.4 < found.seams.seam.accuracy < 0.6
    assert found.seam_miou < 0.6
    assert found.seams.seam.pixels + found.seams.interior.pixels == found.metrics.pixels


def test_seams_and_interiors_are_compared_over_the_classes_that_both_have(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    zone = zone_of(HARD_CUT, 32)
    true = np.where(zone, noise(200, 300, high=2), 1 + noise(200, 300, high=2)).astype(np.uint8)
    ours = true.copy()
    ours[true == 0] = 3
    ours[true == 2] = 3
    write_mask(predicted / "a.png", ours, grid=HARD_CUT)
    write_gray(truth / "a.png", true)
    found = evaluate(predicted, truth)
    assert found.seams is not None
    assert found.seams.classes == (1,)
    assert (found.seam_miou, found.interior_miou) == (1, 1)
    assert found.seams.seam.miou == 0.5


def test_only_masks_with_several_tiles_have_seams(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    one_tile = Grid((200, 300), (200, 300), (320, 320), (0,), (0,))
    for name, grid in (("cut", HARD_CUT), ("one", one_tile), ("untagged", None)):
        write_mask(predicted / f"{name}.png", noise(200, 300, high=4), grid=grid)
        write_gray(truth / f"{name}.png", noise(200, 300, high=4, seed=1))
    found = evaluate(predicted, truth)
    assert found.seams is not None
    assert (len(found.images), found.seams.images) == (3, 1)
    assert found.seams.seam.pixels + found.seams.interior.pixels == 200 * 300


def test_masks_of_a_run_tell_their_seams(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predicted, truth = folders
    (tmp_path / "survey").mkdir()
    Image.fromarray(noise(150, 220, 3)).save(tmp_path / "survey" / "a.png")
    request = Request(tiling=squares(128, 64), out=predicted)
    run(runner_of(MeanEngine()), tmp_path / "survey", request)
    write_gray(truth / "a.png", noise(150, 220, high=4))
    found = evaluate(predicted, truth)
    grid = plan_grid((150, 220), scale=0.5, tile=(64, 64), overlap=(16, 16))
    with open_labels(predicted / "a_label.png", None) as mask:
        assert read_grid(mask.tags, mask.shape) == grid
    assert found.seams is not None
    assert (found.seams.images, found.failed) == (1, ())
    assert found.classes == TABLE.names


def run(runner: Runner, folder: Path, request: Request) -> None:
    plan = plan_survey(walk_survey([folder], out=request.out), request)
    assert {outcome.state for outcome in runner.run(plan, request)} == {"done"}


@pytest.fixture
def found(folders: tuple[Path, Path]) -> Evaluation:
    predicted, truth = folders
    for index in range(2):
        write_mask(predicted / f"{index}.png", noise(200, 300, high=4, seed=index), grid=HARD_CUT)
        write_gray(truth / f"{index}.png", noise(200, 300, high=3, seed=index + 2))
    return evaluate(predicted, truth)


def test_the_report_is_four_files_that_parse(found: Evaluation, tmp_path: Path) -> None:
    folder = tmp_path / "some" / "report"
    for _ in range(2):
        paths = write_report(found, folder)
    assert sorted(folder.iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["evaluation.json", "per_class.csv", "confusion.csv", "confusion.png"]
    scores = json.loads(paths[0].read_text("utf-8"))
    assert scores == as_json(found)
    assert scores["miou"] == pytest.approx(found.metrics.miou)
    per_class = pd.read_csv(paths[1])
    assert per_class["name"].tolist() == list(TABLE.names)
    np.testing.assert_allclose(per_class["iou"], found.metrics.iou)
    np.testing.assert_allclose(per_class["recall"], found.metrics.recall)
    assert per_class["support"].tolist() == list(found.metrics.support)
    counts = pd.read_csv(paths[2], index_col=0)
    assert counts.index.tolist() == list(TABLE.names)
    assert counts.columns.tolist() == [*TABLE.names, "no label"]
    np.testing.assert_array_equal(counts.to_numpy(), found.confusion)
    with Image.open(paths[3]) as picture:
        assert picture.format == "PNG"


def test_the_report_compares_seams_with_the_interior(found: Evaluation) -> None:
    assert found.seams is not None
    seams = as_json(found)["seams"]
    assert (seams["images"], seams["width_px"], seams["classes_compared"]) == (2, 32, 3)
    assert seams["seam"]["miou"] == pytest.approx(found.seam_miou)
    assert seams["interior"]["fwiou"] == pytest.approx(found.seams.interior.fwiou)
    assert seams["shifted"] is None
    text = "\n".join(evaluation_as_lines(found))
    assert "zones where tiles meet, 32 model px wide (2 images, mIoU over 3 classes)" in text
    points = 100 * (found.seams.seam.accuracy - found.seams.interior.accuracy)
    assert f"{points:+.2f} points" in text
    assert "The difference mixes position and seam; --shifted tells them apart." in text
    assert "2 images compared, 0 failed, 0 without partner" in text


@pytest.mark.skipif(os.name == "nt", reason="a file where a folder belongs has another error there")
def test_a_report_that_cannot_be_written_says_where(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(EvaluateError, match=r"taken: cannot be written: "):
        write_report(found, tmp_path / "taken")
    (tmp_path / "report" / "per_class.csv").mkdir(parents=True)
    with pytest.raises(EvaluateError, match=r"per_class\.csv: cannot be written: Is a directory"):
        write_report(found, tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"evaluation.json", "per_class.csv"}
