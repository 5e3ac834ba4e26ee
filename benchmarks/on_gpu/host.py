"""The machine: its device, reading photos on its cores, waiting for its disk, and stitching on the device."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import torch
from measure import machine
from stitch_device import time_stitching

from on_gpu.bench import Bench, Row
from on_gpu.inputs import photos
from tiler.grid.tiles import plan_grid
from tiler.masks.sink import sync
from tiler.source.image import open_image
from tiler.source.raster import gdal_environment

_SYNCS = 40


def the_machine(bench: Bench) -> Iterator[Row]:
    """Say what there is."""
    yield Row("machine", machine())
    yield Row("system", platform.platform(), more={"cores to use": int(joblib.cpu_count())})
    yield Row("device", bench.device)
    if bench.device == "cuda":
        known = torch.cuda.get_device_properties(0)
        more: dict[str, Any] = {"GB": known.total_memory / 1e9, "processors": known.multi_processor_count}
        more |= {"CUDA": str(torch.version.cuda), "how many": torch.cuda.device_count()}
        yield Row("GPU", known.name, more=more)
        yield Row("driver", _driver())


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "unknown, because nvidia-smi is missing"
    wanted = ["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm", "--format=csv,noheader"]
    return subprocess.run(wanted, capture_output=True, text=True, check=False, timeout=20).stdout.strip()


def host(bench: Bench) -> Iterator[Row]:
    """Measure what feeds the device: decoding and shrinking, and the disk."""
    paths = sorted(photos(bench, 4 if bench.small else 32).iterdir())
    _read(bench, paths[0])
    for threads in (1, int(joblib.cpu_count())):
        chosen = paths[: max(min(len(paths), 4 * threads), 2)]
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda path: _read(bench, path), chosen))
        rate = len(chosen) * bench.megapixels / (time.perf_counter() - began)
        yield Row(f"decode and shrink, {threads} threads", rate, "MP/s", {"MP/s a thread": rate / threads})
    yield Row("wait for the disk, a file of 100 kB", _sync_us(bench.folder / "synced"), "microseconds")


def _read(bench: Bench, path: Path) -> None:
    scale = bench.input_px / bench.window_px
    grid = plan_grid(bench.photo_shape, scale=scale, tile=(bench.input_px, bench.input_px), overlap=(0, 0))
    with gdal_environment(), open_image(path) as image:
        image.model_rows(grid, 0, grid.model_shape[0])


def _sync_us(path: Path) -> float:
    data, took = os.urandom(100_000), 0.0
    for _ in range(_SYNCS):
        path.write_bytes(data)
        began = time.perf_counter()
        sync(path, os.O_RDWR)
        took += time.perf_counter() - began
    path.unlink()
    return 1e6 * took / _SYNCS


def stitching(bench: Bench) -> Iterator[Row]:
    """Measure tensor operations against kernels."""
    found = time_stitching(
        torch.device(bench.device), shape=bench.photo_shape, classes=(24,), repeat=1 if bench.small else 3
    )
    for each in found:
        name = f"scale {each.scale}, tile {each.tile[0]} x {each.tile[1]}, {each.by}"
        more = {"blend ms": each.blend_ms, "label ms": each.label_ms, "calling ms": each.calling_ms}
        equal = {"equal labels %": 100 * each.equal_labels}
        yield Row(f"{name}{', confidence' if each.confidence else ''}", each.all_ms, "ms a photo", {**more, **equal})
