"""Which windows are chosen."""

from __future__ import annotations

import numpy as np
import pytest

from segment.review.windows import Chosen, ImageDoubt, choose, choose_at_random, overlap
from tiler.grid.window import Window


def image(name: str, *doubts: list[float], valid: int = 100, step: int = 10) -> ImageDoubt:
    """Return an image of windows side by side, each with its doubt by class."""
    windows = tuple(Window(0, step * place, 10, 10) for place in range(len(doubts)))
    return ImageDoubt(name, windows, np.array(doubts, float), np.full(len(doubts), valid))


def names(chosen: list[Chosen]) -> list[tuple[str, int]]:
    return [(each.image, each.window.col_off) for each in chosen]


def test_the_window_with_most_doubt_comes_first_and_says_of_which_classes() -> None:
    (first,) = choose([image("a", [1, 0], [6, 2], [2, 0])], 1, {})
    assert first == Chosen("a", Window(0, 10, 10, 10), 0.08, ((0, 0.75), (1, 0.25)))


def test_another_class_is_worth_more_than_more_of_the_same() -> None:
    hedges = image("a", [40, 0], [40, 0], [39, 0], [0, 20])
    assert names(choose([hedges], 2, {})) == [("a", 0), ("a", 30)]


def test_another_image_is_worth_more_than_the_same() -> None:
    images = [image("a", [40], [39]), image("b", [30])]
    assert names(choose(images, 3, {})) == [("a", 0), ("b", 0), ("a", 10)]


def test_the_first_of_many_windows_are_those_that_fewer_would_be() -> None:
    rng = np.random.default_rng(0)
    images = [image(name, *rng.random((20, 5)).tolist()) for name in "abc"]
    for count in (1, 7, 30):
        assert choose(images, count, {}) == choose(images, 60, {})[:count]


def test_lazy_choice_is_the_greedy_one() -> None:
    rng = np.random.default_rng(1)
    images = [image(name, *(rng.random((8, 3)) ** 4).tolist()) for name in "ab"]
    expected: list[tuple[str, int]] = []
    by_class, by_image = np.zeros(3), {"a": 0.0, "b": 0.0}
    for _ in range(10):
        gains = {}
        for each in images:
            for window, doubt in zip(each.windows, each.doubt, strict=True):
                if (place := (each.name, window.col_off)) not in expected:
                    gains[place] = (np.sqrt(by_class + doubt) - np.sqrt(by_class)).sum() + (
                        np.sqrt(by_image[each.name] + doubt.sum()) - np.sqrt(by_image[each.name])
                    )
        best = max(gains, key=gains.__getitem__)
        expected.append(best)
        doubt = images["ab".index(best[0])].doubt[best[1] // 10]
        by_class += doubt
        by_image[best[0]] += doubt.sum()
    assert names(choose(images, 10, {})) == expected


def test_no_window_overlaps_another_or_one_that_is_labelled() -> None:
    close = image("a", [9], [8], [7], [1], step=5)
    chosen = choose([close], 9, {})
    assert names(chosen) == [("a", 0), ("a", 10)]
    assert names(choose([close], 9, {"a": [Window(0, 0, 5, 6)]})) == [("a", 10)]
    assert names(choose([close], 9, {"b": [Window(0, 0, 10, 100)]})) == names(chosen)


@pytest.mark.parametrize(("col", "shared"), [(0, True), (9, True), (10, False), (-10, False), (-9, True)])
def test_windows_that_touch_do_not_overlap(col: int, shared: bool) -> None:
    assert overlap(Window(0, 0, 10, 10), Window(9, col, 5, 10)) is shared
    assert not overlap(Window(0, 0, 10, 10), Window(10, col, 5, 10))


def test_windows_without_doubt_or_without_a_valid_pixel_are_not_chosen() -> None:
    assert choose([image("a", [0], [0])], 5, {}) == []
    assert choose([image("a", [5], valid=0)], 5, {}) == []
    assert choose([], 5, {}) == []


def test_chance_takes_every_window_alike() -> None:
    images = [image("a", *[[0.0]] * 4), image("b", *[[9.0]] * 4)]
    counts = dict.fromkeys([(name, col) for name in "ab" for col in (0, 10, 20, 30)], 0)
    for seed in range(800):
        for place in names(choose_at_random(images, 2, {}, seed)):
            counts[place] += 1
    assert min(counts.values()) > 150
    assert max(counts.values()) < 250
    assert choose_at_random(images, 3, {}, 5) == choose_at_random(images, 3, {}, 5)
    assert len(choose_at_random(images, 99, {}, 0)) == 8
