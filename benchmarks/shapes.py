"""Time the network by the shape of its tiles, and hold what a tile costs against the formula that chooses tiles.

    python benchmarks/shapes.py [--sizes nano mini b0 b5] [--rounds 3] [--attention]

An engine computes as many tiles at once as there are cores, as in a run. Core seconds count, because other programs
hardly change them; the least of some rounds. Memory is what the process holds at most while tiles are computed, beyond
what it held before. "off" is by how much `A * (1 + A / balance_px)`, scaled to the engine, is above what was measured.
`--attention` times a large tile as it is, with the queries of attention in chunks, and compiled for any shape of
tiles, each with and without what OpenVINO fuses.
`--small` tries everything out on a tiny network.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from forward import make_tiles, open_engines
from measure import machine, table, write_model

from segment.engine.contract import Engine
from segment.engine.convert import converted, for_shape, load_openvino, openvino_core
from segment.engine.request import EngineKind, Precision
from segment.model.checkpoint import Description, describe_checkpoint, weights_digest
from tiler.grid.tiling import Tiling

Shape = tuple[int, int]
SHAPES: tuple[Shape, ...] = ((256, 256), (512, 512), (768, 768), (1024, 768), (1024, 832), (1024, 1536))
ENGINES: tuple[tuple[EngineKind, Precision], ...] = (("torch", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"))
FEW = slice(1, 4, 2)
"""Shapes that PyTorch runs."""
LEAST_S = 0.2
"""A round takes about as many tiles as fill this time."""
CHUNK_BYTES = 2**23
"""Size of a chunk's matrix of queries by keys."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a tile of one shape takes."""

    shape: Shape
    core_s: float
    peak_mb: float

    @property
    def area(self) -> int:
        """Model pixels."""
        return self.shape[0] * self.shape[1]


class Peak:
    """The most that this process holds from now on, beyond what it holds now."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._read("VmRSS")

    def mb(self) -> float:
        """Return 10^6 bytes."""
        return self._read("VmHWM") - self._before

    def _read(self, entry: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(entry)) * 1024 / 1e6


def core_seconds(work: Callable[[], object]) -> float:
    """Return what the threads of this process computed meanwhile."""
    began = time.process_time()
    work()
    return time.process_time() - began


def cost(engine: Engine, shape: Shape, rounds: int) -> Cost:
    """Return what a tile costs; the first one, for which OpenVINO compiles, does not count."""

    def run(count: int) -> None:
        for future in [engine.submit(tile) for _ in range(count)]:
            future.result()

    tile = make_tiles(1, max(shape))[0][:, : shape[0], : shape[1]]
    at_once = engine.tiles_ahead(shape) // 2
    run(1)
    peak = Peak()
    core_s = core_seconds(lambda: run(at_once)) / at_once
    # OpenVINO keeps what the first tile took; PyTorch computes two tiles at a time.
    peak_mb = peak.mb() / (max(at_once - 1, 1) if engine.name.startswith("openvino") else 2)
    count = at_once * max(round(LEAST_S / (core_s * at_once)), 1)
    return Cost(shape, min(core_seconds(lambda: run(count)) / count for _ in range(rounds)), peak_mb)


def off(costs: Sequence[Cost], balance_px: float) -> list[float]:
    """Return by what fraction the formula is above each cost, in the scale in which it is right on average."""
    ratios = np.array([each.area * (1 + each.area / balance_px) / each.core_s for each in costs])
    return list(map(float, ratios / np.exp(np.log(ratios).mean()) - 1))


def by_shape(description: Description, shapes: Sequence[Shape], rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of the table for one checkpoint."""
    rows: list[tuple[str, ...]] = []
    for which in ENGINES:
        for engine in open_engines(description, [which]):
            costs = [cost(engine, shape, rounds) for shape in (shapes[FEW] if which[0] == "torch" else shapes)]
            engine.close()
            rows.extend(
                (
                    engine.name, f"{each.shape[0]} x {each.shape[1]}", f"{1000 * each.core_s:.3g}",
                    f"{1e9 * each.core_s / each.area:.3g}", f"{each.peak_mb:.0f}", f"{100 * fraction:+.0f} %",
                )
                for each, fraction in zip(costs, off(costs, description.cost.balance_px), strict=True)
            )  # fmt: skip
    return rows


