from __future__ import annotations

import io

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from tests.make import noise
from tiler.png import PngWriter

PALETTE = noise(256, 4, seed=1)
TEXT = {
    "NOSEAM_FINGERPRINT": "0123456789abcdef",
    "classes": "0 Bäume; 1 道路",
    "empty": "",
    "x" * 79: "long\nlines\n" * 99,
}


def _write(
    labels: NDArray[np.uint8],
    *,
    cuts: tuple[int, ...] = (),
    palette: NDArray[np.uint8] | None = None,
    text: dict[str, str] | None = None,
) -> bytes:
    file = io.BytesIO()
    writer = PngWriter(file, height=labels.shape[0], width=labels.shape[1], palette=palette, text=text)
    for rows in np.split(labels, cuts):
        writer.write(rows)
    writer.finish()
    return file.getvalue()


def _open(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("PNG",))
    image.load()
    return image


IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20))


@given(IMAGES)
def test_pillow_reads_a_gray_png_back(labels: NDArray[np.uint8]) -> None:
    image = _open(_write(labels))
    assert (image.mode, image.size) == ("L", labels.shape[::-1])
    np.testing.assert_array_equal(np.asarray(image), labels)


@given(IMAGES)
def test_pillow_reads_a_palette_png_back_as_colours(labels: NDArray[np.uint8]) -> None:
    image = _open(_write(labels, palette=PALETTE))
    assert (image.mode, image.size) == ("P", labels.shape[::-1])
    np.testing.assert_array_equal(np.asarray(image), labels)
    np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), PALETTE[labels])


def test_rasterio_reads_a_gray_png_back() -> None:
    labels = noise(65, 70)
    with rasterio.MemoryFile(_write(labels), ext=".png") as file, file.open(driver="PNG") as dataset:
        assert [channel.name for channel in dataset.colorinterp] == ["gray"]
        np.testing.assert_array_equal(dataset.read(1), labels)


def test_rasterio_reads_a_palette_png_back() -> None:
    labels = noise(65, 70)
    with rasterio.MemoryFile(_write(labels, palette=PALETTE), ext=".png") as file, file.open(driver="PNG") as dataset:
        assert [channel.name for channel in dataset.colorinterp] == ["palette"]
        np.testing.assert_array_equal(dataset.read(1), labels)
        assert dataset.colormap(1) == dict(enumerate(map(tuple, PALETTE.tolist())))


@pytest.mark.parametrize("palette", [None, PALETTE])
def test_text_chunks_come_before_the_pixels_and_keep_every_letter(palette: NDArray[np.uint8] | None) -> None:
    content = _write(noise(5, 5), palette=palette, text=TEXT)
    unloaded = Image.open(io.BytesIO(content), formats=("PNG",))
    assert {key: unloaded.info[key] for key in TEXT} == TEXT


def test_transparency_is_that_of_the_palette() -> None:
    image = _open(_write(noise(5, 5), palette=PALETTE))
    assert image.info["transparency"] == PALETTE[:, 3].tobytes()


def test_a_gray_png_has_no_transparency() -> None:
    assert "transparency" not in _open(_write(noise(5, 5))).info


@given(IMAGES, st.data())
def test_rows_in_any_portions_give_one_file_of_pixels(labels: NDArray[np.uint8], data: st.DataObject) -> None:
    cuts = tuple(sorted(data.draw(st.lists(st.integers(0, len(labels)), max_size=6))))
    np.testing.assert_array_equal(np.asarray(_open(_write(labels, cuts=cuts))), labels)


@pytest.mark.parametrize("step", [1, 7, 400])
def test_a_png_of_many_data_chunks_is_read_back(step: int) -> None:
    labels = noise(400, 500)
    content = _write(labels, cuts=tuple(range(step, 400, step)))
    np.testing.assert_array_equal(np.asarray(_open(content)), labels)


@pytest.mark.parametrize("labels", [noise(10, 40)[:, ::2], noise(20, 10).T, noise(10, 20)[::-1, ::-1]])
def test_rows_need_not_be_contiguous(labels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(np.asarray(_open(_write(labels))), labels)


@pytest.mark.parametrize("shape", [(6, 7), (5, 6), (5, 8), (5,), (1, 5, 7)])
def test_rows_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    writer = PngWriter(io.BytesIO(), height=5, width=7)
    with pytest.raises(ValueError, match=r"at most 5 rows of 7 pixels expected, got shape \("):
        writer.write(np.zeros(shape, np.uint8))


def test_one_row_too_many_is_refused() -> None:
    writer = PngWriter(io.BytesIO(), height=5, width=7)
    writer.write(np.zeros((5, 7), np.uint8))
    with pytest.raises(ValueError, match="at most 0 rows of 7 pixels expected"):
        writer.write(np.zeros((1, 7), np.uint8))


def test_a_refused_row_leaves_the_file_usable() -> None:
    labels, file = noise(5, 7), io.BytesIO()
    writer = PngWriter(file, height=5, width=7)
    writer.write(labels[:3])
    with pytest.raises(ValueError, match="at most 2 rows"):
        writer.write(labels)
    writer.write(labels[3:])
    writer.finish()
    np.testing.assert_array_equal(np.asarray(_open(file.getvalue())), labels)


@pytest.mark.parametrize("written", [0, 4])
def test_missing_rows_are_refused(written: int) -> None:
    writer = PngWriter(io.BytesIO(), height=5, width=7)
    writer.write(np.zeros((written, 7), np.uint8))
    with pytest.raises(ValueError, match=f"{5 - written} rows are missing"):
        writer.finish()


def test_the_file_stays_open() -> None:
    file = io.BytesIO()
    writer = PngWriter(file, height=1, width=1)
    writer.write(np.zeros((1, 1), np.uint8))
    writer.finish()
    assert not file.closed
