from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window as RasterioWindow
from rasterio.windows import transform as window_transform

from tests.make import GCPS, ROTATED, RPCS, UTM, noise, write_tif
from tests.photos import write_photo
from tests.runs import NORTH_UP
from tiler.classes import ClassTable
from tiler.crops import tasks
from tiler.crops.cut import CropOutcome, CutTask, cut_source
from tiler.crops.index import read_crop_index, repeat_factors
from tiler.crops.make import CropReport, make_crops
from tiler.crops.plan import CropOptions, plan_crops
from tiler.crops.record import record_path
from tiler.crops.split import split_sources
from tiler.errors import (
    CropIndexError,
    CropRequestError,
    NoPairError,
    OutputExistsError,
)
from tiler.files.atomic import _PROCESS, hidden_name
from tiler.grid.window import Window
from tiler.source.image import open_image
from tiler.source.options import ReadingOptions

CLASSES = ClassTable(("NA", "road", "grass, wet"), ((0, 0, 0), (128, 64, 128), (0, 102, 0)))
SHAPE = (120, 180)
REQUEST = CropOptions(window_px=60)


class Survey:
    """Images and masks below one folder."""

    def __init__(self, folder: Path) -> None:
        self.images, self.masks, self.out = (folder / name for name in ("images", "masks", "crops"))

    def add(self, name: str, ids: NDArray[np.uint8] | None = None, *, seed: int = 0) -> NDArray[np.uint8]:
        """Write a PNG image of noise and its mask of ids; returns the image."""
        ids = noise(*SHAPE, high=len(CLASSES), seed=seed) if ids is None else ids
        pixels: NDArray[np.uint8] = noise(*ids.shape, 3, seed=seed)
        for path, array in ((self.images / f"{name}.png", pixels), (self.masks / f"{name}_label.png", ids)):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
        return pixels

    def cut(self, request: CropOptions = REQUEST, *, classes: ClassTable | None = CLASSES, jobs: int = 1) -> CropReport:
        """Cut in this process, unless more jobs are asked for."""
        return make_crops(self.images, self.masks, self.out, request, classes=classes, jobs=jobs)

    def files(self) -> dict[str, int]:
        """Return every crop file with its modification time."""
        return {
            path.relative_to(self.out).as_posix(): path.stat().st_mtime_ns
            for kind in ("images", "masks")
            for path in (self.out / kind).rglob("*")
            if path.is_file()
        }


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    return Survey(tmp_path)


def _read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        pixels: NDArray[Any] = dataset.read()
    return pixels


def test_a_drone_photo_gives_six_crops() -> None:
    assert plan_crops((4000, 6000), CropOptions()) == tuple(
        Window(row, col, 2000, 2000) for row in (0, 2000) for col in (0, 2000, 4000)
    )


def test_the_recipe_of_400_photos_gives_2100_and_300_crops() -> None:
    names = [f"{index:03d}" for index in range(400)]
    per_source = len(plan_crops((4000, 6000), CropOptions()))
    sides = list(split_sources(names, split=0.875, seed=0).values())
    assert per_source * len(names) == 2400
    assert (per_source * sides.count("train"), per_source * sides.count("val")) == (2100, 300)


@given(st.tuples(st.integers(1, 300), st.integers(1, 300)), st.integers(1, 120), st.floats(0, 0.99, exclude_max=True))
def test_crops_cover_the_image_and_share_the_overlap(shape: tuple[int, int], window_px: int, overlap: float) -> None:
    try:
        request = CropOptions(window_px=window_px, overlap=overlap)
    except CropRequestError:
        return
    covered = np.zeros(shape, int)
    windows = plan_crops(shape, request)
    for window in windows:
        assert (window.height, window.width) == tuple(min(side, window_px) for side in shape)
        assert window.row_stop <= shape[0]
        assert window.col_stop <= shape[1]
        covered[window.slices] += 1
    assert covered.all()
    assert list(windows) == sorted(windows, key=lambda window: (window.row_off, window.col_off))
    offsets = sorted({window.row_off for window in windows})
    assert all(after - before <= window_px - overlap * window_px + 1e-6 for before, after in pairwise(offsets))


