"""The network alone, in each form: tiles per second at the best batch, and the device's memory at its peak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from on_gpu.bench import Bench, Row, SkippedError, attempted
from on_gpu.inputs import model_of
from segment.engine.compiled import CompiledNetworks, Wanted
from segment.engine.device import DTYPES, Chosen, noise, placed, round_factors
from segment.model.checkpoint import describe_checkpoint, load_checkpoint, weights_digest
from segment.model.presets import Size
from segment.model.segmenter import load_segmenter

BATCHES = (16, 32, 48)
FULL_BATCH = 32
"""Tiles of 512 that fill a batch of noseam on CUDA."""
_TURN_S = 0.6
Forward = Callable[[Tensor], Any]


@dataclass(frozen=True, slots=True)
class Form:
    """A way to run a network."""

    name: str
    load: Callable[[Bench, Size], Forward]
    """Returns the network; uint8 tiles in for noseam's own, normalised ones for transformers'."""
    takes: torch.dtype
    """What it takes."""
    on_cpu: bool = True
    """Whether it runs on a CPU too."""
    most: int = BATCHES[-1]
    """Most tiles that it takes."""


def stock(precision: str, *, autocast: bool = False, compiled: bool = False) -> Callable[[Bench, Size], Forward]:
    """Return what loads transformers' network; its weights are in the precision, or its operations by autocast."""

    def load(bench: Bench, size: Size) -> Forward:
        round_factors(precision)
        dtype = DTYPES[precision]
        network: nn.Module = load_checkpoint(describe_checkpoint(str(model_of(bench, size)))).network
        there = network.to(bench.device).to(torch.float32 if autocast else dtype)
        run: Forward = torch.compile(there) if compiled else there

        def forward(tiles: Tensor) -> Any:
            context: AbstractContextManager[Any] = torch.autocast(bench.device, dtype) if autocast else nullcontext()
            with context:
                return run(pixel_values=tiles).logits  # type: ignore[call-arg]

        return forward

    return load


def own(precision: Chosen) -> Callable[[Bench, Size], Forward]:
    """Return what loads noseam's network as PyTorch runs it."""

    def load(bench: Bench, size: Size) -> Forward:
        description = describe_checkpoint(str(model_of(bench, size)))
        network = load_segmenter(description, weights_digest(description))
        return placed(network, torch.device(bench.device), precision)

    return load


def own_compiled(precision: Chosen) -> Callable[[Bench, Size], Forward]:
    """Return what loads noseam's network as it was compiled, for tiles of the usual size, by an earlier section."""

    def load(bench: Bench, size: Size) -> Forward:
        description = describe_checkpoint(str(model_of(bench, size)))
        wanted = Wanted(description.folder, weights_digest(description), str(torch.device(bench.device)), precision)
        shape = bench.input_px, bench.input_px
        if not list(wanted.kept(shape, FULL_BATCH).glob("*.pt2")):
            raise SkippedError("no compiled network is kept")
        found = CompiledNetworks(wanted, lambda _: FULL_BATCH, own(precision)(bench, size), "auto").get(shape)
        if found is None:
            raise SkippedError("the compiled network cannot be loaded")
        return found

    return load


PEER_FORMS = (
    Form("transformers, fp32", stock("fp32"), torch.float32),
    Form("transformers, bf16 autocast", stock("bf16", autocast=True), torch.float32),
    Form("transformers, bf16 weights", stock("bf16"), torch.bfloat16),
    Form("transformers, fp16 weights", stock("fp16"), torch.float16, on_cpu=False),
)
"""Those of others; nothing else runs meanwhile."""
FORMS = (
    Form("transformers, tf32", stock("tf32"), torch.float32, on_cpu=False),
    Form("noseam, fp32", own("fp32"), torch.uint8),
    Form("noseam, bf16", own("bf16"), torch.uint8),
)
"""Those that are measured beside the compiler."""
LATER_FORMS = (
    Form("noseam, fp16, compiled", own_compiled("fp16"), torch.uint8, on_cpu=False, most=FULL_BATCH),
    Form("noseam, fp16", own("fp16"), torch.uint8, on_cpu=False),
)
"""Those that wait until the compiler is done."""
PEER_COMPILED = Form("transformers, fp16 weights, torch.compile", stock("fp16", compiled=True), torch.float16)


