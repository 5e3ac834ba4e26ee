from __future__ import annotations

import json
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.features import shapes
from rasterio.transform import from_gcps

from tests.labelled import LABELS, NAMES, NORTH_UP, PLACED, write_mask
from tests.make import GCPS, ROTATED, RPCS, UTM, noise, write_blank, write_tif
from tiler.classes import NO_LABEL
from tiler.errors import (
    LabelError,
    MissingExtraError,
    OutputExistsError,
    PolygonError,
    RasterReadError,
    RasterWriteError,
    TilerError,
)
from tiler.files.vector import SUFFIXES
from tiler.polygons import make
from tiler.polygons.mask import read_mask
from tiler.polygons.request import ClassArea, PolygonOptions, PolygonReport
from tiler.source.georef import Georeference

pyogrio = pytest.importorskip("pyogrio", reason="needs the extra vector")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra vector")

from tiler.polygons import geoparquet, vector_file  # noqa: E402 - they import both


def options(**wanted: Any) -> PolygonOptions:
    """Return options that keep every patch unless they say otherwise."""
    return PolygonOptions(**{"min_area_m2": 0.0} | wanted)


def write_polygons(mask: Path, out: Path, request: PolygonOptions | None = None, **more: Any) -> PolygonReport:
    return make.write_polygons(mask, out, request or options(), **more)


def write_survey_polygons(masks: list[Path], out: Path, **more: Any) -> PolygonReport:
    return make.write_survey_polygons(masks, out, options(), **more)


def read(path: Path) -> tuple[CRS | None, dict[str, list[Any]], NDArray[np.object_]]:
    """Return CRS, fields and polygons of a file."""
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        found = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]["crs"]
        crs = found and CRS.from_user_input(json.dumps(found))
        return crs, table.drop(["geometry", "bbox"]).to_pydict(), shapely.from_wkb(table["geometry"].to_numpy())
    meta, _, wkb, columns = pyogrio.raw.read(path, layer=0)
    fields = {name: column.tolist() for name, column in zip(meta["fields"], columns, strict=True)}
    return meta["crs"] and CRS.from_user_input(meta["crs"]), fields, shapely.from_wkb(wkb)


def in_place(transform: Affine, labels: NDArray[np.uint8] = LABELS) -> list[tuple[int, Any]]:
    found = shapes(labels, mask=labels != NO_LABEL, transform=transform)
    return [(int(value), shapely.geometry.shape(shape)) for shape, value in found]


def assert_same(polygons: NDArray[np.object_], class_ids: list[int], expected: list[tuple[int, Any]]) -> None:
    assert len(polygons) == len(expected)
    tree = shapely.STRtree([polygon for _, polygon in expected])
    for polygon, class_id in zip(polygons, class_ids, strict=True):
        index = tree.nearest(polygon.representative_point())
        assert expected[index][0] == class_id
        assert shapely.equals_exact(polygon.normalize(), expected[index][1].normalize(), tolerance=1e-6)


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED])
@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_a_file_holds_every_patch_in_its_place(tmp_path: Path, suffix: str, transform: Affine) -> None:
    mask = write_mask(tmp_path, georeference=Georeference(UTM, transform))
    report = write_polygons(mask, tmp_path / f"out{suffix}", options(tile_px=8))
    crs, fields, polygons = read(tmp_path / f"out{suffix}")
    assert crs is not None
    assert crs.to_epsg() == 32633
    assert shapely.is_valid(polygons).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    assert_same(polygons, fields["class_id"], in_place(transform))
    assert fields["class_name"] == [NAMES[class_id] for class_id in fields["class_id"]]
    assert set(fields["source"]) == {"a/IMG_1.jpg"}
    assert set(fields["model"]) == {"demo"}
    np.testing.assert_allclose(fields["area_m2"], shapely.area(polygons), rtol=1e-6)
    assert report.polygons == len(polygons)
    assert report.area_m2 is not None
    assert sum(report.area_m2.values()) == pytest.approx(shapely.area(polygons).sum())
    assert report.notes == ()


