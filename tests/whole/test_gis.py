"""GDAL and QGIS read masks and their side files as meant; each test skips where its program is absent."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.crs import CRS

from tests.make import ROTATED, UTM
from tests.whole.gdalinfo import Report, attribute_table, program_report, wheel_report
from tiler.classes import ClassTable
from tiler.files.beside import GROUPS, Sidecar, plan_sidecars
from tiler.files.outputs import Format, Output
from tiler.masks.coverage import Coverage
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.source.georef import Georeference

CLASSES = ClassTable(
    ("unlabeled", 'a <b> & "c"', "Straße 水", "car"), ((0, 0, 0), (0, 102, 0), (9, 143, 150), (255, 22, 96))
)
LABELS = np.repeat(np.array([[1, 1, 2, 255]], np.uint8), [6, 3, 2, 5], axis=1).repeat(8, axis=0)
PIXELS = (0, 72, 16, 0)
PRESENT = [[1, 'a <b> & "c"', "#006600"], [2, "Straße 水", "#098f96"]]
ALL = [[0, "unlabeled", "#000000"], *PRESENT, [3, "car", "#ff1660"]]
NORTH_FIRST = CRS.from_epsg(31467)
SYSTEM_PYTHON = "/usr/bin/python3"


def _write(folder: Path, *, format: Format = "cog", without: tuple[Sidecar, ...] = ()) -> Path:
    """Write a mask with its side files, except those that `without` names."""
    mask = folder / f"a_label{'.png' if format == 'png' else '.tif'}"
    wanted = {kind for group in GROUPS.values() for kind in group} - set(without)
    beside = plan_sidecars(mask, labels=True, georeferenced=True, wanted=wanted)
    place = Georeference(NORTH_FIRST if format == "png" else UTM, ROTATED)
    with MaskWriter([Output(mask, "label", format, beside)], MaskMeta(LABELS.shape, CLASSES, place, {})) as writer:
        writer.write(LABELS)
        writer.commit(Coverage(PIXELS, 40))
    assert {path.name for path in folder.iterdir()} == {mask.name, *(side.path.name for side in beside)}
    return mask


@pytest.fixture(params=[wheel_report, program_report], ids=["wheel", "gdalinfo"])
def report(request: pytest.FixtureRequest) -> Report:
    chosen: Report = request.param
    return chosen


@pytest.mark.parametrize("format", ["cog", "geotiff", "png"])
def test_gdal_shows_names_and_table(tmp_path: Path, format: Format, report: Report) -> None:
    found = report(_write(tmp_path, format=format))
    assert "Description = class\n  NoData Value=255\n" in found
    for value, name in enumerate(CLASSES.names):
        assert f"\n      {value}: {name}\n" in found
    assert attribute_table(found) == [
        ["1", "72", 'a <b> & "c"', "0", "102", "0", "255"],
        ["2", "16", "Straße 水", "9", "143", "150", "255"],
    ]


def test_gdal_shows_where_a_png_lies(tmp_path: Path, report: Report) -> None:
    found = report(_write(tmp_path, format="png", without=("world", "prj")))
    assert 'ID["EPSG",31467]]\nData axis to CRS axis mapping: 2,1\n' in found
    assert "GeoTransform =\n  500000.125, 0.04, 0.03\n  5000000.25, 0.03, -0.04\n" in found


@pytest.fixture(scope="module")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Any]:
    """Return a function that says what QGIS makes of a raster."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GDAL", "PROJ"))}
    environment = {**kept, "QT_QPA_PLATFORM": "offscreen", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [SYSTEM_PYTHON, *map(str, arguments)]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    if not Path(SYSTEM_PYTHON).exists() or run("-c", "import qgis.core").returncode:
        pytest.skip("QGIS is not installed")

    def legend(path: Path) -> Any:
        result = run(Path(__file__).parent / "qgis_legend.py", path)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)[str(path)]

    return legend


@pytest.mark.parametrize(("format", "crs"), [("cog", "EPSG:32633"), ("geotiff", "EPSG:32633"), ("png", "EPSG:31467")])
def test_qgis_shows_the_classes_that_the_mask_holds(
    tmp_path: Path, qgis: Callable[[Path], Any], format: Format, crs: str
) -> None:
    assert qgis(_write(tmp_path, format=format)) == {"crs": crs, "renderer": "paletted", "classes": PRESENT}


def test_without_a_style_qgis_names_all_classes_of_a_geotiff_and_lists_all_256_values(
    tmp_path: Path, qgis: Callable[[Path], Any]
) -> None:
    found = qgis(_write(tmp_path, without=("style",)))
    assert found["renderer"] == "paletted"
    assert found["classes"][:4] == ALL
    assert found["classes"][4:] == [[value, str(value), "#000000"] for value in range(4, 256)]


def test_without_any_side_file_qgis_shows_numbers_for_names(tmp_path: Path, qgis: Callable[[Path], Any]) -> None:
    found = qgis(_write(tmp_path, without=("style", "pam", "vat", "vat_encoding")))
    assert found["classes"][:4] == [[value, str(value), colour] for value, _, colour in ALL]
