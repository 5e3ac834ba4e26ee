"""A view shows ground at a scale, place and angle; labels stay on their pixels, and crops side by side join exactly."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segment.errors import TrainError
from segment.model.config import Normalisation
from segment.training.crop_files import read_labels, read_pixels
from segment.training.data import read_crop_set
from segment.training.dataset import CropDataset
from segment.training.ground import Ground, Piece, reflected
from segment.training.variation import Variation
from segment.training.views import View, draw_view, show
from tests.crop_folder import crop_folder
from tests.make import noise
from tiler.grid.window import Window

SIDE = 20
PHOTO, TRUTH = noise(3, 50, 40), noise(50, 40, high=9, seed=1)
Pixels = NDArray[np.uint8]


def cut(folder: Path, *windows: Window, side: int = SIDE) -> list[Piece]:
    """Write windows of a photo as crops; what is missing of their side is filled with what the photo does not hold."""
    pieces = []
    for window in windows:
        place = (slice(0, window.height), slice(0, window.width))
        pixels, labels = np.full((3, side, side), 7, np.uint8), np.full((side, side), 255, np.uint8)
        pixels[:, *place], labels[place] = PHOTO[:, *window.slices], TRUTH[window.slices]
        stem = folder / f"{window.row_off}_{window.col_off}"
        piece = Piece(stem.with_suffix(".png"), stem.with_suffix(".mask.png"), window, side)
        Image.fromarray(pixels.transpose(1, 2, 0).copy()).save(piece.image)
        Image.fromarray(labels).save(piece.mask)
        pieces.append(piece)
    return pieces


def tiled(folder: Path) -> list[Piece]:
    """Cut a photo of 50 x 40 as `noseam crop` does: three rows, the last of which overlaps, and two columns."""
    return cut(folder, *(Window(row, col, 20, 20) for row in (0, 20, 30) for col in (0, 20)))


@pytest.mark.parametrize(
    "window", [Window(0, 0, 50, 40), Window(13, 5, 9, 30), Window(35, 21, 1, 1), Window(-7, 10, 70, 9)]
)
def test_crops_side_by_side_give_any_window_of_the_photo(tmp_path: Path, window: Window) -> None:
    ground = Ground(tiled(tmp_path))
    assert ground.bounds == Window(0, 0, 50, 40)
    assert ground.holds(window)
    pixels, labels = ground.read(window, 9)
    margin = ((100, 100), (100, 100))
    place = (slice(window.row_off + 100, window.row_stop + 100), slice(window.col_off + 100, window.col_stop + 100))
    assert (pixels == np.pad(PHOTO, ((0, 0), *margin), mode="reflect")[:, *place]).all()
    assert (labels == np.pad(TRUTH, margin, mode="reflect")[place]).all()


def test_padding_of_a_crop_is_no_ground(tmp_path: Path) -> None:
    ground = Ground(cut(tmp_path, Window(30, 0, 20, 20), Window(40, 20, 10, 20)))
    assert not ground.holds(Window(35, 15, 10, 10))
    assert ground.holds(Window(42, 15, 8, 10))
    pixels, labels = ground.read(Window(42, 15, 8, 10), 9)
    assert (pixels == PHOTO[:, 42:50, 15:25]).all()
    assert (labels == TRUTH[42:50, 15:25]).all()


def some_window(generator: np.random.Generator, below: int) -> Window:
    return Window(*generator.integers(0, below, 2).tolist(), *generator.integers(1, 9, 2).tolist())


def test_holds_agrees_with_counting_pixels() -> None:
    generator = np.random.default_rng(5)
    seen = set()
    for _ in range(300):
        windows = [
            Window(*generator.integers(0, 12, 2).tolist(), *generator.integers(1, 9, 2).tolist()) for _ in "abcd"
        ]
        ground = Ground([Piece(Path(), Path(), window, 9) for window in windows])
        held = np.zeros((40, 40), np.bool_)
        for window in windows:
            held[window.slices] = True
        asked = some_window(generator, 15)
        bounds = ground.bounds
        rows, cols = asked.slices
        inside = held[rows, cols][
            max(bounds.row_off - asked.row_off, 0) : max(bounds.row_stop - asked.row_off, 0),
            max(bounds.col_off - asked.col_off, 0) : max(bounds.col_stop - asked.col_off, 0),
        ]
        assert ground.holds(asked) == bool(inside.all())
        seen.add(ground.holds(asked))
    assert seen == {True, False}


@pytest.mark.parametrize("length", [1, 2, 5])
def test_mirroring_is_that_of_numpy(length: int) -> None:
    expected = np.pad(np.arange(3, 3 + length), (9, 9), mode="reflect" if length > 1 else "edge")
    assert reflected(3 - 9, 3 + length + 9, 3, 3 + length).tolist() == expected.tolist()


def test_a_view_at_scale_one_is_what_the_reader_of_tiles_gives(tmp_path: Path) -> None:
    """Pillow's filter and GDAL's are the same one; they round differently."""
    piece = Piece(tmp_path / "a.png", tmp_path / "m.png", Window(0, 0, 500, 500), 500)
    smooth = Image.fromarray(noise(125, 125, 3)).resize((500, 500), Image.Resampling.BICUBIC)
    smooth.save(piece.image)
    Image.fromarray(noise(500, 500, high=9)).save(piece.mask)
    pixels, labels = show(View(piece.window, 500, 0.0), *Ground([piece]).read(piece.window, 9), 256)
    assert np.abs(pixels.astype(int) - read_pixels(piece.image, 256)).max() <= 1
    assert (labels == read_labels(piece.mask, 256, 9)).all()


@pytest.mark.parametrize("angle", [0.0, 0.3, -0.785])
@pytest.mark.parametrize("side", [40, 64, 99])
def test_labels_are_those_of_the_nearest_pixel(angle: float, side: int) -> None:
    """The slow definition: each model pixel has a centre, which lies in one source pixel."""
    reach = side if not angle else math.ceil(side * (math.cos(angle) + abs(math.sin(angle)))) + 2
    labels = noise(reach, reach, seed=3)
    _, found = show(View(Window(0, 0, reach, reach), side, angle), noise(3, reach, reach), labels, 64)
    expected, unsure = np.zeros((64, 64), np.uint8), 0
    for row in range(64):
        for col in range(64):
            down, across = ((place + 0.5 - 32) * side / 64 for place in (row, col))
            y = reach / 2 + down * math.cos(angle) + across * math.sin(angle)
            x = reach / 2 + across * math.cos(angle) - down * math.sin(angle)
            expected[row, col] = labels[math.floor(y), math.floor(x)]
            unsure += min(abs(y - round(y)), abs(x - round(x))) < 2e-3  # Pillow counts in 65536ths
    assert (found != expected).sum() <= unsure
    assert unsure < 400


@pytest.mark.parametrize("angle", [0.0, 0.5])
@pytest.mark.parametrize("side", [80, 128, 250])
def test_pixels_and_labels_move_alike(angle: float, side: int) -> None:
    """A photo that shows its labels as colours still does."""
    reach = side if not angle else math.ceil(side * (math.cos(angle) + math.sin(angle))) + 2
    coarse = noise(6, 6, high=2, seed=4) * 200 + 20
    shown = np.kron(coarse, np.ones((60, 60), np.uint8))[:reach, :reach].astype(np.uint8)
    pixels, labels = show(View(Window(0, 0, reach, reach), side, angle), np.stack([shown] * 3), shown, 128)
    assert set(np.unique(labels)) == {20, 220}
    assert ((pixels[0] > 120) == (labels > 120)).mean() > 0.985


def test_views_lie_around_their_crop_and_on_the_ground(tmp_path: Path) -> None:
    pieces = tiled(tmp_path)
    ground, sides = Ground(pieces), []
    for seed in range(400):
        view = draw_view(pieces[3], ground, Variation(zoom=(0.5, 2)), np.random.default_rng(seed))
        window = view.window
        assert window.height == window.width == view.side
        assert 0 <= window.row_off <= 50 - view.side
        assert 0 <= window.col_off <= 40 - view.side
        assert 20 - view.side < window.row_off < 40
        assert window.col_stop > 20
        sides.append(view.side)
    assert (min(sides), max(sides)) == (10, 40)
    assert 0.4 < np.mean([side > 20 for side in sides]) < 0.6  # as much is shown smaller as larger
    generators = map(np.random.default_rng, range(400))
    windows = [draw_view(pieces[3], ground, Variation(zoom=(2, 2)), each).window for each in generators]
    centres = {(window.row_off, window.col_off) for window in windows}
    assert len(centres) > 200


def test_a_view_larger_than_the_ground_holds_all_of_it(tmp_path: Path) -> None:
    (piece,) = cut(tmp_path, Window(0, 0, 20, 20))
    for seed in range(20):
        window = draw_view(piece, Ground([piece]), Variation(zoom=(0.5, 0.5)), np.random.default_rng(seed)).window
        assert window.height == 40
        assert -20 <= window.row_off <= 0
        assert -20 <= window.col_off <= 0


def test_a_set_knows_which_crops_lie_beside_each_other(tmp_path: Path) -> None:
    folder = crop_folder(tmp_path / "crops", train=4, val=2)
    text = (folder / "crops.csv").read_text().splitlines()
    rows = [dict(zip(next(csv.reader(text[:1])), row, strict=True)) for row in csv.reader(text[1:])]
    for index, row in enumerate(rows[:3]):
        row |= {"source": "one.JPG", "col_off": str(64 * index)}
    lines = [",".join(row.values()) for row in rows]
    (folder / "crops.csv").write_text("\n".join([text[0], *lines]) + "\n")
    crops = read_crop_set(folder).train.crops
    assert crops[0].ground is crops[1].ground is crops[2].ground
    assert crops[0].ground.bounds == Window(0, 0, 64, 192)
    assert crops[3].ground.bounds == Window(0, 0, 64, 64)


@pytest.mark.parametrize("tilt", [False, True])
def test_items_of_views_follow_from_seed_epoch_and_index(tmp_path: Path, tilt: bool) -> None:
    folder = crop_folder(tmp_path / "crops")
    variation = Variation(zoom=(0.5, 2), tilt=tilt, colour=0.4, shadow=0.5, blur=0.5, noise=0.5, jpeg=0.5)
    first, second = (
        CropDataset(read_crop_set(folder).train.crops, classes=2, input_px=64,
                    normalisation=Normalisation(), seed=1, variation=variation)
        for _ in "ab"
    )  # fmt: skip
    second[5]
    for name in ("pixel_values", "labels"):
        assert (first[2][name] == second[2][name]).all()
    assert set(first[2]["labels"].flatten().tolist()) <= {0, 1, 255}
    second.epoch = 1
    assert (first[2]["labels"] != second[2]["labels"]).any()


@pytest.mark.parametrize("zoom", [(2.0, 0.5), (0.1, 1.0), (1.0, 5.0)])
def test_scales_that_make_no_sense_are_refused(zoom: tuple[float, float]) -> None:
    with pytest.raises(TrainError, match="zoom"):
        Variation(zoom=zoom)
