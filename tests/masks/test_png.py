from __future__ import annotations

import io
import zlib
from typing import get_args

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from tests.make import noise
from tiler.masks.png import png_end, png_head
from tiler.masks.png_pixels import Filter, PngPixels, _filter_paeth
from tiler.stitch.upsample import piece_rows

PALETTE = noise(256, 4, seed=1)
WIDE = 300_000
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
    filter: Filter = "up",
) -> bytes:
    height, width = labels.shape
    pixels = PngPixels(height=height, width=width, filter=filter)
    parts = [png_head(height=height, width=width, palette=palette, text=text)]
    parts += [pixels.encode(rows) for rows in np.split(labels, cuts)]
    return b"".join([*parts, pixels.finish(), png_end({})])


def _open(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("PNG",))
    image.load()
    return image


IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20))
FILTERS = st.sampled_from(get_args(Filter))


@given(IMAGES, FILTERS)
def test_pillow_reads_a_gray_png_back(labels: NDArray[np.uint8], filter: Filter) -> None:
    image = _open(_write(labels, filter=filter))
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
    content = _write(labels, cuts=cuts, filter=data.draw(FILTERS))
    np.testing.assert_array_equal(np.asarray(_open(content)), labels)


@given(arrays(np.uint8, (7, 9), elements=st.sampled_from([0, 1, 2, 3, 7, 100, 128, 200, 254, 255])))
def test_paeth_is_that_of_the_specification(pixels: NDArray[np.uint8]) -> None:
    lines = np.zeros((8, 10), np.uint8)
    lines[1:, 1:] = pixels
    expected = np.empty((7, 9), np.uint8)
    for row, col in np.ndindex(7, 9):
        expected[row, col] = (
            int(pixels[row, col]) - _paeth(*map(int, lines[row : row + 2, col : col + 2].flat[:3]))
        ) % 256
    out = np.empty((7, 10), np.uint8)
    _filter_paeth(pixels, np.zeros(9, np.uint8), out)
    np.testing.assert_array_equal(out[:, 1:], expected)


def _paeth(corner: int, above: int, left: int) -> int:
    estimate = left + above - corner
    return min((left, above, corner), key=lambda value: abs(estimate - value))  # the first wins a tie


@pytest.mark.parametrize("filter", get_args(Filter))
def test_what_the_filter_foretells_costs_next_to_nothing(filter: Filter) -> None:
    columns = np.tile(noise(500), (4000, 1))
    assert len(_write(columns, filter=filter)) < columns.size / 200


@pytest.mark.parametrize("filter", get_args(Filter))
def test_an_image_of_one_row_as_wide_as_a_piece_is_read_back(filter: Filter) -> None:
    labels = noise(3, WIDE)
    np.testing.assert_array_equal(np.asarray(_open(_write(labels, filter=filter))), labels)


def test_a_file_does_not_depend_on_how_many_pieces_come_at_once() -> None:
    piece = piece_rows(WIDE)
    labels = noise(3 * piece + 5, WIDE, high=3)
    assert _write(labels) == _write(labels, cuts=(piece, 2 * piece, 3 * piece)) == _write(labels, cuts=(2 * piece,))


def test_a_gray_and_a_palette_png_share_their_pixels() -> None:
    labels = noise(40, 50)
    gray, palette = _write(labels), _write(labels, palette=PALETTE)
    assert gray[gray.index(b"IDAT") :] == palette[palette.index(b"IDAT") :]


def test_the_deflated_rows_are_one_checked_stream() -> None:
    content = _write(noise(40, 50), cuts=(10, 20))
    at, data = content.index(b"IDAT") - 4, b""
    while content[at + 4 : at + 8] == b"IDAT":
        size = int.from_bytes(content[at : at + 4])
        data += content[at + 8 : at + 8 + size]
        at += size + 12
    assert len(zlib.decompress(data)) == 40 * 51  # which checks Adler-32


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
    pixels = PngPixels(height=5, width=7)
    with pytest.raises(ValueError, match=r"at most 5 rows of 7 pixels expected, got shape \("):
        pixels.encode(np.zeros(shape, np.uint8))


def test_one_row_too_many_is_refused() -> None:
    pixels = PngPixels(height=5, width=7)
    pixels.encode(np.zeros((5, 7), np.uint8))
    with pytest.raises(ValueError, match="at most 0 rows of 7 pixels expected"):
        pixels.encode(np.zeros((1, 7), np.uint8))


def test_a_refused_row_leaves_the_encoder_usable() -> None:
    labels, pixels = noise(5, 7), PngPixels(height=5, width=7)
    content = png_head(height=5, width=7) + pixels.encode(labels[:3])
    with pytest.raises(ValueError, match="at most 2 rows"):
        pixels.encode(labels)
    content += pixels.encode(labels[3:]) + pixels.finish() + png_end({})
    np.testing.assert_array_equal(np.asarray(_open(content)), labels)


@pytest.mark.parametrize("written", [0, 4])
def test_missing_rows_are_refused(written: int) -> None:
    pixels = PngPixels(height=5, width=7)
    pixels.encode(np.zeros((written, 7), np.uint8))
    with pytest.raises(ValueError, match=f"{5 - written} rows are missing"):
        pixels.finish()
