from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from click.testing import CliRunner, Result
from PIL import Image

from cli import main
from tests.labelled import NORTH_UP, write_mask
from tests.make import UTM, noise
from tiler.errors import OutputClashError, PolygonError
from tiler.polygons.plan import plan_files
from tiler.source.georef import Georeference

pyogrio = pytest.importorskip("pyogrio", reason="needs the extra vector")


def noseam(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["polygons", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    write_mask(folder, "a/IMG_1", confidence=True)
    write_mask(folder, "ortho", georeference=Georeference(UTM, NORTH_UP))
    Image.fromarray(noise(9, 9, 3)).save(folder / "photo.png")
    (folder / "notes_label.txt").touch()
    return folder


def files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


@pytest.mark.parametrize(("format", "suffix"), [("gpkg", ".gpkg"), ("fgb", ".fgb"), ("parquet", ".parquet")])
def test_a_folder_gets_one_file_per_label_mask_in_the_same_tree(
    masks: Path, tmp_path: Path, format: str, suffix: str
) -> None:
    result = noseam(masks, "--out", tmp_path / "out", "--format", format)
    assert result.exit_code == 0
    assert files(tmp_path / "out") == [f"a/IMG_1_polygons{suffix}", f"ortho_polygons{suffix}"]
    assert f"a/IMG_1_polygons{suffix}: " in result.stdout
    assert "IMG_1_polygons" in result.stderr
    assert "without georeference" in result.stderr


def test_polygons_can_lie_beside_their_masks(masks: Path) -> None:
    before = files(masks)
    for _ in range(2):
        assert noseam(masks, "--out", masks).exit_code == 0
    assert sorted({*files(masks)} - {*before}) == ["a/IMG_1_polygons.gpkg", "ortho_polygons.gpkg"]


def test_a_file_gets_all_masks_and_only_what_is_wanted(tmp_path: Path) -> None:
    georeference = Georeference(UTM, NORTH_UP)
    for name in "ab":
        write_mask(tmp_path / "masks", name, labels=noise(40, 40, high=3), georeference=georeference)
    options = "--min-area", 1, "--simplify", 1, "--only", "roof", "--only", "2"
    result = noseam(tmp_path / "masks", "--out", tmp_path / "all.gpkg", *options)
    assert result.exit_code == 0
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "all.gpkg", layer=0)
    fields = dict(zip(meta["fields"], columns, strict=True))
    first, *classes = result.stdout.splitlines()
    count = len(fields["class_id"])
    assert first == f"{tmp_path / 'all.gpkg'}: {count} polygons, patches below 1 m2 are part of their neighbours"
    assert [line.split()[0] for line in classes] == ["roof", "tree"]
    assert set(fields["source"]) == {"a/a.jpg", "a/b.jpg"}
    assert set(fields["class_name"]) == {"roof", "tree"}
    assert np.min(fields["area_m2"]) > 0


def test_a_file_tells_what_became_of_the_area_of_each_class(tmp_path: Path) -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[5:15, 5:15], labels[20:25, 20:23] = 1, 2
    mask = write_mask(tmp_path, labels=labels, georeference=Georeference(UTM, NORTH_UP))
    out = tmp_path / "out.gpkg"
    assert noseam(mask, "--out", out).stdout.splitlines() == [
        f"{out}: 2 polygons, patches below 16 pixels (4 m2) are part of their neighbours",
        "  road  471 -> 475 m2 (+0.8 %)",
        "  roof  25 m2",
        "  tree  3.75 -> 0 m2 (-100.0 %)",
    ]
    everything = [f"{out}: 3 polygons", "  road  471 m2", "  roof  25 m2", "  tree  3.75 m2"]
    assert noseam(mask, "--out", out, "--min-area", 0).stdout.splitlines() == everything
    only = noseam(mask, "--out", out, "--only", "roof").stdout.splitlines()
    assert only[1:] == ["  roof  25 m2"]
    assert noseam(mask, "--out", tmp_path / "folder").stdout.splitlines() == [
        f"{tmp_path / 'folder' / 'IMG_1_polygons.gpkg'}: 2 polygons; most changed: road 471 -> 475 m2 (+0.8 %)"
    ]


def test_a_small_change_has_digits_enough_to_be_seen(tmp_path: Path) -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[5:30, 5:30], labels[60, 60:62] = 1, 2
    mask = write_mask(tmp_path, labels=labels, georeference=Georeference(UTM, NORTH_UP))
    lines = noseam(mask, "--out", tmp_path / "out.gpkg").stdout.splitlines()
    assert lines[1:] == ["  road  2,343.2 -> 2,343.8 m2 (+0.02 %)", "  roof  156 m2", "  tree  0.5 -> 0 m2 (-100.0 %)"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("pix.csv", ""), ("pix.gpk", "did you mean .gpkg?"), ("pix.JSON", "did you mean .geojson?"), ("site.old", "")],
)
def test_an_ending_of_another_file_is_refused(masks: Path, tmp_path: Path, name: str, hint: str) -> None:
    out = tmp_path / name
    result = noseam(masks, "--out", out)
    assert result.exit_code == 2
    assert f"{name}: expected a folder, or a name that ends in .gpkg, .fgb" in " ".join(result.stderr.split())
    assert ("did you mean" in result.stderr) == bool(hint)
    assert hint in result.stderr
    assert not out.exists()
    out.mkdir()
    assert noseam(masks, "--out", out).exit_code == 0
    assert files(out) == ["a/IMG_1_polygons.gpkg", "ortho_polygons.gpkg"]


