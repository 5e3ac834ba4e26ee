"""A run of a survey writes the right masks, lets a bad image fail alone, and leaves current masks as they are."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine

from segment.engine.contract import Engine
from segment.engine.openvino_engine import OpenVinoEngine
from segment.model.checkpoint import Checkpoint, weights_digest
from segment.plan.request import Request
from segment.plan.survey import SurveyPlan
from segment.record.failures import FAILURES
from segment.record.manifest import MANIFEST
from segment.record.outcome import Outcome
from segment.record.summary import SUMMARY
from segment.run.agenda import Agenda
from segment.run.runner import Runner
from segment.run.task import Task
from segment.run.under_way import UnderWay
from tests.grids import squares
from tests.make import write_tif
from tests.models import MeanEngine, checkpoint, runner_of, torch_engine
from tests.runs import plan_for
from tiler.errors import OutputClashError
from tiler.grid.tiles import Tile
from tiler.grid.tiling import Tiling
from tiler.source.channels import Channels, choose_channels
from tiler.source.options import ReadingOptions
from tiler.source.raster import RasterInfo

RECORDS = {SUMMARY, MANIFEST, FAILURES}
TILING = squares(128, 64)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A folder with three images in two formats and sizes that nothing divides."""
    folder = tmp_path / "survey"
    (folder / "b").mkdir(parents=True)
    Image.fromarray(ramp(301, 403)).save(folder / "one.JPG", quality=95)
    Image.fromarray(ramp(77, 50)).save(folder / "b" / "two.png")
    write_ortho(folder / "b" / "three.tif", ramp(257, 511))
    return folder


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    grey = np.linspace(0, 255, width)[np.newaxis, :, np.newaxis]
    return np.broadcast_to(grey, (height, width, 3)).astype(np.uint8)


def write_ortho(path: Path, pixels: NDArray[np.uint8], **options: Any) -> None:
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    write_tif(path, pixels.transpose(2, 0, 1), crs="EPSG:32632", transform=transform, **options)


def request_for(out: Path, **changes: object) -> Request:
    return Request(**{"tiling": TILING, "out": out, **changes})  # type: ignore[arg-type]


def run(runner: Runner, folder: Path, request: Request, *, overwrite: bool = False) -> dict[str, Outcome]:
    outcomes = list(runner.run(plan_for(folder, request), request, overwrite=overwrite))
    assert len({outcome.path for outcome in outcomes}) == len(outcomes)
    return {outcome.path.name: outcome for outcome in outcomes}


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in RECORDS)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_masks_mirror_the_survey_and_have_its_sizes(survey: Path, tmp_path: Path) -> None:
    outcomes = run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"))
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    assert set(tree(tmp_path / "out")) == {
        "one_label.png", "one_color.png", "b/two_label.png", "b/two_color.png", "b/three_label.tif",
        "b/three_label.tif.aux.xml", "b/three_label.qml", "b/three_label.tif.vat.dbf", "b/three_label.tif.vat.cpg",
    }  # fmt: skip
    with rasterio.open(tmp_path / "out/b/three_label.tif") as mask, rasterio.open(survey / "b/three.tif") as source:
        assert (mask.shape, mask.crs, mask.transform) == (source.shape, source.crs, source.transform)
    with Image.open(tmp_path / "out/one_label.png") as mask:
        assert mask.size == (403, 301)


def test_labels_are_right_up_to_the_border(survey: Path, tmp_path: Path) -> None:
    run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out", tiling=squares(64, 64)))
    with rasterio.open(tmp_path / "out/b/three_label.tif") as mask:
        labels = mask.read(1)
    expected = np.abs(ramp(1, 511)[0, :, :1] - np.linspace(0, 255, 4)).argmin(axis=1)
    boundaries = np.abs(np.arange(511)[:, None] - np.array([511 / 6, 511 / 2, 511 * 5 / 6])).min(axis=1) < 6
    assert (labels[:, ~boundaries] == expected[~boundaries]).all()


