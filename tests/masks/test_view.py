from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.make import noise
from tiler.errors import LabelError
from tiler.grid.window import Window
from tiler.masks import view as view_module
from tiler.masks.labels import open_labels
from tiler.masks.view import LabelView, same_aspect

WHOLE = noise(24, 36, high=5)


def _mask(folder: Path, ids: NDArray[np.uint8] = WHOLE) -> Path:
    path = folder / "mask.png"
    Image.fromarray(ids).save(path)
    return path


def _nearest(ids: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The definition: the pixel that holds the middle of each wanted one."""
    rows = [int((row + 0.5) * ids.shape[0] / shape[0]) for row in range(shape[0])]
    cols = [int((col + 0.5) * ids.shape[1] / shape[1]) for col in range(shape[1])]
    return ids[np.ix_(rows, cols)]


def test_a_quarter_of_the_size_is_every_fourth_pixel_from_the_third(tmp_path: Path) -> None:
    with open_labels(_mask(tmp_path), None) as labels:
        read = LabelView(labels, shape=(6, 9)).read(Window(0, 0, 6, 9))
    np.testing.assert_array_equal(read, WHOLE[2::4, 2::4])


@pytest.mark.parametrize("shape", [(24, 36), (12, 18), (8, 12), (16, 24), (48, 72), (7, 10), (60, 90)])
@pytest.mark.parametrize("held_px", [1, 100, 2**22])
def test_strips_are_what_the_whole_view_is(
    shape: tuple[int, int], held_px: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_module, "READ_PX", held_px)
    expected = _nearest(WHOLE, shape)
    with open_labels(_mask(tmp_path), None) as labels:
        view = LabelView(labels, shape=shape)
        for window in (Window(0, 0, *shape), Window(2, 3, shape[0] - 4, 5), Window(shape[0] - 1, shape[1] - 1, 1, 1)):
            np.testing.assert_array_equal(view.read(window), expected[window.slices])


def test_no_more_of_a_large_mask_is_held_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "READ_PX", 36 * 5)
    with open_labels(_mask(tmp_path), None) as labels:
        sizes: list[int] = []
        read = labels.read

        def watched(window: Window) -> NDArray[np.uint8]:
            sizes.append(window.height * window.width)
            return read(window)

        monkeypatch.setattr(labels, "read", watched)
        LabelView(labels, shape=(12, 18)).read(Window(0, 0, 12, 18))
    assert max(sizes) <= 36 * 5
    assert len(sizes) > 1


def test_ids_are_renumbered_and_foreign_ones_refused(tmp_path: Path) -> None:
    lookup = np.array([255, 0, 1, 1, 2, *[255] * 251], np.uint8)
    with open_labels(_mask(tmp_path), None) as labels:
        view = LabelView(labels, lookup=lookup, classes=5)
        np.testing.assert_array_equal(view.read(Window(0, 0, 24, 36)), lookup[WHOLE])
        with pytest.raises(LabelError, match=r"mask\.png: class id 4 found; expected 0 to 3, or 255"):
            LabelView(labels, lookup=lookup, classes=4).read(Window(0, 0, 24, 36))


def test_a_mask_of_another_aspect_is_refused(tmp_path: Path) -> None:
    with (
        open_labels(_mask(tmp_path), None) as labels,
        pytest.raises(LabelError, match="36 x 24 pixels; it cannot be scaled to 24 x 36 pixels, because width and hei"),
    ):
        LabelView(labels, shape=(36, 24))


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 50))
def test_whole_factors_keep_the_aspect(height: int, width: int, factor: int) -> None:
    assert same_aspect((height, width), (height * factor, width * factor))
    assert same_aspect((height * factor, width * factor), (height, width))


def test_rounding_to_whole_pixels_keeps_the_aspect_and_more_does_not() -> None:
    assert same_aspect((3648, 5472), (667, 1000))
    assert same_aspect((3648, 5472), (666, 1000))
    assert not same_aspect((3648, 5472), (668, 1000))
    assert not same_aspect((1000, 1500), (1000, 1600))
    assert not same_aspect((1000, 1500), (1500, 1000))
