"""What the formats of other programs hold: KML, DXF, shapefiles, GeoJSON, and the style within a GeoPackage."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.crs import CRS

from tests.labelled import LABELS, NAMES, NORTH_UP, PLACED, write_mask
from tests.make import UTM, noise, write_tif
from tests.polygons.test_make import assert_same, in_place, options, pyogrio, write_polygons
from tiler.classes import NO_LABEL, distinct_colours
from tiler.errors import OutputExistsError, PolygonError, RasterWriteError
from tiler.polygons import shapefile
from tiler.polygons.colours import legend
from tiler.polygons.drawing import _aci, _layer_names
from tiler.polygons.mask import read_mask

COLOURS = distinct_colours(3)
PARTS = ["out.cpg", "out.dbf", "out.prj", "out.shp", "out.shx"]
NESTED = np.zeros((14, 14), np.uint8)
NESTED[2:12, 2:12], NESTED[4:10, 4:10], NESTED[6:8, 6:8] = 1, 2, NO_LABEL


def in_degrees(points: np.ndarray) -> np.ndarray:
    return np.stack(rasterio.warp.transform(UTM, "EPSG:4326", *points.T)[:2], axis=1)


def beside(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path.stem == out.stem)


def test_kml_has_a_placemark_in_its_colour_for_each_polygon(tmp_path: Path) -> None:
    out = tmp_path / "out.kml"
    write_polygons(write_mask(tmp_path, georeference=PLACED), out)
    meta, _, wkb, columns = pyogrio.raw.read(out)
    fields = dict(zip(meta["fields"], columns, strict=True))
    expected = [(class_id, shapely.transform(shape, in_degrees)) for class_id, shape in in_place(NORTH_UP)]
    polygons = shapely.transform(shapely.from_wkb(wkb), lambda points: points)
    assert_same(shapely.force_2d(polygons), fields["class_id"].tolist(), expected)
    assert fields["Name"].tolist() == fields["class_name"].tolist()
    assert set(fields["source"]) == {"a/IMG_1.jpg"}
    assert float(np.sum(fields["area_m2"])) == pytest.approx(0.25 * int((LABELS != NO_LABEL).sum()))
    root = ElementTree.parse(out).getroot()
    space = {"k": "http://www.opengis.net/kml/2.2"}
    styles = {
        each.get("id"): each.findtext("k:PolyStyle/k:color", "", space) for each in root.iterfind(".//k:Style", space)
    }
    for mark in root.iterfind(".//k:Placemark", space):
        colour = COLOURS[NAMES.index(mark.findtext("k:name", "", space))]
        assert styles[mark.findtext("k:styleUrl", "", space)[1:]] == "a0{2:02x}{1:02x}{0:02x}".format(*colour)


def test_dxf_has_a_layer_for_each_class_and_a_closed_line_for_each_outline(tmp_path: Path) -> None:
    out = tmp_path / "out.dxf"
    report = write_polygons(write_mask(tmp_path, labels=NESTED, georeference=PLACED), out)
    meta, _, wkb, columns = pyogrio.raw.read(out)
    fields = dict(zip(meta["fields"], columns, strict=True))
    assert sorted(fields["Layer"]) == ["road", "road", "roof", "roof", "tree", "tree"]
    lines = shapely.from_wkb(wkb)
    assert shapely.is_closed(lines).all()
    areas = sorted(shapely.Polygon(line).area for line in lines)
    assert areas == [0.25 * n for n in (4, 36, 36, 100, 100, 196)]
    assert report.notes == ("DXF says no CRS: its coordinates are those of EPSG:32633",)
    assert shapely.total_bounds(lines).tolist() == [500_000, 5_000_000 - 7, 500_000 + 7, 5_000_000]


def test_layers_have_names_that_every_cad_program_takes() -> None:
    names = ["roof", "Roof", "roof, flat", "Straße", "木", "草", "x" * 40, "x" * 50, ""]
    found = _layer_names(names)
    assert list(found) == names
    assert len({name.upper() for name in found.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9$_-]{1,31}", name) for name in found.values())
    assert found["roof"] == "roof"


@pytest.mark.parametrize(
    ("colour", "number"),
    [
        ((255, 0, 0), 10), ((255, 255, 0), 50), ((0, 255, 0), 90), ((0, 0, 255), 170), ((0, 0, 120), 174),
        ((255, 0, 3), 10), ((255, 255, 255), 7), ((0, 0, 0), 7), ((128, 128, 128), 8),
    ],
)  # fmt: skip
def test_layers_have_the_colour_of_the_table_that_is_nearest(colour: tuple[int, int, int], number: int) -> None:
    assert _aci(colour) == number


def test_geojson_is_one_collection(tmp_path: Path) -> None:
    out = tmp_path / "out.geojson"
    write_polygons(write_mask(tmp_path, georeference=PLACED), out)
    found = json.loads(out.read_text())
    assert found["type"] == "FeatureCollection"
    polygons = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in found["features"]])
    class_ids = [feature["properties"]["class_id"] for feature in found["features"]]
    assert_same(polygons, class_ids, [(k, shapely.transform(shape, in_degrees)) for k, shape in in_place(NORTH_UP)])


@pytest.mark.parametrize("suffix", [".geojson", ".kml"])
def test_degrees_need_a_crs(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(
        PolygonError, match=rf"{suffix[1:]} holds longitude and latitude, and .* has no CRS; write .gpkg"
    ):
        write_polygons(write_mask(tmp_path), tmp_path / f"out{suffix}")


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".kml", ".dxf", ".shp", ".geojson", ".geojsonl"])
def test_a_mask_without_labels_gives_a_whole_file_without_polygons(tmp_path: Path, suffix: str) -> None:
    mask = write_mask(tmp_path, labels=np.full((9, 9), NO_LABEL, np.uint8), georeference=PLACED)
    for _ in range(2):
        assert write_polygons(mask, tmp_path / f"out{suffix}").polygons == 0
    if suffix not in {".kml", ".geojsonl"}:  # GDAL finds no layer in these then
        assert pyogrio.read_info(tmp_path / f"out{suffix}", layer=0, force_feature_count=True)["features"] == 0


@pytest.mark.parametrize("labels", [LABELS, NESTED, noise(60, 60, high=3)])
def test_a_shapefile_holds_every_patch_with_its_fields(tmp_path: Path, labels: np.ndarray) -> None:
    out = tmp_path / "out.shp"
    write_polygons(write_mask(tmp_path, labels=labels, georeference=PLACED), out)
    assert beside(out) == PARTS
    meta, _, wkb, columns = pyogrio.raw.read(out)
    fields = dict(zip(meta["fields"], columns, strict=True))
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 32633
    assert_same(shapely.from_wkb(wkb), fields["class_id"].tolist(), in_place(NORTH_UP, labels))
    assert set(fields) == {"class_id", "class_name", "area_m2", "source", "model"}
    assert float(np.sum(fields["area_m2"])) == pytest.approx(0.25 * int((labels != NO_LABEL).sum()))


def test_nothing_of_an_earlier_shapefile_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.shp"
    write_polygons(write_mask(tmp_path, georeference=PLACED), out)
    for ending in (".qix", ".sbn", ".qmd"):
        out.with_suffix(ending).touch()
    write_polygons(write_mask(tmp_path, "pixels"), out)
    assert beside(out) == sorted({*PARTS, "out.qmd"} - {"out.prj"})


@pytest.mark.parametrize("ending", [".prj", ".dbf", ".shx"])
def test_a_part_of_somebody_else_is_not_replaced(tmp_path: Path, ending: str) -> None:
    mask, out = write_mask(tmp_path, georeference=PLACED), tmp_path / "out.shp"
    out.with_suffix(ending).write_text("of the world file beside out.jpg")
    with pytest.raises(OutputExistsError, match=rf"out{ending} exists and would become part of out.shp"):
        write_polygons(mask, out)
    assert beside(out) == [f"out{ending}"]


def test_a_shapefile_that_a_power_cut_tore_is_made_again(tmp_path: Path) -> None:
    mask, out = write_mask(tmp_path, georeference=PLACED), tmp_path / "out.shp"
    write_polygons(mask, out)
    out.unlink()
    assert write_polygons(mask, out).polygons == pyogrio.read_info(out)["features"]


def test_the_main_file_of_a_shapefile_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask, out = write_mask(tmp_path, georeference=PLACED), tmp_path / "out.shp"
    write_polygons(mask, out)
    monkeypatch.setattr(shapefile, "_INDICES", (None,))  # what comes after the parts and before the .shp fails
    with pytest.raises(RasterWriteError):
        write_polygons(mask, out)
    assert not out.exists()


def test_more_than_a_shapefile_can_hold_is_said_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapefile, "_MOST_BYTES", 99)

    def fail(*_: object) -> None:
        raise OSError("any reason")

    monkeypatch.setattr("tiler.polygons.vector_file._compare", fail)
    with pytest.raises(RasterWriteError, match=r"out.shp: the polygons take more than the 2 GB .*; write .gpkg"):
        write_polygons(write_mask(tmp_path, georeference=PLACED), tmp_path / "out.shp")
    assert beside(tmp_path / "out.shp") == []


def style_of(path: Path) -> dict[str, str]:
    """Return the colour of each class in the style of a GeoPackage, as QGIS finds it."""
    with closing(sqlite3.connect(path)) as database:
        (text,) = database.execute(
            "SELECT styleQML FROM layer_styles WHERE f_table_catalog = '' AND f_table_schema = '' AND f_table_name = ? "
            "AND f_geometry_column = (SELECT column_name FROM gpkg_geometry_columns) AND useAsDefault = 1",
            (path.stem,),
        ).fetchone()
    renderer = ElementTree.fromstring(text.split("\n", 1)[1]).find("renderer-v2")
    assert renderer is not None
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class_name")
    colours = {
        symbol.get("name"): next(each.get("v", "") for each in symbol.iter("prop") if each.get("k") == "color")
        for symbol in renderer.iterfind("symbols/symbol")
    }
    return {str(each.get("value")): colours[each.get("symbol")] for each in renderer.iterfind("categories/category")}


def painted(class_id: int) -> str:
    return ",".join(map(str, (*COLOURS[class_id], 255)))


def test_a_geopackage_holds_a_style_with_the_colours_of_the_mask(tmp_path: Path) -> None:
    labels = np.where(LABELS == 1, 2, LABELS)
    write_polygons(write_mask(tmp_path, labels=labels, georeference=PLACED), tmp_path / "out.gpkg")
    assert style_of(tmp_path / "out.gpkg") == {"road": painted(0), "tree": painted(2)}


def test_a_geopackage_with_a_style_is_sound(tmp_path: Path) -> None:
    out = tmp_path / "out.gpkg"
    write_polygons(write_mask(tmp_path, georeference=PLACED), out)
    assert pyogrio.list_layers(out).tolist() == [["out", "Polygon"], ["layer_styles", None]]
    assert pyogrio.read_info(out, layer="layer_styles")["fields"].tolist()[:4] == [
        "f_table_catalog", "f_table_schema", "f_table_name", "f_geometry_column",
    ]  # fmt: skip
    with closing(sqlite3.connect(out)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        listed = "SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'"
        assert database.execute(listed).fetchall() == [("attributes",)]


def test_the_colours_of_a_png_are_those_of_its_mask_of_colours(tmp_path: Path) -> None:
    mask = write_mask(tmp_path, georeference=PLACED, wanted="png")
    write_polygons(mask, tmp_path / "out.gpkg")
    assert style_of(tmp_path / "out.gpkg")["roof"] == painted(1)


def test_or_those_of_the_class_table_in_the_output_folder_or_made_up(tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "a", "b/IMG_1", georeference=PLACED, wanted="png", color=False)
    tags = read_mask(mask)
    assert tags.source == "a/b/IMG_1.jpg"
    assert tags.colours == {}
    assert legend([(tags.names, tags.colours)]) == dict(zip(NAMES, COLOURS, strict=True))
    (tmp_path / "classes.csv").write_text("name,r,g,b\ntree,1,2,3\nroad,4,5,6\nelse,7,8,9\n")
    assert dict(read_mask(mask).colours) == {0: (4, 5, 6), 2: (1, 2, 3)}


def test_a_mask_of_another_program_gets_colours_too(tmp_path: Path) -> None:
    mask = write_tif(tmp_path / "a.tif", LABELS[np.newaxis], nodata=NO_LABEL, crs=UTM, transform=NORTH_UP)
    write_polygons(mask, tmp_path / "out.gpkg")
    assert set(style_of(tmp_path / "out.gpkg")) == {"class 0", "class 1", "class 2"}
    own = write_tif(
        tmp_path / "b.tif",
        LABELS[np.newaxis],
        colormap={k: (9 * k, 8, 7) for k in range(3)},
        crs=UTM,
        transform=NORTH_UP,
    )
    write_polygons(own, tmp_path / "own.gpkg", options(only=("1",)))
    assert style_of(tmp_path / "own.gpkg") == {"class 1": "9,8,7,255"}


def test_names_with_marks_of_xml_come_back(tmp_path: Path) -> None:
    mask = write_tif(tmp_path / "a.tif", LABELS[np.newaxis], nodata=NO_LABEL, crs=UTM, transform=NORTH_UP)
    names = ['a <b> & "c"', "Straße 水", "odd \x01 sign"]
    with rasterio.open(mask, "r+") as dataset:
        dataset.update_tags(CLASS_NAMES=json.dumps(names))
    write_polygons(mask, tmp_path / "out.gpkg")
    assert list(style_of(tmp_path / "out.gpkg")) == [*names[:2], "odd ? sign"]
    write_polygons(mask, tmp_path / "out.kml")
    assert set(pyogrio.raw.read(tmp_path / "out.kml", columns=["class_name"])[3][0]) == {*names[:2], "odd ? sign"}


def test_a_style_that_somebody_saved_in_the_file_is_not_lost(tmp_path: Path) -> None:
    mask, out = write_mask(tmp_path, georeference=PLACED), tmp_path / "out.gpkg"
    write_polygons(mask, out)
    with closing(sqlite3.connect(out)) as database, database:
        database.execute(
            "INSERT INTO layer_styles (f_table_name, styleName, styleQML) VALUES ('out', 'mine', '<qgis/>')"
        )
    with pytest.raises(OutputExistsError, match=r"out.gpkg holds a style that was saved in it since"):
        write_polygons(mask, out)
    with closing(sqlite3.connect(out)) as database:
        assert database.execute("SELECT count(*) FROM layer_styles").fetchone() == (2,)


def test_a_png_that_only_looks_like_a_mask_of_colours_is_not_asked(tmp_path: Path) -> None:
    mask = write_mask(tmp_path, georeference=PLACED, wanted="png", color=False)
    Image.fromarray(noise(*LABELS.shape, 3)).save(tmp_path / "IMG_1_color.png")
    assert read_mask(mask).colours == {}