@pytest.mark.parametrize("suffix", [".geojsonl", ".geojsons", ".geojsonseq"])
def test_geojson_is_longitude_and_latitude_one_object_per_line(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    write_polygons(write_mask(tmp_path, georeference=Georeference(UTM, NORTH_UP)), out)
    lines = out.read_text().removesuffix("\n").split("\n")
    assert all(line.startswith("\x1e") == (suffix != ".geojsonl") for line in lines)
    found = [json.loads(line.removeprefix("\x1e")) for line in lines]
    expected = in_place(NORTH_UP)
    assert len(found) == len(expected)
    polygons = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in found])
    west, south, east, north = shapely.total_bounds(polygons)
    corners = rasterio.warp.transform_bounds(UTM, "EPSG:4326", *shapely.total_bounds([shape for _, shape in expected]))
    assert (west, south, east, north) == pytest.approx(corners, abs=1e-8)
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    assert set(found[0]["properties"]) == {"class_id", "class_name", "area_m2", "source", "model"}


def test_geojson_of_degrees_stays_longitude_first(tmp_path: Path) -> None:
    degrees = Georeference(CRS.from_epsg(4326), Affine(1e-5, 0, 15, 0, -1e-5, 45))
    write_polygons(write_mask(tmp_path, georeference=degrees), tmp_path / "out.geojsonl")
    write_polygons(tmp_path / "IMG_1_label.tif", tmp_path / "out.gpkg")
    for name in ("out.geojsonl", "out.gpkg"):
        crs, fields, polygons = read(tmp_path / name)
        assert crs == CRS.from_epsg(4326)
        assert shapely.total_bounds(polygons) == pytest.approx((15, 45 - 30e-5, 15 + 32e-5, 45))
        counted = np.unique(LABELS, return_counts=True)[1][:3].sum()
        assert sum(fields["area_m2"]) == pytest.approx(counted * 0.7884 * 1.1115, rel=1e-3)


def test_geoparquet_says_what_it_holds(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    write_polygons(write_mask(tmp_path, georeference=Georeference(UTM, NORTH_UP)), out)
    file = parquet.ParquetFile(out)
    geo = json.loads(file.schema_arrow.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    polygons = read(out)[2]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    boxes = [tuple(row["bbox"].values()) for row in file.read().to_pylist()]
    np.testing.assert_array_equal(boxes, shapely.bounds(polygons))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_many_row_groups_hold_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = write_mask(tmp_path)
    write_polygons(mask, tmp_path / "one.parquet", options(tile_px=5))
    monkeypatch.setattr(geoparquet, "_GROUP_ROWS", 3)
    write_polygons(mask, tmp_path / "many.parquet", options(tile_px=5))
    assert parquet.read_metadata(tmp_path / "many.parquet").num_row_groups > 3
    assert parquet.read_table(tmp_path / "many.parquet") == parquet.read_table(tmp_path / "one.parquet")


class _Counted:
    """A batch that counts how often its rows are counted."""

    looks = 0

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        _Counted.looks += 1
        return self.rows


def test_each_batch_is_counted_once_and_stands_in_one_row_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Counted, "looks", 0)
    monkeypatch.setattr(geoparquet, "_GROUP_ROWS", 1000)
    batches = [_Counted(rows) for rows in (*[1] * 2000, 999, 5000, 3)]
    groups = [list(group) for group in geoparquet._row_groups(iter(batches))]
    assert _Counted.looks == len(batches)
    assert [sum(batch.rows for batch in group) for group in groups] == [1000, 1000, 5999, 3]
    assert [batch for group in groups for batch in group] == batches


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet"])
def test_a_mask_without_georeference_is_in_pixels_with_rows_upwards(tmp_path: Path, suffix: str) -> None:
    mask = write_mask(tmp_path)
    report = write_polygons(mask, tmp_path / f"out{suffix}")
    crs, fields, polygons = read(tmp_path / f"out{suffix}")
    assert crs is None
    assert_same(polygons, fields["class_id"], in_place(Affine.scale(1, -1)))
    assert all(area is None or np.isnan(area) for area in fields["area_m2"])
    assert report.area_m2 is None
    assert report.notes == ("without georeference: coordinates are pixels, x = column and y = -row",)


def test_geojson_of_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolygonError, match=r"geojsonseq holds longitude and .*IMG_1_label.png has no CRS"):
        write_polygons(write_mask(tmp_path), tmp_path / "out.geojsonl")