def test_a_network_that_sees_no_context_gives_no_seams(survey: Path, tmp_path: Path) -> None:
    for name, overlap in (("cut", 0.0), ("blended", 0.5)):
        run(runner_of(MeanEngine()), survey, request_for(tmp_path / name, tiling=squares(64, 64, overlap)))
    run(runner_of(MeanEngine()), survey, request_for(tmp_path / "whole", tiling=Tiling(512, 512, 0.25)))
    for name in ("one_label.png", "b/two_label.png"):
        whole, cut, blended = (np.asarray(Image.open(tmp_path / kind / name)) for kind in ("whole", "cut", "blended"))
        np.testing.assert_array_equal(cut, whole)
        np.testing.assert_array_equal(blended, whole)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module", params=["openvino", "torch"])
def engine(request: pytest.FixtureRequest, model: Checkpoint) -> Engine:
    if request.param == "torch":
        return torch_engine(model, device="cpu")
    return OpenVinoEngine(model.description, weights_digest(model.description), threads=3)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 16])
def test_masks_are_the_same_bytes_for_any_batch_size(
    survey: Path, tmp_path: Path, model: Checkpoint, batch_size: int
) -> None:
    for name, size in (("four", 4), ("other", batch_size)):
        run(runner_of(torch_engine(model, device="cpu", batch_size=size)), survey, request_for(tmp_path / name))
    assert tree(tmp_path / "other") == tree(tmp_path / "four")


def test_masks_are_the_same_bytes_for_any_number_of_threads(survey: Path, tmp_path: Path, model: Checkpoint) -> None:
    digest = weights_digest(model.description)
    for threads in (1, 5):
        engine = OpenVinoEngine(model.description, digest, threads=threads)
        run(runner_of(engine), survey, request_for(tmp_path / str(threads)))
    assert tree(tmp_path / "1") == tree(tmp_path / "5")


def test_masks_are_the_same_bytes_in_any_order_and_company(survey: Path, tmp_path: Path, engine: Engine) -> None:
    together, alone, backwards = (request_for(tmp_path / name) for name in ("together", "alone", "backwards"))
    run(runner_of(engine), survey, together)
    for image in plan_for(survey, alone).images:
        list(runner_of(engine).run(SurveyPlan((image,), ()), alone))
    plan = plan_for(survey, backwards)
    list(runner_of(engine).run(SurveyPlan(plan.images[::-1], ()), backwards))
    assert tree(alone.out) == tree(together.out) == tree(backwards.out)


def test_images_with_tiles_of_other_shapes_are_company_too(survey: Path, tmp_path: Path, engine: Engine) -> None:
    together, alone = (request_for(tmp_path / name, tiling=Tiling(128, 64)) for name in ("together", "alone"))
    assert len({image.grid.tile_shape for image in plan_for(survey, together).images}) == 3
    run(runner_of(engine), survey, together)
    for image in plan_for(survey, alone).images:
        list(runner_of(engine).run(SurveyPlan((image,), ()), alone))
    assert tree(alone.out) == tree(together.out)


class SlowEngine(MeanEngine):
    """A network that takes a while, so that tiles gather."""

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(0.1)
        return super().__call__(tiles)


def test_tiles_of_different_images_share_a_batch(tmp_path: Path) -> None:
    for index in range(8):
        Image.fromarray(ramp(40, 40)).save(tmp_path / f"{index}.png")
    engine = SlowEngine()
    run(runner_of(engine, batch_size=2), tmp_path, request_for(tmp_path / "out"))
    assert sum(engine.batches) == 8
    assert 2 in engine.batches


def test_a_bad_file_costs_only_itself(survey: Path, tmp_path: Path) -> None:
    whole = (survey / "one.JPG").read_bytes()
    (survey / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (survey / "text.png").write_text("<html>")
    (survey / "empty.tif").touch()
    outcomes = run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"))
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "one.JPG": "done", "two.png": "done", "three.tif": "done",
        "cut.jpg": "failed", "text.png": "failed", "empty.tif": "failed",
    }  # fmt: skip
    assert all(name in outcomes[name].reason for name in ("cut.jpg", "text.png", "empty.tif"))
    assert not [name for name in tree(tmp_path / "out") if "cut" in name or name.startswith(".")]


