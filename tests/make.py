"""Small files for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

UTM = CRS.from_epsg(32633)
ROTATED = Affine(0.04, 0.03, 500_000.125, 0.03, -0.04, 5_000_000.25)
GCPS = (
    GroundControlPoint(0, 0, 500_000, 5_000_000, 10, "a"),
    GroundControlPoint(0, 29.5, 500_003, 5_000_000, 11, "b"),
    GroundControlPoint(19.5, 0, 500_000, 4_999_998, 12, "c"),
)
COEFFICIENTS = [k / 1024 for k in range(20)]
RPCS = RPC(
    err_bias=1.5,
    err_rand=0.5,
    height_off=12.5,
    height_scale=500.0,
    lat_off=44.9,
    lat_scale=0.1,
    line_den_coeff=[1.0, *COEFFICIENTS[1:]],
    line_num_coeff=COEFFICIENTS[::-1],
    line_off=10.0,
    line_scale=10.0,
    long_off=15.0,
    long_scale=0.2,
    samp_den_coeff=[1.0, *COEFFICIENTS[1:]],
    samp_num_coeff=COEFFICIENTS,
    samp_off=15.0,
    samp_scale=15.0,
)


def noise(*shape: int, high: int = 256, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    """Return random whole numbers below `high`."""
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def write_tif(
    path: Path,
    pixels: NDArray[Any],
    *,
    interpretations: Sequence[str] = (),
    colormap: Mapping[int, tuple[int, ...]] | None = None,
    mask: NDArray[np.bool_] | None = None,
    **options: Any,
) -> Path:
    """Write pixels of shape (channel, row, col) as a GeoTIFF; `mask` becomes an internal mask."""
    count, height, width = pixels.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"),
        rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width, dtype=pixels.dtype, **options
        ) as dataset,
    ):
        if interpretations:
            dataset.colorinterp = [ColorInterp[name] for name in interpretations]
        if colormap is not None:
            dataset.write_colormap(1, dict(colormap))
        dataset.write(pixels)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def write_blank(path: Path, shape: tuple[int, int], **options: Any) -> Path:
    """Write a GeoTIFF of one 8-bit channel whose blocks are all missing, so a huge one takes a few megabytes."""
    height, width = shape
    profile = {"tiled": True, "blockxsize": 512, "blockysize": 512} if not options.keys() & {"blockysize"} else {}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=height, width=width, dtype="uint8", sparse_ok=True, bigtiff="yes",
        compress="deflate", **profile, **options,
    ):  # fmt: skip
        return path