def in_chunks(network: Any) -> Any:
    """Return a network whose queries go to attention in chunks, in place."""
    op = load_openvino().opset13
    for node in network.get_ordered_ops():
        if node.get_type_name() == "ScaledDotProductAttention":
            queries, keys, *rest = [each.get_source_output() for each in node.inputs()]
            _, heads, count, _ = queries.shape
            parts = 1
            while 4 * heads * (count // parts) * keys.shape[2] > CHUNK_BYTES and count % (2 * parts) == 0:
                parts *= 2
            chunks = op.split(queries, op.constant(2), parts).outputs()
            answers = [op.scaled_dot_product_attention(chunk, keys, *rest).output(0) for chunk in chunks]
            node.output(0).replace(op.concat(answers, 2).output(0))
    network.validate_nodes_and_infer_types()
    return network


def on_one_core(network: Any, tile: Any, rounds: int, settings: dict[str, Any]) -> tuple[str, str]:
    """Return core ms and peak MB of one tile."""
    one = {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": 1, **settings}
    request = openvino_core().compile_model(network, "CPU", one).create_infer_request()
    peak = Peak()
    request.infer({0: tile})
    peak_mb = peak.mb()
    core_s = min(core_seconds(lambda: request.infer({0: tile})) for _ in range(rounds))
    return f"{1000 * core_s:.3g}", f"{peak_mb:.0f}"


def attention(description: Description, shape: Shape, rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of the table of ways to compute attention; one tile on one core."""
    network = converted(description, weights_digest(description))
    tile = make_tiles(1, max(shape))[:, :, : shape[0], : shape[1]]
    rows: list[tuple[str, ...]] = []
    for precision in ("f32", "bf16"):
        for fusing in ("ENABLE", "DISABLE"):
            settings = {"INFERENCE_PRECISION_HINT": precision, "SNIPPETS_MODE": fusing}
            name = "fused" if fusing == "ENABLE" else "not fused"
            whole = for_shape(network, *shape)
            rows.append((precision, name, *on_one_core(whole, tile, rounds, settings)))
            chunks = in_chunks(for_shape(network, *shape))
            rows.append((precision, f"{name}, queries in chunks", *on_one_core(chunks, tile, rounds, settings)))
            rows.append((precision, f"{name}, compiled for any shape", *on_one_core(network, tile, rounds, settings)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["nano", "mini", "b0", "b5"], help="Presets to run.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that everything runs.")
    parser.add_argument("--attention", action="store_true", help="Time ways to compile the network instead.")
    parser.add_argument("--small", action="store_true", help="A tiny network, three small shapes, one round.")
    given = parser.parse_args()
    shapes = SHAPES
    if given.small:
        given.sizes, given.rounds, shapes = ["nano"], 1, ((64, 64), (64, 96), (128, 128))
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            description = describe_checkpoint(str(write_model(Path(folder), 24, size, Tiling(512, 512))))
            print(f"{size}, balance {description.cost.balance_px / 1e6:.2f} megapixels\n")
            head: tuple[str, ...]
            if given.attention:
                head = ("precision", f"attention, tile of {shapes[-1][0]} x {shapes[-1][1]}", "core ms", "peak, MB")
                rows = attention(description, shapes[-1], given.rounds)
            else:
                head = ("engine", "tile", "core ms per tile", "core ns per pixel", "MB per tile", "formula off")
                rows = by_shape(description, shapes, given.rounds)
        print(table(head, rows), flush=True)
        print()
    print(machine())


if __name__ == "__main__":
    main()