def test_ground_control_points_place_by_an_affine_fit(tmp_path: Path) -> None:
    report = write_polygons(write_mask(tmp_path, georeference=Georeference(UTM, gcps=GCPS)), tmp_path / "out.gpkg")
    crs, fields, polygons = read(tmp_path / "out.gpkg")
    assert crs == UTM
    assert_same(polygons, fields["class_id"], in_place(from_gcps(GCPS)))
    assert report.area_m2 is None
    assert "approximate" in report.notes[0]


def test_a_transform_without_a_crs_places_but_measures_nothing(tmp_path: Path) -> None:
    report = write_polygons(write_mask(tmp_path, georeference=Georeference(None, ROTATED)), tmp_path / "out.gpkg")
    crs, fields, polygons = read(tmp_path / "out.gpkg")
    assert crs is None
    assert_same(polygons, fields["class_id"], in_place(ROTATED))
    assert report.area_m2 is None
    assert "without CRS" in report.notes[0]


def test_rational_polynomials_place_nothing(tmp_path: Path) -> None:
    report = write_polygons(write_mask(tmp_path, georeference=Georeference(rpcs=RPCS)), tmp_path / "out.gpkg")
    assert "without georeference" in report.notes[0]


def test_a_mask_of_another_program_has_made_up_names(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3], [255, 3]], np.uint8)).save(tmp_path / "mine.png")
    write_polygons(tmp_path / "mine.png", tmp_path / "out.gpkg")
    _, fields, _ = read(tmp_path / "out.gpkg")
    assert sorted(fields["class_name"]) == ["class 0", "class 3"]
    assert fields["source"] == ["mine.png"] * 2
    assert fields["model"] == [None] * 2


def test_a_mask_without_labels_gives_a_file_without_polygons(tmp_path: Path) -> None:
    mask = write_mask(tmp_path, labels=np.full((5, 7), NO_LABEL, np.uint8))
    for suffix in (".gpkg", ".fgb", ".parquet"):
        assert write_polygons(mask, tmp_path / f"out{suffix}").polygons == 0
        assert len(read(tmp_path / f"out{suffix}")[2]) == 0


@pytest.mark.parametrize("wanted", [("tree", "road"), ("2", "0"), ("0", "tree", "2")])
def test_classes_are_wanted_by_name_or_id(tmp_path: Path, wanted: tuple[str, ...]) -> None:
    write_polygons(write_mask(tmp_path), tmp_path / "out.gpkg", options(only=wanted))
    assert set(read(tmp_path / "out.gpkg")[1]["class_name"]) == {"road", "tree"}


