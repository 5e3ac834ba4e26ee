"""Turns move image and mask together; colours change mildly; one seed, one result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from segment.training.augment import augment, jitter, turn
from segment.training.camera import blurred, compressed, noisy, shadowed
from segment.training.variation import Variation
from tests.make import noise

Pixels = NDArray[np.uint8]
STRONG = Variation(colour=0.4, shadow=1, blur=1, noise=1, jpeg=1)


@pytest.mark.parametrize("symmetry", range(8))
def test_image_and_mask_move_together(symmetry: int) -> None:
    labels = noise(16, 16)
    pixels = np.stack([labels, 255 - labels, labels])  # the pixel says its label
    moved, moved_labels = turn(pixels, symmetry), turn(labels, symmetry)
    assert (moved[0] == moved_labels).all()
    assert (moved[1] == 255 - moved_labels).all()


def test_the_eight_symmetries_differ_and_the_first_changes_nothing() -> None:
    labels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    assert (turn(labels, 0) == labels).all()
    assert len({turn(labels, symmetry).tobytes() for symmetry in range(8)}) == 8


def test_augment_shows_all_symmetries_and_only_moves_labels() -> None:
    labels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    allowed = {turn(labels, symmetry).tobytes() for symmetry in range(8)}
    found = {
        augment(noise(3, 3, 3), labels, Variation(), np.random.default_rng(seed))[1].tobytes() for seed in range(99)
    }
    assert found == allowed


def test_augment_moves_the_image_as_it_moves_the_mask() -> None:
    labels = (noise(32, 32) > 127).astype(np.uint8)
    pixels = np.broadcast_to(50 + 150 * labels, (3, 32, 32)).astype(np.uint8)
    for seed in range(20):
        moved, moved_labels = augment(pixels, labels, Variation(), np.random.default_rng(seed))
        assert ((moved.mean(axis=0) > 125) == moved_labels).all()


def test_colours_change_mildly() -> None:
    pixels = noise(3, 64, 64, high=120) + 60
    changed = [jitter(pixels, 0.2, np.random.default_rng(seed)) for seed in range(50)]
    shifts = [np.abs(image.astype(float) - pixels).mean() for image in changed]
    assert len({image.tobytes() for image in changed}) == 50
    assert max(shifts) < 50
    assert all(image.dtype == np.uint8 and image.shape == pixels.shape for image in changed)


def test_grey_stays_nearly_grey() -> None:
    grey = np.broadcast_to(noise(32, 32, high=160) + 40, (3, 32, 32)).astype(np.uint8)
    for seed in range(20):
        image = jitter(grey, 0.2, np.random.default_rng(seed)).astype(float)
        assert np.ptp(image.mean(axis=(1, 2))) < 0.11 * image.mean() + 1


def test_one_generator_state_gives_one_result() -> None:
    pixels, labels = noise(3, 32, 32), noise(32, 32, high=3)
    first, again, other = (augment(pixels, labels, STRONG, np.random.default_rng((7, 1, k))) for k in (3, 3, 4))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_recolouring_by_nothing_changes_nothing() -> None:
    pixels = noise(3, 32, 32)
    assert (jitter(pixels, 0.0, np.random.default_rng(0)) == pixels).all()


def test_more_reach_changes_colours_more() -> None:
    pixels = noise(3, 32, 32, high=120) + 60
    changed = {
        reach: [jitter(pixels, reach, np.random.default_rng(seed)) for seed in range(40)] for reach in (0.1, 0.4)
    }
    mild, wild = (np.abs(np.stack(images).astype(float) - pixels).mean() for images in changed.values())
    assert 2 * mild < wild


@pytest.mark.parametrize("step", [shadowed, blurred, noisy, compressed])
def test_what_cameras_do_keeps_shape_and_levels(step: Callable[[Pixels, np.random.Generator], Pixels]) -> None:
    pixels = noise(3, 48, 64)
    for seed in range(5):
        changed = step(pixels, np.random.default_rng(seed))
        assert changed.dtype == np.uint8
        assert changed.shape == pixels.shape
        assert (changed != pixels).any()
        assert (changed == step(pixels, np.random.default_rng(seed))).all()


def test_extremes_stay_extremes_under_noise_and_shadow() -> None:
    """Levels are cut off at 0 and 255; none comes out at the other end."""
    for seed in range(9):
        assert noisy(np.full((3, 16, 16), 255, np.uint8), np.random.default_rng(seed)).min() > 180
        assert noisy(np.zeros((3, 16, 16), np.uint8), np.random.default_rng(seed)).max() < 75
        assert (shadowed(np.full((3, 16, 16), 200, np.uint8), np.random.default_rng(seed)) <= 200).all()


def test_a_shadow_darkens_a_part_and_leaves_the_rest() -> None:
    pixels = np.full((3, 64, 64), 180, np.uint8)
    parts = [(shadowed(pixels, np.random.default_rng(seed))[0] < 160).mean() for seed in range(40)]
    assert 0.02 < np.mean(parts) < 0.5
    assert max(parts) < 1


def test_blur_takes_contrast_and_keeps_the_mean() -> None:
    pixels = noise(3, 64, 64)
    soft = blurred(pixels, np.random.default_rng(0)).astype(float)
    assert soft.std() < 0.9 * pixels.std()
    assert abs(soft.mean() - pixels.mean()) < 1


def test_a_share_of_the_crops_is_changed() -> None:
    pixels, labels = noise(3, 16, 16), np.zeros((16, 16), np.uint8)
    variation = Variation(colour=0, noise=0.25)
    alike = {turn(pixels, symmetry).tobytes() for symmetry in range(8)}
    found = [augment(pixels, labels, variation, np.random.default_rng(seed))[0].tobytes() for seed in range(200)]
    assert 0.15 < np.mean([image not in alike for image in found]) < 0.35