@given(st.sets(st.text(max_size=3), min_size=1), st.floats(0, 1), st.integers(0, 5))
def test_a_split_is_repeatable_and_leaves_no_side_empty(names: set[str], split: float, seed: int) -> None:
    sides = split_sources(names, split=split, seed=seed)
    assert sides == split_sources(sorted(names, reverse=True), split=split, seed=seed)
    assert sides.keys() == names
    train = list(sides.values()).count("train")
    if len(names) > 1 and 0 < split < 1:
        assert 1 <= train < len(names)
        assert abs(train - len(names) * split) <= 1
    else:
        assert train == round(len(names) * split)


def test_another_seed_splits_otherwise() -> None:
    names = [str(index) for index in range(50)]
    assert split_sources(names, split=0.5, seed=0) != split_sources(names, split=0.5, seed=1)


@pytest.mark.parametrize(
    ("keywords", "match"),
    [
        ({"window_px": 0}, "window_px: a whole number from 1 expected, 0 found"),
        ({"overlap": 1.0}, "overlap: a finite number from 0 below 1 expected, 1.0 found"),
        ({"overlap": -0.1}, "overlap: a finite number from 0 below 1 expected, -0.1 found"),
        ({"window_px": 10, "overlap": 0.95}, "leave a stride"),
        ({"split": 1.5}, "split: a finite number from 0 to 1 expected, 1.5 found"),
        ({"min_labelled": float("nan")}, "min_labelled: a finite number from 0 to 1 expected, nan found"),
        ({"format": "webp"}, "format: one of png, jpeg expected, 'webp' found"),
    ],
)
def test_requests_that_cannot_be_cut_are_refused(keywords: dict[str, Any], match: str) -> None:
    with pytest.raises(CropRequestError, match=match):
        CropOptions(**keywords)


def test_crops_are_the_pixels_of_the_source(survey: Survey) -> None:
    pixels = survey.add("day 1/a")
    report = survey.cut(CropOptions(window_px=70, overlap=0.1))
    index, classes = read_crop_index(survey.out)
    ids = _read(survey.masks / "day 1/a_label.png")
    assert classes == CLASSES
    assert report.train + report.val == len(index) == 6
    assert list(index["image"])[:2] == ["images/day 1/a_r0_c0.png", "images/day 1/a_r0_c55.png"]
    assert set(index["source"]) == {"day 1/a"}
    for row in index.to_dict("records"):
        window = Window(row["row_off"], row["col_off"], row["height"], row["width"])
        expected = ids[0][window.slices]
        np.testing.assert_array_equal(_read(survey.out / row["image"]), pixels[window.slices].transpose(2, 0, 1))
        np.testing.assert_array_equal(_read(survey.out / row["mask"])[0], expected)
        counts = np.bincount(expected.ravel(), minlength=3)
        assert [row["px_NA"], row["px_road"], row["px_grass, wet"]] == list(counts)
        assert row["labelled"] == 70 * 70
    assert report.class_pixels == {name: int(index[f"px_{name}"].sum()) for name in CLASSES.names}
    size = sum(path.stat().st_size for path in (survey.images / "day 1/a.png", survey.masks / "day 1/a_label.png"))
    assert report.megabytes == size / 1e6


