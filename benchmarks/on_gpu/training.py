"""A short training: steps and crops per second, once the first steps are over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from measure import make_photo
from PIL import Image

from on_gpu.bench import Bench, Row, attempted
from on_gpu.inputs import CLASSES
from segment import api
from segment.model.presets import Size
from tiler.classes import ClassTable, distinct_colours, write_class_table
from tiler.crops.index import INDEX

_WARM_UP = 8
_REPEAT = 40
"""An epoch shows each crop so often, so that no validation and no writing comes between the steps that are timed."""


class _EnoughError(Exception):
    """The steps that were wanted are done."""


def training(bench: Bench) -> Iterator[Row]:
    """Train both networks on crops, with readers as `auto` takes them and with two."""
    crops = _crops(bench)
    for size, batch in [("nano", 2)] if bench.small else [("b0", 16), ("b5", 16), ("b5", 4)]:
        for workers in ("auto",) if bench.small or batch == 4 else ("auto", 2):
            name = f"{size}, batch {batch}, workers {workers}"
            yield from attempted(partial(_rows, bench, crops, name, size, batch, workers), name)  # type: ignore[arg-type]


def _rows(bench: Bench, crops: Path, name: str, size: Size, batch: int, workers: Any) -> Iterator[Row]:
    steps = 4 if bench.small else 60
    times: list[float] = []

    def count(done: int, total: int) -> None:
        times.append(time.perf_counter())
        if done == steps or (bench.left_s < 0 and done > 2 * _WARM_UP):
            raise _EnoughError

    out = bench.folder / f"trained-{size}-{batch}-{workers}"
    with suppress(_EnoughError):
        api.train(
            crops, out, base=size, batch_size=batch, input_px=bench.input_px, workers=workers, max_steps=10 * steps,
            device="cuda" if bench.device == "cuda" else "cpu", fresh=True, progress=count,
        )  # fmt: skip
    first = min(_WARM_UP, len(times) // 2)
    rate = (len(times) - 1 - first) / (times[-1] - times[first])
    yield Row(name, rate, "steps/s", {"crops/s": rate * batch, "steps": len(times)})


def _crops(bench: Bench) -> Path:
    """Return crops of made-up photos, two windows a side, with labels in blocks."""
    folder, crops = bench.folder / "survey", bench.folder / "crops"
    side, count = (128, 4) if bench.small else (2048, 16)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    joblib.Parallel(-1)(joblib.delayed(_write)(folder, side, index) for index in range(count))
    write_class_table(folder / "classes.csv", ClassTable(tuple(map(str, range(CLASSES))), distinct_colours(CLASSES)))
    api.crop(folder / "images", folder / "masks", crops, classes=folder / "classes.csv", window_px=side // 2, split=0.1)
    index = pd.read_csv(crops / INDEX)
    index.loc[index["split"] == "train", "repeat"] = 1 if bench.small else _REPEAT
    index.to_csv(crops / INDEX, index=False)
    return crops


def _write(folder: Path, side: int, index: int) -> None:
    Image.fromarray(make_photo(side, side, index)).save(folder / f"images/{index:02d}.jpg", quality=92)
    blocks = np.random.default_rng(index).integers(0, CLASSES, (8, 8), np.uint8)
    Image.fromarray(blocks.repeat(side // 8, 0).repeat(side // 8, 1)).save(folder / f"masks/{index:02d}.png")
