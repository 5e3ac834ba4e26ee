from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli import main
from tests.make import UTM, noise
from tests.polygons.test_make import NORTH_UP, write_mask
from tiler.errors import OutputClashError, PolygonError
from tiler.polygons.plan import plan_files
from tiler.source.georef import Georeference


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
