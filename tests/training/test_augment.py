"""Turns move image and mask together; colours change mildly; one seed, one result."""

from __future__ import annotations

import numpy as np
import pytest

from segment.training.augment import augment, jitter, turn
from tests.make import noise


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
    found = {augment(noise(3, 3, 3), labels, np.random.default_rng(seed))[1].tobytes() for seed in range(99)}
    assert found == allowed


def test_augment_moves_the_image_as_it_moves_the_mask() -> None:
    labels = (noise(32, 32) > 127).astype(np.uint8)
    pixels = np.broadcast_to(50 + 150 * labels, (3, 32, 32)).astype(np.uint8)
    for seed in range(20):
        moved, moved_labels = augment(pixels, labels, np.random.default_rng(seed))
        assert ((moved.mean(axis=0) > 125) == moved_labels).all()


def test_colours_change_mildly() -> None:
    pixels = noise(3, 64, 64, high=120) + 60
    changed = [jitter(pixels, np.random.default_rng(seed)) for seed in range(50)]
    shifts = [np.abs(image.astype(float) - pixels).mean() for image in changed]
    assert len({image.tobytes() for image in changed}) == 50
    assert max(shifts) < 50
    assert all(image.dtype == np.uint8 and image.shape == pixels.shape for image in changed)


def test_grey_stays_nearly_grey() -> None:
    grey = np.broadcast_to(noise(32, 32, high=160) + 40, (3, 32, 32)).astype(np.uint8)
    for seed in range(20):
        image = jitter(grey, np.random.default_rng(seed)).astype(float)
        assert np.ptp(image.mean(axis=(1, 2))) < 0.11 * image.mean() + 1


def test_one_generator_state_gives_one_result() -> None:
    pixels, labels = noise(3, 32, 32), noise(32, 32, high=3)
    first, again, other = (augment(pixels, labels, np.random.default_rng((7, 1, k))) for k in (3, 3, 4))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()
