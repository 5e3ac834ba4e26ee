"""A large image is worked on in parts: the same bytes as in one piece, and a run that was killed goes on inside it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segment.plan.request import Request
from segment.record.outcome import Outcome
from tests.grids import squares
from tests.make import UTM, noise, write_tif
from tests.models import MeanEngine, checkpoint_folder, runner_of
from tests.runs import MANIFEST, NORTH_UP, contents, noseam, plan_for, segment_command, start
from tiler.grid.parts import BLOCK_PX

HEIGHT, WIDTH = 11_000, 130
SMALL = "0.07"
"""Megapixels of a part, such that the images here have 20."""


def smooth(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> NDArray[np.uint8]:
    coarse = Image.fromarray(noise(height // 30 + 1, width // 30 + 1, 3, seed=seed))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), tiling=squares(256, 128))


def photo(folder: Path) -> None:
    Image.fromarray(smooth()).save(folder / "photo.jpg", quality=92)


def palette(folder: Path) -> None:
    Image.fromarray(smooth(seed=1)).quantize(200).save(folder / "palette.png")


def mosaic(folder: Path) -> None:
    """Write a map with a collar of nodata, wide regions of it, and values of 16 bits that are stretched."""
    pixels = smooth(seed=2).transpose(2, 0, 1).astype(np.uint16) * 30 + 1
    pixels[:, 3000:6000] = pixels[:, :, :20] = 0
    write_tif(folder / "mosaic.tif", pixels, crs=UTM, transform=NORTH_UP, nodata=0, tiled=True, compress="deflate")


def blank(folder: Path) -> None:
    """Write a map of one colour but for what is transparent, on a map in degrees."""
    pixels = np.full((4, 2600, 90), 77, np.uint8)
    pixels[3, 1000:] = 0
    write_tif(folder / "blank.tif", pixels, photometric="rgb", alpha="yes", crs="EPSG:4326",
              transform=NORTH_UP.scale(1e-5, 1e-5).translation(5, 5))  # fmt: skip


def damaged(folder: Path) -> None:
    """Write a strip with a byte that libjpeg complains of."""
    photo(folder)
    path = folder / "photo.jpg"
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("write", [photo, palette, mosaic, blank, damaged])
def test_parts_give_the_bytes_of_one_piece(tmp_path: Path, model: Path, write: Callable[[Path], None]) -> None:
    survey = tmp_path / "survey"
    survey.mkdir()
    write(survey)
    found = {}
    for size in (SMALL, "0"):
        out = tmp_path / size
        options = ("--part-size", size, "--confidence", "--disagreement", "--polygons", "--color")
        assert noseam("segment", survey, "--out", out, "--model", model, *options).exit_code == 0
        found[size] = contents(out)
        line = json.loads((out / MANIFEST).read_text())
        found[size] |= {key: str(line[key]).encode() for key in ("doubts", "warnings", "pixels", "no_data")}
    assert found[SMALL] == found["0"]
    assert len([name for name in found["0"] if "_" in name]) >= 4


class CountingEngine(MeanEngine):
    """A network that counts its tiles, and fails after some."""

    def __init__(self, fails_after: int = 10**9) -> None:
        super().__init__()
        self._fails_after = fails_after

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        if sum(self.batches) >= self._fails_after:
            raise RuntimeError("the plug was pulled")
        return super().__call__(tiles)


def segmented(survey: Path, out: Path, engine: CountingEngine, **changes: object) -> tuple[Outcome, int]:
    """Return how the one image of a survey ends, and the tiles that were run."""
    request = Request(tiling=squares(128, 128), out=out, part_size=float(SMALL), confidence=True, **changes)  # type: ignore[arg-type]
    plan = plan_for(survey, request)
    assert len(plan.images[0].parts) == 20
    assert all(part.start % BLOCK_PX == 0 for part in plan.images[0].parts)
    (outcome,) = runner_of(engine).run(plan, request)
    return outcome, sum(engine.batches)


def test_a_run_goes_on_inside_an_image_and_repeats_little(tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    photo(survey)
    whole, tiles = segmented(survey, tmp_path / "whole", CountingEngine())
    assert whole.state == "done"
    failed, before = segmented(survey, out, CountingEngine(fails_after=tiles // 2))
    assert (failed.state, failed.reason.rpartition(": ")[2]) == ("failed", "the plug was pulled")
    parts = list(out.glob(".*.parts/label-*.tif"))
    assert 5 <= len(parts) <= 11
    done, after = segmented(survey, out, CountingEngine())
    assert done.state == "done"
    assert before + after - tiles < 2 * tiles / 20 + 12  # the part under way, and tiles that were ahead of it
    assert {name: data for name, data in contents(out).items() if "photo_" in name} == {
        name: data for name, data in contents(tmp_path / "whole").items() if "photo_" in name
    }
    assert not list(out.glob(".*.parts"))


def test_parts_of_other_settings_or_of_a_changed_image_are_not_used(tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    photo(survey)
    _, tiles = segmented(survey, tmp_path / "whole", CountingEngine())
    segmented(survey, out, CountingEngine(fails_after=tiles // 2))
    assert segmented(survey, out, CountingEngine(fails_after=tiles // 2), grid_shift_px=32)[0].state == "failed"
    Image.fromarray(smooth(seed=9)).save(survey / "photo.jpg")
    done, after = segmented(survey, out, CountingEngine())
    assert (done.state, after) == ("done", tiles)


def test_parts_that_nobody_needs_any_more_are_removed(tmp_path: Path, model: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    photo(survey)
    left = out / ".photo_label.png.parts"
    command = "segment", survey, "--out", out, "--model", model
    for options in (("--part-size", SMALL), ("--part-size", SMALL), ("--part-size", 0, "--overwrite")):
        left.mkdir(parents=True, exist_ok=True)  # as a run left it that was killed after the joining
        (left / "label-0-512.tif").touch()
        assert noseam(*command, *options).exit_code == 0
        assert not left.exists()


def test_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    photo(survey)
    _, tiles = segmented(survey, tmp_path / "whole", CountingEngine())
    segmented(survey, out, CountingEngine(fails_after=tiles // 2))
    first, second, *_ = sorted(out.glob(".*.parts/label-*.tif"))
    data = bytearray(first.read_bytes())
    data[-len(data) // 3 :] = bytes(len(data) // 3)
    first.write_bytes(data)
    second.write_bytes(b"")
    states = [segmented(survey, out, CountingEngine())[0].state for _ in range(2)]
    assert states[-1] in {"done", "skipped"}
    assert {name: data for name, data in contents(out).items() if "photo_" in name} == {
        name: data for name, data in contents(tmp_path / "whole").items() if "photo_" in name
    }


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_command_goes_on_inside_an_image(tmp_path: Path, model: Path, number: int) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    mosaic(survey)
    options = ("--part-size", SMALL, "--polygons")
    with start(segment_command(survey, out, model, *options)) as process:
        deadline = time.monotonic() + 60
        while len(list(out.glob(".*.parts/label-*.tif"))) < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        process.communicate()
    kept = len(list(out.glob(".*.parts/label-*.tif")))
    assert 3 <= kept < 20
    (inside,) = json.loads(noseam("status", out, "--json").stdout)["labelled_inside"].items()
    assert inside == ("mosaic.tif", pytest.approx(kept / 20, abs=0.05))
    assert f"inside:  mosaic.tif: {inside[1]:.0%} of it is labelled" in noseam("status", out).stdout
    command = "segment", survey, "--model", model, "--threads", 1, "--polygons"
    assert noseam(*command, "--part-size", SMALL, "--out", out).exit_code == 0
    assert noseam(*command, "--out", tmp_path / "whole").exit_code == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_parts_of_an_image_that_left_the_survey_are_told_of_and_pruned(tmp_path: Path, model: Path) -> None:
    survey, out = tmp_path / "survey", tmp_path / "out"
    survey.mkdir()
    photo(survey)
    segmented(survey, out, CountingEngine(fails_after=60))
    Image.fromarray(smooth(90, 90)).save(survey / "other.png")
    command = "segment", survey, "--out", out, "--model", model
    assert len(list(out.glob(".*.parts"))) == 1
    (survey / "photo.jpg").unlink()
    assert "masks of 1 photo that left the survey stay: photo.jpg" in noseam(*command).stderr
    assert len(list(out.glob(".*.parts"))) == 1
    assert noseam(*command, "--prune").exit_code == 0
    assert not list(out.glob(".*.parts"))
