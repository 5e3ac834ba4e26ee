"""Time the network alone, by engine, on the same uint8 tiles: transformers' eager PyTorch against noseam's engines.

    python benchmarks/forward.py [--sizes b0 b5] [--tiles 12] [--rounds 5] [--labels]

Eager PyTorch gets its tiles as normalised float32, made before the clock runs, in batches of 1, 2, 4 and 8; its best
batch is what the others are related to. The engines get uint8, normalise inside and choose their own batch. All take
turns in every round, in one process. Equal labels are those of the logits grid, against eager fp32.
`--labels` times nothing. It compares labels of noseam's network in each precision, which a GPU may have, on the CPU: of
untrained networks, and of the bundled model on scenes that it never saw. "By products" is how CUDA upsamples.
`--small` tries everything out on a tiny network.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from measure import Spread, machine, make_photo, table, write_model
from numpy.typing import NDArray
from PIL import Image

from segment.engine.choose import open_engine
from segment.engine.contract import Engine
from segment.engine.request import EngineKind, EngineOptions, Precision
from segment.errors import DeviceError, EngineError
from segment.model.checkpoint import (
    DEMO_MODEL,
    Checkpoint,
    Description,
    describe_checkpoint,
    load_checkpoint,
    weights_digest,
)
from segment.model.head import upsampled, upsampled_by_products
from segment.model.network import Normalised, in_precision
from segment.model.presets import Size
from segment.model.segmenter import load_segmenter
from segment.run.cores import share_cores
from tiler.grid.tiling import Tiling
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import IMAGES, make_survey

Forward = Callable[[], NDArray[np.float32]]
"""Logits of all tiles, shape (N, C, h / 4, w / 4)."""

ENGINES: tuple[tuple[EngineKind, Precision], ...] = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)
"""noseam's engines; one that this machine cannot run is left out."""

BATCHES = (1, 2, 4, 8)

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


def make_tiles(count: int, side: int) -> NDArray[np.uint8]:
    """Return pieces of a made-up photo, shape (count, 3, side, side)."""
    columns = min(count, 4)
    rows = -(-count // columns)
    photo = make_photo(rows * side, columns * side, seed=0)
    tiles = photo.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(tiles.reshape(-1, 3, side, side)[:count])


def eager(checkpoint: Checkpoint, tiles: NDArray[np.uint8], batch_size: int, bf16: bool) -> Forward:
    """Return what runs transformers' network as it is."""
    normalisation = checkpoint.description.normalisation
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (normalisation.mean, normalisation.std))
    pixels = (torch.from_numpy(tiles) * normalisation.rescale - mean) / std

    @torch.inference_mode()
    def forward() -> NDArray[np.float32]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            batches = [checkpoint.network(pixel_values=batch).logits for batch in torch.split(pixels, batch_size)]
        logits: NDArray[np.float32] = torch.cat(batches).float().numpy()
        return logits

    return forward


def open_engines(description: Description, which: Sequence[tuple[EngineKind, Precision]] = ENGINES) -> list[Engine]:
    """Return engines of noseam's with all usable cores; say which cannot run here."""
    digest, threads, engines = weights_digest(description), share_cores().cores, []
    for kind, precision in which:
        try:
            options = EngineOptions(engine=kind, device="cpu", precision=precision)
            engine = open_engine(description, digest, options, threads=threads)
        except (DeviceError, EngineError) as error:
            print(f"{kind}, {precision}: left out: {error}", file=sys.stderr)
        else:
            engines.append(engine)
    return engines


def by_engine(engine: Engine, tiles: NDArray[np.uint8]) -> Forward:
    """Return what hands all tiles to an engine and waits for all logits."""

    def forward() -> NDArray[np.float32]:
        waiting = [engine.submit(tile) for tile in tiles]
        return np.stack([np.asarray(future.result(), np.float32) for future in waiting])

    return forward


def measure(forwards: dict[str, Forward], rounds: int) -> dict[str, Spread]:
    """Return seconds for all tiles by name; the first, untimed turn warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in forwards}
    for number in range(rounds + 1):
        for name, forward in forwards.items():
            started = time.perf_counter()
            forward()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: Spread.of(values) for name, values in seconds.items()}


def compare(model: Path, tiles: NDArray[np.uint8], rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of the table for one checkpoint."""
    description = describe_checkpoint(str(model))
    stock = load_checkpoint(description)
    forwards = {
        f"transformers, eager, {precision}, batch {batch}": eager(stock, tiles, batch, precision == "bf16")
        for precision in ("fp32", "bf16")
        for batch in BATCHES
        if batch <= len(tiles)
    }
    engines = open_engines(description)
    forwards |= {f"noseam, {engine.name}": by_engine(engine, tiles) for engine in engines}
    spreads = measure(forwards, rounds)
    best = min(spread.median for name, spread in spreads.items() if ", eager, fp32" in name)
    truth = next(iter(forwards.values()))().argmax(1)
    rows: list[tuple[str, ...]] = [
        (
            name, str(spread), f"{1000 * spread.median / len(tiles):.0f}", f"{best / spread.median:.2f}",
            f"{100 * np.mean(forwards[name]().argmax(1) == truth):.3f} %",
        )
        for name, spread in spreads.items()
    ]  # fmt: skip
    for engine in engines:
        engine.close()
    return rows


