from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from tests.make import noise, write_tif
from tiler.errors import ChannelError, RasterReadError
from tiler.grid.tiles import Grid, plan_grid
from tiler.source.image import ImageReader, open_image
from tiler.source.stretch import Stretch, percentile_stretch
from tiler.source.tiles import OneColour, read_tiles

SHAPE = (701, 1103)
SCALES = [0.256, 0.61, 1, 1.7]


def _scene(shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """Return red, green, blue, (row, col, channel): blobs that survive JPEG, with noise on top."""
    coarse = noise(-(-shape[0] // 8), -(-shape[1] // 8), 3, high=200).repeat(8, axis=0).repeat(8, axis=1)
    fine: NDArray[np.uint8] = coarse[: shape[0], : shape[1]] + noise(*shape, 3, high=55)
    return fine


def _jpeg(path: Path) -> None:
    Image.fromarray(_scene()).save(path, format="JPEG", quality=90)


def _progressive(path: Path) -> None:
    Image.fromarray(_scene()).save(path, format="JPEG", progressive=True)


def _png(path: Path) -> None:
    Image.fromarray(_scene()).save(path, format="PNG", compress_level=1)


def _tiled(path: Path) -> None:
    write_tif(path, _scene().transpose(2, 0, 1), photometric="rgb", tiled=True, blockxsize=128, blockysize=128)


def _striped(path: Path) -> None:
    write_tif(path, _scene().transpose(2, 0, 1), photometric="rgb", interleave="pixel")


def _with_overviews(path: Path) -> None:
    _tiled(path)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)


def _with_alpha(path: Path) -> None:
    pixels = np.concatenate((_scene().transpose(2, 0, 1), 255 * noise(1, *SHAPE, high=2)))
    write_tif(path, pixels, photometric="rgb", alpha="yes", tiled=True, blockxsize=128, blockysize=128)


def _with_nodata(path: Path) -> None:
    pixels = _scene().transpose(2, 0, 1).astype(np.float32)
    pixels[:, 100:400, 200:300] = -9999
    write_tif(path, pixels, photometric="rgb", nodata=-9999)


@cache
def _quantised() -> Image.Image:
    return Image.fromarray(_scene()).quantize(64)


def _with_palette(path: Path) -> None:
    _quantised().save(path, format="TIFF")


def _grey16(path: Path) -> None:
    write_tif(path, _scene()[..., :1].transpose(2, 0, 1).astype(np.uint16) * 100)


KINDS = [
    _jpeg,
    _progressive,
    _png,
    _tiled,
    _striped,
    _with_overviews,
    _with_alpha,
    _with_nodata,
    _with_palette,
    _grey16,
]


def _tolerance(write: Callable[[Path], None]) -> int:
    """Return by how many levels rows may depend on the strip: none, but for palettes, which Pillow resamples."""
    return 1 if write is _with_palette else 0


def _grid(shape: tuple[int, int], scale: float = 1, tile_px: int = 64) -> Grid:
    return plan_grid(shape, scale=scale, tile=(tile_px, tile_px), overlap=(0, 0))


def _whole(image: ImageReader, grid: Grid) -> NDArray[np.uint8]:
    return image.model_rows(grid, 0, grid.model_shape[0])


def _cuts(height: int) -> list[int]:
    """Return uneven cuts of the rows: one row, a tile, what is left of the next tile, and so on."""
    steps = [0, 1, 2, 64, 96, 97, 160, 255, 256, 400, 523]
    return [*(cut for cut in steps if cut < height), height]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("write", KINDS)
def test_rows_read_in_strips_equal_one_whole_read(tmp_path: Path, write: Callable[[Path], None], scale: float) -> None:
    write(tmp_path / "a.img")
    with open_image(tmp_path / "a.img") as image:
        grid = _grid(image.info.shape, scale)
        whole = _whole(image, grid)
        strips = [image.model_rows(grid, start, stop) for start, stop in pairwise(_cuts(grid.model_shape[0]))]
    np.testing.assert_allclose(
        np.concatenate(strips, axis=1).astype(int), whole.astype(int), rtol=0, atol=_tolerance(write)
    )
    assert whole.std() > 10


@pytest.mark.parametrize("write", [_jpeg, _png, _tiled, _striped, _with_alpha])
def test_at_scale_1_rows_are_the_pixels(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "a.img")
    with open_image(tmp_path / "a.img") as image, rasterio.open(tmp_path / "a.img") as dataset:
        np.testing.assert_array_equal(_whole(image, _grid(SHAPE)), dataset.read((1, 2, 3)))


def _checker(shape: tuple[int, int]) -> NDArray[np.bool_]:
    checker: NDArray[np.bool_] = np.indices(shape).sum(axis=0) % 2 == 1
    return checker


@pytest.mark.parametrize("scale", [0.256, 0.25, 0.5])
def test_a_fine_checkerboard_becomes_mid_grey(tmp_path: Path, scale: float) -> None:
    pixels = np.where(_checker((128, 128)), 255, 0).astype(np.uint8)
    with open_image(write_tif(tmp_path / "a.tif", pixels[np.newaxis])) as image:
        rows = _whole(image, _grid((128, 128), scale)).astype(int)
    assert np.abs(rows[:, 1:-1, 1:-1] - 127.5).max() <= 16


@pytest.mark.parametrize("scale", [0.256, 0.25, 0.5])
def test_a_palette_is_expanded_before_it_is_resampled(tmp_path: Path, scale: float) -> None:
    indices = np.where(_checker((128, 128)), 2, 0).astype(np.uint8)
    colormap = {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (0, 0, 255, 255)}
    path = write_tif(tmp_path / "a.tif", indices[np.newaxis], colormap=colormap, photometric="palette")
    with open_image(path) as image:
        red, green, blue = _whole(image, _grid((128, 128), scale)).astype(int)[:, 1:-1, 1:-1]
    assert not green.any()
    assert np.abs(red - 127.5).max() <= 16
    assert np.abs(red + blue - 255).max() <= 1


def test_a_palette_at_scale_1_gives_its_colours(tmp_path: Path) -> None:
    photo = Image.fromarray(_scene((65, 70))).quantize(64)
    photo.save(tmp_path / "a.png")
    with open_image(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(
            _whole(image, _grid((65, 70))), np.asarray(photo.convert("RGB")).transpose(2, 0, 1)
        )


def test_grey_gives_three_equal_channels(tmp_path: Path) -> None:
    pixels = noise(1, 65, 70)
    with open_image(write_tif(tmp_path / "a.tif", pixels)) as image:
        np.testing.assert_array_equal(_whole(image, _grid((65, 70))), pixels.repeat(3, axis=0))


def test_channels_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    pixels = noise(4, 65, 70)
    pixels[3] = 255
    path = write_tif(tmp_path / "a.tif", pixels, interpretations=("blue", "green", "red", "alpha"))
    with open_image(path) as image:
        np.testing.assert_array_equal(_whole(image, _grid((65, 70))), pixels[[2, 1, 0]])
    with open_image(path, channels=(4, 1, 1)) as image:
        np.testing.assert_array_equal(_whole(image, _grid((65, 70))), pixels[[3, 0, 0]])


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_wide_samples_are_stretched_over_the_whole_file(tmp_path: Path, dtype: str) -> None:
    pixels = np.broadcast_to(np.arange(300)[:, np.newaxis] * 50, (3, 300, 200)).astype(dtype)
    expected = percentile_stretch(pixels.ravel().astype(np.float64))
    with open_image(write_tif(tmp_path / "a.tif", pixels, photometric="rgb")) as image:
        grid = _grid((300, 200))
        assert image.stretch == expected
        np.testing.assert_array_equal(_whole(image, grid), expected.apply(pixels.astype(np.float32)))
        np.testing.assert_array_equal(image.model_rows(grid, 200, 210), _whole(image, grid)[:, 200:210])


@pytest.mark.parametrize(("span", "range", "told"), [(15, None, True), (16, None, False), (15, (0.0, 15.0), False)])
def test_little_contrast_is_told_unless_it_was_chosen(
    tmp_path: Path, span: int, range: tuple[float, float] | None, told: bool
) -> None:
    pixels = np.full((3, 60, 60), 9000, np.uint16)
    pixels[:, :30] += span
    write_tif(tmp_path / "a.tif", pixels, photometric="rgb")
    with open_image(tmp_path / "a.tif", value_range=range) as image:
        assert any("so little contrast" in doubt.why for doubt in image.doubts) == told


@pytest.mark.parametrize("options", [{"photometric": "miniswhite"}, {"nbits": 1}, {"nbits": 4}])
def test_no_contrast_is_missed_in_values_that_the_type_itself_gives(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_tif(tmp_path / "a.tif", noise(1, 60, 60, high=2), **options)
    with open_image(path, channels=(1,)) as image:
        assert image.doubts == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_stretch_leaves_out_pixels_that_are_not_finite_in_one_channel(tmp_path: Path, bad: float) -> None:
    pixels = np.broadcast_to(np.arange(101, dtype=np.float32)[:, np.newaxis], (3, 101, 50)).copy()
    pixels[:2, :, 10:] = 1e6
    pixels[2, :, 10:] = bad
    with open_image(write_tif(tmp_path / "a.tif", pixels, photometric="rgb")) as image:
        assert image.stretch == Stretch(2, 98)


def test_channels_share_one_stretch(tmp_path: Path) -> None:
    pixels = noise(3, 50, 50, high=1000, dtype="uint16") * np.array([1, 2, 3], np.uint16)[:, np.newaxis, np.newaxis]
    with open_image(write_tif(tmp_path / "a.tif", pixels, photometric="rgb")) as image:
        assert image.stretch == percentile_stretch(pixels.ravel().astype(np.float64))


def test_the_stretch_leaves_out_nodata(tmp_path: Path) -> None:
    pixels = noise(1, 50, 50, high=1000, dtype="float32")
    valid = pixels.copy()
    pixels[0, :25] = -3.4028234663852886e38
    path = write_tif(tmp_path / "a.tif", pixels, nodata=-3.4028234663852886e38)
    with open_image(path) as image:
        assert image.stretch == percentile_stretch(valid[0, 25:].ravel().astype(np.float64))
        assert _whole(image, _grid((50, 50)))[:, 26:].std() > 10


def test_a_stated_range_is_used_for_wide_samples_only(tmp_path: Path) -> None:
    pixels = noise(1, 50, 50, high=4096, dtype="uint16")
    with open_image(write_tif(tmp_path / "a.tif", pixels), value_range=(0, 4095)) as image:
        assert image.stretch == Stretch(0, 4095)
        np.testing.assert_array_equal(_whole(image, _grid((50, 50)))[0], Stretch(0, 4095).apply(pixels[0].astype("f4")))
    with open_image(write_tif(tmp_path / "b.tif", noise(1, 50, 50)), value_range=(0, 4095)) as image:
        assert image.stretch is None


def test_one_bit_becomes_0_and_255(tmp_path: Path) -> None:
    pixels = noise(1, 50, 50, high=2)
    with open_image(write_tif(tmp_path / "a.tif", pixels, nbits=1, photometric="minisblack")) as image:
        np.testing.assert_array_equal(_whole(image, _grid((50, 50)))[0], pixels[0] * 255)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_is_zero_is_turned_round(tmp_path: Path, dtype: str) -> None:
    most = np.iinfo(dtype).max
    pixels = noise(50, 50, high=int(most) + 1, dtype=dtype)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    black_is_zero, white_is_zero = (struct.pack("<HHII", 262, 3, 1, photometric) for photometric in (1, 0))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes().replace(black_is_zero, white_is_zero))
    with open_image(tmp_path / "a.tif") as image:
        assert np.abs(_whole(image, _grid((50, 50)))[0] - (255 - pixels * (255 / most))).max() <= 1


def test_white_is_zero_is_turned_round_in_an_asked_channel(tmp_path: Path) -> None:
    pixels = noise(1, 50, 50)
    with open_image(write_tif(tmp_path / "a.tif", pixels, photometric="miniswhite"), channels=(1,)) as image:
        np.testing.assert_array_equal(_whole(image, _grid((50, 50)))[0], 255 - pixels[0])


def _valid(path: Path, **options: Any) -> NDArray[np.bool_]:
    """Return the valid mask of a whole file, and check that rows read one by one give the same."""
    with open_image(path, **options) as image:
        height = image.info.height
        whole = image.valid_rows(0, height)
        rows = [image.valid_rows(row, row + 1) for row in range(height)]
        np.testing.assert_array_equal(np.concatenate(rows), whole)
        np.testing.assert_array_equal(image.valid_columns(0, height), whole.any(axis=0))
        assert image.maybe_invalid
    return whole


def test_nodata_counts_where_every_channel_has_it(tmp_path: Path) -> None:
    pixels = noise(3, 12, 9, high=250) + np.uint8(1)
    pixels[:, :4] = 0
    pixels[1, 6] = 0
    expected = np.ones((12, 9), np.bool_)
    expected[:4] = False
    path = write_tif(tmp_path / "a.tif", pixels, photometric="rgb", nodata=0)
    np.testing.assert_array_equal(_valid(path), expected)


def test_zero_alpha_is_invalid(tmp_path: Path) -> None:
    pixels = noise(4, 12, 9, high=3)
    path = write_tif(tmp_path / "a.tif", pixels, photometric="rgb", alpha="yes")
    np.testing.assert_array_equal(_valid(path), pixels[3] > 0)


def test_zero_alpha_of_16_bits_is_invalid(tmp_path: Path) -> None:
    pixels = noise(4, 12, 9, high=3, dtype="uint16")
    path = write_tif(tmp_path / "a.tif", pixels, photometric="rgb", alpha="yes")
    np.testing.assert_array_equal(_valid(path), pixels[3] > 0)


def test_zero_alpha_of_a_grey_png_is_invalid(tmp_path: Path) -> None:
    pixels = noise(12, 9, 2, high=3)
    Image.fromarray(pixels, mode=None).save(tmp_path / "a.png")
    np.testing.assert_array_equal(_valid(tmp_path / "a.png"), pixels[..., 1] > 0)


def test_an_internal_mask_marks_pixels(tmp_path: Path) -> None:
    mask = noise(12, 9, high=2) > 0
    path = write_tif(tmp_path / "a.tif", noise(3, 12, 9), photometric="rgb", mask=mask)
    np.testing.assert_array_equal(_valid(path), mask)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_in_one_channel_is_invalid(tmp_path: Path, bad: float) -> None:
    pixels = noise(3, 12, 9, dtype="float32")
    expected = noise(12, 9, high=3) > 0
    pixels[1, ~expected] = bad
    path = write_tif(tmp_path / "a.tif", pixels, photometric="rgb")
    np.testing.assert_array_equal(_valid(path), expected)


def test_nan_does_not_hide_nodata(tmp_path: Path) -> None:
    pixels = noise(1, 4, 3, dtype="float32")
    pixels[0, 0], pixels[0, 1] = -1, np.nan
    path = write_tif(tmp_path / "a.tif", pixels, nodata=-1)
    np.testing.assert_array_equal(_valid(path).all(axis=1), [False, False, True, True])


def test_transparent_palette_entries_are_invalid(tmp_path: Path) -> None:
    indices = noise(12, 9, high=4)
    photo = Image.fromarray(indices, mode=None).convert("P")
    photo.putdata(indices.ravel().tolist())
    photo.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    photo.save(tmp_path / "a.png", transparency=bytes([255, 0, 128, 0]))
    np.testing.assert_array_equal(_valid(tmp_path / "a.png"), (indices == 0) | (indices == 2))


def test_zero_in_the_valid_channel_is_invalid(tmp_path: Path) -> None:
    pixels = noise(5, 12, 9, high=3)
    path = write_tif(tmp_path / "a.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(_valid(path, channels=(1, 2, 3, 5)), pixels[4] > 0)


def test_alpha_marks_nothing_once_channels_are_asked_for(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(4, 12, 9, high=3), photometric="rgb", alpha="yes")
    with open_image(path, channels=(4, 1, 2)) as image:
        assert not image.maybe_invalid
        assert image.valid_rows(0, 12).all()


@pytest.mark.parametrize("write", [_jpeg, _png, _tiled, _grey16])
def test_ordinary_images_have_no_invalid_pixel(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "a.img")
    with open_image(tmp_path / "a.img") as image:
        assert not image.maybe_invalid
        assert image.valid_rows(10, 20).all()
        assert image.valid_rows(10, 20).shape == (10, SHAPE[1])


def test_valid_columns_are_read_in_chunks_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = 255 * noise(1, 12, 9, high=10) // 9 // 255
    path = write_tif(tmp_path / "a.tif", np.concatenate((noise(3, 12, 9), alpha)), photometric="rgb", alpha="yes")
    for chunk_bytes in (1, 9, 20, 10**6):
        monkeypatch.setattr("tiler.source.image._VALID_CHUNK_BYTES", chunk_bytes)
        with open_image(path) as image:
            np.testing.assert_array_equal(image.valid_columns(2, 12), alpha[0, 2:].any(axis=0))


SIZES = [(1, 1), (1, 200), (200, 1), (2, 3), (31, 33), (63, 65), (64, 64), (65, 97), (129, 200), (150, 161)]


def _reflected(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    missing = [(0, 0), (0, shape[0] - pixels.shape[1]), (0, shape[1] - pixels.shape[2])]
    return np.pad(pixels, missing, mode="reflect")


@pytest.mark.parametrize("overlap_px", [0, 17, 32])
@pytest.mark.parametrize("shape", SIZES)
def test_tiles_are_windows_of_the_whole_image_reflected(
    tmp_path: Path, shape: tuple[int, int], overlap_px: int
) -> None:
    pixels = noise(3, *shape)
    grid = plan_grid(shape, scale=1, tile=(64, 64), overlap=(overlap_px, overlap_px))
    whole = _reflected(pixels, grid.padded_shape)
    with open_image(write_tif(tmp_path / "a.tif", pixels, photometric="rgb")) as image:
        found = [(tile, None if block is None else block.copy()) for tile, block in read_tiles(image, grid)]
    assert [tile for tile, _ in found] == list(grid.tiles())
    for tile, block in found:
        assert block is not None
        assert block.shape == (3, 64, 64)
        assert block.dtype == np.uint8
        np.testing.assert_array_equal(block, whole[:, *tile.window.slices])


@pytest.mark.parametrize("write", [_jpeg, _with_palette, _with_overviews])
@pytest.mark.parametrize("scale", [0.256, 0.61])
def test_reduced_tiles_are_windows_of_the_whole_model_image(
    tmp_path: Path, write: Callable[[Path], None], scale: float
) -> None:
    write(tmp_path / "a.img")
    grid = plan_grid(SHAPE, scale=scale, tile=(128, 128), overlap=(32, 32))
    with open_image(tmp_path / "a.img") as image:
        whole = _reflected(_whole(image, grid), grid.padded_shape)
        for tile, block in read_tiles(image, grid):
            assert block is not None
            np.testing.assert_allclose(
                block.astype(int), whole[:, *tile.window.slices].astype(int), rtol=0, atol=_tolerance(write)
            )


def _needed(path: Path, grid: Grid) -> list[list[int]]:
    with open_image(path) as image:
        return [[tile.row, tile.col] for tile, block in read_tiles(image, grid) if block is not None]


@pytest.mark.parametrize(
    ("row", "col", "needed"),
    [
        (30, 30, [[0, 0]]),
        (30, 67, [[0, 0], [0, 1]]),
        (30, 68, [[0, 1]]),
        (60, 30, [[0, 0], [1, 0]]),
        (59, 30, [[0, 0]]),
        (67, 60, [[0, 0], [0, 1], [1, 0], [1, 1]]),
        (191, 191, [[2, 2]]),
    ],
)
def test_only_tiles_within_one_cell_of_a_valid_pixel_are_read(
    tmp_path: Path, row: int, col: int, needed: list[list[int]]
) -> None:
    pixels = np.zeros((3, 192, 192), np.uint8)
    pixels[:, row, col] = 1
    path = write_tif(tmp_path / "a.tif", pixels, photometric="rgb", nodata=0)
    assert _needed(path, _grid((192, 192))) == needed


@pytest.mark.parametrize(("col", "needed"), [(135, [[0, 0], [0, 1]]), (136, [[0, 1]])])
def test_the_reach_of_a_cell_is_in_model_pixels(tmp_path: Path, col: int, needed: list[list[int]]) -> None:
    pixels = np.zeros((3, 128, 256), np.uint8)
    pixels[:, 60, col] = 1
    path = write_tif(tmp_path / "a.tif", pixels, photometric="rgb", nodata=0)
    assert _needed(path, _grid((128, 256), scale=0.5)) == needed


def test_an_image_without_a_valid_pixel_needs_no_tile(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.zeros((3, 100, 100), np.uint8), photometric="rgb", nodata=0)
    with open_image(path) as image:
        found = list(read_tiles(image, _grid((100, 100))))
    assert [tile for tile, _ in found] == list(_grid((100, 100)).tiles())
    assert all(block is None for _, block in found)


def _read_all(path: Path, scale: float) -> None:
    with open_image(path) as image:
        for _ in read_tiles(image, _grid(image.info.shape, scale)):
            pass


@pytest.mark.parametrize("scale", [0.256, 1])
@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("write", [_jpeg, _progressive, _png, _tiled, _striped, _with_palette])
def test_a_truncated_file_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], keep: float, scale: float
) -> None:
    path = tmp_path / "a.img"
    write(path)
    _read_all(path, scale)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(RasterReadError, match=r"a\.img: (truncated: |the header cannot be read)"):
        _read_all(path, scale)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("scale", [0.5, 1])
def test_a_truncated_file_of_a_single_tile_is_refused(tmp_path: Path, format: str, scale: float) -> None:
    path = tmp_path / "a.img"
    Image.fromarray(_scene((64, 64))).save(path, format=format)
    _read_all(path, scale)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RasterReadError, match=r"a\.img: (truncated: |the header cannot be read)"):
        _read_all(path, scale)


def test_a_jpeg_without_its_end_marker_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    _jpeg(path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(RasterReadError, match=r"a\.jpg: truncated: its end marker is missing"):
        _read_all(path, 1)


def test_a_damaged_mask_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.dstack((_scene(), 255 * noise(*SHAPE, high=2)))).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-100_000] + bytes(100) + content[-99_900:])
    with open_image(path) as image, pytest.raises(RasterReadError, match=r"a\.png: the valid mask of rows 600 to 700"):
        image.valid_rows(600, 701)


