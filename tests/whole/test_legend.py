"""A folder of masks carries the legend of their colours, and no command takes it for an image or a mask."""

from __future__ import annotations

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.model.checkpoint import describe_checkpoint
from tests.make import noise
from tests.models import checkpoint_folder
from tests.runs import contents, noseam, run, segment_command
from tiler.classes import ClassTable, class_table_bytes, distinct_colours, read_class_table
from tiler.grid.tiling import Tiling
from tiler.masks.legend import draw_legend, write_legend

NAMES = "name,r,g,b\nwater,0,0,255\nStraße,200,200,200\ntree,0,100,0\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=Tiling(64, 64, 0.25))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    folder.mkdir()
    (tmp_path / "own.csv").write_text(NAMES, encoding="utf-8")
    for name in "ab":
        Image.fromarray(noise(90, 120, 3, seed=ord(name))).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def masks(survey: Path, model: Path, tmp_path: Path) -> Path:
    out = tmp_path / "masks"
    result = noseam("segment", survey, "--out", out, "--model", model, "--classes", tmp_path / "own.csv")
    assert result.exit_code == 0
    return out


def test_a_run_leaves_the_names_and_colours_of_its_masks(masks: Path) -> None:
    assert (masks / "classes.csv").read_text(encoding="utf-8") == NAMES
    with Image.open(masks / "legend.png") as picture, Image.open(masks / "a_color.png") as mask:
        shown = {colour for _, colour in picture.convert("RGB").getcolors(2**16) or []}
        assert {(0, 0, 255), (200, 200, 200), (0, 100, 0)} <= shown
        assert (
            set(map(tuple, np.unique(np.asarray(mask.convert("RGBA"))[..., :3].reshape(-1, 3), axis=0).tolist()))
            <= shown
        )


def test_the_same_run_again_touches_neither(survey: Path, model: Path, masks: Path, tmp_path: Path) -> None:
    before = [(masks / name).stat().st_mtime_ns for name in ("legend.png", "classes.csv")]
    noseam("segment", survey, "--out", masks, "--model", model, "--classes", tmp_path / "own.csv")
    assert [(masks / name).stat().st_mtime_ns for name in ("legend.png", "classes.csv")] == before


def test_other_classes_replace_both(survey: Path, model: Path, masks: Path) -> None:
    legend = (masks / "legend.png").read_bytes()
    result = noseam("segment", survey, "--out", masks, "--model", model)
    assert "stays as it is" not in result.stderr
    assert read_class_table(masks / "classes.csv").names == ("class 0", "class 1", "class 2")
    assert (masks / "legend.png").read_bytes() != legend


def test_files_of_strangers_stay_and_are_told(survey: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "classes.csv").write_text("my,own,notes\n")
    Image.fromarray(noise(5, 5, 3)).save(out / "legend.png")
    before = contents(out)
    result = noseam("segment", survey, "--out", out, "--model", model, "-q")
    assert result.exit_code == 0
    for name in ("classes.csv", "legend.png"):
        assert f"{out / name} stays as it is, because noseam did not write it" in result.stderr
        assert (out / name).read_bytes() == before[name]


