"""How many labels are those of PyTorch in fp32 on the CPU, by precision; whole masks at full resolution."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from on_gpu.bench import Bench, Row, attempted
from on_gpu.inputs import model_of, photos
from segment import api
from segment.engine.request import Precision
from segment.model.presets import Size
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import IMAGES, make_survey


def equal_labels(bench: Bench) -> Iterator[Row]:
    """Compare masks of one photo by an untrained network, and of a made-up scene by the bundled model."""
    scenes = bench.folder / "scenes"
    shape = (256, 384) if bench.small else (2048, 3072)
    make_survey(scenes, SceneOptions(photos=1, photo_shape=shape, orthomosaics=0, seed=77))
    size: Size = bench.sizes[0]
    cases = {
        f"{size}, random weights, photo": (photos(bench, 1), str(model_of(bench, size))),
        f"{size}, random weights, scene": (scenes / IMAGES, str(model_of(bench, size))),
        "bundled model, scene": (scenes / IMAGES, "demo"),
    }
    for name, (source, model) in cases.items():
        yield from attempted(partial(_rows, bench, name, source, model), name)


def _rows(bench: Bench, name: str, source: Path, model: str) -> Iterator[Row]:
    exact = _labels(bench, source, model, "cpu", "fp32")
    asked: tuple[Precision, ...] = ("fp32", "tf32", "fp16", "bf16") if bench.device == "cuda" else ("bf16",)
    for precision in asked:
        found = _labels(bench, source, model, bench.device, precision)
        yield Row(f"{name}, {precision}", 100 * float(np.mean(found == exact)), "% equal")


def _labels(bench: Bench, source: Path, model: str, device: str, precision: Precision) -> NDArray[np.uint8]:
    out = bench.folder / "labels"
    shutil.rmtree(out, ignore_errors=True)
    outcomes = api.segment(
        source, out, model=model, engine="torch", device=device, precision=precision, format="png", workers=1,
        compile="never",
    )  # fmt: skip
    if wrong := [outcome.reason for outcome in outcomes if outcome.state != "done"]:
        raise ValueError(wrong[0])
    with Image.open(next(out.rglob("*_label.png"))) as mask:
        return np.asarray(mask).copy()