class BrokenEngine(MeanEngine):
    """A network that returns NaN for bright tiles."""

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = super().__call__(tiles)
        logits[tiles.mean(axis=(1, 2, 3)) > 250] = np.nan
        return logits


def test_nan_logits_fail_the_image_and_name_the_tile(survey: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), "white").save(survey / "white.png")
    outcomes = run(runner_of(BrokenEngine()), survey, request_for(tmp_path / "out"))
    assert outcomes["white.png"].state == "failed"
    assert "tile (0, 0), source rows 0-49" in outcomes["white.png"].reason
    assert "NaN" in outcomes["white.png"].reason
    assert {outcomes[name].state for name in ("one.JPG", "two.png", "three.tif")} == {"done"}
    assert not [name for name in tree(tmp_path / "out") if "white" in name]


def test_invalid_pixels_get_255_and_empty_tiles_are_not_run(tmp_path: Path) -> None:
    pixels = np.zeros((400, 1000, 3), np.uint8)
    pixels[150:250, 310:390] = 200
    write_ortho(tmp_path / "ortho.tif", pixels, nodata=0)
    engine = MeanEngine()
    request = request_for(tmp_path / "out", tiling=squares(64, 64, 0))
    run(runner_of(engine), tmp_path, request)
    with rasterio.open(tmp_path / "out/ortho_label.tif") as mask:
        labels = mask.read(1)
    np.testing.assert_array_equal(labels == 255, ~pixels.any(axis=2))
    windows = [tile.window for tile in plan_for(tmp_path / "ortho.tif", request).images[0].grid.tiles()]
    near = [pixels[max(w.row_off - 4, 0) : w.row_stop + 4, max(w.col_off - 4, 0) : w.col_stop + 4] for w in windows]
    assert sum(engine.batches) == sum(bool(around.any()) for around in near) < len(windows) / 5


def test_an_image_without_a_valid_pixel_is_done_and_says_so(tmp_path: Path) -> None:
    write_ortho(tmp_path / "empty.tif", np.zeros((100, 100, 3), np.uint8), nodata=0)
    engine = MeanEngine()
    outcome = run(runner_of(engine), tmp_path, request_for(tmp_path / "out"))["empty.tif"]
    assert (outcome.state, [doubt.kind for doubt in outcome.doubts]) == ("done", ["empty"])
    assert engine.batches == []


def test_a_valid_pixel_without_a_tile_fails_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget_one(image: object, grid: object, row: int) -> list[tuple[Tile, bool]]:
        return [(tile, (tile.row, tile.col) != (0, 1)) for tile in grid.row_tiles(row)]  # type: ignore[attr-defined]

    Image.fromarray(ramp(100, 300)).save(tmp_path / "image.png")
    monkeypatch.setattr("tiler.source.tiles._needed", forget_one)
    request = request_for(tmp_path / "out", tiling=squares(64, 64, 0))
    outcome = run(runner_of(MeanEngine()), tmp_path, request)["image.png"]
    assert outcome.state == "failed"
    assert "image.png: no tile covers" in outcome.reason
    assert tree(tmp_path / "out") == {}