def test_a_table_of_the_user_that_says_the_same_stays_without_a_word(survey: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    own = out / "classes.csv"
    own.write_text(NAMES.replace(",", ", ").replace("\n", "\r\n"), encoding="utf-8", newline="")
    before = own.read_bytes()
    result = noseam("segment", survey, "--out", out, "--model", model, "--classes", own)
    assert result.exit_code == 0
    assert "stays" not in result.stderr
    assert own.read_bytes() == before


def test_no_command_takes_a_legend_for_an_image_or_a_mask(
    survey: Path, model: Path, masks: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(masks, other)
    for sources in (masks, masks / "legend.png"):
        assert noseam("segment", sources, "--out", tmp_path / "again", "--model", model).exit_code == 4
    cut = noseam("crop", survey, masks, "--out", tmp_path / "crops", "--window", "60")
    assert cut.exit_code == 0
    assert "legend.png" not in cut.output
    evaluated = noseam("evaluate", masks, other)
    assert evaluated.exit_code == 0
    assert "legend.png" not in evaluated.output
    traced = noseam("polygons", masks, "--out", tmp_path / "polygons")
    assert traced.exit_code == 0
    assert [path.name for path in sorted((tmp_path / "polygons").glob("[!.]*"))] == [
        "a_polygons.gpkg", "b_polygons.gpkg",
    ]  # fmt: skip


def test_crops_and_the_model_of_them_have_the_names_and_colours_of_the_masks(
    survey: Path, masks: Path, tmp_path: Path
) -> None:
    crops, model = tmp_path / "crops", tmp_path / "trained"
    cut = noseam("crop", survey, masks, "--out", crops, "--window", 60)
    assert cut.exit_code == 0
    assert "3 classes, named by the masks\n" in cut.output
    assert (crops / "classes.csv").read_text(encoding="utf-8") == NAMES
    options = ("--base", "nano", "--input", 64, "--max-steps", 1, "--workers", 0, "--device", "cpu")
    assert noseam("train", crops, "--out", model, *options).exit_code == 0
    classes = describe_checkpoint(str(model)).classes
    assert (classes.names, classes.colours[1]) == (("water", "Straße", "tree"), (200, 200, 200))


def test_masks_of_two_models_are_no_classes_of_crops(survey: Path, model: Path, masks: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert noseam("segment", survey / "b.png", "--out", other, "--model", model).exit_code == 0
    shutil.copy(other / "b_label.png", masks)
    command = ("crop", survey, masks, "--out", tmp_path / "crops", "--window", 60)
    refused = noseam(*command)
    assert refused.exit_code == 2
    assert "class 0 is named water in " in refused.output
    assert "--classes, a CSV with name,r,g,b" in refused.output
    assert not (tmp_path / "crops").exists()
    assert noseam(*command, "--classes", masks / "classes.csv").exit_code == 0


def test_a_photo_that_is_called_legend_is_segmented(survey: Path, model: Path, tmp_path: Path) -> None:
    shutil.copy(survey / "a.png", survey / "legend.png")
    out = tmp_path / "out"
    assert noseam("segment", survey, "--out", out, "--model", model).exit_code == 0
    assert (out / "legend_label.png").exists()
    assert (out / "legend.png").exists()
    cut = noseam("crop", survey, out, "--out", tmp_path / "crops", "--window", "60")
    assert cut.exit_code == 0
    assert "3 images cut" in cut.output


def test_shards_at_the_same_time_leave_what_one_run_leaves(survey: Path, model: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert run(segment_command(survey, whole, model)).returncode == 0
    with ThreadPoolExecutor(2) as pool:
        shards = [segment_command(survey, out, model, "--shard", f"{index}/2") for index in (1, 2)]
        for process in pool.map(run, shards):
            assert process.returncode == 0, process.stderr
            assert "legend" not in process.stderr
            assert "classes.csv" not in process.stderr
    for name in ("legend.png", "classes.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("count", [1, 24, 32, 33, 255])
def test_every_class_has_its_patch_and_its_letters(tmp_path: Path, count: int) -> None:
    classes = ClassTable(tuple(f"Name {index}" for index in range(count)), distinct_colours(count))
    assert write_legend(tmp_path, classes) == ()
    picture = np.asarray(Image.open(tmp_path / "legend.png").convert("RGB"))
    packed = picture.astype(int) @ (65536, 256, 1)
    for red, green, blue in classes.colours:
        rows, cols = np.nonzero(packed == 65536 * red + 256 * green + blue)
        assert len(rows) >= 40 * 20
        beside = picture[rows.min() : rows.max(), cols.max() + 4 : cols.max() + 100]
        assert (beside < 80).all(axis=2).sum() > 60
    assert class_table_bytes(classes) == (tmp_path / "classes.csv").read_bytes()


def test_a_very_long_name_is_cut_in_the_picture_alone() -> None:
    long, longer = (ClassTable(("x" * count,), ((1, 2, 3),)) for count in (100, 100_000))
    with Image.open(io.BytesIO(draw_legend(long))) as one, Image.open(io.BytesIO(draw_legend(longer))) as other:
        assert one.size == other.size


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    whys = write_legend(tmp_path / "gone", ClassTable(("a",), ((1, 2, 3),)))
    assert [why.partition(": ")[2] for why in whys] == ["cannot be written: No such file or directory"] * 2