def test_wide_images_are_read_window_by_window_with_the_same_result(
    survey: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey.add("a")
    survey.cut()
    first = {file: (survey.out / file).read_bytes() for file in survey.files()}
    shutil.rmtree(survey.out)
    monkeypatch.setattr("tiler.crops.cut._BAND_BYTES", 0)
    survey.cut()
    assert {file: (survey.out / file).read_bytes() for file in survey.files()} == first


def test_ids_and_colours_give_the_same_masks(survey: Survey, tmp_path: Path) -> None:
    survey.add("a")
    other = Survey(tmp_path / "other")
    other.add("a")
    ids = _read(survey.masks / "a_label.png")[0]
    Image.fromarray(CLASSES.palette()[ids, :3]).save(other.masks / "a_label.png")
    assert not survey.cut().failed
    assert not other.cut().failed
    assert survey.files().keys() == other.files().keys()
    for file in survey.files():
        assert (survey.out / file).read_bytes() == (other.out / file).read_bytes()
    assert (survey.out / "crops.csv").read_bytes() == (other.out / "crops.csv").read_bytes()


def test_ids_without_a_class_table_get_made_up_names(survey: Survey) -> None:
    survey.add("a", np.full(SHAPE, 3, np.uint8))
    survey.add("b", np.full(SHAPE, 255, np.uint8))
    survey.cut(classes=None)
    index, classes = read_crop_index(survey.out)
    assert classes.names == ("class 0", "class 1", "class 2", "class 3")
    assert index.groupby("source")["px_class 3"].sum().to_dict() == {"a": 120 * 180, "b": 0}


def test_no_source_stands_on_both_sides(survey: Survey) -> None:
    for name in "abcd":
        survey.add(name)
    report = survey.cut(CropOptions(window_px=60, split=0.5))
    index, _ = read_crop_index(survey.out)
    assert (index.groupby("source")["split"].nunique() == 1).all()
    assert report.train == report.val == 12
    assert list(index["source"]) == sorted(index["source"])


def test_what_has_no_partner_is_reported(survey: Survey) -> None:
    survey.add("a")
    shutil.copy(survey.images / "a.png", survey.images / "alone.png")
    shutil.copy(survey.masks / "a_label.png", survey.masks / "lone_label.png")
    report = survey.cut()
    assert report.only_images == (survey.images / "alone.png",)
    assert report.only_masks == (survey.masks / "lone_label.png",)
    assert [outcome.path.name for outcome in report.done] == ["a.png"]


@pytest.mark.parametrize("shape", [(50, 90), (20, 30), (1, 64), (1, 1), (64, 1)])
def test_a_small_image_is_reflected_and_its_mask_says_so(survey: Survey, shape: tuple[int, int]) -> None:
    pixels = survey.add("a", np.ones(shape, np.uint8))
    survey.cut(CropOptions(window_px=64))
    index, _ = read_crop_index(survey.out)
    assert len(index) == len(plan_crops(shape, CropOptions(window_px=64)))
    crop = _read(survey.out / index["image"][0])
    mask = _read(survey.out / index["mask"][0])[0]
    assert crop.shape == (3, 64, 64)
    assert index["labelled"][0] == (mask == 1).sum() == min(shape[0], 64) * min(shape[1], 64)
    assert (mask[: shape[0], : shape[1]] == 1).all()
    for row, col in ((0, 0), (63, 0), (0, 63), (63, 63), (40, 50)):
        source = (_reflected(at, size) for at, size in zip((row, col), shape, strict=True))
        np.testing.assert_array_equal(crop[:, row, col], pixels[tuple(source)])


def _reflected(at: int, size: int) -> int:
    period = max(2 * (size - 1), 1)
    return min(at % period, -at % period) if size > 1 else 0


def test_jpeg_crops_are_near_the_source(survey: Survey) -> None:
    survey.add("a")
    smooth = (np.indices(SHAPE).sum(axis=0) // 2).astype(np.uint8)[..., np.newaxis].repeat(3, axis=2)
    Image.fromarray(smooth).save(survey.images / "a.png")
    survey.cut(CropOptions(window_px=60, format="jpeg"))
    found = _read(survey.out / "images/a_r60_c120.jpg").astype(int)
    assert np.abs(found - smooth[60:120, 120:180].transpose(2, 0, 1)).max() <= 3
    assert (survey.out / "masks/a_r60_c120.png").is_file()


@pytest.mark.filterwarnings("ignore:Use `@` matmul")  # of rasterio's own, the oracle
@pytest.mark.parametrize("format_", ["png", "jpeg"])
def test_geotiff_crops_know_where_they_lie(survey: Survey, format_: Any) -> None:
    survey.add("a")
    (survey.images / "a.png").unlink()
    pixels = noise(3, *SHAPE, seed=1)
    write_tif(survey.images / "a.tif", pixels, photometric="rgb", crs=UTM, transform=ROTATED)
    assert not survey.cut(CropOptions(window_px=60, format=format_)).failed
    ids = _read(survey.masks / "a_label.png")[0]
    for kind in ("images", "masks"):
        with rasterio.open(survey.out / kind / "a_r60_c120.tif") as dataset:
            assert dataset.crs == UTM
            assert dataset.transform == window_transform(RasterioWindow(120, 60, 60, 60), ROTATED)
            found = dataset.read()
            if kind == "masks":
                assert dataset.nodata == 255
                np.testing.assert_array_equal(found[0], ids[60:120, 120:])
            elif format_ == "png":
                np.testing.assert_array_equal(found, pixels[:, 60:120, 120:])
            else:
                assert dataset.compression.name == "jpeg"
    with open_image(survey.out / "images/a_r60_c120.tif") as image:
        assert image.channels.colour == (1, 2, 3)
        assert not image.maybe_invalid


def test_control_points_and_rpcs_move_with_the_window(survey: Survey) -> None:
    for name, options in (("gcps", {"gcps": list(GCPS), "crs": UTM}), ("rpcs", {"rpcs": RPCS})):
        survey.add(name)
        (survey.images / f"{name}.png").unlink()
        write_tif(survey.images / f"{name}.tif", noise(3, *SHAPE), photometric="rgb", **options)
    assert not survey.cut().failed
    with rasterio.open(survey.out / "images/gcps_r60_c120.tif") as dataset:
        points, crs = dataset.gcps
        assert crs == UTM
        assert [(p.row, p.col, p.x, p.y, p.z) for p in points] == [
            (p.row - 60, p.col - 120, p.x, p.y, p.z) for p in GCPS
        ]
    with rasterio.open(survey.out / "masks/rpcs_r60_c120.tif") as dataset:
        assert dataset.rpcs.line_off == RPCS.line_off - 60
        assert dataset.rpcs.samp_off == RPCS.samp_off - 120
        assert dataset.rpcs.lat_off == RPCS.lat_off


def test_pixels_without_a_measurement_have_no_label(survey: Survey) -> None:
    pixels = survey.add("a", np.ones(SHAPE, np.uint8))
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[10:20, 70:90] = 0
    Image.fromarray(np.dstack((pixels, alpha))).save(survey.images / "a.png")
    survey.cut()
    masks = np.hstack([_read(survey.out / f"masks/a_r0_c{col}.png")[0] for col in (0, 60, 120)])
    np.testing.assert_array_equal(masks, np.where(alpha[:60] == 0, 255, 1))


def test_crops_without_enough_labels_are_left_out(survey: Survey) -> None:
    ids = np.full(SHAPE, 255, np.uint8)
    ids[:60, :60] = 1
    ids[0, 60] = 2
    survey.add("a", ids)
    assert survey.cut().filtered == 0
    report = survey.cut(CropOptions(window_px=60, skip_empty=True))
    assert (report.filtered, report.train) == (4, 2)
    assert len(survey.files()) == 4
    report = survey.cut(CropOptions(window_px=60, min_labelled=1.0))
    assert (report.filtered, report.train) == (5, 1)
    assert list(survey.files()) == ["images/a_r0_c0.png", "masks/a_r0_c0.png"]


def test_the_least_labelled_fraction_is_of_the_pixels_that_exist(survey: Survey) -> None:
    survey.add("a", np.ones((30, 30), np.uint8))
    assert survey.cut(CropOptions(window_px=60, min_labelled=1.0)).train == 1


def test_balance_repeats_training_crops_with_rare_classes(survey: Survey) -> None:
    ids = np.zeros(SHAPE, np.uint8)
    survey.add("a", ids.copy())
    survey.add("b", ids.copy())
    ids[:60, :60] = 2
    survey.add("rare", ids)
    request = CropOptions(window_px=60, split=0.5, balance=True)
    seed = next(
        seed for seed in range(99) if split_sources(["a", "b", "rare"], split=0.5, seed=seed)["rare"] == "train"
    )
    survey.cut(CropOptions(**{**_fields(request), "seed": seed}))
    index, _ = read_crop_index(survey.out)
    rare = index["px_grass, wet"] > 0
    assert index[rare]["repeat"].tolist() == [round((0.5 * (index["split"] == "train").sum()) ** 0.5)]
    assert set(index[~rare]["repeat"]) == {1}
    survey.cut(CropOptions(**{**_fields(request), "seed": seed, "balance": False}))
    assert set(read_crop_index(survey.out)[0]["repeat"]) == {1}


def _fields(request: CropOptions) -> dict[str, Any]:
    return {name: getattr(request, name) for name in CropOptions.__dataclass_fields__}


def test_repeat_factors_follow_the_paper() -> None:
    factors = repeat_factors([[0], [0, 1], [0], [0, 1, 2], *([[0]] * 12)])
    assert factors == {0: 1.0, 1: 2.0, 2: 8**0.5}


def test_a_second_run_cuts_nothing(survey: Survey) -> None:
    survey.add("a")
    survey.add("b/c")
    survey.cut()
    before, index = survey.files(), (survey.out / "crops.csv").read_bytes()
    report = survey.cut()
    assert (len(report.done), len(report.skipped)) == (0, 2)
    assert survey.files() == before
    assert (survey.out / "crops.csv").read_bytes() == index
    report = survey.cut(CropOptions(window_px=60, seed=3, split=0.2, balance=True))
    assert len(report.skipped) == 2
    assert survey.files() == before


def test_another_overlap_cuts_again_and_leaves_nothing_stale(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    report = survey.cut(CropOptions(window_px=60, overlap=0.5))
    index, _ = read_crop_index(survey.out)
    assert len(report.done) == 1
    assert survey.files().keys() == {*index["image"], *index["mask"]}
    survey.cut()
    assert len(survey.files()) == 12


def test_a_crop_that_was_deleted_is_made_again(survey: Survey) -> None:
    survey.add("a")
    survey.add("b")
    survey.cut()
    (survey.out / "masks/a_r0_c0.png").unlink()
    with pytest.raises(CropIndexError, match=r"1 of its files are missing, such as masks/a_r0_c0\.png"):
        read_crop_index(survey.out)
    report = survey.cut()
    assert [outcome.path.name for outcome in report.done] == ["a.png"]
    read_crop_index(survey.out)


def test_another_mask_or_class_table_cuts_again(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    mask = survey.masks / "a_label.png"
    os.utime(mask, ns=(1, 1))
    assert len(survey.cut().done) == 1
    assert len(survey.cut(classes=ClassTable(("x", "y", "z"), CLASSES.colours)).done) == 1


def test_crops_of_a_source_that_is_gone_are_deleted(survey: Survey) -> None:
    survey.add("a")
    survey.add("b/c")
    survey.cut()
    (survey.images / "b/c.png").unlink()
    survey.cut()
    assert all(file.split("/")[1].startswith("a_r") for file in survey.files())
    assert not (survey.out / "images/b").exists()
    assert not record_path(survey.out, "b/c").exists()
    assert set(read_crop_index(survey.out)[0]["source"]) == {"a"}


def test_a_damaged_source_fails_alone(survey: Survey) -> None:
    for name in "abc":
        survey.add(name)
    survey.cut()
    damaged = survey.images / "b.png"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:40_000] + bytes(100) + content[40_100:])
    told: list[tuple[CropOutcome, int, int]] = []
    report = make_crops(
        survey.images, survey.masks, survey.out, REQUEST, classes=CLASSES, jobs=2,
        advance=lambda *call: told.append(call),
    )  # fmt: skip
    assert [(outcome.path.name, outcome.state) for outcome in report.outcomes] == [
        ("a.png", "skipped"), ("b.png", "failed"), ("c.png", "skipped"),
    ]  # fmt: skip
    assert "b.png" in report.failed[0].reason
    assert {outcome.path for outcome, _, _ in told} == {outcome.path for outcome in report.outcomes}
    assert [(done, total) for _, done, total in told] == [(1, 3), (2, 3), (3, 3)]
    assert not any("b_r" in file for file in survey.files())
    assert set(read_crop_index(survey.out)[0]["source"]) == {"a", "c"}


def test_an_unknown_colour_is_the_reason_and_leaves_no_crop(survey: Survey) -> None:
    survey.add("a")
    colours = np.zeros((*SHAPE, 3), np.uint8)
    colours[100, 30] = 9, 8, 7
    Image.fromarray(colours).save(survey.masks / "a_label.png")
    report = survey.cut()
    expected = "a_label.png: 1 of 21,600 pixels have a colour of no class: 9,8,7 (1); the first is at row 100"
    assert expected in report.failed[0].reason
    assert survey.files() == {}
    assert (report.train, report.val) == (0, 0)
    assert len(read_crop_index(survey.out)[0]) == 0


def test_an_image_and_a_mask_of_two_sizes_fail(survey: Survey) -> None:
    survey.add("a")
    Image.fromarray(np.zeros((120, 90), np.uint8)).save(survey.masks / "a_label.png")
    reason = survey.cut().failed[0].reason
    assert "a.png: 180 x 120 pixels, but its mask" in reason
    assert reason.endswith("has 90 x 120 pixels; expected one size")


def test_processes_give_the_same_files_as_one(survey: Survey) -> None:
    for seed, name in enumerate("abcd"):
        survey.add(name, seed=seed)
    survey.cut()
    first = {file: (survey.out / file).read_bytes() for file in (*survey.files(), "crops.csv")}
    shutil.rmtree(survey.out)
    assert len(survey.cut(jobs=3).done) == 4
    assert {file: (survey.out / file).read_bytes() for file in (*survey.files(), "crops.csv")} == first


def _die_on_b(task: CutTask) -> CropOutcome:
    if task.source == "b":
        os._exit(9)
    return cut_source(task)


@pytest.mark.filterwarnings("ignore:A worker stopped")
def test_a_process_that_dies_costs_its_own_source(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcd":
        survey.add(name)
    monkeypatch.setattr(tasks, "cut_source", _die_on_b)
    report = survey.cut(jobs=2)
    assert [outcome.path.name for outcome in report.failed] == ["b.png"]
    assert "the process that cut it died" in report.failed[0].reason
    assert len(report.done) == 3


def test_crops_of_an_interrupted_run_are_not_left_behind(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    survey.add("a")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tiler.crops.cut.remove_files", interrupt)
        with pytest.raises(KeyboardInterrupt):
            survey.cut(CropOptions(window_px=60, overlap=0.5))
    assert len(survey.files()) > 12
    survey.cut()
    assert len(survey.files()) == 12


def test_what_a_killed_run_left_is_swept_at_the_end(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    left = hidden_name(survey.out / "images/b/c.png")
    left = left.with_name(left.name.replace(_PROCESS, "0" * 8))
    left.parent.mkdir()
    left.touch()
    survey.cut()
    assert not left.parent.exists()
    assert len(survey.files()) == 12


def test_a_new_folder_may_hold_a_lock(survey: Survey) -> None:
    survey.add("a")
    survey.out.mkdir()
    (survey.out / ".noseam.lock").touch()
    assert [outcome.state for outcome in survey.cut().outcomes] == ["done"]


def test_foreign_folders_are_left_alone(survey: Survey, tmp_path: Path) -> None:
    survey.add("a")
    survey.out.mkdir()
    (survey.out / "thesis.txt").touch()
    with pytest.raises(OutputExistsError, match="crops holds files that noseam crop did not write"):
        survey.cut()
    with pytest.raises(OutputExistsError, match="expected a folder"):
        make_crops(survey.images, survey.masks, survey.out / "thesis.txt", REQUEST, classes=None, jobs=1)
    with pytest.raises(CropRequestError, match="one lies within the other"):
        make_crops(survey.images, survey.masks, survey.images / "crops", REQUEST, classes=None, jobs=1)


def test_a_users_own_crops_csv_does_not_make_a_folder_ours(survey: Survey) -> None:
    survey.add("a")
    survey.out.mkdir()
    (survey.out / "crops.csv").write_text("field,crop\n1,wheat\n")
    with pytest.raises(OutputExistsError, match="did not write"):
        survey.cut()
    assert (survey.out / "crops.csv").read_text() == "field,crop\n1,wheat\n"


def test_crops_are_not_cut_into_themselves(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    before = survey.files()
    with pytest.raises(CropRequestError, match="one lies within the other"):
        make_crops(survey.out / "images", survey.out / "masks", survey.out, REQUEST, classes=CLASSES, jobs=1)
    assert survey.files() == before


def test_another_survey_does_not_replace_the_crops_of_this_one(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    before = survey.files()
    for folder in (survey.images, survey.masks):
        shutil.rmtree(folder)
    survey.add("b")
    with pytest.raises(OutputExistsError, match="holds crops of other images, such as a"):
        survey.cut()
    assert survey.files() == before


def test_a_wrong_class_table_fails_and_keeps_the_crops(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    before = survey.files()
    report = survey.cut(classes=ClassTable(CLASSES.names[:2], CLASSES.colours[:2]))
    assert [outcome.state for outcome in report.outcomes] == ["failed"]
    assert survey.files() == before
    assert [outcome.state for outcome in survey.cut().outcomes] == ["skipped"]


def test_a_dangling_link_fails_alone(survey: Survey) -> None:
    survey.add("a")
    survey.add("b")
    (survey.images / "b.png").unlink()
    (survey.images / "b.png").symlink_to("nowhere.png")
    report = survey.cut()
    assert [(outcome.path.name, outcome.state) for outcome in report.outcomes] == [
        ("a.png", "done"),
        ("b.png", "failed"),
    ]
    assert report.failed[0].reason.endswith("b.png: No such file or directory")


def test_channels_and_values_are_read_as_asked_and_said(survey: Survey) -> None:
    survey.add("a")
    bands = noise(4, *SHAPE, dtype="uint16", high=1000, seed=4)
    (survey.images / "a.png").unlink()
    write_tif(survey.images / "a.tif", bands)
    report = survey.cut(CropOptions(window_px=180, reading=ReadingOptions(channels=(3, 2, 1), value_range=(0, 1000))))
    assert report.done[0].notes
    pixels = _read(next((survey.out / "images").glob("*")))
    assert np.abs(pixels[:, :120] - bands[[2, 1, 0]] * 0.255).max() <= 1


def test_nothing_to_pair_is_an_error_and_deletes_nothing(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    (survey.masks / "a_label.png").rename(survey.masks / "other.png")
    with pytest.raises(NoPairError, match=r"no image there has a mask .*found .*a\.png, .*other\.png"):
        survey.cut()
    assert len(survey.files()) == 12


def test_a_damaged_index_is_refused(survey: Survey) -> None:
    with pytest.raises(CropIndexError, match=r"no crops\.csv; expected a folder that noseam crop wrote"):
        read_crop_index(survey.out)
    survey.add("a")
    survey.cut()
    path = survey.out / "crops.csv"
    good = path.read_text()
    for wrong, match in (
        ("", r"crops\.csv"),
        (good.replace("repeat", "times", 1), "columns .*repeat.* expected, .*times.* found"),
        (good.replace("train,", "test,", 1), "split train or val expected, 'test' found"),
        (good.replace(",60,60,60,", ",60,sixty,60,", 1), "sixty"),
        (good.replace(",60,60,60,1,", ",60,60,60,0,", 1), "repeat below 1"),
    ):
        path.write_text(wrong)
        with pytest.raises(CropIndexError, match=match):
            read_crop_index(survey.out)
    path.write_text(good)
    (survey.out / "classes.csv").unlink()
    with pytest.raises(CropIndexError, match=r"classes\.csv"):
        read_crop_index(survey.out)


def test_a_source_may_be_named_like_a_number_or_nothing(survey: Survey) -> None:
    for name in ("007", "NA"):
        survey.add(name)
    survey.cut()
    index, _ = read_crop_index(survey.out)
    assert sorted(set(index["source"])) == ["007", "NA"]
    assert isinstance(index, pd.DataFrame)


def test_pixels_and_valid_are_those_of_the_file(tmp_path: Path) -> None:
    window = Window(7, 11, 30, 40)
    gray = noise(1, 60, 80, high=1000, dtype="uint16")
    write_tif(tmp_path / "g.tif", gray, nodata=0)
    with open_image(tmp_path / "g.tif", value_range=(0, 999)) as image:
        assert image.stretch is not None
        expected = image.stretch.apply(gray[:, 7:37, 11:51].astype(np.float32))
        np.testing.assert_array_equal(image.pixels(window), np.broadcast_to(expected, (3, 30, 40)))
        np.testing.assert_array_equal(image.valid(window), gray[0][window.slices] > 0)
        np.testing.assert_array_equal(image.valid(window), image.valid_rows(7, 37)[:, 11:51])
    colours = noise(60, 80, 3, high=3)
    palette = Image.fromarray(colours).quantize(27)
    palette.save(tmp_path / "p.png")
    with open_image(tmp_path / "p.png") as image:
        expected = np.asarray(palette.convert("RGB"))[window.slices].transpose(2, 0, 1)
        np.testing.assert_array_equal(image.pixels(window), expected)


def test_the_index_holds_the_ground_sample_distance_of_a_source_that_says_it(survey: Survey) -> None:
    for name in ("map", "photo", "plain"):
        survey.add(name)
        (survey.images / f"{name}.png").unlink()
    pixels = noise(3, *SHAPE)
    write_tif(survey.images / "map.tif", pixels, photometric="rgb", crs=UTM, transform=NORTH_UP)
    write_photo(survey.images / "photo.jpg", shape=SHAPE)
    write_tif(survey.images / "plain.tif", pixels, photometric="rgb")
    survey.cut()
    index, _ = read_crop_index(survey.out)
    found = index.groupby("source")["gsd_m"].first()
    assert found["map"] == pytest.approx(0.5, rel=0.01)
    assert found["photo"] == pytest.approx(100 * 13.2 / 8.8 / SHAPE[1], rel=0.05)
    assert np.isnan(found["plain"])


def test_an_index_without_ground_sample_distances_is_read(survey: Survey) -> None:
    survey.add("a")
    survey.cut()
    path = survey.out / "crops.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rsplit(",", 3)[0] for line in lines))
    assert read_crop_index(survey.out)[0]["gsd_m"].isna().all()


@pytest.mark.parametrize("text", ["-1", "0", "inf", "much"])
def test_an_index_of_impossible_ground_sample_distances_is_refused(survey: Survey, text: str) -> None:
    survey.add("a")
    survey.cut()
    path = survey.out / "crops.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *(line.rsplit(",", 3)[0] + f",{text},a,image" for line in lines)]))
    with pytest.raises(CropIndexError, match=r"crops\.csv: "):
        read_crop_index(survey.out)