def test_channels_that_are_not_settled_are_refused_on_opening(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(4, 4, 4), photometric="minisblack")
    with pytest.raises(ChannelError, match="do not say which are red, green and blue"), open_image(path):
        pass


@pytest.mark.parametrize("nodata", [None, 0])
def test_the_stretch_leaves_out_what_the_valid_channel_and_nodata_mark(tmp_path: Path, nodata: int | None) -> None:
    pixels = np.full((4, 40, 40), 65535, np.uint16)
    pixels[:3, :, :10] = np.linspace(1000, 3000, 10)
    pixels[3, :, 10:] = 0
    write_tif(tmp_path / "a.tif", pixels, photometric="minisblack", nodata=nodata)
    with open_image(tmp_path / "a.tif", channels=(1, 2, 3, 4)) as image:
        assert image.stretch is not None
        assert (image.stretch.low, image.stretch.high) == pytest.approx((1000, 3000), rel=0.05)


def _one_colour(path: Path, scale: float) -> tuple[int, ...] | None:
    seen = OneColour()
    with open_image(path) as image:
        grid = _grid(image.info.shape, scale)
        for tile, pixels in read_tiles(image, grid):
            seen.see(image, grid, tile, pixels)
    return seen.colours[0] if len(seen.colours) == 1 else None


