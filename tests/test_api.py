"""noseam for Python: what an import loads, what a call reports, how a call keeps others from its folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import noseam
import segment.api
from segment.guard.lock import hold_folder, lock_file
from tests import ROOT
from tests.models import checkpoint_folder
from tiler.grid.tiling import Tiling


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    tiling = Tiling(window_px=200, input_px=64, overlap=0.25)
    return str(checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=tiling))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Two photos, and beside them truth."""
    for folder, shape in (("survey", (96, 160, 3)), ("truth", (96, 160))):
        (tmp_path / folder).mkdir()
        for name in "ab":
            values = np.random.default_rng(1).integers(0, 256 if folder == "survey" else 2, shape, dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / folder / f"{name}.png")
    return tmp_path / "survey"


def test_an_import_loads_nothing_heavy_and_filters_no_warnings() -> None:
    script = (
        "import sys, warnings\n"
        "before = list(warnings.filters)\n"
        "import noseam, segment.api\n"
        "assert list(warnings.filters) == before, warnings.filters\n"
        "heavy = {'torch', 'transformers', 'numpy', 'rasterio', 'numba', 'PIL', 'pandas', 'matplotlib', 'click'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=ROOT)


def test_both_names_give_the_same_functions() -> None:
    assert {name: getattr(noseam, name) for name in segment.api.__all__} == {
        name: getattr(segment.api, name) for name in segment.api.__all__
    }


def test_types_are_for_others_too() -> None:
    for package in ("noseam", "segment", "tiler"):
        assert (ROOT / package / "py.typed").exists()


def test_a_call_tells_how_far_it_is(survey: Path, tmp_path: Path, model: str) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    outcomes = noseam.segment(survey, str(tmp_path / "masks"), model=model, device="cpu", progress=progress)
    assert [outcome.state for outcome in outcomes] == ["done", "done"]
    assert told == [(1, 2), (2, 2)]
    assert (
        noseam.crop(survey, tmp_path / "truth", tmp_path / "crops", window_px=64, jobs=1, progress=progress).train == 6
    )
    assert told[2:] == [(1, 2), (2, 2)]
    noseam.evaluate(tmp_path / "truth", tmp_path / "truth", classes=_table(tmp_path), progress=progress)
    assert told[4:] == [(1, 2), (2, 2)]
    (written,) = noseam.polygons(tmp_path / "masks", tmp_path / "all.gpkg", progress=progress)
    assert written.report is not None
    assert told[-1] == (2, 2)


def test_a_plan_is_what_the_run_does(survey: Path, tmp_path: Path, model: str) -> None:
    plan = noseam.plan(
        survey.glob("*.png"), tmp_path / "masks", model=model, format="geotiff", sidecars="none", shard="1/1"
    )
    assert sorted(path.name for image in plan.images for path in (output.path for output in image.outputs)) == [
        "a_label.tif", "b_label.tif",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"format": "bmp"}, "format: one of auto, png, geotiff, cog expected, 'bmp' found"),
        ({"sidecars": {"foo"}}, "sidecars: a set of aux, qml, vat, world expected"),
        ({"channels": (0,)}, r"channels: a tuple of whole numbers from 1, or text .* expected, \(0,\) found"),
        ({"channels": (1, 2)}, r"channels: one, three or four numbers expected"),
        ({"value_range": (5, 5)}, "value_range: two different finite numbers expected"),
        ({"polygons": "gpkg"}, "polygons: True or False expected, 'gpkg' found"),
        ({"window_px": True}, "window_px: a whole number from 1 expected, True found"),
        ({"overlap": float("nan")}, "overlap: a finite number from 0 below 1 expected, nan found"),
        ({"input_px": 100}, "input_px: a whole number from 64, a multiple of 32 expected, 100 found"),
        ({"min_area_m2": 2.0}, "--min-area, --simplify, --smooth and --only need --polygons"),
        ({"focal_px": 2.0}, "--focal-px needs --georef photo"),
        ({"max_errors": -1}, "max_errors: a whole number from 0 expected, -1 found"),
        ({"batch_size": 0}, "batch_size: a whole number from 1 expected, 0 found"),
        ({"engine": "x"}, "engine: one of auto, openvino, torch expected, 'x' found"),
        ({"max_megapixels": -1}, "max_megapixels: a finite number above 0 expected, -1 found"),
        ({"shard": (1, 2)}, r"shard: a Shard, or text such as I/N\|auto expected"),
        ({"sources": None}, "sources: a tuple of Paths expected, None found"),
        ({"sources": [3]}, r"sources: a tuple of Paths expected, \(3,\) found"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(
    survey: Path, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    asked: dict[str, Any] = {"sources": survey, "out": tmp_path / "masks", "model": "no such model"} | wrong
    with pytest.raises(noseam.NoseamError, match=message) as refused:
        noseam.segment(**asked)
    assert isinstance(refused.value, ValueError)
    assert not (tmp_path / "masks").exists()


def test_polygons_are_asked_for_by_true(survey: Path, tmp_path: Path, model: str) -> None:
    plan = noseam.plan(survey, tmp_path / "masks", model=model, polygons=True)
    beside = [side for image in plan.images for side in image.outputs[0].sidecars]
    polygons = [side.path.name for side in beside if side.kind == "polygons"]
    assert polygons == ["a_polygons.gpkg", "b_polygons.gpkg"]


def _table(folder: Path) -> Path:
    path = folder / "classes.csv"
    path.write_text("name, r, g, b\nzero, 0, 0, 0\none, 255, 0, 0\n")
    return path


def test_a_folder_in_use_is_known_before_a_weight_is_read(survey: Path, tmp_path: Path, model: str) -> None:
    for weights in Path(model).glob("*.safetensors"):
        weights.rename(weights.with_suffix(".away"))
    try:
        with (
            hold_folder(tmp_path / "masks"),
            pytest.raises(noseam.NoseamError, match="in use by another run of noseam"),
        ):
            noseam.segment(survey, tmp_path / "masks", model=model)
        with pytest.raises(noseam.NoseamError, match="weights"):
            noseam.segment(survey, tmp_path / "masks", model=model)
    finally:
        for weights in Path(model).glob("*.away"):
            weights.rename(weights.with_suffix(".safetensors"))


@pytest.mark.parametrize("command", ["crop", "train", "evaluate", "polygons", "polygons to a file"])
def test_no_two_write_to_one_folder(command: str, survey: Path, tmp_path: Path) -> None:
    truth, out = tmp_path / "truth", tmp_path / "out"
    crops = tmp_path / "crops"
    if command == "train":
        pytest.importorskip("torch", reason="needs PyTorch")
        noseam.crop(survey, truth, crops, window_px=64, jobs=1)
    calls: dict[str, Callable[[], object]] = {
        "crop": lambda: noseam.crop(survey, truth, out, window_px=64, jobs=1),
        "train": lambda: noseam.train(crops, out, base="nano", input_px=64, max_steps=1, workers=0, device="cpu"),
        "evaluate": lambda: noseam.evaluate(truth, truth, out=out, classes=_table(tmp_path)),
        "polygons": lambda: noseam.polygons(truth / "a.png", out),
        "polygons to a file": lambda: noseam.polygons(truth / "a.png", out / "a.gpkg"),
    }
    call = calls[command]
    with hold_folder(out):
        before = files(out)
        with pytest.raises(noseam.NoseamError, match="out: in use by another run of noseam: process "):
            call()
        assert files(out) == before
    call()
    assert files(out) != before


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.name.endswith(".lock"))


def test_polygons_keep_others_from_their_own_file_alone(survey: Path, tmp_path: Path) -> None:
    mask, out = tmp_path / "truth" / "a.png", tmp_path / "a.gpkg"
    with lock_file(out):
        with pytest.raises(noseam.NoseamError, match=r"a\.gpkg: in use by another run of noseam: process "):
            noseam.polygons(mask, out)
        assert not out.exists()
        (beside,) = noseam.polygons(mask, tmp_path / "b.gpkg")
    assert beside.report is not None
    noseam.polygons(mask, out)


def test_a_program_that_makes_errors_of_warnings_can_use_it(survey: Path, tmp_path: Path, model: str) -> None:
    script = (
        "import sys, noseam, warnings\n"
        "warnings.simplefilter('error')\n"
        "filters = list(warnings.filters)\n"
        "survey, out, model = sys.argv[1:]\n"
        "outcomes = noseam.segment(survey, out, model=model, device='cpu')\n"
        "assert [outcome.state for outcome in outcomes] == ['done', 'done'], outcomes\n"
        "assert not noseam.plan(survey, out, model=model).refused\n"
        "assert all(written.report for written in noseam.polygons(out, out + '/polygons'))\n"
        "assert warnings.filters == filters\n"
    )
    command: list[str | Path] = [sys.executable, "-c", script, survey, tmp_path / "masks", model]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