@pytest.mark.parametrize("wanted", ["lake", "3", "-1", "", "²"])
def test_an_unknown_class_is_refused_with_those_known(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(PolygonError, match=rf"IMG_1_label.png: no class '{wanted}'; known: 0 road, 1 roof, 2 tree"):
        write_polygons(write_mask(tmp_path), tmp_path / "out.gpkg", options(only=(wanted,)))


def test_small_patches_become_part_of_their_neighbour_by_their_area_on_the_ground(tmp_path: Path) -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[5:9, 5:9] = 1  # 16 pixels of 0.25 square metres
    labels[20:25, 20:23] = 2  # 15 pixels
    mask = write_mask(tmp_path, labels=labels, georeference=Georeference(UTM, NORTH_UP))
    report = write_polygons(mask, tmp_path / "out.gpkg", options(min_area_m2=4.0))
    assert report.area_m2 == {"road": (2000 - 16) * 0.25, "roof": 4.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["IMG_1_label.tif", "out.gpkg"]


def test_patches_and_holes_of_fewer_than_sixteen_pixels_are_noise_unless_told_otherwise(tmp_path: Path) -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[5:9, 5:9], labels[20:25, 20:23] = 1, 2  # 16 and 15 pixels
    labels[30:33, 30:33] = NO_LABEL  # a hole without data stays: nothing was measured there
    for name, georeference, least in (("pixels", None, "16 pixels"), ("placed", PLACED, "16 pixels (4 m2)")):
        mask = write_mask(tmp_path, name, labels=labels, georeference=georeference)
        report = make.write_polygons(mask, tmp_path / f"{name}.gpkg")
        assert report.least == least
        found = {area.name: (area.before, area.after) for area in report.areas}
        pixel = 0.25 if georeference else 1.0
        assert found == {
            "road": (pixel * (2000 - 16 - 15 - 9), pixel * (2000 - 16 - 9)),
            "roof": (pixel * 16, pixel * 16),
            "tree": (pixel * 15, 0),
        }
        assert report.unit == ("m2" if georeference else "pixels")
        assert write_polygons(mask, tmp_path / f"{name}.gpkg").polygons == 3
        assert write_polygons(mask, tmp_path / f"{name}.gpkg").least == ""


def test_areas_before_are_those_of_the_mask_and_areas_after_those_of_the_file(tmp_path: Path) -> None:
    masks = [
        write_mask(tmp_path, name, labels=noise(30, 40, high=3, seed=seed).repeat(3, 0), georeference=place)
        for seed, (name, place) in enumerate((("a", PLACED), ("b", Georeference(UTM, ROTATED))))
    ]
    wanted = options(simplify_px=2.0, smooth=True, min_area_m2=2.0, only=("roof", "tree"), tile_px=32)
    report = make.write_survey_polygons(masks, tmp_path / "out.gpkg", wanted)
    _, fields, _ = read(tmp_path / "out.gpkg")
    stored: dict[str, float] = {}
    for name, area in zip(fields["class_name"], fields["area_m2"], strict=True):
        stored[name] = stored.get(name, 0) + area
    pixel = 0.25, 0.04**2 + 0.03**2
    counts = [np.bincount(noise(30, 40, high=3, seed=seed).ravel(), minlength=3) * 3 for seed in range(2)]
    assert [area.name for area in report.areas] == ["roof", "tree"]
    for class_id, area in enumerate(report.areas, start=1):
        assert area.before == pytest.approx(
            sum(size * count[class_id] for size, count in zip(pixel, counts, strict=True))
        )
        assert area.after == pytest.approx(stored[area.name])
        assert area.change == pytest.approx(100 * (area.after / area.before - 1))
    assert report.least == "2 m2"


def test_nothing_changes_where_nothing_was_asked(tmp_path: Path) -> None:
    report = write_polygons(write_mask(tmp_path, georeference=PLACED), tmp_path / "out.fgb")
    assert [area.name for area in report.areas] == list(NAMES)
    assert all(area.after == pytest.approx(area.before) for area in report.areas)


def test_a_change_from_nothing_has_no_end() -> None:
    assert ClassArea("a", 0, 3).change == float("inf")
    assert ClassArea("a", 0, 0).change == 0


def test_masks_that_overlap_on_the_ground_are_told(tmp_path: Path) -> None:
    east = Georeference(UTM, NORTH_UP @ Affine.translation(LABELS.shape[1], 0))
    masks = [
        write_mask(tmp_path, name, georeference=place) for name, place in (("a", PLACED), ("b", PLACED), ("c", east))
    ]
    report = write_survey_polygons(masks, tmp_path / "out.gpkg")
    assert report.notes == (
        "the outlines of 2 of the 3 masks overlap on the ground, such as a_label.tif's: "
        "sums of areas count that ground more than once",
    )
    assert write_survey_polygons(masks[1:], tmp_path / "out.gpkg").notes == ()


def test_options_have_the_key_of_earlier_versions() -> None:
    assert options().key == "PolygonRequest(min_area_m2=0.0, simplify_px=0.0, classes=(), tile_px=1024)"
    known = "PolygonRequest(min_area_m2=2.5, simplify_px=1.0, classes=('a',), tile_px=1024)"
    assert options(min_area_m2=2.5, simplify_px=1.0, only=("a",)).key == known
    assert len({PolygonOptions().key, options().key, options(smooth=True).key}) == 3


def test_an_area_beyond_the_mask_leaves_one_polygon(tmp_path: Path) -> None:
    mask = write_mask(tmp_path, labels=noise(30, 30, high=3), georeference=Georeference(UTM, NORTH_UP))
    assert write_polygons(mask, tmp_path / "out.gpkg", options(min_area_m2=1e9)).polygons >= 1


def test_a_least_area_needs_metres(tmp_path: Path) -> None:
    with pytest.raises(PolygonError, match=r"IMG_1_label.png: a least area of 2 square metres needs a mask with CRS"):
        write_polygons(write_mask(tmp_path), tmp_path / "out.gpkg", options(min_area_m2=2))


def test_simplified_polygons_have_their_own_area(tmp_path: Path) -> None:
    labels = np.tri(60, 80, dtype=np.uint8)
    mask = write_mask(tmp_path, labels=labels, georeference=Georeference(UTM, NORTH_UP))
    report = write_polygons(mask, tmp_path / "out.gpkg", options(simplify_px=2, tile_px=32))
    _, fields, polygons = read(tmp_path / "out.gpkg")
    assert shapely.get_num_coordinates(polygons).max() < 20
    np.testing.assert_allclose(fields["area_m2"], shapely.area(polygons), rtol=1e-9)
    assert report.area_m2 is not None
    assert sum(report.area_m2.values()) == pytest.approx(60 * 80 / 4)


@pytest.mark.parametrize(
    "wanted", [{"min_area_m2": -1.0}, {"min_area_m2": float("nan")}, {"simplify_px": float("inf")}, {"tile_px": 0}]
)
def test_requests_that_cannot_be_are_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(PolygonError, match=f"{next(iter(wanted))}: "):
        options(**wanted)


def _photo(folder: Path) -> Path:
    Image.fromarray(noise(9, 9, 3)).save(folder / "photo.jpg")
    return folder / "photo.jpg"


def _gray_jpeg(folder: Path) -> Path:
    Image.fromarray(noise(9, 9)).save(folder / "gray.jpg")
    return folder / "gray.jpg"


def _colour_png(folder: Path) -> Path:
    write_mask(folder)
    return folder / "IMG_1_color.png"


def _colour_tif(folder: Path) -> Path:
    write_mask(folder, wanted="geotiff", color=True)
    return folder / "IMG_1_color.tif"


def _confidence_png(folder: Path) -> Path:
    write_mask(folder, confidence=True)
    return folder / "IMG_1_confidence.png"


def _confidence_tif(folder: Path) -> Path:
    write_mask(folder, wanted="cog", confidence=True)
    return folder / "IMG_1_confidence.tif"


def _elevation(folder: Path) -> Path:
    return write_tif(folder / "dem.tif", noise(1, 9, 9).astype(np.float32))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (_photo, "a JPEG"),
        (_gray_jpeg, "a JPEG"),
        (_colour_png, "a PNG of colours"),
        (_colour_tif, "an image of 4 channels"),
        (_confidence_png, "a mask of confidence"),
        (_confidence_tif, "a mask of confidence"),
        (_elevation, "an image of float32 samples"),
    ],
)
def test_what_is_no_label_mask_is_refused(tmp_path: Path, make: Callable[[Path], Path], found: str) -> None:
    path = make(tmp_path)
    with pytest.raises(PolygonError, match=rf"{path.name}: {found}.*; expected a label mask"):
        write_polygons(path, tmp_path / "out.gpkg")
    assert not (tmp_path / "out.gpkg").exists()


