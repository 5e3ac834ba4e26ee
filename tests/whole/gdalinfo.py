"""What GDAL says of a raster: by the library inside rasterio's wheel, and by the program if it is installed."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import rasterio

Report = Callable[[Path], str]


def wheel_report(path: Path) -> str:
    """Return what GDALInfo of the library inside rasterio's wheel says."""
    libraries = list((Path(rasterio.__file__).parent.parent / "rasterio.libs").glob("libgdal*"))
    if not libraries:
        pytest.skip("rasterio comes without a GDAL of its own")
    gdal = ctypes.CDLL(str(libraries[0]))
    gdal.GDALOpen.restype = gdal.GDALInfo.restype = ctypes.c_void_p
    gdal.GDALInfo.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    gdal.GDALClose.argtypes = gdal.VSIFree.argtypes = [ctypes.c_void_p]
    with rasterio.Env():  # registers the drivers
        dataset = gdal.GDALOpen(os.fsencode(path), 0)
        text = gdal.GDALInfo(dataset, None)
        report = ctypes.string_at(text).decode()
        gdal.VSIFree(text)
        gdal.GDALClose(dataset)
    return report


def program_report(path: Path) -> str:
    """Return what the program `gdalinfo` says."""
    if shutil.which("gdalinfo") is None:
        pytest.skip("gdalinfo is not installed")
    return subprocess.run(["gdalinfo", path], check=True, capture_output=True, text=True).stdout


def attribute_table(report: str) -> list[list[str | None]]:
    """Return the rows of the attribute table in such a report."""
    (xml,) = re.findall(r"<GDALRasterAttributeTable.*</GDALRasterAttributeTable>", report, re.DOTALL)
    return [[cell.text for cell in row] for row in ElementTree.fromstring(xml).iter("Row")]
