"""Stitching on a device gives the labels of the CPU except near ties, in bounded memory; it refuses the same logits.

Tensor operations and kernels do so alike.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from segment.engine import device_stitch, device_tensors
from segment.engine.device_blend import DeviceBlender
from segment.engine.device_stitch import DeviceStitcher
from segment.engine.device_tensors import Tensors
from tests.device_work import BOTH, CPU, work_of
from tests.grids import grids
from tiler.classes import NO_LABEL
from tiler.errors import CoverError, LogitsError
from tiler.grid.parts import Span, rows_of_tiles
from tiler.grid.tiles import Grid, Tile, plan_grid
from tiler.stitch.blend import Blender
from tiler.stitch.stitcher import Stitcher
from tiler.stitch.taper import tile_weights
from tiler.stitch.upsample import MaskRows, sample_points

NEAR_TIE = 1e-5
"""Labels may differ where the logits of the two classes differ by less than this part of the range of all logits."""

Logits = NDArray[np.float32]
Tiles = list[tuple[Tile, Logits | None]]


def random_tiles(grid: Grid, classes: int, *, seed: int = 0, skipped: float = 0) -> Tiles:
    generator = np.random.default_rng(seed)
    height, width = (side // 4 for side in grid.tile_shape)
    return [
        (tile, None if generator.random() < skipped else generator.normal(size=(classes, height, width)).astype("f4"))
        for tile in grid.tiles()
    ]


def stitch(
    grid: Grid,
    tiles: Iterable[tuple[Tile, Logits | None]],
    classes: int,
    *,
    confidence: bool = False,
    name: str = "tensors",
    dtype: torch.dtype = torch.float32,
    last: bool = False,
) -> MaskRows:
    """Return the masks of an image; with `last`, the classes of a cell lie side by side in memory."""
    work, device = work_of(name)
    stitcher = DeviceStitcher(grid, classes, device, confidence=confidence, work=work)
    rows = [
        rows
        for tile, logits in tiles
        for rows in (
            stitcher.skip(tile)
            if logits is None
            else stitcher.add(tile, laid_out(torch.from_numpy(logits).to(device, dtype), last))
        )
    ]
    sure = [part.confidence for part in rows if part.confidence is not None]
    assert len(sure) == (len(rows) if confidence else 0)
    return MaskRows(np.concatenate([part.labels for part in rows]), np.concatenate(sure) if sure else None)


def laid_out(logits: Tensor, last: bool) -> Tensor:
    return logits.permute(1, 2, 0).contiguous().permute(2, 0, 1) if last else logits


def upsampled(grid: Grid, tiles: Tiles, classes: int) -> NDArray[np.float64]:
    """Return the blended logits of the CPU, sampled in float64 at every pixel: (C, height, width)."""
    blender = Blender(grid, classes)
    field = np.full((classes, *grid.cells_shape), np.nan)
    for tile, logits in tiles:
        band = blender.skip(tile) if logits is None else blender.add(tile, logits)
        if band is not None:
            field[:, band.row_off : band.row_stop] = band.values
    for axis, source, model in zip((1, 2), grid.source_shape, grid.model_shape, strict=True):
        lower, fraction = sample_points(source=source, model=model, cells=field.shape[axis])
        share = fraction.astype(np.float64).reshape((-1, 1) if axis == 1 else (-1,))
        field = field.take(lower, axis) * (1 - share) + field.take(lower + 1, axis) * share
    return field


def assert_masks_of(field: NDArray[np.float64], masks: MaskRows) -> None:
    """Compare masks with the argmax and the margin of logits, (C, height, width)."""
    labels, missing = masks.labels, np.isnan(field).any(axis=0)
    assert labels.shape == missing.shape
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels == NO_LABEL, missing)
    field = np.where(missing, 0, field)
    chosen = np.take_along_axis(field, np.where(missing, 0, labels)[np.newaxis].astype(int), axis=0)[0]
    assert (field.max(axis=0) - chosen).max() <= NEAR_TIE * np.ptp(field)
    if masks.confidence is not None:
        first, second = np.sort(np.concatenate([field, np.full_like(field[:1], -np.inf)]), axis=0)[:-3:-1]
        expected = np.where(missing, NO_LABEL, np.round(254 * np.tanh((first - second) / 2)))
        assert masks.confidence.dtype == np.uint8
        assert np.abs(masks.confidence - expected).max() <= 1
        np.testing.assert_array_equal(masks.confidence == NO_LABEL, missing)


@settings(max_examples=40)
@given(grids(scales=(0.05, 4)), st.integers(1, 6), st.sampled_from([0, 0.3, 0.8]), st.integers(0, 2**32 - 1))
def test_masks_are_those_of_the_cpu(grid: Grid, classes: int, skipped: float, seed: int) -> None:
    tiles = random_tiles(grid, classes, seed=seed, skipped=skipped)
    assert_masks_of(upsampled(grid, tiles, classes), stitch(grid, tiles, classes, confidence=True))


@settings(max_examples=10)
@given(
    grids(most=150, scales=(0.05, 2)), st.integers(1, 5), st.sampled_from([0, 0.3, 0.8]), st.booleans(), st.booleans()
)
def test_masks_by_kernels_are_those_of_the_cpu(
    grid: Grid, classes: int, skipped: float, confidence: bool, last: bool
) -> None:
    tiles = random_tiles(grid, classes, skipped=skipped)
    found = stitch(grid, tiles, classes, confidence=confidence, name="kernels", last=last)
    assert_masks_of(upsampled(grid, tiles, classes), found)


@BOTH
@pytest.mark.parametrize("classes", [1, 2, 24])
def test_masks_are_those_of_the_stitcher_on_the_cpu(name: str, classes: int) -> None:
    grid = plan_grid((200, 300), scale=0.7, tile=(96, 96), overlap=(32, 32))
    tiles = random_tiles(grid, classes, skipped=0.1)
    stitcher = Stitcher(grid, classes, confidence=True)
    found, rows = stitch(grid, tiles, classes, confidence=True, name=name), 0
    assert found.confidence is not None
    for tile, logits in tiles:
        for part in stitcher.skip(tile) if logits is None else stitcher.add(tile, logits):
            here = slice(rows, rows := rows + len(part.labels))
            assert (found.labels[here] != part.labels).mean() <= 1e-4
            assert part.confidence is not None
            assert np.abs(found.confidence[here].astype(int) - part.confidence).max() <= 1
    assert rows == 200


@BOTH
@pytest.mark.parametrize("classes", [1, 2, 24])
def test_disagreement_is_that_of_the_stitcher_on_the_cpu_and_the_rest_stays(name: str, classes: int) -> None:
    grid = plan_grid((200, 300), scale=0.7, tile=(96, 96), overlap=(32, 32))
    tiles = [
        (tile, None if logits is None else 3 * logits) for tile, logits in random_tiles(grid, classes, skipped=0.1)
    ]
    plain = stitch(grid, tiles, classes, confidence=True, name=name)
    work, device = work_of(name)
    on_cpu = Stitcher(grid, classes, confidence=True, disagreement=True)
    on_device = DeviceStitcher(grid, classes, device, confidence=True, disagreement=True, work=work)
    found, expected = list[MaskRows](), list[MaskRows]()
    for tile, logits in tiles:
        if logits is None:
            found += on_device.skip(tile)
            expected += on_cpu.skip(tile)
        else:
            found += on_device.add(tile, torch.from_numpy(logits).to(device))
            expected += on_cpu.add(tile, logits)
    one, other = (np.concatenate([part.disagreement for part in rows]) for rows in (found, expected))
    np.testing.assert_array_equal(one == 255, other == 255)
    assert np.abs(one.astype(int) - other).max() <= 1
    assert len(np.unique(one)) > (2 if classes > 1 else 1)
    np.testing.assert_array_equal(np.concatenate([part.labels for part in found]), plain.labels)
    np.testing.assert_array_equal(np.concatenate([part.confidence for part in found]), plain.confidence)


@BOTH
def test_logits_are_divided_by_the_temperature_and_labels_stay(name: str) -> None:
    grid = plan_grid((100, 130), scale=0.7, tile=(96, 96), overlap=(32, 32))
    (work, device), tiles = work_of(name), random_tiles(grid, 4)
    plain = stitch(grid, tiles, 4, name=name)
    on_cpu = Stitcher(grid, 4, confidence=True, temperature=2.5)
    on_device = DeviceStitcher(grid, 4, device, confidence=True, temperature=2.5, work=work)
    found, expected = list[MaskRows](), list[MaskRows]()
    for tile, logits in tiles:
        assert logits is not None
        found += on_device.add(tile, torch.from_numpy(logits).to(device))
        expected += on_cpu.add(tile, logits)
    one, other = (np.concatenate([part.confidence for part in rows]) for rows in (found, expected))
    assert np.abs(one.astype(int) - other).max() <= 1
    np.testing.assert_array_equal(np.concatenate([part.labels for part in found]), plain.labels)


@BOTH
@pytest.mark.parametrize("rows_at_once", [2**20, 8000])
def test_parts_have_the_disagreement_of_the_whole(
    name: str, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_stitch, "BUFFER_BYTES", rows_at_once)
    grid = plan_grid((230, 130), scale=0.7, tile=(64, 64), overlap=(32, 32))
    (work, device), tiles = work_of(name), random_tiles(grid, 3)
    found = {}
    for spans in ((Span(0, 230),), (Span(0, 7), Span(7, 130), Span(130, 230))):
        found[len(spans)] = np.concatenate([
            rows.disagreement
            for span in spans
            for stitcher in [DeviceStitcher(grid, 3, device, disagreement=True, span=span, work=work)]
            for tile, logits in tiles
            if tile.row in rows_of_tiles(grid, span) and logits is not None
            for rows in stitcher.add(tile, torch.from_numpy(logits).to(device))
            if rows.disagreement is not None
        ])  # fmt: skip
    assert found[1].shape == (230, 130)
    np.testing.assert_array_equal(found[3], found[1])


@pytest.mark.parametrize(
    ("classes", "confidence"), [(1, False), (1, True), (2, False), (24, False), (24, True), (150, False), (255, True)]
)
@BOTH
def test_any_number_of_classes(name: str, classes: int, confidence: bool) -> None:
    grid = plan_grid((40, 90), scale=1, tile=(64, 64), overlap=(16, 16))
    tiles = random_tiles(grid, classes)
    found = stitch(grid, tiles, classes, confidence=confidence, name=name)
    assert_masks_of(upsampled(grid, tiles, classes), found)


@pytest.mark.parametrize("held", [1, 30_000, 200_000])
def test_masks_are_the_same_however_few_rows_and_classes_are_held(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    grid = plan_grid((200, 130), scale=0.7, tile=(64, 64), overlap=(32, 32))
    tiles = random_tiles(grid, 7, skipped=0.1)
    whole = stitch(grid, tiles, 7, confidence=True)
    monkeypatch.setattr(device_tensors, "_BYTES", held)
    assert whole.confidence is not None
    parts = stitch(grid, tiles, 7, confidence=True)
    np.testing.assert_array_equal(parts.labels, whole.labels)
    np.testing.assert_array_equal(parts.confidence, whole.confidence)


@BOTH
def test_parts_of_an_image_are_the_rows_of_the_whole(name: str) -> None:
    grid = plan_grid((230, 130), scale=0.7, tile=(64, 64), overlap=(32, 32))
    tiles = random_tiles(grid, 3)
    work, device = work_of(name)
    parts = []
    for span in (Span(0, 7), Span(7, 130), Span(130, 230)):
        stitcher = DeviceStitcher(grid, 3, device, confidence=True, span=span, work=work)
        for tile, logits in tiles:
            if tile.row in rows_of_tiles(grid, span) and logits is not None:
                parts += list(stitcher.add(tile, torch.from_numpy(logits).to(device)))
    whole = stitch(grid, tiles, 3, confidence=True, name=name)
    for masks in ("labels", "confidence"):
        found = np.concatenate([getattr(part, masks) for part in parts])
        np.testing.assert_array_equal(found, getattr(whole, masks))


@BOTH
def test_masks_are_the_same_however_many_rows_come_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = plan_grid((200, 130), scale=0.7, tile=(64, 64), overlap=(32, 32))
    work, device = work_of(name)
    pieces = []
    for size in (2**20, 5000):
        monkeypatch.setattr(device_stitch, "BUFFER_BYTES", size)
        stitcher = DeviceStitcher(grid, 3, device, confidence=True, work=work)
        tiles = [
            (tile, torch.from_numpy(logits).to(device)) for tile, logits in random_tiles(grid, 3) if logits is not None
        ]
        pieces.append([rows for tile, logits in tiles for rows in stitcher.add(tile, logits)])
    assert len(pieces[0]) == len(grid.row_offs)
    assert max(rows.labels.nbytes for rows in pieces[1]) <= 2500
    for masks in ("labels", "confidence"):
        few, many = (np.concatenate([getattr(rows, masks) for rows in each]) for each in pieces)
        np.testing.assert_array_equal(few, many)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made and still live, and the most of them at one time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):
                self._count(tensor, made=False)
        out = func(*args, **kwargs or {})
        for tensor in tree_leaves(out):
            self._count(tensor, made=True)
        return out

    def _count(self, tensor: Tensor, *, made: bool) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes() * made
        if key not in self._known:
            self._known.add(key)
            self.live += size
            self.most = max(self.most, self.live)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.live -= size


@pytest.mark.parametrize("scale", [0.6, 1, 6])
@pytest.mark.parametrize("classes", [1, 2, 24, 150])
def test_memory_for_a_band_of_rows_is_bounded(monkeypatch: pytest.MonkeyPatch, classes: int, scale: float) -> None:
    monkeypatch.setattr(device_tensors, "_BYTES", 2**19)
    grid = plan_grid((400, 600), scale=scale, tile=(64, 64), overlap=(0, 0))
    stitcher = DeviceStitcher(grid, classes, CPU, confidence=True)
    waiting = [stitcher.add(tile, torch.zeros(classes, 16, 16)) for tile in grid.row_tiles(0)]
    with LiveBytes() as memory:
        labels = [rows.labels for rows in waiting[-1]]
    masks = 2 * sum(part.nbytes for part in labels)
    assert 2**16 < memory.most <= 2**19 + masks


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("last", [False, True])
@BOTH
def test_logits_of_any_float_type_are_blended_in_float32(name: str, last: bool, dtype: torch.dtype) -> None:
    grid = plan_grid((150, 190), scale=1, tile=(64, 64), overlap=(16, 16))
    tiles: Tiles = [
        (tile, torch.from_numpy(logits).to(dtype).float().numpy())
        for tile, logits in random_tiles(grid, 5)
        if logits is not None
    ]
    found = stitch(grid, tiles, 5, confidence=True, name=name, dtype=dtype, last=last)
    assert_masks_of(upsampled(grid, tiles, 5), found)


@BOTH
def test_the_lower_id_wins_a_tie(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_tensors, "_CLASSES_AT_ONCE", 2)  # the tie is between chunks
    grid = plan_grid((100, 100), scale=0.7, tile=(64, 64), overlap=(0, 0))
    logits = np.zeros((7, 16, 16), np.float32)
    logits[3] = logits[5] = 1
    masks = stitch(grid, [(tile, logits) for tile in grid.tiles()], 7, confidence=True, name=name)
    assert (masks.labels == 3).all()
    assert masks.confidence is not None
    assert (masks.confidence == 0).all()


@BOTH
def test_one_class_is_certain(name: str) -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    masks = stitch(grid, random_tiles(grid, 1), 1, confidence=True, name=name)
    assert masks.confidence is not None
    assert (masks.confidence == 254).all()


@BOTH
def test_an_image_without_one_tile_is_all_no_label(name: str) -> None:
    grid = plan_grid((150, 100), scale=1, tile=(64, 64), overlap=(0, 0))
    masks = stitch(grid, [(tile, None) for tile in grid.tiles()], 3, confidence=True, name=name)
    assert masks.labels.shape == (150, 100)
    assert (masks.labels == NO_LABEL).all()
    assert masks.confidence is not None
    assert (masks.confidence == NO_LABEL).all()


def test_rows_may_be_drawn_late_and_belong_to_the_caller() -> None:
    grid = plan_grid((200, 130), scale=1, tile=(64, 64), overlap=(32, 32))
    tiles = random_tiles(grid, 3)
    stitcher = DeviceStitcher(grid, 3, CPU)
    iterators = [stitcher.add(tile, torch.from_numpy(logits)) for tile, logits in tiles if logits is not None]
    late = []
    for part in (part for iterator in iterators for part in iterator):
        late.append(part.labels.copy())
        part.labels[:] = 77
    np.testing.assert_array_equal(np.concatenate(late), stitch(grid, tiles, 3).labels)


def test_rows_come_when_a_row_of_tiles_is_complete_in_any_order() -> None:
    grid = plan_grid((200, 130), scale=1, tile=(64, 64), overlap=(32, 32))
    tiles = random_tiles(grid, 3)
    columns = len(grid.col_offs)
    turned = [tile for start in range(0, len(tiles), columns) for tile in tiles[start : start + columns][::-1]]
    assert_masks_of(upsampled(grid, tiles, 3), stitch(grid, turned, 3))
    stitcher = DeviceStitcher(grid, 3, CPU)
    counts = [sum(len(rows.labels) for rows in stitcher.skip(tile)) for tile, _ in turned]
    assert all(not count for index, count in enumerate(counts, 1) if index % columns)
    assert all(counts[columns - 1 :: columns])


def test_logits_may_be_overwritten_after_they_were_added() -> None:
    grid = plan_grid((64, 100), scale=1, tile=(64, 64), overlap=(0, 0))
    tiles = random_tiles(grid, 3)
    stitcher = DeviceStitcher(grid, 3, CPU)
    found = []
    for tile, logits in tiles:
        buffer = torch.tensor(logits)
        rows = stitcher.add(tile, buffer)
        buffer.zero_()
        found += [part.labels for part in rows]
    np.testing.assert_array_equal(np.concatenate(found), stitch(grid, tiles, 3).labels)


def test_it_works_inside_and_outside_inference_mode() -> None:
    grid = plan_grid((130, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    tiles = random_tiles(grid, 3)
    with torch.inference_mode():
        stitcher = DeviceStitcher(grid, 3, CPU)
        first = [rows.labels for rows in stitcher.add(tiles[0][0], torch.tensor(tiles[0][1]))]
    rest = [rows.labels for tile, logits in tiles[1:] for rows in stitcher.add(tile, torch.tensor(logits))]
    np.testing.assert_array_equal(np.concatenate([*first, *rest]), stitch(grid, tiles, 3).labels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@BOTH
def test_unusable_logits_name_their_tile_before_any_row_comes(name: str, value: float, dtype: torch.dtype) -> None:
    grid = plan_grid((64, 200), scale=0.5, tile=(64, 64), overlap=(0, 0))
    work, device = work_of(name)
    stitcher = DeviceStitcher(grid, 2, device, work=work)
    tiles = random_tiles(grid, 2)
    assert tiles[1][1] is not None
    tiles[1][1][1, 3, 3] = value
    *_, last = [stitcher.add(tile, torch.tensor(logits, dtype=dtype, device=device)) for tile, logits in tiles]
    with pytest.raises(LogitsError, match=r"tile \(0, 1\), source rows 0-63, columns 128-199: 1 of 512 logits are NaN"):
        next(last)


@BOTH
def test_unusable_logits_of_a_row_of_tiles_that_finishes_no_pixel_are_refused(name: str) -> None:
    grid = plan_grid((3, 1), scale=100, tile=(128, 128), overlap=(64, 64))
    work, device = work_of(name)
    logits = torch.ones(1, 32, 32, device=device)
    counts = []
    for bad in grid.tiles():
        stitcher = DeviceStitcher(grid, 1, device, work=work)
        for tile in grid.row_tiles(0) if bad.row == 0 else list(grid.tiles())[: bad.row]:
            good = list(stitcher.add(tile, logits)) if tile.row < bad.row else []
        counts.append(sum(len(rows.labels) for rows in good))
        rows = stitcher.add(bad, logits * np.nan)
        with pytest.raises(LogitsError, match=rf"tile \({bad.row}, 0\)"):
            list(rows)
    assert 0 in counts[1:]


@BOTH
def test_large_logits_are_no_infinite_ones(name: str) -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    logits = np.full((2, 16, 16), -3e38, np.float32)
    assert (stitch(grid, [(tile, logits) for tile in grid.tiles()], 2, name=name).labels == 0).all()


def test_logits_of_another_shape_are_refused() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    with pytest.raises(LogitsError, match=r"\(2, 16, 16\) expected, \(2, 64, 64\) got"):
        DeviceStitcher(grid, 2, CPU).add(next(grid.tiles()), torch.zeros(2, 64, 64))


def test_a_tile_twice_or_out_of_turn_is_refused_as_by_the_blender() -> None:
    grid = plan_grid((200, 200), scale=1, tile=(64, 64), overlap=(0, 0))
    tiles = list(grid.tiles())
    stitcher, blender = DeviceStitcher(grid, 1, CPU), Blender(grid, 1)
    stitcher.skip(tiles[0])
    blender.skip(tiles[0])
    for wrong in (tiles[0], tiles[-1]):
        with pytest.raises(CoverError, match="came twice or out of turn") as by_blender:
            blender.skip(wrong)
        with pytest.raises(CoverError, match="came twice or out of turn") as by_skip:
            stitcher.skip(wrong)
        with pytest.raises(CoverError, match="came twice or out of turn") as by_add:
            stitcher.add(wrong, torch.zeros(1, 16, 16))
        assert str(by_blender.value) == str(by_skip.value) == str(by_add.value)


def test_a_tile_after_the_last_row_is_refused() -> None:
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    (tile,) = grid.tiles()
    stitcher = DeviceStitcher(grid, 1, CPU)
    list(stitcher.skip(tile))
    with pytest.raises(CoverError, match="row 1 of tiles waits for"):
        stitcher.skip(tile)


@given(grids())
def test_tiles_with_the_same_strides_around_have_the_same_weights(grid: Grid) -> None:
    blender = DeviceBlender(grid, 1, CPU, Tensors())
    found = [blender._tile_weights(tile) for tile in grid.tiles()]
    for tile, weights in zip(grid.tiles(), found, strict=True):
        np.testing.assert_array_equal(weights.numpy(), tile_weights(grid, tile))
    kinds = {id(weights) for weights in found}
    assert len(kinds) <= 81  # strides before and after: none or one of two that differ by 32, on two axes


def test_images_of_one_size_share_what_lies_on_the_device() -> None:
    grid = plan_grid((200, 130), scale=0.7, tile=(64, 64), overlap=(32, 32))
    first, second = DeviceStitcher(grid, 2, CPU), DeviceStitcher(grid, 2, CPU)
    assert first._upsampler._cols is second._upsampler._cols
    tile = next(grid.tiles())
    assert first._blender._tile_weights(tile) is second._blender._tile_weights(tile)