def test_a_mask_beyond_the_default_limit_of_images_gives_polygons(tmp_path: Path) -> None:
    path = write_blank(tmp_path / "a_label.tif", (150_000, 150_000), nodata=NO_LABEL, crs=UTM, transform=NORTH_UP)
    mask = read_mask(path)
    assert mask.shape == (150_000, 150_000)
    assert mask.pixels_of(10.0) == 40


def test_names_that_are_no_list_are_refused(tmp_path: Path) -> None:
    mask = write_tif(tmp_path / "a.tif", LABELS[np.newaxis])
    with rasterio.open(mask, "r+") as dataset:
        dataset.update_tags(CLASS_NAMES="road, roof")
    with pytest.raises(LabelError, match=r"tag CLASS_NAMES: a JSON list of names expected, 'road, roof' found"):
        write_polygons(mask, tmp_path / "out.gpkg")


def test_an_unknown_ending_is_refused_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(PolygonError, match=r"out.gml: expected a name that ends in .gpkg, .fgb"):
        write_polygons(write_mask(tmp_path), tmp_path / "out.gml")


def test_masks_of_a_survey_share_a_file(tmp_path: Path) -> None:
    masks = [
        write_mask(tmp_path, "a", georeference=Georeference(UTM, NORTH_UP)),
        write_mask(tmp_path, "b", georeference=Georeference(UTM, ROTATED)),
    ]
    told: list[tuple[int, int]] = []
    report = write_survey_polygons(
        masks, tmp_path / "new" / "out.fgb", advance=lambda done, total: told.append((done, total))
    )
    _, fields, polygons = read(tmp_path / "new" / "out.fgb")
    assert report.polygons == len(polygons) == 2 * len(in_place(NORTH_UP))
    assert sorted(set(fields["source"])) == ["a/a.jpg", "a/b.jpg"]
    assert told == [(1, 2), (2, 2)]