def test_a_file_that_changes_meanwhile_fails(survey: Path, tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    plan = plan_for(survey, request)
    os.utime(survey / "one.JPG", (1, 1))
    outcomes = {outcome.path.name: outcome for outcome in runner_of(MeanEngine()).run(plan, request)}
    assert outcomes["one.JPG"].state == "failed"
    assert "changed since the survey was planned" in outcomes["one.JPG"].reason
    assert outcomes["two.png"].state == "done"


def test_a_second_run_skips_everything(survey: Path, tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    run(runner_of(MeanEngine()), survey, request)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*_*")}
    engine = MeanEngine()
    outcomes = run(runner_of(engine), survey, request)
    assert {outcome.state for outcome in outcomes.values()} == {"skipped"}
    assert engine.batches == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*_*")} == before


def test_only_what_changed_is_redone(survey: Path, tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    run(runner_of(MeanEngine()), survey, request)
    os.utime(survey / "one.JPG", (1, 1))
    (tmp_path / "out/b/two_color.png").unlink()
    outcomes = run(runner_of(MeanEngine()), survey, request)
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "one.JPG": "done", "two.png": "done", "three.tif": "skipped",
    }  # fmt: skip


@pytest.mark.parametrize("change", ["model", "overlap", "channels", "overwrite"])
def test_another_model_or_setting_redoes_the_survey(survey: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    run(runner_of(MeanEngine()), survey, request_for(out))
    changes: dict[str, dict[str, Any]] = {
        "overlap": {"tiling": squares(128, 64, 0)},
        "channels": {"reading": ReadingOptions(channels=(1, 2, 3))},
    }
    runner = runner_of(MeanEngine(), digest="1" * 32 if change == "model" else "0" * 32)
    outcomes = run(runner, survey, request_for(out, **changes.get(change, {})), overwrite=change == "overwrite")
    assert (outcomes["one.JPG"].state, outcomes["three.tif"].state) == ("done", "done")
    # The masks of an image of a single tile do not depend on the overlap.
    assert outcomes["two.png"].state == ("skipped" if change == "overlap" else "done")


def test_a_foreign_file_in_the_way_is_kept_unless_told(survey: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "out" / "one_label.png"
    foreign.parent.mkdir()
    Image.new("L", (3, 3)).save(foreign)
    kept = foreign.read_bytes()
    outcome = run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"))["one.JPG"]
    assert outcome.state == "failed"
    assert "noseam did not write it" in outcome.reason
    assert foreign.read_bytes() == kept
    outcomes = run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"), overwrite=True)
    assert outcomes["one.JPG"].state == "done"


def test_masks_carry_what_made_them(survey: Path, tmp_path: Path) -> None:
    run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"))
    with rasterio.open(tmp_path / "out/b/three_label.tif") as mask:
        tiff = mask.tags()
    with Image.open(tmp_path / "out/b/two_label.png") as mask:
        png = mask.info
    for tags, source in ((tiff, "b/three.tif"), (png, "b/two.png")):
        assert tags["SOURCE"] == source
        assert tags["SOFTWARE"].startswith("noseam ")
        assert tags["MODEL_DIGEST"] == "0" * 32
        assert tags["CLASS_NAMES"] == '["class 0", "class 1", "class 2", "class 3"]'


def test_the_input_is_left_as_it_was(survey: Path, tmp_path: Path) -> None:
    before = tree(survey)
    run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"))
    assert tree(survey) == before


def test_a_run_into_the_survey_itself_does_not_eat_its_own_masks(survey: Path) -> None:
    request = request_for(survey / "masks")
    assert len(run(runner_of(MeanEngine()), survey, request)) == 3
    outcomes = run(runner_of(MeanEngine()), survey, request)
    assert [outcome.state for outcome in outcomes.values()] == ["skipped"] * 3


def test_a_stopped_run_leaves_no_partial_file(survey: Path, tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    outcomes = runner_of(MeanEngine()).run(plan_for(survey, request), request)
    next(outcomes)
    outcomes.close()
    assert not [name for name in tree(tmp_path / "out") if ".part" in name]
    states = [outcome.state for outcome in run(runner_of(MeanEngine()), survey, request).values()]
    assert set(states) <= {"done", "skipped"}
    assert "skipped" in states


def test_an_image_too_wide_for_the_memory_costs_itself_alone(survey: Path, tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "width": 1_000_000_000, "height": 1, "count": 3, "dtype": "uint8"}
    with rasterio.open(survey / "wide.tif", "w", **profile, tiled=True, blockysize=16, SPARSE_OK=True):
        pass
    outcomes = run(runner_of(MeanEngine()), survey, request_for(tmp_path / "out"))
    assert [outcome.state for name, outcome in outcomes.items() if name != "wide.tif"] == ["done"] * 3
    reason = outcomes["wide.tif"].reason
    assert "wide.tif: an image of this width needs up to" in reason
    assert "GB of memory; this machine has" in reason


def test_the_budget_lets_in_what_fits_and_one_always() -> None:
    under_way, inside, peak = UnderWay(10), [0], [0]
    lock = threading.Lock()

    def work(path: Path, size: int) -> None:
        with under_way.work_on(path):
            under_way.hold(path, size)
            with lock:
                inside[0] += size
                peak[0] = max(peak[0], inside[0])
            with lock:
                inside[0] -= size

    sizes = enumerate([3, 4, 50, 2, 9, 1] * 20)
    threads = [threading.Thread(target=work, args=(Path(f"{index}"), size)) for index, size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    assert peak[0] in {*range(1, 11), 50}


def test_a_mask_that_was_cut_is_not_taken_for_whole(survey: Path, tmp_path: Path) -> None:
    request = request_for(tmp_path / "out")
    run(runner_of(MeanEngine()), survey, request)
    whole = (tmp_path / "out/one_label.png").read_bytes()
    (tmp_path / "out/one_label.png").write_bytes(whole[:-200])
    outcome = run(runner_of(MeanEngine()), survey, request)["one.JPG"]
    assert (outcome.state, outcome.reason) == ("done", "made again: masks are damaged")
    assert (tmp_path / "out/one_label.png").read_bytes() == whole


def test_masks_of_another_run_are_not_taken_for_photos(survey: Path, tmp_path: Path) -> None:
    run(runner_of(MeanEngine()), survey, request_for(survey / "masks"))
    plan = plan_for(survey, request_for(tmp_path / "elsewhere"))
    assert (len(plan.images), len(plan.refused), plan.masks) == (3, 0, 5)


def test_masks_may_lie_beside_their_photos(survey: Path) -> None:
    for expected in ("done", "skipped"):
        outcomes = run(runner_of(MeanEngine()), survey, request_for(survey))
        assert [outcome.state for outcome in outcomes.values()] == [expected] * 3


def test_a_mask_never_replaces_a_source_of_the_same_run(survey: Path) -> None:
    Image.new("L", (50, 77)).save(survey / "b" / "two_label.png")
    with pytest.raises(OutputClashError, match=r"two\.png would write its mask over .*two_label\.png"):
        plan_for(survey, request_for(survey))


def test_nodata_counts_although_the_alpha_is_set_aside(tmp_path: Path) -> None:
    pixels = np.full((64, 128, 4), 90, np.uint8)
    pixels[:, :40] = 0
    write_ortho(tmp_path / "rgbn.tif", pixels, nodata=0, interpretations=("red", "green", "blue", "alpha"))
    run(runner_of(MeanEngine()), tmp_path, request_for(tmp_path / "out", reading=ReadingOptions(channels=(1, 2, 3))))
    with rasterio.open(tmp_path / "out/rgbn_label.tif") as mask:
        np.testing.assert_array_equal(mask.read(1) == 255, ~pixels.any(axis=2))


def test_an_unexpected_error_in_a_header_costs_only_that_file(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_on_png(info: RasterInfo, asked: tuple[int, ...] = ()) -> Channels:
        if info.driver == "PNG":
            raise ZeroDivisionError("by design")
        return choose_channels(info, asked)

    monkeypatch.setattr("segment.plan.survey.choose_channels", fail_on_png)
    plan = plan_for(survey, request_for(tmp_path / "out"))
    assert len(plan.images) == 2
    assert plan.refused[0].reason == f"{survey / 'b' / 'two.png'}: ZeroDivisionError: by design"


def test_images_of_one_tile_shape_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_out: list[str] = []
    real = Agenda.next

    def spy(agenda: Agenda) -> Task | None:
        task = real(agenda)
        handed_out.extend([] if task is None else [task.path.name])
        return task

    monkeypatch.setattr(Agenda, "next", spy)
    for name, shape in zip("abcd", [(200, 300), (300, 200), (200, 300), (300, 200)], strict=True):
        Image.fromarray(ramp(*shape)).save(tmp_path / f"{name}.png")
    request = request_for(tmp_path / "out", tiling=Tiling(64, 64, 0.25))
    assert {outcome.state for outcome in run(runner_of(MeanEngine()), tmp_path, request).values()} == {"done"}
    assert handed_out == ["a.png", "c.png", "b.png", "d.png"]
