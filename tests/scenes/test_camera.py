"""Cameras: each photo looks another way, and shows everything where it stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tiler.scenes.camera import Camera, draw_camera, photograph

PLAIN = Camera(
    brightness=None, balance=(1, 1, 1), gamma=1, contrast=0, haze=0, colour=1, vignette=0, blur=0, motion=(0, 0),
    fringe=(0, 0), noise=0, coarse=0, sharpen=0, quality=90,
)  # fmt: skip


def a_square() -> np.ndarray:
    pixels = np.full((200, 260, 3), 90, np.uint8)
    pixels[80:120, 100:160] = 190
    return pixels


def test_a_perfect_camera_takes_what_is_there() -> None:
    assert np.array_equal(photograph(a_square(), PLAIN, np.random.default_rng(0)), a_square())


def test_a_camera_takes_the_same_picture_again() -> None:
    first, again = (
        photograph(a_square(), draw_camera(random), random) for random in map(np.random.default_rng, (4, 4))
    )
    assert np.array_equal(first, again)


def test_cameras_differ() -> None:
    means = [
        photograph(a_square(), draw_camera(random), random).mean() for random in map(np.random.default_rng, range(12))
    ]
    assert max(means) > 1.3 * min(means)


def test_a_camera_exposes_dark_and_bright_scenes_alike() -> None:
    means = [
        photograph(
            (a_square() * light).astype(np.uint8), replace(PLAIN, brightness=100.0), np.random.default_rng(0)
        ).mean()
        for light in (0.4, 1.0, 1.3)
    ]
    assert means == pytest.approx([100, 100, 100], abs=3)


@pytest.mark.parametrize("seed", range(12))
def test_what_a_camera_takes_stands_where_it_stood(seed: int) -> None:
    """Blur, motion and fringes are symmetric, so labels stay exact: the middle of the square does not move."""
    random = np.random.default_rng(seed)
    camera = replace(draw_camera(random), noise=0.0, vignette=0.0)
    taken = photograph(a_square(), camera, random).astype(float).mean(axis=2)
    weight = np.clip(taken - taken[:40, :40].mean() - 3, 0, None)
    rows, cols = np.indices(weight.shape)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(99.5, abs=0.5)
    assert (weight * cols).sum() / weight.sum() == pytest.approx(129.5, abs=0.5)


def test_a_tall_picture_has_no_joint_where_its_parts_meet() -> None:
    """A picture is taken in parts of many rows; blur and motion look beyond them."""
    tall = np.tile(a_square(), (11, 1, 1))
    camera = replace(PLAIN, blur=2.0, motion=(6.0, 3.0))
    taken = photograph(tall, camera, np.random.default_rng(0))
    assert np.array_equal(taken[200:400], taken[1000:1200])
