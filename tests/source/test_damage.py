"""Files that are cut are refused; damage that GDAL decodes over is told, or refused where that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from segment.plan.request import Request
from segment.plan.survey import plan_survey
from tests.make import noise, write_tif
from tests.models import MeanEngine, runner_of
from tiler.errors import RasterReadError
from tiler.files.walk import walk_survey
from tiler.grid.tiles import plan_grid
from tiler.grid.tiling import Tiling
from tiler.source.image import open_image
from tiler.source.raster import gdal_environment
from tiler.source.tiles import read_tiles

SIDE = 600


def _scene() -> NDArray[np.uint8]:
    coarse: NDArray[np.uint8] = noise(75, 75, 3, high=200).repeat(8, axis=0).repeat(8, axis=1)
    scene: NDArray[np.uint8] = coarse + noise(SIDE, SIDE, 3, high=55)
    return scene


def _photo(path: Path, **options: Any) -> None:
    Image.fromarray(_scene()).save(path, **options)


def _jpeg(path: Path) -> None:
    _photo(path, format="JPEG", quality=90)


def _thumbnailed(path: Path) -> None:
    """Write a JPEG with a second one, whole, in its header."""
    Image.new("RGB", (8, 8)).save(path, format="JPEG")
    _photo(path, format="JPEG", comment=path.read_bytes())


def _progressive(path: Path) -> None:
    _photo(path, format="JPEG", progressive=True)


def _png(path: Path) -> None:
    _photo(path, format="PNG", compress_level=1)


def _strips(path: Path) -> None:
    write_tif(path, _scene().transpose(2, 0, 1), photometric="rgb", interleave="pixel")


def _bands(path: Path) -> None:
    write_tif(path, _scene().transpose(2, 0, 1), photometric="rgb", interleave="band", compress="lzw")


def _tiles(path: Path) -> None:
    write_tif(
        path, _scene().transpose(2, 0, 1), photometric="rgb", tiled=True, blockxsize=128, blockysize=128,
        compress="deflate",
    )  # fmt: skip


def _cog(path: Path) -> None:
    """Write a TIFF whose pixels of full resolution come last."""
    _tiles(path)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE="128"):
        rasterio.shutil.copy(path, path.with_suffix(".cog"), driver="COG", blocksize=128)
    path.with_suffix(".cog").replace(path)


KINDS = [_jpeg, _thumbnailed, _progressive, _png, _strips, _bands, _tiles, _cog]


def _read(path: Path, *, scale: float = 1, strict: bool = False) -> tuple[str, ...]:
    """Read all tiles and return the damage."""
    with open_image(path, strict=strict) as image:
        for _ in read_tiles(image, plan_grid(image.info.shape, scale=scale, tile=(64, 64), overlap=(0, 0))):
            pass
        return tuple(doubt.why for doubt in image.doubts if doubt.kind == "suspect")


@pytest.mark.parametrize("scale", [0.25, 1])
@pytest.mark.parametrize("write", KINDS)
def test_whole_files_have_no_damage(tmp_path: Path, write: Callable[[Path], None], scale: float) -> None:
    write(tmp_path / "a.img")
    assert _read(tmp_path / "a.img", scale=scale, strict=True) == ()


@pytest.mark.parametrize("cut", ["half", "2 kB", "2 bytes"])
@pytest.mark.parametrize("write", KINDS)
def test_no_cut_file_is_read_at_any_scale(tmp_path: Path, write: Callable[[Path], None], cut: str) -> None:
    path = tmp_path / "a.img"
    write(path)
    size = path.stat().st_size
    last = 6 if write is _cog else 2  # a COG repeats the last 4 bytes of a tile behind it
    path.write_bytes(path.read_bytes()[: {"half": size // 2, "2 kB": size - 2048, "2 bytes": size - last}[cut]])
    for scale in (0.25, 1):
        with pytest.raises(RasterReadError, match=r"a\.img: (truncated: .* (missing|expected)|the header cannot)"):
            _read(path, scale=scale)


@pytest.mark.parametrize("write", [_jpeg, _png, _strips, _cog])
def test_what_follows_the_end_of_an_image_does_no_harm(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "a.img"
    write(path)
    path.write_bytes(path.read_bytes() + b"\xff\xda" + noise(5000).tobytes())
    assert _read(path, strict=True) == ()


def test_a_sparse_tiff_is_whole(tmp_path: Path) -> None:
    options = {"height": 512, "width": 512, "count": 3, "dtype": "uint8", "sparse_ok": True, "photometric": "rgb"}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **options):
        pass
    assert _read(tmp_path / "a.tif") == ()


def _scribble(path: Path, share: float = 0.5, count: int = 60) -> Path:
    """Set bytes in the middle of a JPEG to restart markers, which stand where none belongs."""
    content = bytearray(path.read_bytes())
    at = int(len(content) * share)
    content[at : at + 2 * count] = b"\xff\xd3" * count
    path.write_bytes(content)
    return path


@pytest.fixture
def scribbled(tmp_path: Path) -> Path:
    _jpeg(tmp_path / "a.jpg")
    return _scribble(tmp_path / "a.jpg")


@pytest.mark.parametrize("scale", [0.25, 1])
def test_damage_that_is_decoded_over_is_told_once(scribbled: Path, scale: float) -> None:
    (message,) = _read(scribbled, scale=scale)
    assert message.startswith("libjpeg: Corrupt JPEG data: ")
    assert "GDAL_" not in message


def test_strict_refuses_it(scribbled: Path) -> None:
    with pytest.raises(RasterReadError, match=r"a\.jpg: damaged: libjpeg: Corrupt JPEG data"):
        _read(scribbled, strict=True)


def test_damage_does_not_hide_a_cut(scribbled: Path) -> None:
    # libjpeg warns once, so GDAL alone would read this to the end
    scribbled.write_bytes(scribbled.read_bytes()[: int(0.8 * scribbled.stat().st_size)])
    with pytest.raises(RasterReadError, match="truncated: its end marker is missing"):
        _read(scribbled)


def test_damage_of_a_jpegs_header_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    _jpeg(path)
    content = path.read_bytes()
    tables = content.index(b"\xff\xdb")
    path.write_bytes(content[:tables] + bytes(7) + content[tables:])
    (message,) = _read(path)
    assert "extraneous bytes before marker" in message
    with pytest.raises(RasterReadError, match=r"damaged: libjpeg: .*extraneous bytes"):
        _read(path, strict=True)


def test_each_image_has_its_own_damage(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.jpg" for index in range(8)]
    for index, path in enumerate(paths):
        _jpeg(path)
        if index % 2:
            _scribble(path)

    def read(path: Path) -> bool:
        with gdal_environment():
            return bool(_read(path))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, paths * 3)) == [False, True] * 12


@pytest.mark.parametrize(("level", "heard"), [(logging.ERROR, 0), (logging.WARNING, 1)])
def test_listeners_to_rasterio_hear_what_they_would_anyway(
    scribbled: Path, caplog: pytest.LogCaptureFixture, level: int, heard: int
) -> None:
    with caplog.at_level(level, "rasterio"):
        _read(scribbled)
    assert len([record for record in caplog.records if record.name.startswith("rasterio")]) == heard


def test_a_reason_gives_no_advice_about_settings_of_gdal(tmp_path: Path) -> None:
    # The end marker is there, but half of what comes before is not.
    _jpeg(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[:50])
    with pytest.raises(RasterReadError) as error:
        _read(tmp_path / "a.jpg")
    assert "GDAL_" not in str(error.value)


@pytest.mark.parametrize(("strict", "state"), [(False, "done"), (True, "failed")])
def test_strict_reaches_the_run(scribbled: Path, tmp_path: Path, strict: bool, state: str) -> None:
    request = Request(tiling=Tiling(window_px=128, input_px=64), out=tmp_path / "out", strict=strict)
    plan = plan_survey(walk_survey([scribbled], out=request.out), request)
    (outcome,) = runner_of(MeanEngine()).run(plan, request)
    assert outcome.state == state
    assert ("damaged: libjpeg" in outcome.reason) == strict
