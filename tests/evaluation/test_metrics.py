"""Counts and scores are those of slow loops over pixels and classes."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from segment.errors import EvaluateError
from segment.evaluation.metrics import (
    Metrics,
    class_rows,
    confusion,
    matrix_as_csv,
    matrix_from_csv,
    measure,
    metrics_as_dict,
    metrics_as_lines,
    percent,
)

CLASSES = 4
_ids = st.sampled_from([*range(CLASSES), 255])
_shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=7)


@st.composite
def truth_and_predicted(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    shape = draw(_shapes)
    return tuple(draw(arrays.arrays(np.uint8, shape, elements=_ids)) for _ in range(2))  # type: ignore[return-value]


def slow_scores(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> dict[str, Any]:
    """Count pixel by pixel; nan for 0 / 0."""
    pixels = [(t, p) for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True) if t != 255]
    scores: dict[str, Any] = {key: [] for key in ("iou", "f1", "precision", "recall", "support")}
    for c in range(CLASSES):
        hits = sum(t == c and p == c for t, p in pixels)
        false = sum(t != c and p == c for t, p in pixels)
        missed = sum(t == c and p != c for t, p in pixels)
        scores["iou"].append(divide(hits, hits + false + missed))
        scores["f1"].append(divide(2 * hits, 2 * hits + false + missed))
        scores["precision"].append(divide(hits, hits + false))
        scores["recall"].append(divide(hits, hits + missed))
        scores["support"].append(hits + missed)
    present = [c for c in range(CLASSES) if scores["support"][c]]
    most = max(scores["support"])
    return scores | {
        "miou": divide(sum(scores["iou"][c] for c in present), len(present)),
        "accuracy": divide(sum(t == p for t, p in pixels), len(pixels)),
        "fwiou": divide(sum(scores["iou"][c] * scores["support"][c] for c in present), len(pixels)),
        "majority_accuracy": divide(most, len(pixels)),
        "majority_miou": divide(divide(most, len(pixels)), len(present)),
    }


def divide(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@given(truth_and_predicted())
def test_counts_are_those_of_a_loop_over_pixels(masks: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    truth, predicted = masks
    expected = np.zeros((CLASSES, CLASSES + 1), np.int64)
    for true, label in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if true != 255:
            expected[true, CLASSES if label == 255 else label] += 1
    counts = confusion(truth, predicted, CLASSES)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)


@given(truth_and_predicted())
def test_scores_are_those_of_a_loop_over_pixels(masks: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    metrics = measure(confusion(*masks, CLASSES))
    for name, expected in slow_scores(*masks).items():
        np.testing.assert_allclose(getattr(metrics, name), expected, rtol=1e-12, err_msg=name)


@given(truth_and_predicted(), st.integers(0, 7))
def test_counts_of_parts_add_up(masks: tuple[NDArray[np.uint8], NDArray[np.uint8]], row: int) -> None:
    truth, predicted = masks
    top, bottom = (confusion(truth[part], predicted[part], CLASSES) for part in (slice(0, row), slice(row, None)))
    np.testing.assert_array_equal(top + bottom, confusion(truth, predicted, CLASSES))


@given(arrays.arrays(np.uint8, _shapes, elements=st.sampled_from(range(CLASSES))))
def test_the_majority_baseline_is_what_the_most_frequent_class_everywhere_scores(truth: NDArray[np.uint8]) -> None:
    everywhere = np.full_like(truth, np.bincount(truth.ravel()).argmax())
    metrics = measure(confusion(truth, everywhere, CLASSES))
    assert metrics.miou == pytest.approx(metrics.majority_miou)
    assert metrics.accuracy == pytest.approx(metrics.majority_accuracy)


def test_a_class_in_neither_is_undefined_and_one_only_predicted_counts_for_nothing_but_its_errors() -> None:
    metrics = measured([[0, 0, 0, 1]], [[0, 0, 2, 1]])
    assert metrics.iou[:3] == pytest.approx((2 / 3, 1, 0))
    assert math.isnan(metrics.iou[3])
    assert math.isnan(metrics.recall[2])
    assert metrics.precision[2] == 0
    assert metrics.present == (0, 1)
    assert metrics.miou == pytest.approx((2 / 3 + 1) / 2)


def test_a_pixel_without_any_label_is_a_miss_of_its_class_and_no_other_classs_error() -> None:
    metrics = measured([[0, 0, 1, 255]], [[0, 255, 1, 255]])
    assert metrics.iou[:2] == (0.5, 1)
    assert metrics.precision[:2] == (1, 1)
    assert metrics.recall[0] == 0.5
    assert (metrics.accuracy, metrics.pixels) == (2 / 3, 3)


def test_no_pixel_at_all_gives_no_score() -> None:
    metrics = measured([[255]], [[0]])
    assert metrics.pixels == 0
    assert all(math.isnan(score) for score in (metrics.miou, metrics.accuracy, metrics.fwiou, metrics.majority_miou))


def test_the_mean_over_chosen_classes() -> None:
    metrics = measured([[0, 0, 1, 2]], [[0, 1, 1, 2]])
    assert metrics.miou_over((0, 2)) == pytest.approx((0.5 + 1) / 2)
    assert metrics.miou_over(metrics.present) == pytest.approx(metrics.miou)
    assert math.isnan(metrics.miou_over(()))


def test_255_classes_are_as_good_as_2() -> None:
    ids = np.arange(256, dtype=np.uint8)[np.newaxis]
    counts = confusion(ids, ids, 255)
    assert counts.shape == (255, 256)
    assert measure(counts).miou == 1
    assert counts.sum() == 255


@pytest.mark.parametrize(("truth", "predicted", "found"), [(4, 0, "truth .* 4"), (0, 254, "prediction .* 254")])
def test_ids_beyond_the_classes_are_refused(truth: int, predicted: int, found: str) -> None:
    with pytest.raises(EvaluateError, match=f"{found}; expected 0 to 3, or 255"):
        measured([[truth]], [[predicted]])


def test_a_wrong_id_is_told_by_the_side_that_has_it() -> None:
    ids = np.array([[0]], np.uint8), np.array([[7]], np.uint8)
    with pytest.raises(EvaluateError, match="the shifted mask has class id 7; expected 0 to 3"):
        confusion(*ids, CLASSES, sides=("predicted mask", "shifted mask"))


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(EvaluateError, match=r"truth of shape \(1, 2\) but prediction of shape \(2, 1\)"):
        measured([[0, 0]], [[0], [0]])


def test_scores_as_json_have_none_where_undefined() -> None:
    metrics = measured([[0, 0, 1]], [[0, 1, 1]])
    scores = json.loads(json.dumps(metrics_as_dict(metrics, list("abcd")), allow_nan=False))
    assert scores["miou"] == pytest.approx(0.5)
    assert scores["classes_present"] == 2
    assert scores["classes"] == class_rows(metrics, list("abcd"))
    assert scores["classes"][0] == {
        "id": 0, "name": "a", "iou": 0.5, "f1": pytest.approx(2 / 3), "precision": 1.0, "recall": 0.5, "support": 2
    }  # fmt: skip
    assert [scores["classes"][3][key] for key in ("iou", "f1", "precision", "recall", "support")] == [None] * 4 + [0]


def test_scores_as_lines_are_a_table_with_a_summary() -> None:
    lines = metrics_as_lines(measured([[0, 0, 1]], [[0, 1, 1]]), ["a", "a long name", "c", "d"])
    assert lines[1].split() == ["a", "50.00", "66.67", "100.00", "50.00", "2"]
    assert lines[4].split() == ["d", "-", "-", "-", "-", "0"]
    assert len({len(line) for line in lines[:5]}) == 1
    assert "mIoU      50.00 % over 2 classes present" in lines[5]
    assert "66.67 % of 3 pixels" in lines[6]


@pytest.mark.parametrize(("share", "text"), [(0.12345, "12.35"), (1.0, "100.00"), (math.nan, "-"), (None, "-")])
def test_percentages(share: float | None, text: str) -> None:
    assert percent(share) == text


def measured(truth: list[list[int]], predicted: list[list[int]]) -> Metrics:
    return measure(confusion(np.array(truth, np.uint8), np.array(predicted, np.uint8), CLASSES))


def test_a_confusion_matrix_comes_back_from_its_table() -> None:
    names, matrix = ("a, b", 'say "c"', "ü"), np.arange(12).reshape(3, 4)
    text = matrix_as_csv(matrix, names)
    assert text.splitlines()[0] == 'truth / predicted,"a, b","say ""c""",ü,no label'
    found, again = matrix_from_csv(text)
    assert (found, again.tolist()) == (names, matrix.tolist())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "truth / predicted,no label\n",
        "truth / predicted,a,no label\na,1\n",
        "truth / predicted,a,no label\nb,1,0\n",
        "truth / predicted,a,no label\na,1,x\n",
        "truth / predicted,a,no label\na,-1,0\n",
        "epoch,step\n1,2\n",
    ],
)
def test_another_table_is_no_confusion_matrix(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        matrix_from_csv(text)