def scene_tiles(count: int, side: int) -> NDArray[np.uint8]:
    """Return pieces of made-up scenes at the bundled model's scale, a half, shape (count, 3, side, side)."""
    with tempfile.TemporaryDirectory() as folder:
        shape = (2 * side, 2 * side)
        make_survey(Path(folder), SceneOptions(photos=count, photo_shape=shape, orthomosaics=0, seed=77))
        photos = [Image.open(path).convert("RGB").reduce(2) for path in sorted(Path(folder, IMAGES).iterdir())]
    return np.ascontiguousarray(np.stack([np.asarray(photo).transpose(2, 0, 1) for photo in photos]))


@torch.inference_mode()
def logits_of(network: Normalised, tiles: NDArray[np.uint8], *, to: torch.dtype | None = None) -> NDArray[np.float32]:
    """Return logits of all tiles, two at a time; PyTorch casts to a type by itself if one is given."""
    with torch.autocast("cpu", to or torch.bfloat16, enabled=to is not None):
        found = [network(batch).float() for batch in torch.split(torch.from_numpy(tiles), 2)]
    logits: NDArray[np.float32] = torch.cat(found).numpy()
    return logits


def rounded(network: Normalised, dtype: torch.dtype) -> Normalised:
    """Return a network whose weights have the values of another type, and which computes in float32."""
    return in_precision(in_precision(network, dtype), torch.float32)


def compare_labels(model: str, tiles: NDArray[np.uint8]) -> list[tuple[str, ...]]:
    """Return the rows of the table of labels for one checkpoint."""
    description = describe_checkpoint(model)
    digest, stock = weights_digest(description), load_checkpoint(description)

    def own() -> Normalised:
        return load_segmenter(description, digest)

    truth = eager(stock, tiles, 2, False)()
    found = {"transformers, bf16 by autocast": eager(stock, tiles, 2, True)(), "noseam, fp32": logits_of(own(), tiles)}
    for name, dtype in DTYPES.items():
        found[f"noseam, {name} by autocast"] = logits_of(own(), tiles, to=dtype)
        found[f"noseam, {name}"] = logits_of(in_precision(own(), dtype), tiles)
        with patch(f"{upsampled.__module__}.upsampled", upsampled_by_products):
            found[f"noseam, {name}, by products"] = logits_of(in_precision(own(), dtype), tiles)
        found[f"noseam, only its weights rounded to {name}"] = logits_of(rounded(own(), dtype), tiles)
    largest = np.abs(truth).max()
    return [
        (name, f"{100 * np.mean(logits.argmax(1) == truth.argmax(1)):.3f} %",
         f"{np.abs(logits - truth).max() / largest:.1e}")
        for name, logits in found.items()
    ]  # fmt: skip


def show_labels(sizes: Sequence[Size], tiles: int, side: int, classes: int) -> None:
    """Print the tables of labels."""
    head = ("network", "equal labels", "largest error, of the largest logit")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            model = write_model(Path(folder), classes, size, Tiling(side, side))
            rows = compare_labels(str(model), make_tiles(tiles, side))
        print(f"MiT-{size.upper()}, untrained\n\n{table(head, rows)}\n", flush=True)
    print(f"The bundled model\n\n{table(head, compare_labels(DEMO_MODEL, scene_tiles(tiles, side)))}\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["b0", "b5"], help="Presets to run.")
    parser.add_argument("--classes", type=int, default=24, help="Number of classes.")
    parser.add_argument("--tiles", type=int, default=12, help="Number of tiles.")
    parser.add_argument("--side", type=int, default=512, help="Side of a tile.")
    parser.add_argument("--rounds", type=int, default=5, help="Times that everything runs.")
    parser.add_argument("--labels", action="store_true", help="Compare labels in each precision; time nothing.")
    parser.add_argument("--small", action="store_true", help="A tiny network, two tiles, one round.")
    given = parser.parse_args()
    if given.small:
        given.sizes, given.tiles, given.side, given.rounds = ["nano"], 2, 128, 1
    if given.labels:
        show_labels(given.sizes, given.tiles, given.side, given.classes)
        given.sizes = []
    tiles = make_tiles(given.tiles, given.side)
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            model = write_model(Path(folder), given.classes, size, Tiling(given.side, given.side))
            rows = compare(model, tiles, given.rounds)
        seconds = f"{given.tiles} tiles of {given.side} px, s"
        print(f"MiT-{size.upper()}\n")
        print(table(("engine", seconds, "ms per tile", "x eager fp32, best batch", "equal labels"), rows), flush=True)
        print()
    print(machine())


if __name__ == "__main__":
    main()