@pytest.mark.parametrize("name", ["polygons.v2", "2026.05.01", ".hidden", "a.b c"])
def test_a_folder_may_have_a_dot_in_its_name(masks: Path, tmp_path: Path, name: str) -> None:
    assert noseam(masks, "--out", tmp_path / name).exit_code == 0
    assert files(tmp_path / name) == ["a/IMG_1_polygons.gpkg", "ortho_polygons.gpkg"]


def test_smooth_outlines_are_asked_for_by_an_option(tmp_path: Path) -> None:
    mask = write_mask(tmp_path, labels=np.tri(90, 90, dtype=np.uint8), georeference=Georeference(UTM, NORTH_UP))
    corners = []
    for more in ((), ("--smooth",)):
        result = noseam(mask, "--out", tmp_path / "out.gpkg", *more)
        assert result.exit_code == 0
        wkb = pyogrio.raw.read(tmp_path / "out.gpkg", layer=0)[2]
        polygons = shapely.from_wkb(wkb)
        corners.append(shapely.get_num_coordinates(polygons).sum())
        assert shapely.area(polygons).sum() == pytest.approx(90 * 90 / 4)
        assert shapely.coverage_is_valid(polygons)
    assert corners[1] < corners[0] / 8


def test_masks_that_overlap_are_warned_of_even_when_quiet(tmp_path: Path) -> None:
    for name in "ab":
        write_mask(tmp_path / "masks", name, georeference=Georeference(UTM, NORTH_UP))
    result = CliRunner().invoke(main, ["-q", "polygons", str(tmp_path / "masks"), "--out", str(tmp_path / "all.gpkg")])
    assert result.exit_code == 0
    assert "WARNING" in result.stderr
    assert "the outlines of 2 of the 2 masks overlap on the ground" in result.stderr


@pytest.mark.parametrize("suffix", [".shp", ".kml", ".dxf", ".geojson"])
def test_files_of_other_programs_are_made_by_their_name_and_by_their_format(
    masks: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"ortho{suffix}"
    assert noseam(masks / "ortho_label.tif", "--out", out).exit_code == 0
    found = pyogrio.read_info(out, force_feature_count=True)
    assert found["features"] > 3
    result = noseam(masks / "ortho_label.tif", "--out", tmp_path / "folder", "--format", suffix[1:])
    assert result.exit_code == 0
    again = pyogrio.read_info(tmp_path / "folder" / f"ortho_polygons{suffix}", force_feature_count=True)
    assert again["features"] == found["features"]


def test_a_bad_mask_costs_only_itself_in_a_folder(masks: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(9, 9, 3)).save(masks / "odd_label.png")
    result = noseam(masks, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "odd_label.png: an image of 3 channels" in result.stderr
    assert len(files(tmp_path / "out")) == 2


def test_a_bad_mask_costs_the_file_that_it_belongs_in(masks: Path, tmp_path: Path) -> None:
    result = noseam(masks, "--out", tmp_path / "all.gpkg")
    assert result.exit_code == 1
    assert "IMG_1_label.png is in no CRS" in result.stderr
    assert "name a folder as --out" in result.stderr
    assert files(tmp_path) == [f"masks/{name}" for name in files(masks)]


def test_no_mask_exits_4(tmp_path: Path) -> None:
    Image.fromarray(noise(9, 9)).save(tmp_path / "a.png")
    result = noseam(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert "no *_label.png or *_label.tif found" in result.stderr
    assert files(tmp_path) == ["a.png"]


def test_a_mask_that_is_named_counts_whatever_its_name(tmp_path: Path) -> None:
    Image.fromarray(noise(9, 9, high=2)).save(tmp_path / "a.png")
    assert noseam(tmp_path / "a.png", "--out", tmp_path / "out").exit_code == 0
    assert files(tmp_path / "out") == ["a_polygons.gpkg"]


def test_usage_errors_exit_2(masks: Path, tmp_path: Path) -> None:
    for arguments in (("nowhere", "--out", "x"), (masks,), (masks, "--out", "x", "--min-area", "inf")):
        assert noseam(*arguments).exit_code == 2


def test_a_format_that_the_file_contradicts_is_refused(masks: Path, tmp_path: Path) -> None:
    result = noseam(masks, "--out", tmp_path / "a.gpkg", "--format", "fgb")
    assert result.exit_code == 2
    assert "a.gpkg is no file of --format fgb" in result.stderr
    assert noseam(masks / "ortho_label.tif", "--out", tmp_path / "a.fgb", "--format", "fgb").exit_code == 0


def test_masks_of_one_name_are_refused_before_any_work(masks: Path, tmp_path: Path) -> None:
    write_mask(masks, "a/IMG_1", wanted="geotiff")
    with pytest.raises(
        OutputClashError, match=r"IMG_1_label.png and .*IMG_1_label.tif would both write .*IMG_1_polygons.gpkg"
    ):
        plan_files([masks], tmp_path / "out", "gpkg")
    assert len(plan_files([masks], tmp_path / "out.gpkg", "fgb")[0].masks) == 3


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(13, "Permission denied", str(path))

    monkeypatch.setattr("tiler.files.walk.os.scandir", refuse)
    with pytest.raises(PolygonError, match="the folder cannot be listed: Permission denied"):
        plan_files([tmp_path], tmp_path / "out", "gpkg")