def test_masks_of_two_crs_do_not_share_a_file(tmp_path: Path) -> None:
    masks = [
        write_mask(tmp_path, "a", georeference=Georeference(UTM, NORTH_UP)),
        write_mask(tmp_path, "b", georeference=Georeference(CRS.from_epsg(32632), NORTH_UP)),
    ]
    with pytest.raises(PolygonError, match=r"a_label.tif is in EPSG:32633, .*b_label.tif in EPSG:32632; one file"):
        write_survey_polygons(masks, tmp_path / "out.gpkg")
    with pytest.raises(PolygonError, match="no mask at all"):
        write_survey_polygons([], tmp_path / "out.gpkg")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_files_of_its_own_are_replaced(tmp_path: Path, suffix: str) -> None:
    mask, out = write_mask(tmp_path, georeference=Georeference(UTM, NORTH_UP)), tmp_path / f"out{suffix}"
    out.write_text("a project of years")
    with pytest.raises(OutputExistsError, match=rf"out{suffix} exists and noseam did not write it"):
        write_polygons(mask, out)
    assert out.read_text() == "a project of years"
    out.unlink()
    assert write_polygons(mask, out).polygons == write_polygons(mask, out).polygons


def test_a_geopackage_with_a_layer_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    mask, out = write_mask(tmp_path), tmp_path / "out.gpkg"
    write_polygons(mask, out)
    _, _, geometry, _ = pyogrio.raw.read(out, layer=0)
    pyogrio.raw.write(
        out, geometry, field_data=[], fields=[], layer="mine", geometry_type="Polygon", crs="EPSG:4326", append=True
    )
    with pytest.raises(OutputExistsError, match=r"out.gpkg exists and noseam did not write it"):
        write_polygons(mask, out)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_mask_that_breaks_off_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    georeference = Georeference(UTM, NORTH_UP)
    mask = write_mask(tmp_path, labels=noise(700, 300, high=3), georeference=georeference, wanted="geotiff")
    damaged = tmp_path / "damaged.tif"
    with rasterio.open(mask) as dataset:
        block = int(dataset.get_tag_item("BLOCK_OFFSET_0_1", "TIFF", bidx=1))
    content = bytearray(mask.read_bytes())
    content[block : block + 100] = bytes(100)
    damaged.write_bytes(content)
    with pytest.raises(RasterReadError, match=r"damaged.tif: the labels of rows 512"):
        write_polygons(damaged, tmp_path / f"out{suffix}", options(tile_px=64))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["IMG_1_label.tif", "damaged.tif"]


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojsonl", ".parquet"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    mask = write_mask(tmp_path, labels=noise(300, 300, high=3), georeference=Georeference(UTM, NORTH_UP))
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(RasterWriteError, match=rf"out{suffix}: "):
            write_polygons(mask, tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == [mask.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_reads_back_short_does_not_appear(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = write_mask(tmp_path, georeference=Georeference(UTM, NORTH_UP))
    monkeypatch.setattr(vector_file, "_count_features", lambda path, end: 0)
    monkeypatch.setattr(vector_file, "_read_back", lambda path: iter(()))
    monkeypatch.setattr(vector_file, "_PIECE_BYTES", 0)
    with pytest.raises(RasterWriteError, match=rf"out{suffix}: .*what was read back differs from what was written"):
        write_polygons(mask, tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [mask.name]


def test_a_geopackage_is_of_a_version_that_older_programs_know(tmp_path: Path) -> None:
    write_polygons(write_mask(tmp_path), tmp_path / "a.gpkg")
    with closing(sqlite3.connect(tmp_path / "a.gpkg")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10200,)


def test_a_missing_package_comes_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(MissingExtraError, match=r"pyogrio cannot be imported .*pip install 'noseam\[vector\]'"):
        write_polygons(write_mask(tmp_path), tmp_path / "out.gpkg")
    assert issubclass(MissingExtraError, TilerError)
    assert issubclass(MissingExtraError, ImportError)
