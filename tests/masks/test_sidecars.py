from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS

from tests.make import GCPS, ROTATED, UTM
from tiler.classes import DRONE_CLASSES, ClassTable, distinct_colours
from tiler.errors import ClassTableError
from tiler.files.beside import GROUPS, Sidecar, plan_sidecars
from tiler.masks.sidecars.build import sidecar_bytes
from tiler.masks.sidecars.pam import pam_xml
from tiler.masks.sidecars.style import qml_style
from tiler.masks.sidecars.vat import VAT_CPG, vat_dbf
from tiler.source.georef import Georeference

CLASSES = ClassTable(("road", 'a <b> & "c"', "Straße 水"), ((128, 64, 128), (0, 102, 0), (9, 143, 150)))
PIXELS = [5, 0, 10**10]
NORTH_FIRST = CRS.from_epsg(31467)
"""Its first axis points north, as that of many national grids does."""


def _named(*names: str) -> ClassTable:
    return ClassTable(names, distinct_colours(len(names)))


def _rows(xml: bytes) -> list[list[str | None]]:
    return [[cell.text for cell in row] for row in ElementTree.fromstring(xml).iter("Row")]


EVERY = [kind for group in GROUPS.values() for kind in group]


@pytest.mark.parametrize(
    ("mask", "labels", "endings"),
    [
        ("a.b_label.tif", True, ["_label.tif.aux.xml", "_label.qml", "_label.tif.vat.dbf", "_label.tif.vat.cpg"]),
        ("a.b_label.png", True, ["_label.png.aux.xml", "_label.qml", "_label.pgw", "_label.prj"]),
        ("a.b_color.png", False, ["_color.png.aux.xml", "_color.pgw", "_color.prj"]),
        ("a.b_color.tif", False, []),
    ],
)
def test_masks_get_the_side_files_that_they_lack(mask: str, labels: bool, endings: list[str]) -> None:
    found = plan_sidecars(Path("out", mask), labels=labels, georeferenced=True, wanted=EVERY)
    assert [side.path for side in found] == [Path("out", f"a.b{ending}") for ending in endings]


def test_a_png_without_a_place_gets_none() -> None:
    assert plan_sidecars(Path("a_label.png"), labels=True, georeferenced=False, wanted=EVERY) == ()


def test_only_what_is_asked_for_is_planned() -> None:
    found = plan_sidecars(Path("a_label.tif"), labels=True, georeferenced=True, wanted=["style", "world"])
    assert [side.kind for side in found] == ["style"]


def test_a_mask_that_holds_no_class_ids_gets_its_place_alone() -> None:
    root = ElementTree.fromstring(pam_xml(None, None, Georeference(UTM, Affine(2, 0, 5, 0, -2, 7))))
    assert [child.tag for child in root] == ["SRS", "GeoTransform"]


@pytest.mark.parametrize("kind", ["style", "vat", "world", "prj", "polygons"])
def test_a_side_file_of_nothing_is_refused(kind: Sidecar) -> None:
    with pytest.raises(ValueError, match=kind):
        sidecar_bytes(kind, None, None, None)


def test_every_class_is_named_and_those_with_pixels_are_in_the_table() -> None:
    xml = pam_xml(CLASSES, PIXELS)
    assert [name.text for name in ElementTree.fromstring(xml).iter("Category")] == list(CLASSES.names)
    assert _rows(xml) == [
        ["0", "5", "road", "128", "64", "128", "255"],
        ["2", "10000000000", "Straße 水", "9", "143", "150", "255"],
    ]


def test_without_counts_every_class_is_in_the_table_and_no_count() -> None:
    xml = pam_xml(CLASSES, None)
    assert [name.text for name in ElementTree.fromstring(xml).iter("Name")] == [
        "Value", "Class", "Red", "Green", "Blue", "Alpha",
    ]  # fmt: skip
    assert [row[:2] for row in _rows(xml)] == [["0", "road"], ["1", 'a <b> & "c"'], ["2", "Straße 水"]]


def test_counts_may_come_from_numpy() -> None:
    counted = np.array([5, 0, 7])
    assert pam_xml(CLASSES, list(counted)) == pam_xml(CLASSES, [5, 0, 7])
    assert vat_dbf(CLASSES, list(counted)) == vat_dbf(CLASSES, [5, 0, 7])


@pytest.mark.parametrize("counts", [[5, 0], [5, 0, 7, 1]])
def test_there_is_one_count_per_class(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="zip"):
        pam_xml(CLASSES, counts)


def test_a_geotiff_gets_no_second_georeference() -> None:
    root = ElementTree.fromstring(pam_xml(CLASSES, None))
    assert [child.tag for child in root] == ["PAMRasterBand"]


