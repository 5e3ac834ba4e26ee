"""The kernels that leave most classes out give what sampling all of them gives."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tests.exhaustive import sample_all
from tiler.classes import NO_LABEL
from tiler.grid.tiles import Grid, plan_grid
from tiler.stitch import confidence as rating
from tiler.stitch import labelling
from tiler.stitch.blend import LogitsBand
from tiler.stitch.confidence import confidence_levels
from tiler.stitch.upsample import Upsampler

Logits = NDArray[np.float32]
KINDS = ("smooth", "noise", "few values", "constant", "one class far ahead", "huge", "tiny", "almost tied")


def masks(field: Logits, grid: Grid, *, confidence: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    rows = list(Upsampler(grid, confidence).rows(LogitsBand(0, field)))
    rated = [part.confidence for part in rows if part.confidence is not None]
    return np.concatenate([part.labels for part in rows]), np.concatenate(rated) if rated else None


def make_field(kind: str, shape: tuple[int, int, int], seed: int) -> Logits:
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=shape)
    classes, height, width = shape
    slopes = generator.normal(size=(2, classes, 1, 1)) / 20
    smooth = slopes[0] * np.arange(height)[:, np.newaxis] + slopes[1] * np.arange(width) + noise[:, :1, :1]
    fields = {
        "smooth": smooth,
        "noise": noise,
        "few values": generator.integers(0, 3, shape) / 4,
        "constant": np.full(shape, noise[0, 0, 0]),
        "one class far ahead": noise + 20 * (np.arange(classes) == classes // 2)[:, np.newaxis, np.newaxis],
        "huge": noise * 1e37,
        "tiny": noise * 1e-43,
        "almost tied": noise[:1] * 100 + generator.integers(-1, 2, shape) * 1e-5,
    }
    field: Logits = fields[kind].astype(np.float32)
    return field


@st.composite
def fields(draw: st.DrawFn) -> tuple[Grid, Logits]:
    """Draw a small image and its blended logits, with holes where no tile was."""
    shape = draw(st.tuples(st.integers(1, 200), st.integers(1, 200)))
    grid = plan_grid(shape, scale=draw(st.sampled_from([0.05, 0.256, 0.9, 1, 1, 6])), tile=(64, 64), overlap=(0, 0))
    classes = draw(st.one_of(st.integers(1, 5), st.integers(1, 150)))
    field = make_field(draw(st.sampled_from(KINDS)), (classes, *grid.cells_shape), draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        top, left = draw(st.integers(0, grid.cells_shape[0] - 1)), draw(st.integers(0, grid.cells_shape[1] - 1))
        field[:, top : top + draw(st.integers(1, 40)), left : left + draw(st.integers(1, 40))] = np.nan
    return grid, field


@settings(max_examples=300)
@given(fields())
def test_labels_are_those_of_sampling_every_class(drawn: tuple[Grid, Logits]) -> None:
    grid, field = drawn
    np.testing.assert_array_equal(masks(field, grid)[0], sample_all(field, grid)[0])


@settings(max_examples=300)
@given(fields())
def test_confidence_is_that_of_sampling_every_class(drawn: tuple[Grid, Logits]) -> None:
    grid, field = drawn
    labels, confidence = masks(field, grid, confidence=True)
    expected, margin = sample_all(field, grid)
    np.testing.assert_array_equal(labels, expected)
    assert confidence is not None
    known = expected != NO_LABEL
    assert (confidence[~known] == NO_LABEL).all()
    exact = np.round(254 * np.tanh(margin[known].astype(np.float64) / 2))
    assert np.abs(confidence[known] - exact).max(initial=0) <= 1
    assert (confidence[known][margin[known] == 0] == 0).all()
    if len(field) == 1:
        assert (confidence[known] == 254).all()


@settings(max_examples=200)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(16), st.just(16)),
                  elements=st.floats(-100, 100, width=32), fill=st.floats(-100, 100, width=32))
)  # fmt: skip
def test_odd_values_make_no_difference(field: Logits) -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    expected = sample_all(field, grid)[0]
    np.testing.assert_array_equal(masks(field, grid)[0], expected)
    np.testing.assert_array_equal(masks(field, grid, confidence=True)[0], expected)


def test_levels_are_exact_and_never_a_level_off_between_steps() -> None:
    levels = confidence_levels().astype(int)
    margin = np.linspace(0, 12, 100_001)
    nearest = levels[np.minimum(np.round(margin * 256).astype(int), len(levels) - 1)]
    assert levels[0] == 0
    assert levels[-1] == 254
    assert np.abs(nearest - np.round(254 * np.tanh(margin / 2))).max() <= 1


def test_confidence_is_the_margin_of_two_softmax_probabilities() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    logits = np.array([0.5, 2, 1.25, -4], np.float32)
    p = np.sort(np.exp(logits) / np.exp(logits).sum())
    field = np.ascontiguousarray(np.broadcast_to(logits[:, np.newaxis, np.newaxis], (4, 16, 16)))
    labels, confidence = masks(field, grid, confidence=True)
    assert (labels == 1).all()
    assert confidence is not None
    assert (np.abs(confidence - 254 * (p[-1] - p[-2]) / (p[-1] + p[-2])) <= 1).all()


@pytest.mark.parametrize("temperature", [0.3, 1, 1.7, 6])
def test_logits_are_divided_by_the_temperature_and_labels_stay(temperature: float) -> None:
    grid = plan_grid((90, 130), scale=0.7, tile=(64, 96), overlap=(0, 0))
    field = make_field("noise", (4, *grid.cells_shape), 2)
    plain, labels, found = [], [], []
    for rows in Upsampler(grid, True).rows(LogitsBand(0, field)):
        plain.append(rows.labels)
    for rows in Upsampler(grid, True, temperature=temperature).rows(LogitsBand(0, field)):
        labels.append(rows.labels)
        found.append(rows.confidence)
    np.testing.assert_array_equal(np.concatenate(labels), np.concatenate(plain))
    divided = masks((field / np.float32(temperature)).astype(np.float32), grid, confidence=True)[1]
    assert divided is not None
    assert np.abs(np.concatenate(found).astype(int) - divided).max() <= 1  # type: ignore[arg-type]


def test_confidence_is_none_unless_asked_for() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    assert masks(np.zeros((2, 16, 16), np.float32), grid)[1] is None


@pytest.mark.parametrize("confidence", [False, True])
def test_several_threads_may_label_at_once(confidence: bool) -> None:
    grid = plan_grid((300, 500), scale=0.5, tile=(64, 64), overlap=(0, 0))
    made = [make_field("noise", (7, *grid.cells_shape), seed) for seed in range(4)]
    found: dict[int, NDArray[np.uint8]] = {}

    def label(index: int) -> None:
        found[index] = masks(made[index], grid, confidence=confidence)[0]

    threads = [threading.Thread(target=label, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, field in enumerate(made):
        np.testing.assert_array_equal(found[index], sample_all(field, grid)[0])


@pytest.mark.parametrize("name", ["_FEW_SAMPLES", "_HALF", "_LANES", "_LEAST", "_ONE", "_SLACK", "_TINY"])
def test_both_kernels_go_by_the_same_numbers(name: str) -> None:
    """Each file states them: kept machine code would not notice a change in another file."""
    assert getattr(labelling, name) == getattr(rating, name)
