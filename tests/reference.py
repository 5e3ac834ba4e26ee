"""The slow, obvious definition of a seamless label map; tests compare the fast one with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiler.grid.tiles import LOGITS_STRIDE, Grid, Tile

_ROWS_AT_ONCE = 8  # so few that the processor's cache holds them: four times as fast as 128


@dataclass(frozen=True)
class Verdict:
    """How a label map compares with the slow definition."""

    differing: int
    """Number of pixels whose label is another."""
    worst_regret: float
    """Most that a pixel's label falls short of the best, in reference logits; 0 where labels agree."""
    mean_margin: float
    """Mean of the largest less the second largest reference logit, over every 8th row."""


def judge(labels: NDArray[np.uint8], grid: Grid, tiles: Sequence[tuple[Tile, NDArray[np.float32]]]) -> Verdict:
    """Upsample every tile's logits to its source pixels, weight, sum, divide, argmax in float64; compare."""
    assert labels.shape == grid.source_shape
    differing, worst, margins = 0, 0.0, []
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(labels)))
        logits = _blend(grid, tiles, rows)
        other = labels[rows] != logits.argmax(axis=0)
        chosen = np.take_along_axis(logits, labels[rows][np.newaxis].astype(int), axis=0)[0]
        differing += int(other.sum())
        worst = max(worst, float((logits.max(axis=0) - chosen)[other].max(initial=0)))
        top = np.partition(logits[:, :1], -2, axis=0)[-2:]
        margins.append(float((top[1] - top[0]).mean()))
    return Verdict(differing, worst, float(np.mean(margins)))


def _blend(
    grid: Grid, tiles: Sequence[tuple[Tile, NDArray[np.float32]]], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return `sum(w_k L_k) / sum(w_k)` at the centres of the pixels of some source rows, (C, rows, width)."""
    width = grid.source_shape[1]
    y = (rows + 0.5) * grid.model_shape[0] / grid.source_shape[0]
    x = (np.arange(width) + 0.5) * grid.model_shape[1] / width
    total = np.zeros((tiles[0][1].shape[0], len(rows), width))
    weight = np.zeros((len(rows), width))
    for tile, logits in tiles:
        window = tile.window
        in_y = np.flatnonzero((y >= window.row_off) & (y < window.row_stop))
        in_x = np.flatnonzero((x >= window.col_off) & (x < window.col_stop))
        if not (len(in_y) and len(in_x)):
            continue
        where = np.ix_(in_y, in_x)
        w = np.outer(
            _ramp(y[in_y], grid.row_offs, tile.row, grid.tile_shape[0]),
            _ramp(x[in_x], grid.col_offs, tile.col, grid.tile_shape[1]),
        )
        up = _interpolate(logits.astype(np.float64), y[in_y] - window.row_off, axis=1)
        total[:, where[0], where[1]] += w * _interpolate(up, x[in_x] - window.col_off, axis=2)
        weight[where] += w
    assert (weight > 0).all()
    return total / weight


def _interpolate(logits: NDArray[np.float64], position: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Sample one axis of logits linearly at model pixels, with the outer half cells held constant."""
    cells = logits.shape[axis]
    v = np.clip(position / LOGITS_STRIDE - 0.5, 0, cells - 1)
    lower = np.minimum(v.astype(int), cells - 2)
    share = np.expand_dims(v - lower, tuple(range(1, logits.ndim - axis)))
    sampled: NDArray[np.float64] = np.take(logits, lower, axis) * (1 - share) + np.take(logits, lower + 1, axis) * share
    return sampled


def _ramp(position: NDArray[np.float64], offs: Sequence[int], index: int, tile_px: int) -> NDArray[np.float64]:
    """Return the blend weight of a tile along one axis, as a function of the model pixel."""
    weight = np.ones_like(position)
    if index > 0:
        shared = offs[index - 1] + tile_px - offs[index]
        into = np.minimum((position - offs[index]) / max(shared, 1e-9), 1)
        weight *= into if shared > 0 else 1
    if index + 1 < len(offs):
        shared = offs[index] + tile_px - offs[index + 1]
        left = np.minimum((offs[index] + tile_px - position) / max(shared, 1e-9), 1)
        weight *= left if shared > 0 else 1
    return weight


def disagreement(grid: Grid, tiles: Sequence[tuple[Tile, NDArray[np.float32]]]) -> NDArray[np.float64]:
    """Return `sqrt(1 - sum_c prod_k p_k(c) ** w_k)` of each cell, (rows, cols); NaN where fewer than two tiles vote."""
    found = np.full(grid.cells_shape, np.nan)
    for row, col in np.ndindex(*grid.cells_shape):
        votes = []
        for tile, logits in tiles:
            y, x = row - tile.cells.row_off, col - tile.cells.col_off
            if 0 <= y < tile.cells.height and 0 <= x < tile.cells.width:
                at = (np.array([y, x]) + 0.5) * LOGITS_STRIDE
                weight = np.prod([
                    _ramp(at[:1] + offs[index], offs, index, side)
                    for at, offs, index, side in (
                        (at[:1], grid.row_offs, tile.row, grid.tile_shape[0]),
                        (at[1:], grid.col_offs, tile.col, grid.tile_shape[1]),
                    )
                ])  # fmt: skip
                exponentials = np.exp(logits[:, y, x].astype(np.float64))
                votes.append((weight, exponentials / exponentials.sum()))
        if len(votes) > 1:
            total = sum(weight for weight, _ in votes)
            alike = np.prod([p ** (weight / total) for weight, p in votes], axis=0).sum()
            found[row, col] = max(1 - alike, 0) ** 0.5
    return found
