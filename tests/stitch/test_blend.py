"""Blending, streaming and upsampling agree with the slow definition and with plain laws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.grids import grids
from tests.models import checkpoint, torch_engine
from tests.reference import judge
from tiler.classes import NO_LABEL
from tiler.errors import CoverError, LogitsError
from tiler.grid.tiles import Grid, Tile, plan_grid
from tiler.source.image import open_image
from tiler.source.tiles import read_tiles
from tiler.stitch.blend import Blender, LogitsBand
from tiler.stitch.stitcher import Stitcher
from tiler.stitch.taper import taper, tile_weights
from tiler.stitch.upsample import Upsampler, sample_points

Logits = NDArray[np.float32]
Engine = Callable[[NDArray[np.uint8]], Logits]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    model = checkpoint(tmp_path_factory.mktemp("model"))
    return torch_engine(model, device="cpu")


def stitch(grid: Grid, tiles: Iterable[tuple[Tile, Logits | None]], classes: int) -> NDArray[np.uint8]:
    stitcher = Stitcher(grid, classes)
    finished = (stitcher.skip(tile) if logits is None else stitcher.add(tile, logits) for tile, logits in tiles)
    return np.concatenate([rows.labels for part in finished for rows in part])


def random_tiles(grid: Grid, classes: int, seed: int = 0) -> list[tuple[Tile, Logits]]:
    generator = np.random.default_rng(seed)
    height, width = (side // 4 for side in grid.tile_shape)
    return [(tile, generator.normal(size=(classes, height, width)).astype(np.float32)) for tile in grid.tiles()]


def picture(kind: str, shape: tuple[int, int]) -> Image.Image:
    generator = np.random.default_rng(0)
    if kind == "noisy":
        return Image.fromarray(generator.integers(0, 256, (*shape, 3), dtype=np.uint8))
    coarse = tuple(max(side // 50, 2) for side in shape)
    blobs = Image.fromarray(generator.integers(0, 256, (*coarse, 3), dtype=np.uint8))
    return blobs.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)


SHAPES = [(1, 1), (1, 700), (700, 1), (63, 65), (511, 513), (1000, 1400)]
SCALES = [0.256, 1.0, 7 / 19]


SQUARES = {"tile": (512, 512), "overlap": (128, 128)}
RECTANGLES = {"tile": (256, 640), "overlap": (64, 96), "shift": (32, 160)}
HALVES = {"tile": (1024, 896), "overlap": (128, 128)}
CASES = [
    (kind, cut, shape, scale)
    for kind, cut in (("smooth", SQUARES), ("noisy", RECTANGLES))
    for shape in SHAPES
    for scale in SCALES
]
PHOTO = (4000, 6000), 0.256


@pytest.mark.parametrize(
    ("kind", "cut", "shape", "scale"),
    [*CASES, ("noisy", HALVES, *PHOTO), pytest.param("smooth", SQUARES, *PHOTO, marks=pytest.mark.slow)],
)
def test_labels_are_those_of_the_slow_definition(
    tmp_path: Path, engine: Engine, kind: str, cut: dict[str, tuple[int, int]], shape: tuple[int, int], scale: float
) -> None:
    picture(kind, shape).save(tmp_path / "image.png")
    grid = plan_grid(shape, scale=scale, **cut)
    with open_image(tmp_path / "image.png") as image:
        tiles = [
            (tile, engine(pixels[np.newaxis])[0]) for tile, pixels in read_tiles(image, grid) if pixels is not None
        ]
    verdict = judge(stitch(grid, tiles, 24), grid, tiles)
    print(f"{kind} {shape} at {scale:.3f}: {verdict}")  # `pytest -s` shows the figures
    assert verdict.differing <= 0.001 * shape[0] * shape[1]
    assert verdict.worst_regret <= 0.1 * verdict.mean_margin  # every difference is a near-tie


@given(grids())
def test_every_pixel_gets_a_label_and_the_border_is_not_lost(grid: Grid) -> None:
    labels = stitch(grid, random_tiles(grid, 3), 3)
    assert labels.shape == grid.source_shape
    assert (labels != NO_LABEL).all()


@given(grids())
def test_constant_logits_give_a_constant_map(grid: Grid) -> None:
    height, width = (side // 4 for side in grid.tile_shape)
    logits = np.broadcast_to(np.array([1, 3, 2], np.float32)[:, np.newaxis, np.newaxis], (3, height, width))
    assert (stitch(grid, ((tile, logits) for tile in grid.tiles()), 3) == 1).all()


@given(grids(), st.integers(0, 2**32 - 1))
def test_cutting_one_field_of_logits_and_stitching_it_is_the_identity(grid: Grid, seed: int) -> None:
    field = np.random.default_rng(seed).normal(size=(3, *grid.cells_shape)).astype(np.float32)
    blender = Blender(grid, 3)
    bands = [blender.add(tile, field[(slice(None), *tile.cells.slices)]) for tile in grid.tiles()]
    rows = np.full_like(field, np.nan)
    for band in filter(None, bands):
        rows[:, band.row_off : band.row_stop] = band.values
    np.testing.assert_allclose(rows, field, rtol=1e-5, atol=1e-5)


@given(grids(), st.randoms(use_true_random=False))
def test_the_order_of_tiles_within_a_row_does_not_matter(grid: Grid, random: object) -> None:
    tiles = random_tiles(grid, 3)
    blenders = Blender(grid, 3), Blender(grid, 3)
    columns = len(grid.col_offs)
    for row in range(len(grid.row_offs)):
        in_order = tiles[row * columns : (row + 1) * columns]
        shuffled = list(in_order)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        expected = [blenders[0].add(*entry) for entry in in_order][-1]
        found = [blenders[1].add(*entry) for entry in shuffled][-1]
        assert isinstance(expected, LogitsBand)
        assert isinstance(found, LogitsBand)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-5)


@settings(max_examples=30)
@given(grids(), st.integers(1, 7))
def test_labels_do_not_depend_on_where_bands_end(grid: Grid, rows: int) -> None:
    field = np.random.default_rng(1).normal(size=(3, *grid.cells_shape)).astype(np.float32)
    upsampler = Upsampler(grid)
    whole = np.concatenate([rows.labels for rows in upsampler.rows(LogitsBand(0, field))])
    stops = [*range(2, len(field[0]), rows), len(field[0])]
    starts = [0, *(stop - 1 for stop in stops[:-1])]
    parts = [LogitsBand(start, field[:, start:stop]) for start, stop in zip(starts, stops, strict=True)]
    np.testing.assert_array_equal(np.concatenate([x.labels for part in parts for x in upsampler.rows(part)]), whole)


@given(grids())
def test_bands_share_one_row_and_cover_the_logits_grid(grid: Grid) -> None:
    blender = Blender(grid, 2)
    bands = [band for entry in random_tiles(grid, 2) if (band := blender.add(*entry))]
    assert len(bands) == len(grid.row_offs)
    assert bands[0].row_off == 0
    assert bands[-1].row_stop == grid.cells_shape[0]
    assert all(after.row_off == before.row_stop - 1 for before, after in pairwise(bands))


def test_upsampling_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    grid = plan_grid((128, 256), scale=1, tile=(64, 64), overlap=(0, 0))
    field = np.random.default_rng(0).normal(size=(5, *grid.cells_shape)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(field)[None], size=(128, 256), mode="bilinear")[0]
    labels = np.concatenate([rows.labels for rows in Upsampler(grid).rows(LogitsBand(0, field))])
    assert (labels != expected.argmax(0).numpy()).mean() < 1e-4


def test_the_lower_id_wins_a_tie() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    labels = stitch(grid, [(tile, np.zeros((4, 16, 16), np.float32)) for tile in grid.tiles()], 4)
    assert (labels == 0).all()


def test_pixels_that_only_skipped_tiles_cover_get_no_label() -> None:
    grid = plan_grid((64, 256), scale=1, tile=(64, 64), overlap=(0, 0))
    logits = np.zeros((2, 16, 16), np.float32)
    labels = stitch(grid, ((tile, None if tile.col == 1 else logits) for tile in grid.tiles()), 2)
    missing = labels == NO_LABEL
    assert missing[:, 64:128].all()
    assert missing.sum(axis=1).max() <= 64 + 4  # bilinear reach: half a cell beyond each side
    assert not missing[:, :60].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_unusable_logits_name_their_tile(value: float) -> None:
    grid = plan_grid((64, 200), scale=0.5, tile=(64, 64), overlap=(0, 0))
    blender = Blender(grid, 2)
    tiles = random_tiles(grid, 2)
    blender.add(*tiles[0])
    tiles[1][1][1, 3, 3] = value
    with pytest.raises(LogitsError, match=r"tile \(0, 1\), source rows 0-63, columns 128-199: 1 of 512 logits"):
        blender.add(*tiles[1])


@pytest.mark.parametrize("order", ["channels last", "mirrored", "float64", "read only"])
def test_logits_may_lie_in_memory_as_they_like(order: str) -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    (tile, plain) = random_tiles(grid, 3)[0]
    orders: dict[str, NDArray[np.float32] | NDArray[np.float64]] = {
        "channels last": np.ascontiguousarray(plain.transpose(1, 2, 0)).transpose(2, 0, 1),
        "mirrored": np.ascontiguousarray(plain[:, ::-1])[:, ::-1],
        "float64": plain.astype(np.float64),
        "read only": plain.copy(),
    }
    logits = orders[order]
    logits.flags.writeable = False
    band = Blender(grid, 3).add(tile, logits)  # type: ignore[arg-type]
    assert isinstance(band, LogitsBand)
    np.testing.assert_array_equal(band.values, plain)


def test_logits_of_another_shape_are_refused() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    with pytest.raises(LogitsError, match=r"\(2, 16, 16\) expected, \(2, 64, 64\) got"):
        Blender(grid, 2).add(next(grid.tiles()), np.zeros((2, 64, 64), np.float32))


def test_a_tile_twice_or_out_of_turn_is_refused() -> None:
    grid = plan_grid((200, 200), scale=1, tile=(64, 64), overlap=(0, 0))
    tiles = random_tiles(grid, 1)
    blender = Blender(grid, 1)
    blender.add(*tiles[0])
    with pytest.raises(CoverError, match=r"tile \(0, 0\).* came twice or out of turn"):
        blender.add(*tiles[0])
    with pytest.raises(CoverError, match=r"tile \(3, 3\).* came twice or out of turn"):
        blender.skip(tiles[-1][0])


@given(st.integers(1, 200), st.data())
def test_the_tapers_of_neighbours_sum_to_one(cells: int, data: st.DataObject) -> None:
    shared = data.draw(st.integers(0, cells))
    before, after = taper(cells, rise=0, fall=shared), taper(cells, rise=shared, fall=0)
    np.testing.assert_allclose(before[cells - shared :] + after[:shared], 1, rtol=1e-6)
    assert (before[: cells - shared] == 1).all()
    assert (before > 0).all()


@given(grids())
def test_weights_are_one_up_to_the_border_of_the_image(grid: Grid) -> None:
    for tile in grid.tiles():
        weights = tile_weights(grid, tile)
        assert (weights > 0).all()
        if len(grid) == 1:
            assert (weights == 1).all()
        if tile.row == 0:
            assert weights[0].max() == weights[: len(weights) // 4].max()
        if tile.row == len(grid.row_offs) - 1:
            assert weights[-1].max() == weights[-len(weights) // 4 :].max()


@given(st.integers(1, 500), st.integers(1, 500), st.integers(16, 200))
def test_sample_points_stay_on_the_grid(source: int, model: int, cells: int) -> None:
    lower, fraction = sample_points(source=source, model=model, cells=cells)
    assert (lower >= 0).all()
    assert (lower <= cells - 2).all()
    assert (np.diff(lower) >= 0).all()
    assert (fraction >= 0).all()
    assert (fraction <= 1).all()
