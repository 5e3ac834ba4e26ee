"""An adapted model has the mean of both statistics, those of training and of the survey, and all else of its base."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import noseam
from segment.errors import CheckpointError, RequestError
from tests.make import noise, write_tif
from tests.models import checkpoint_folder
from tiler.grid.fit import TileSize
from tiler.grid.tiling import Tiling
from tiler.grid.window import Window
from tiler.source.image import open_image

torch = pytest.importorskip("torch", reason="needs PyTorch")

from safetensors.torch import load_file  # noqa: E402

from segment.adapt import look as looking  # noqa: E402
from segment.adapt.adapt import PRIOR  # noqa: E402
from segment.model.checkpoint import describe_checkpoint, load_checkpoint  # noqa: E402

SIDE = 64
NORM = "decode_head.batch_norm."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint of tiles of 64 px at full resolution."""
    return checkpoint_folder(
        tmp_path_factory.mktemp("model"), classes=5, tiling=Tiling(SIDE, SIDE, 0.25, tile=TileSize((SIDE, SIDE)))
    )


def photo(path: Path, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Write a PNG of noise, and return its pixels."""
    pixels = noise(height, width, 3, seed=seed)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def features(model: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what the batch norm gets of one tile, shape (channels, rows, columns), by transformers' own network."""
    checkpoint = load_checkpoint(describe_checkpoint(str(model)))
    network: Any = checkpoint.network
    normalisation = checkpoint.description.normalisation
    found = []
    network.decode_head.batch_norm.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    shown = (pixels * normalisation.rescale - np.array(normalisation.mean)) / np.array(normalisation.std)
    with torch.no_grad():
        network(pixel_values=torch.tensor(shown, dtype=torch.float32).permute(2, 0, 1)[None])
    taken: NDArray[np.float64] = found[0][0].double().numpy()
    return taken


def statistics(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and variance that a checkpoint holds."""
    weights = load_file(folder / "model.safetensors")
    return weights[NORM + "running_mean"].numpy(), weights[NORM + "running_var"].numpy()


def holds_mean_of_both(base: Path, adapted: Path, cells: NDArray[np.float64]) -> None:
    """Check the statistics of an adapted model against all cells that the survey shows, shape (channels, cells)."""
    share = (squares := cells.shape[1] / (SIDE / 4) ** 2) / (squares + PRIOR)
    own, found = statistics(base), statistics(adapted)
    for before, after, survey in zip(own, found, (cells.mean(axis=1), cells.var(axis=1)), strict=True):
        np.testing.assert_allclose(after, (1 - share) * before + share * survey, rtol=2e-5, atol=1e-6)
        assert not np.allclose(after, before, rtol=1e-3)


def test_statistics_are_those_of_all_cells_of_all_photos(tmp_path: Path, model: Path) -> None:
    shown = [photo(tmp_path / "survey" / f"{seed}.png", SIDE, SIDE, seed) for seed in range(3)]
    found = noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    cells = np.concatenate([features(model, each).reshape(32, -1) for each in shown], axis=1)
    holds_mean_of_both(model, tmp_path / "adapted", cells)
    assert (found.images, found.squares) == (3, 3)


def test_all_else_is_that_of_the_base(tmp_path: Path, model: Path) -> None:
    photo(tmp_path / "survey" / "a.png", SIDE, SIDE, 0)
    noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    before, after = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "adapted"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {NORM + "running_mean", NORM + "running_var"}
    one, other = describe_checkpoint(str(model)), describe_checkpoint(str(tmp_path / "adapted"))
    assert (one.classes, one.tiling, one.normalisation) == (other.classes, other.tiling, other.normalisation)
    entry = json.loads((tmp_path / "adapted" / "config.json").read_text())["adapted"]
    assert entry == {"base": str(model), "images": 1, "squares": 1.0, "share": round(1 / (1 + PRIOR), 4)}


def test_what_was_measured_of_the_base_is_not_said_of_the_adapted_model(tmp_path: Path) -> None:
    photo(tmp_path / "survey" / "a.png", SIDE, SIDE, 0)
    noseam.adapt(tmp_path / "survey", "bundled:start", tmp_path / "adapted", device="cpu")
    assert describe_checkpoint("bundled:start").measured
    assert not describe_checkpoint(str(tmp_path / "adapted")).measured
    card = (tmp_path / "adapted" / "README.md").read_text()
    assert describe_checkpoint("bundled:start").measured.split()[0] not in card
    assert "no other model's licence bears on it" in card


def test_cells_beyond_the_image_do_not_count(tmp_path: Path, model: Path) -> None:
    pixels = photo(tmp_path / "survey" / "a.png", 44, 52, 0)
    noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    tile = np.pad(pixels, ((0, SIDE - 44), (0, SIDE - 52), (0, 0)), mode="reflect")
    holds_mean_of_both(model, tmp_path / "adapted", features(model, tile)[:, :11, :13].reshape(32, -1))


def test_cells_without_a_measurement_do_not_count(tmp_path: Path, model: Path) -> None:
    pixels = noise(3, SIDE, SIDE)
    mask = np.ones((SIDE, SIDE), np.bool_)
    mask[:, 24:] = False
    (tmp_path / "survey").mkdir()
    write_tif(tmp_path / "survey" / "a.tif", pixels, mask=mask, photometric="rgb")
    noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    with_all = features(model, np.moveaxis(pixels, 0, -1))
    holds_mean_of_both(model, tmp_path / "adapted", with_all[:, :, :6].reshape(32, -1))


def test_of_many_tiles_some_are_looked_at(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_MOST", 24)
    photo(tmp_path / "survey" / "a.png", 640, 800, 0)
    found = noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    assert 20 < found.squares <= 24


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at images of more than 100,000 pixels by parts of 4 squares, 24 in all."""
    monkeypatch.setattr(looking, "_MOST", 24)
    monkeypatch.setattr(looking, "_OF_PART", 4)
    monkeypatch.setattr(looking, "MOST_PIXELS", 100_000)


@pytest.mark.usefixtures("small_parts")
def test_of_a_large_image_parts_from_all_over_are_looked_at(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Window] = []

    def note(path: Path, *, within: Window, **known: Any) -> Any:
        seen.append(within)
        return open_image(path, within=within, **known)

    monkeypatch.setattr(looking, "open_image", note)
    (tmp_path / "survey").mkdir()
    write_tif(tmp_path / "survey" / "a.tif", noise(3, 640, 800), tiled=True, blockxsize=128, blockysize=128)
    found = noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    assert 12 < found.squares <= 24
    middles = sorted((part.row_off + part.height / 2) / 640 for part in seen)
    assert len(seen) == len(set(middles)) == 24 // 4
    assert middles[0] < 0.3
    assert middles[-1] > 0.7


@pytest.mark.usefixtures("small_parts")
def test_of_a_large_image_that_is_decoded_from_the_top_no_part_counts_twice(tmp_path: Path, model: Path) -> None:
    photo(tmp_path / "survey" / "a.png", 640, 800, 0)
    assert noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu").squares == 4


def test_an_image_that_cannot_be_read_is_passed_over(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo(tmp_path / "survey" / "good.png", SIDE, SIDE, 0)
    photo(tmp_path / "survey" / "torn.png", SIDE, SIDE, 1)
    torn = tmp_path / "survey" / "torn.png"
    torn.write_bytes(torn.read_bytes()[:6000])
    with caplog.at_level(logging.WARNING):
        found = noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    assert found.images == 1
    assert "torn.png" in caplog.text
    assert "passed over" in caplog.text


def test_a_survey_without_a_readable_image_is_refused(tmp_path: Path, model: Path) -> None:
    photo(tmp_path / "survey" / "torn.png", SIDE, SIDE, 1)
    torn = tmp_path / "survey" / "torn.png"
    torn.write_bytes(torn.read_bytes()[:6000])
    with pytest.raises(RequestError, match="1 image, none with a pixel that can be read"):
        noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    assert not (tmp_path / "adapted" / "config.json").exists()


def test_no_other_model_is_written_over_and_an_adapted_one_is_the_same_again(tmp_path: Path, model: Path) -> None:
    photo(tmp_path / "survey" / "a.png", SIDE, SIDE, 0)
    own = checkpoint_folder(tmp_path / "own", classes=5)
    before = (own / "model.safetensors").read_bytes()
    with pytest.raises(RequestError, match="is the model itself"):
        noseam.adapt(tmp_path / "survey", str(own), own, device="cpu")
    with pytest.raises(RequestError, match="noseam adapt did not make"):
        noseam.adapt(tmp_path / "survey", str(model), own, device="cpu")
    assert (own / "model.safetensors").read_bytes() == before
    noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    files = {path.name: path.read_bytes() for path in (tmp_path / "adapted").glob("[!.]*") if path.is_file()}
    noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "adapted").glob("[!.]*") if path.is_file()}
    assert files.keys() >= {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    photo(tmp_path / "survey" / "a.png", SIDE, SIDE, 0)
    with pytest.raises(CheckpointError, match="nowhere"):
        noseam.adapt(tmp_path / "survey", str(tmp_path / "nowhere"), tmp_path / "adapted", device="cpu")


def test_the_adapted_model_segments(tmp_path: Path, model: Path) -> None:
    photo(tmp_path / "survey" / "a.png", 80, 100, 0)
    noseam.adapt(tmp_path / "survey", str(model), tmp_path / "adapted", device="cpu")
    outcomes = noseam.segment(tmp_path / "survey", tmp_path / "masks", model=str(tmp_path / "adapted"), device="cpu")
    assert [outcome.state for outcome in outcomes] == ["done"]