@pytest.mark.parametrize("crs", [UTM, NORTH_FIRST, CRS.from_epsg(4326), CRS.from_epsg(3857)])
def test_gdal_finds_place_nodata_and_description_beside_a_png(tmp_path: Path, crs: CRS) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "a.png")
    transform = Affine(1 / 3, 0.1, 500_000.1 + 1e-9, 0.2, -1 / 7, 5_000_000.7)
    (tmp_path / "a.png.aux.xml").write_bytes(pam_xml(CLASSES, PIXELS, Georeference(crs, transform)))
    with rasterio.open(tmp_path / "a.png") as dataset:
        assert tuple(dataset.transform) == tuple(transform)
        assert dataset.crs == crs
        assert dataset.nodata == 255
        assert dataset.descriptions == ("class",)


def test_gdal_finds_ground_control_points_beside_a_png(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png.aux.xml").write_bytes(pam_xml(CLASSES, None, Georeference(UTM, gcps=GCPS)))
    with rasterio.open(tmp_path / "a.png") as dataset:
        points, crs = dataset.gcps
    assert [(p.row, p.col, p.x, p.y, p.z) for p in points] == [(p.row, p.col, p.x, p.y, p.z) for p in GCPS]
    assert crs == UTM


def test_a_style_has_the_classes_with_pixels() -> None:
    entries = [entry.attrib for entry in ElementTree.fromstring(qml_style(CLASSES, PIXELS)).iter("paletteEntry")]
    assert entries == [
        {"value": "0", "label": "road", "color": "#804080", "alpha": "255"},
        {"value": "2", "label": "Straße 水", "color": "#098f96", "alpha": "255"},
    ]
    everything = ElementTree.fromstring(qml_style(CLASSES, None))
    assert [entry.get("label") for entry in everything.iter("paletteEntry")] == list(CLASSES.names)


LETTERS = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")


@given(st.lists(st.text(LETTERS), min_size=1, max_size=5))
def test_any_name_makes_well_formed_files(names: list[str]) -> None:
    classes = _named(*names)
    categories = ElementTree.fromstring(pam_xml(classes, None)).findall(".//Category")
    labels = ElementTree.fromstring(qml_style(classes, None)).findall(".//paletteEntry")
    assert [(node.text or "") for node in categories] == [node.get("label") for node in labels] == names
    vat_dbf(classes, [1] * len(names))


@pytest.mark.parametrize("letter", "\0\x1b\n\x85\ud800\ufffe\uffff")
def test_what_xml_forbids_is_no_name(letter: str) -> None:
    with pytest.raises(ClassTableError, match="control characters"):
        _named(f"a{letter}b")


def _read_table(folder: Path, classes: ClassTable, pixels: list[int]) -> dict[str, list[object]]:
    pyogrio = pytest.importorskip("pyogrio")
    (folder / "m.tif.vat.dbf").write_bytes(vat_dbf(classes, pixels))
    (folder / "m.tif.vat.cpg").write_bytes(VAT_CPG)
    meta, _, _, columns = pyogrio.raw.read(folder / "m.tif.vat.dbf")
    assert meta["encoding"] == "UTF-8"
    return {str(name): list(column) for name, column in zip(meta["fields"], columns, strict=True)}


def test_the_value_attribute_table_reads_back(tmp_path: Path) -> None:
    assert _read_table(tmp_path, CLASSES, PIXELS) == {
        "Value": [0, 2],
        "Count": [5, 10**10],
        "Class": ["road", "Straße 水"],
        "Red": [128, 9],
        "Green": [64, 143],
        "Blue": [128, 150],
    }


def test_the_largest_numbers_fit_their_fields(tmp_path: Path) -> None:
    classes = _named(*(f"class {value}" for value in range(255)))
    table = _read_table(tmp_path, classes, [10**18 - 1] * 255)
    assert table["Value"] == list(range(255))
    assert table["Count"] == [10**18] * 255  # read as a double
    assert table["Class"] == list(classes.names)


@pytest.mark.parametrize("letters", ["a", "ß", "水", "😀", "aß水😀"])
def test_a_long_name_is_cut_after_a_whole_character(tmp_path: Path, letters: str) -> None:
    name = letters * 100
    (found,) = _read_table(tmp_path, _named(name), [1])["Class"]
    assert isinstance(found, str)
    assert name.startswith(found)
    assert 96 < len(found.encode()) <= 100


def test_a_mask_without_any_class_has_an_empty_table(tmp_path: Path) -> None:
    assert _read_table(tmp_path, CLASSES, [0, 0, 0])["Value"] == []


def test_the_same_mask_has_the_same_files() -> None:
    """Neither time nor place of the run leaves a trace."""
    ones = [1] * len(DRONE_CLASSES)
    assert vat_dbf(DRONE_CLASSES, ones)[1:4] == bytes((126, 1, 1))
    place = Georeference(UTM, ROTATED)
    assert pam_xml(CLASSES, PIXELS, place) == pam_xml(CLASSES, PIXELS, place)
