"""GDAL in a fresh process: what it can reach, and that noseam's own work goes on without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rasterio import Affine

from tests import ROOT
from tests.make import UTM, noise, write_tif
from tiler.source.shut_off import allow_vrt, shut_off

DRIVERS = ("VRT", "GTI", "WMS", "WMTS", "WCS", "HTTP", "STACIT", "STACTA", "DAAS", "EEDA", "EEDAI", "PLMOSAIC")


def _python(code: str, *arguments: object) -> str:
    """Run code in a process whose GDAL has not started, and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "CPL_"))}
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_variables_are_set_but_those_of_the_user_stay() -> None:
    environment = {"GDAL_SKIP": "HDF5,VRT", "GDAL_PAM_ENABLED": "YES"}
    shut_off(environment)
    assert environment["GDAL_SKIP"].split() == ["HDF5", "VRT", *(name for name in DRIVERS if name != "VRT")]
    assert environment["GDAL_PAM_ENABLED"] == "YES"
    assert environment.items() > {
        ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"), ("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", ".none"),
        ("GDAL_PNG_WHOLE_IMAGE_OPTIM", "NO"), ("GDAL_DRIVER_PATH", "disable"), ("GDAL_VRT_ENABLE_PYTHON", "NO"),
        ("GDAL_CACHEMAX", "128"),
    }  # fmt: skip
    once = dict(environment)
    shut_off(environment)
    assert environment == once
    allow_vrt(environment)
    assert environment["GDAL_SKIP"].split() == ["HDF5", *(name for name in DRIVERS if name != "VRT")]


@pytest.mark.parametrize("package", ["tiler.source.raster", "segment.plan.survey", "segment.api"])
def test_gdal_starts_without_drivers_that_open_other_files_and_hosts(package: str) -> None:
    code = (
        f"import rasterio, {package}\nwith rasterio.Env() as env: print(*env.drivers())\n"
        "import os; print(os.environ['GDAL_PAM_ENABLED'], os.environ['GDAL_DISABLE_READDIR_ON_OPEN'])"
    )
    drivers, settings = _python(code).splitlines()
    assert {"GTiff", "COG", "JPEG", "PNG", "MEM"} <= set(drivers.split())
    assert not {*DRIVERS} & {*drivers.split()}
    assert settings == "NO EMPTY_DIR"


def test_the_gdal_of_polygons_has_no_such_driver_either() -> None:
    pytest.importorskip("pyogrio")
    found = _python("import tiler, pyogrio; print(*pyogrio.list_drivers())").split()
    assert {"GPKG", "FlatGeobuf", "GeoJSONSeq"} <= set(found)
    assert not {*DRIVERS} & {*found}


def _vrt(path: Path, source: Path) -> Path:
    path.write_text(
        "<VRTDataset rasterXSize='30' rasterYSize='20'><VRTRasterBand dataType='Byte' band='1'>"
        f"<ColorInterp>Gray</ColorInterp><SimpleSource><SourceFilename>{source}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    return path


READ = """
import sys
from pathlib import Path
from segment.plan.request import Request
from segment.plan.survey import plan_survey
from tiler.files.walk import walk_survey
from tiler.source.options import FileLimits
from tiler.source.image import open_image
from tiler.grid.tiling import Tiling
from tiler.grid.window import Window
source, limits = Path(sys.argv[1]), FileLimits(allow_vrt=sys.argv[2] == "allowed")
plan = plan_survey(walk_survey([source], out=None), Request(tiling=Tiling(), out=Path("out"), limits=limits))
print(*(refused.reason for refused in plan.refused))
for image in plan.images:
    with open_image(image.found.path, limits=limits) as reader:
        print(reader.pixels(Window(0, 0, 20, 30))[0].sum())
"""


@pytest.mark.parametrize("name", ["a.vrt", "a.tif"])
def test_a_vrt_is_read_only_where_it_is_allowed(tmp_path: Path, name: str) -> None:
    pixels = noise(1, 20, 30)
    path = _vrt(tmp_path / name, write_tif(tmp_path / "source.tif", pixels))
    assert "not an accepted image: expected JPEG, PNG or TIFF, found a file that starts with" in _python(
        READ, path, "refused"
    )
    assert int(_python(READ, path, "allowed")) == pixels.sum()


def test_allowing_vrt_opens_no_other_format(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("<GDAL_WMS><Service name='TMS'></Service></GDAL_WMS>")
    assert "not an accepted image" in _python(READ, tmp_path / "a.tif", "allowed")


def test_what_gdal_writes_and_masks_need_no_vrt_driver(tmp_path: Path) -> None:
    code = """
import sys, numpy as np, rasterio, tiler.source.raster
from rasterio.vrt import WarpedVRT
with tiler.source.raster.gdal_environment(), rasterio.open(sys.argv[1]) as source:
    with WarpedVRT(source, crs="EPSG:4326") as warped:
        print(warped.read().any(), source.dataset_mask().any())
"""
    mask = noise(20, 30, high=2).astype(bool)
    path = write_tif(tmp_path / "a.tif", noise(3, 20, 30), mask=mask, crs=UTM, transform=Affine(1, 0, 5e5, 0, -1, 5e6))
    assert _python(code, path) == "True True"
