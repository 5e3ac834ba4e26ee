"""Labels that differ between two masks of one photo are those of a loop; masks made otherwise are refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from segment.errors import EvaluateError
from segment.evaluation.compare import evaluate
from segment.evaluation.grid_dependence import Dependence, count_dependence, differences
from segment.evaluation.lines import evaluation_as_lines
from segment.evaluation.report import write_report
from segment.evaluation.results import Evaluation
from tests.evaluation.making import TABLE, as_json, labels, write_gray, write_mask
from tests.make import noise
from tiler.errors import NoPairError
from tiler.grid.tiles import Grid

CLASSES = 4
SHAPE = (200, 300)
GRID = Grid(SHAPE, SHAPE, (128, 128), (0, 96), (0, 64, 128, 192))
SHIFTED = Grid(SHAPE, SHAPE, (128, 128), (0, 32, 96), (0, 32, 96, 160, 192))
ONE_TILE = Grid(SHAPE, SHAPE, (224, 320), (0,), (0,))
_ids = arrays.arrays(np.uint8, (4, 6), elements=st.sampled_from([*range(CLASSES), 255]))


@given(_ids, _ids, arrays.arrays(np.uint8, (4, 6), elements=st.integers(0, 254)))
def test_counts_are_those_of_a_loop_over_pixels(
    ours: NDArray[np.uint8], moved: NDArray[np.uint8], sure: NDArray[np.uint8]
) -> None:
    by_class = [[0, 0] for _ in range(CLASSES)]
    by_bin = {(0.0, 0.1): [0, 0], (0.1, 0.3): [0, 0], (0.3, 0.6): [0, 0], (0.6, 1.0): [0, 0]}
    for one, two, level in zip(ours.ravel().tolist(), moved.ravel().tolist(), sure.ravel().tolist(), strict=True):
        if one == 255 or two == 255:
            continue
        lead = level / 254
        bounds = next(each for each in by_bin if each[0] <= lead < each[1] or each[1] == 1.0)
        for counts in (by_class[one], by_bin[bounds]):
            counts[0] += 1
            counts[1] += one != two
    found = count_dependence(ours, moved, sure, CLASSES)
    assert found.by_class.tolist() == by_class
    assert (found.pixels, found.differing) == tuple(map(sum, zip(*by_class, strict=True)))
    if found.pixels:
        assert {(each.least, each.below): [each.pixels, each.differing] for each in found.levels} == by_bin
    parts = [count_dependence(ours[rows], moved[rows], sure[rows], CLASSES) for rows in (slice(2), slice(2, None))]
    np.testing.assert_array_equal((parts[0] + parts[1]).by_confidence, found.by_confidence)


def test_without_confidence_and_without_pixels_nothing_is_made_up() -> None:
    found = count_dependence(labels(seed=0), labels(seed=1), None, CLASSES)
    assert found.levels == ()
    assert math.isnan(Dependence.none(CLASSES).share)
    with pytest.raises(EvaluateError, match="the shifted mask has class id 9; expected 0 to 3, or 255"):
        count_dependence(np.zeros((1, 1), np.uint8), np.full((1, 1), 9, np.uint8), None, CLASSES)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name in ("masks", "shifted", "truth"):
        (tmp_path / name).mkdir()
    return tmp_path


def write_pair(here: Path, name: str, *, share: float = 0.0, grid: Grid = GRID, other: Grid = SHIFTED) -> None:
    """Write two masks; about so many of their labels differ."""
    ours = noise(*SHAPE, high=CLASSES)
    moved = np.where(noise(*SHAPE, high=1000, seed=3, dtype="int64") < 1000 * share, (ours + 1) % CLASSES, ours)
    write_mask(here / f"masks/{name}_label.png", ours, grid=grid)
    write_mask(here / f"shifted/{name}_label.png", moved.astype(np.uint8), grid=other)


def shifted_only(here: Path) -> Evaluation:
    return evaluate(here / "masks", shifted=here / "shifted")


def test_photos_without_truth_say_which_labels_depend_on_the_grid(here: Path, tmp_path: Path) -> None:
    for name, share in (("little", 0.01), ("much", 0.2), ("none", 0)):
        write_pair(here, name, share=share)
    write_mask(here / "masks/much_confidence.png", noise(*SHAPE, high=25), grid=GRID)
    found = shifted_only(here)
    assert found.dependence is not None
    assert found.dependence.pixels == 3 * 60_000
    assert 0.068 < found.dependence.share < 0.072
    assert [name for name, _ in found.in_tiles] == ["much", "little", "none"]
    text = evaluation_as_lines(found)
    assert text[0] == f"labels that depend on the grid: {100 * found.dependence.share:.2f} %"
    assert text[1] == "  of 180,000 in 3 images of several tiles each"
    assert text[3].split()[:3] == ["0.0", "to", "0.1"]
    assert text[3].split()[3:5] == ["60,000", "100.00"]
    assert text[4].split()[-2] == "-"
    assert any(line.endswith(" % in much") for line in text)
    assert not any("mIoU" in line or line.startswith("class ") for line in text)
    told = as_json(found)
    assert told["grid"]["share"] == found.dependence.share
    assert [row["pixels"] for row in told["grid"]["confidence"]] == [60_000, 0, 0, 0]
    assert sum(row["differing"] for row in told["grid"]["classes"]) == told["grid"]["differing"]
    assert (told["miou"], told["files"][1]["grid"]["share"]) == (None, dict(found.in_tiles)["much"])
    (tmp_path / "report").mkdir()
    (tmp_path / "report/per_class.csv").write_text("of an earlier report, with truth")
    (path,) = write_report(found, tmp_path / "report")
    assert [*(tmp_path / "report").iterdir()] == [path]
    assert json.loads(path.read_text()) == told


def test_images_in_one_tile_are_counted_apart(here: Path) -> None:
    write_pair(here, "tiles", share=0.1)
    write_pair(here, "whole", grid=ONE_TILE, other=ONE_TILE)
    found = shifted_only(here)
    assert (len(found.in_tiles), found.in_one_tile) == (1, 1)
    assert found.dependence is not None
    text = "\n".join(evaluation_as_lines(found))
    half = f"{50 * found.dependence.share:.2f} % of all labels"
    assert f"1 image in one tile each: no grid to depend on; with it, {half}" in text
    (here / "masks/tiles_label.png").unlink()
    assert "1 image in one tile each: no grid to depend on" in evaluation_as_lines(shifted_only(here))


def test_labels_that_differ_though_there_is_no_grid_are_told(here: Path) -> None:
    write_pair(here, "whole", share=0.1, grid=ONE_TILE, other=ONE_TILE)
    (line,) = (line for line in evaluation_as_lines(shifted_only(here)) if "one tile" in line)
    assert line.endswith("of their labels differ: the runs differ in more")


def test_masks_that_cannot_be_compared_fail_alone(here: Path) -> None:
    write_pair(here, "good", share=0.1)
    write_pair(here, "same", other=GRID)
    write_pair(here, "scaled", other=Grid(SHAPE, (100, 150), (128, 128), (0,), (0, 32)))
    write_pair(here, "sure")
    write_mask(here / "masks/sure_confidence.png", noise(*SHAPE, high=255), grid=GRID, MODEL_DIGEST="1")
    write_pair(here, "untold")
    write_mask(here / "shifted/untold_label.png", noise(*SHAPE, high=CLASSES))
    found = shifted_only(here)
    assert [score.name for score in found.images] == ["good"]
    reasons = {failed.name: failed.reason for failed in found.failed}
    assert reasons.keys() == {"same", "scaled", "sure", "untold"}
    both = f"{here}/masks/same_label.png and {here}/shifted/same_label.png"
    assert reasons["same"] == f"{both} were cut by the same tiles; make the second with another --grid-shift"
    assert reasons["scaled"].endswith("differ in more than the grid: size of the model image 200 x 300 and 100 x 150")
    assert "sure_confidence.png is of another run than" in reasons["sure"]
    assert "shifted/untold_label.png does not say where its tiles lay" in reasons["untold"]


RECIPE = {"masks": 2, "source": [100, 1], "model": "a", "tiling": "x", "channels": [1, 2, 3], "value_range": None}
CUT = {"window": 512, "input": 512, "overlap": 0.25, "gsd": None, "tile": "auto", "grid shift": 0}


@pytest.mark.parametrize(
    ("tags", "recipe", "cut", "expected"),
    [
        ({}, {"tiling": "y", "source": [100, 2]}, {"grid shift": 64}, []),
        ({}, {}, {"window": 1024, "gsd": 0.1, "tile": "512", "quality": "best"}, []),
        ({"MODEL_DIGEST": "b"}, {}, {}, ["model m, whose weights changed"]),
        ({"MODEL_DIGEST": "b", "MODEL": "n"}, {"model": "b"}, {}, ["model m and n"]),
        ({"NOSEAM_TILE": "64 x 64"}, {}, {}, ["tile none and 64 x 64"]),
        ({"NOSEAM_ENGINE": "torch"}, {"engine": "torch"}, {}, ["engine none and torch"]),
        ({"NOSEAM_VALUES": "0 to 9"}, {}, {}, ["value range none and 0 to 9"]),
        ({}, {"source": [101, 1]}, {}, ["bytes of the photo 100 and 101"]),
        ({}, {"masks": 3}, {"overlap": 0.5}, ["masks 2 and 3", "overlap 0.25 and 0.5"]),
    ],
)
def test_what_sets_two_masks_apart_is_named(
    tags: dict[str, str], recipe: dict[str, object], cut: dict[str, object], expected: list[str]
) -> None:
    own = {"MODEL": "m", "MODEL_DIGEST": "a"}
    one = own | {"NOSEAM_RECIPE": json.dumps({**RECIPE, "cut": CUT})}
    two = own | tags | {"NOSEAM_RECIPE": json.dumps({**RECIPE, **recipe, "cut": {**CUT, **cut}})}
    assert list(differences(one, two)) == expected


def test_every_side_without_a_partner_is_listed(here: Path) -> None:
    write_pair(here, "both", share=0.1)
    write_gray(here / "truth/both.png", noise(*SHAPE, high=CLASSES))
    write_pair(here, "no_truth", share=0.1)
    write_mask(here / "masks/alone_label.png", noise(*SHAPE, high=CLASSES), grid=GRID)
    write_mask(here / "shifted/other_label.png", noise(*SHAPE, high=CLASSES), grid=GRID)
    found = evaluate(here / "masks", here / "truth", shifted=here / "shifted")
    assert [(score.name, score.pixels, score.dependence is not None) for score in found.images] == [
        ("both", 60_000, True), ("no_truth", 0, True),
    ]  # fmt: skip
    assert [path.name for path in found.only_predicted] == ["alone_label.png", "no_truth_label.png"]
    assert [path.name for path in found.without_shifted] == ["alone_label.png"]
    assert [path.name for path in found.only_shifted] == ["other_label.png"]
    assert found.classes == TABLE.names
    assert evaluation_as_lines(found)[-1] == "2 images compared, 0 failed, 3 without partner"


def test_shifted_masks_may_lie_within_the_folder_of_the_others(here: Path) -> None:
    write_pair(here, "a", share=0.1)
    write_gray(here / "truth/a.png", noise(*SHAPE, high=CLASSES))
    within = (here / "shifted").rename(here / "masks/shifted")
    found = evaluate(here / "masks", here / "truth", shifted=within)
    assert (len(found.images), found.only_predicted, found.without_shifted) == (1, (), ())


def test_something_to_compare_with_is_needed(here: Path) -> None:
    with pytest.raises(EvaluateError, match="expected truth, shifted masks, or both"):
        evaluate(here / "masks")
    write_mask(here / "masks/a_label.png", noise(*SHAPE, high=CLASSES), grid=GRID)
    with pytest.raises(NoPairError, match="no image in common: 1 predicted and 0 shifted masks without partner"):
        shifted_only(here)
