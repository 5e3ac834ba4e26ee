"""What a header may claim, asked before any pixel is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from segment.plan.request import Request
from segment.plan.survey import ImagePlan, Refused, plan_image
from tests.make import noise, write_blank, write_tif
from tiler.errors import RasterReadError
from tiler.files.walk import Found
from tiler.grid.tiling import Tiling
from tiler.source.options import FileLimits
from tiler.source.raster import read_info


def _empty(path: Path, side: int = 100_000, **options: Any) -> Path:
    """Write a sparse TIFF: a header without any pixels."""
    shape = {"height": side, "width": side, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", sparse_ok=True, bigtiff="yes", **shape | options):
        return path


def _claiming(path: Path, height: int, width: int) -> Path:
    """Write a small JPEG whose header claims another size."""
    Image.fromarray(noise(32, 32, 3)).save(path, quality=50)
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("block", [256, 512, 2048])
def test_an_orthomosaic_of_100000_x_100000_passes_even_blank(tmp_path: Path, block: int) -> None:
    path = _empty(tmp_path / "a.tif", tiled=True, blockxsize=block, blockysize=block, compress="deflate")
    assert read_info(path).shape == (100_000, 100_000)


@pytest.mark.parametrize("options", [{"compress": "deflate"}, {"compress": "zstd"}, {}])
def test_black_images_pass(tmp_path: Path, options: dict[str, Any]) -> None:
    black = np.zeros((1, 4096, 4096), np.uint8)
    path = write_tif(tmp_path / "a.tif", black, tiled=True, blockxsize=2048, blockysize=2048, nbits=1, **options)
    assert read_info(path).shape == (4096, 4096)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_black_photos_pass(tmp_path: Path, suffix: str) -> None:
    Image.new("1" if suffix == ".png" else "L", (8000, 8000)).save(tmp_path / f"a{suffix}", optimize=True)
    assert read_info(tmp_path / f"a{suffix}").shape == (8000, 8000)


def test_more_pixels_than_asked_are_refused_before_any_is_read(tmp_path: Path) -> None:
    path = _empty(tmp_path / "a.tif", 150_000, tiled=True, blockxsize=256, blockysize=256)
    expected = (
        r"a\.tif: 150000 x 150000 pixels claimed, 22,500 megapixels; at most 20,000 are read "
        r"\(--max-megapixels of noseam plan and segment raises that\)"
    )
    with pytest.raises(RasterReadError, match=expected):
        read_info(path)
    assert read_info(path, FileLimits(max_megapixels=22_500)).width == 150_000


def test_a_jpeg_that_claims_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    path = _claiming(tmp_path / "a.jpg", 65500, 65500)
    expected = r"65500 x 65500 pixels claimed in a file of [\d,]+ bytes, [\d,]+ pixels per byte; at most 512 are read"
    with pytest.raises(RasterReadError, match=expected + r" \(--max-pixels-per-byte"):
        read_info(path)
    assert read_info(path, FileLimits(max_pixels_per_byte=1e7)).shape == (65500, 65500)


def test_a_tiff_of_138_bytes_that_claims_2_gigapixels_is_refused(tmp_path: Path) -> None:
    entries = ((256, 4, 2**31 - 1), (257, 4, 1), (258, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 8))
    tags = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4))
    with pytest.raises(RasterReadError, match=r"2147483647 x 1 pixels claimed in a file of 98 bytes"):
        read_info(path)


@pytest.mark.parametrize(
    ("interleave", "dtype", "found"),
    [("pixel", "uint8", 3 * 400**2), ("band", "uint8", 400**2), ("band", "float64", 8 * 400**2)],
)
def test_a_strip_larger_than_asked_is_refused(tmp_path: Path, interleave: str, dtype: str, found: int) -> None:
    pixels = noise(3, 400, 400, dtype=dtype)
    path = write_tif(tmp_path / "a.tif", pixels, blockysize=400, interleave=interleave, compress="deflate")
    with pytest.raises(RasterReadError, match=r"a block of 400 x 400 pixels claimed, .* MB .*\(--max-block-mb"):
        read_info(path, FileLimits(max_block_mb=(found - 1) / 1e6))
    assert read_info(path, FileLimits(max_block_mb=found / 1e6)).shape == (400, 400)


@pytest.mark.parametrize("width", [64_000, 64_016])
def test_a_block_may_take_2048_mb(tmp_path: Path, width: int) -> None:
    path = write_blank(tmp_path / "a.tif", (32_000, width), tiled=True, blockxsize=width, blockysize=32_000)
    limits = FileLimits(max_pixels_per_byte=1e9)
    if width == 64_000:
        assert read_info(path, limits).shape == (32_000, 64_000)
        return
    with pytest.raises(RasterReadError, match=r"2,049 MB when decoded; at most 2,048 are read \(--max-block-mb"):
        read_info(path, limits)


def _png_of(path: Path, height: int, width: int, size: int) -> Path:
    """Write a PNG of so many bytes that has a header, and nonsense for pixels."""
    head = struct.pack(">4s2IBBBBB", b"IHDR", width, height, 8, 0, 0, 0, 0)
    pixels = b"IDAT" + bytes(size - 8 - 12 - 13 - 12 - 12)
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, pixels, b"IEND")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def _tiff_of(path: Path, height: int, width: int, size: int) -> Path:
    """Write a TIFF of so many bytes that leaves out its blocks."""
    write_blank(path, (height, width), tiled=True, blockxsize=16384, blockysize=16384)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    return path


@pytest.mark.parametrize(
    ("write", "height", "width", "most"), [(_png_of, 8300, 1000, "8,300"), (_tiff_of, 100_000, 4000, "400,000")]
)
def test_a_file_may_claim_as_many_pixels_as_its_bytes_can_hold(
    tmp_path: Path, write: Callable[[Path, int, int, int], Path], height: int, width: int, most: str
) -> None:
    path = write(tmp_path / "a.img", height, width, 1000)
    assert path.stat().st_size == 1000
    assert read_info(path).shape == (height, width)
    with pytest.raises(
        RasterReadError, match=rf"in a file of 1,000 bytes, {most[:3]}.* pixels per byte; at most {most}"
    ):
        read_info(write(tmp_path / "b.img", height + 1, width, 1000))


def test_a_plan_applies_its_limits(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", noise(3, 1000, 1001), photometric="rgb")
    request = Request(tiling=Tiling(), out=tmp_path / "out", limits=FileLimits(max_megapixels=1))
    found = Found(path, Path("a.tif"))
    refused = plan_image(found, request)
    assert isinstance(refused, Refused)
    assert "a.tif: 1001 x 1000 pixels claimed, 1 megapixels; at most 1 are read" in refused.reason
    assert isinstance(plan_image(found, replace(request, limits=FileLimits(max_megapixels=1.001))), ImagePlan)