@pytest.mark.parametrize("scale", [0.3, 1, 1.7])
@pytest.mark.parametrize("marked", ["not", "alpha", "nodata", "mask"])
def test_one_colour_is_noticed_whatever_lies_under_invalid_pixels(tmp_path: Path, marked: str, scale: float) -> None:
    colours = np.full((3, 300, 400), 90, np.uint8)
    colours[1] = 91
    valid = np.ones((300, 400), np.bool_)
    valid[:130] = valid[:, 250:] = False
    if marked != "not":
        colours[:, ~valid] = 0
    ways: dict[str, dict[str, Any]] = {"nodata": {"nodata": 0}, "mask": {"mask": valid}}
    pixels = np.concatenate((colours, valid[np.newaxis] * np.uint8(255))) if marked == "alpha" else colours
    interpretations = ("red", "green", "blue", "alpha")[: len(pixels)]
    path = write_tif(
        tmp_path / "a.tif", pixels, photometric="rgb", interpretations=interpretations, **ways.get(marked, {})
    )
    assert _one_colour(path, scale) == (90, 91, 90)


@pytest.mark.parametrize("at", [(0, 0), (299, 399), (0, 399)])
def test_one_other_pixel_is_enough_for_two_colours(tmp_path: Path, at: tuple[int, int]) -> None:
    pixels = np.full((300, 400, 3), 90, np.uint8)
    pixels[at] = 95
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert _one_colour(tmp_path / "a.png", 1) is None


def test_an_image_without_a_valid_pixel_has_no_colour(tmp_path: Path) -> None:
    assert _one_colour(write_tif(tmp_path / "a.tif", np.zeros((1, 90, 90), np.uint8), nodata=0), 1) is None


def test_a_stretched_image_without_contrast_has_one_colour(tmp_path: Path) -> None:
    assert _one_colour(write_tif(tmp_path / "a.tif", np.full((1, 90, 90), 1e4, np.float32)), 1) == (0, 0, 0)
