"""A whole run whose masks are made as on a GPU writes the masks of one whose masks are made on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from segment.engine.contract import Stitcher
from segment.engine.device_stitch import DeviceStitcher
from segment.plan.request import Request
from tests.device_work import BOTH, work_of
from tests.grids import squares
from tests.models import BatchEngine, MeanEngine, TileEngine, runner_of
from tests.runs import make_survey, plan_for
from tiler.grid.parts import Span
from tiler.grid.tiles import Grid, Tile


class DeviceEngine(BatchEngine):
    """An engine that stitches as on a device."""

    def __init__(self, network: MeanEngine, name: str) -> None:
        super().__init__(network)
        self._work, self._device = work_of(name)

    def stitcher(self, grid: Grid, *, confidence: bool, disagreement: bool = False, span: Span | None = None) -> Any:
        stitcher = DeviceStitcher(
            grid, self.classes, self._device, confidence=confidence, disagreement=disagreement, span=span,
            work=self._work,
        )  # fmt: skip
        return Uploading(stitcher, self._device)


class Uploading:
    """A stitcher that brings logits to the device first."""

    def __init__(self, stitcher: Stitcher, device: torch.device) -> None:
        self._stitcher, self._device = stitcher, device

    def add(self, tile: Tile, logits: NDArray[np.float32]) -> Any:
        return self._stitcher.add(tile, torch.from_numpy(logits).to(self._device, torch.float32))

    def skip(self, tile: Tile) -> Any:
        return self._stitcher.skip(tile)


@BOTH
def test_a_run_writes_the_masks_of_one_on_the_cpu(name: str, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "survey", photos=1, rasters=1, height=90, width=130)
    (raster,) = (survey / "maps").iterdir()
    with rasterio.open(raster, "r+") as dataset:
        dataset.nodata = 0
        pixels = np.maximum(dataset.read(), 1)
        pixels[:, 20:60, :100] = 0
        dataset.write(pixels)
    masks = {}
    for kind, engine in (("cpu", TileEngine(5)), ("device", DeviceEngine(TileEngine(5), name))):
        request = Request(tiling=squares(64, 64), out=tmp_path / kind, confidence=True, disagreement=True)
        outcomes = list(runner_of(engine).run(plan_for(survey, request), request))
        assert [(outcome.state, outcome.reason) for outcome in outcomes] == [("done", "")] * 2
        masks[kind] = {
            path.relative_to(request.out): rasterio.open(path).read(1)
            for pattern in ("*_label.*", "*_confidence.*", "*_disagreement.*")
            for path in sorted(request.out.rglob(pattern))
            if path.suffix in {".png", ".tif"}
        }
    assert masks["cpu"].keys() == masks["device"].keys()
    assert len(masks["cpu"]) == 6
    for path, expected in masks["cpu"].items():
        found = masks["device"][path]
        np.testing.assert_array_equal(found == 255, expected == 255)
        if "label" in path.name:
            assert (found != expected).mean() < 1e-3
            assert len(np.unique(found)) >= 3
        else:
            assert np.abs(found.astype(int) - expected).max() <= 1