def network_alone(bench: Bench, forms: Sequence[Form]) -> Iterator[Row]:
    """Measure some forms of each network."""
    for form in forms:
        for size in bench.sizes:
            if form.on_cpu or bench.device != "cpu":
                name = f"{size}, {form.name}"
                yield from attempted(partial(_rows, bench, form, size, name), name)


def peer_compiled(bench: Bench, size: Size) -> Row:
    """Return what transformers' network does where PyTorch compiles it when it first runs; that may take minutes."""
    forward = PEER_COMPILED.load(bench, size)
    tiles = tiles_of(bench, FULL_BATCH, (bench.input_px, bench.input_px), PEER_COMPILED.takes)
    with torch.inference_mode():
        began = time.perf_counter()
        forward(tiles)
        wait(bench)
        compiling = time.perf_counter() - began
    rate = FULL_BATCH / seconds_of(bench, partial(forward, tiles))
    return Row(f"{size}, {PEER_COMPILED.name}", rate, "tiles/s", {"batch": FULL_BATCH, "compiling s": compiling})


def _rows(bench: Bench, form: Form, size: Size, name: str) -> Iterator[Row]:
    _forget(bench)
    forward = form.load(bench, size)
    rates: dict[int, float] = {}
    peaks: dict[int, float] = {}
    for batch in (2,) if bench.small else [each for each in BATCHES if each <= form.most]:
        if bench.left_s < 0 and rates:
            break
        tiles = tiles_of(bench, batch, (bench.input_px, bench.input_px), form.takes)
        if bench.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        rates[batch] = batch / seconds_of(bench, partial(forward, tiles))
        peaks[batch] = torch.cuda.max_memory_allocated() / 1e6 if bench.device == "cuda" else 0.0
    best = max(rates, key=lambda batch: rates[batch])
    by_batch = {f"batch {batch}": rate for batch, rate in rates.items()}
    yield Row(name, rates[best], "tiles/s", {"best batch": best, "peak MB": peaks[best], **by_batch})


def tiles_of(bench: Bench, count: int, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Return tiles of noise on the device; those that are not uint8 are normalised, and channels lie together."""
    tiles = noise(*shape, torch.device(bench.device)).repeat((count + 1) // 2, 1, 1, 1)[:count]
    if dtype == torch.uint8:
        return tiles.contiguous()
    return ((tiles.float() - 118) / 58).to(dtype)


@torch.inference_mode()
def seconds_of(bench: Bench, call: Callable[[], Any]) -> float:
    """Return the seconds of a call, of many in a row; what it queued on a device is waited for."""
    for _ in range(1 if bench.small else 3):
        call()
    wait(bench)
    turns, began = 0, time.perf_counter()
    while turns < 2 or time.perf_counter() - began < (0 if bench.small else _TURN_S):
        call()
        turns += 1
        if turns % 4 == 0:
            wait(bench)
    wait(bench)
    return (time.perf_counter() - began) / turns


def wait(bench: Bench) -> None:
    """Wait until the device has done what was queued."""
    if bench.device == "cuda":
        torch.cuda.synchronize()


def _forget(bench: Bench) -> None:
    if bench.device == "cuda":
        torch.cuda.empty_cache()


def tile_sizes(bench: Bench) -> Iterator[Row]:
    """Measure a photo as twelve tiles and as one: the pixels of the overlaps against attention over the whole."""
    square = bench.input_px, bench.input_px
    height, width = (-(-side * bench.input_px // bench.window_px // 32) * 32 for side in bench.photo_shape)
    cases: Mapping[str, tuple[int, tuple[int, int]]] = {
        f"12 tiles of {square[0]} x {square[1]}": (12, square),
        f"1 tile of {height} x {width}": (1, (height, width)),
        f"8 tiles of {height} x {width}, for one": (8, (height, width)),
    }
    precision: Chosen = "fp16" if bench.device == "cuda" else "fp32"
    for size in bench.sizes:
        forward = own(precision)(bench, size)
        for name, (count, shape) in cases.items():
            seconds = seconds_of(bench, partial(forward, tiles_of(bench, count, shape, torch.uint8)))
            yield Row(f"{size}, {name}", 1000 * seconds / (count if "for one" in name else 1), "ms a photo")


def kept_shapes(folder: Path) -> list[str]:
    """Return the names of the compiled networks that a cache folder holds."""
    return sorted(path.parent.name for path in folder.glob("compiled/*/*.pt2"))
