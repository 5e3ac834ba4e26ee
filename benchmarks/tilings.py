"""Time the network on whole photos of 24 megapixels at 2000 to 512, tiling by tiling.

    python benchmarks/tilings.py [--sizes mini b0 b5] [--rounds 3] [--precision fp32 bf16]

Every tiling gets the tiles of as many photos as there are cores, all at once, as in a run. The tilings take turns, and
the least of some rounds counts. "Predicted" is what `tiler/grid/fit.py` goes by. `--small` tries everything out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from forward import make_tiles, open_engines
from measure import machine, table, write_model

from segment.engine.contract import Engine
from segment.model.checkpoint import Description, describe_checkpoint
from segment.run.cores import share_cores
from tiler.grid.fit import TileSize, tile_cost
from tiler.grid.tiles import Grid
from tiler.grid.tiling import Tiling

PHOTO = 4000, 6000
TILINGS = {
    "squares of 512, overlap 0.25": Tiling(2000, 512, tile=TileSize((512, 512))),
    "auto, fast": Tiling(2000, 512, quality="fast"),
    "auto, balanced": Tiling(2000, 512, quality="balanced"),
    "auto, best": Tiling(2000, 512, quality="best"),
}


@dataclass(frozen=True, slots=True)
class Took:
    """What the tiles of one photo take."""

    wall_s: float
    core_s: float


def once(engine: Engine, grid: Grid, photos: int) -> Took:
    """Return what a photo takes, where the tiles of several are handed in at once.

    A tile for each core comes first and does not count: after another shape OpenVINO takes memory anew.
    """
    tile = make_tiles(1, max(grid.tile_shape))[0][:, : grid.tile_shape[0], : grid.tile_shape[1]]
    for count in (engine.tiles_ahead(grid.tile_shape) // 2, photos * len(grid)):
        wall, core = time.perf_counter(), time.process_time()
        for future in [engine.submit(tile) for _ in range(count)]:
            future.result()
    return Took((time.perf_counter() - wall) / photos, (time.process_time() - core) / photos)


def by_tiling(description: Description, precision: str, photos: int, rounds: int) -> list[tuple[str, ...]]:
    """Return the rows of the table for one network in one precision."""
    (engine,) = open_engines(description, [("openvino", precision)])  # type: ignore[list-item]
    balance_px = description.cost.balance_px
    grids = {name: tiling.grid(PHOTO, scale=tiling.scale(), balance_px=balance_px) for name, tiling in TILINGS.items()}
    took: dict[str, list[Took]] = {name: [] for name in grids}
    for _ in range(rounds):
        for name, grid in grids.items():
            took[name].append(once(engine, grid, photos))
    engine.close()
    walls = {name: min(each.wall_s for each in found) for name, found in took.items()}
    cores = {name: min(each.core_s for each in found) for name, found in took.items()}
    work = {name: len(grid) * tile_cost(grid.tile_shape[0] * grid.tile_shape[1], balance_px)
            for name, grid in grids.items()}  # fmt: skip
    first = next(iter(grids))
    return [
        (
            name, "{} x {} of {} x {}".format(len(grid.row_offs), len(grid.col_offs), *grid.tile_shape),
            f"{walls[name]:.3g}", f"{walls[name] / walls[first]:.2f}", f"{cores[name]:.3g}",
            f"{cores[name] / cores[first]:.2f}", f"{work[name] / work[first]:.2f}",
        )
        for name, grid in grids.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["mini", "b0", "b5"], help="Presets to run.")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], help="fp32, bf16 or both.")
    parser.add_argument("--rounds", type=int, default=3, help="Times that everything runs.")
    parser.add_argument("--small", action="store_true", help="A tiny network, one round.")
    given = parser.parse_args()
    if given.small:
        given.sizes, given.rounds, given.precision = ["nano"], 1, ["fp32"]
    head = "tiling", "tiles", "s per photo", "x squares", "core s per photo", "x squares", "predicted"
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            description = describe_checkpoint(str(write_model(Path(folder), 24, size, Tiling(2000, 512))))
            for precision in given.precision:
                print(f"{size}, {precision}, balance {description.cost.balance_px / 1e6:.2f} megapixels\n")
                print(table(head, by_tiling(description, precision, share_cores().cores, given.rounds)), "\n")
    print(machine())


if __name__ == "__main__":
    main()
