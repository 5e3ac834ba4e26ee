"""Measure how long a run takes to see that an image is done: a whole second run, and its parts.

Run from the repository, inside its virtual environment:

    python benchmarks/resume.py [--images 1000] [--folder DIR]

It makes small images, PNGs that become PNG masks and GeoTIFFs that become COGs, segments them with an untrained
network, then plans and runs the same again. The second run skips every image. `header read` is what any tool must do:
call `stat` on the source and the masks, and read the tags of the masks. `beyond` is what the run takes on top.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import rasterio
from measure import machine, table, write_model
from PIL import Image
from rasterio import Affine

from segment.model.checkpoint import describe_checkpoint
from segment.plan.request import Request
from segment.plan.survey import plan_survey
from segment.run.local import LocalWorkers
from segment.run.model import open_model
from segment.run.runner import Runner
from tiler.files.outputs import all_paths
from tiler.files.walk import walk_survey
from tiler.grid.tiling import Tiling
from tiler.masks.png import read_text
from tiler.source.raster import gdal_environment

SIDE = 64
REPEATS = 5


def write_images(folder: Path, count: int, *, georeferenced: bool) -> None:
    """Write so many noisy pictures."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for index in range(count):
        pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        if not georeferenced:
            Image.fromarray(pixels).save(folder / f"{index}.png")
            continue
        profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": "EPSG:32632"}
        transform = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
        with rasterio.open(folder / f"{index}.tif", "w", **profile, transform=transform) as image:
            image.write(pixels.transpose(2, 0, 1))


def read_header(path: Path) -> None:
    """Read the tags of a mask."""
    if path.suffix == ".png":
        read_text(path)
    elif path.suffix == ".tif":
        with rasterio.open(path, driver="GTiff") as mask:
            mask.tags()


def best_ms(work: Callable[[], object], count: int) -> float:
    """Return the least of some timings, milliseconds for each of so many."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds) / count


def measure(folder: Path, count: int, *, georeferenced: bool) -> list[str]:
    """Return a row of the table."""
    source, out = folder / "images", folder / "masks"
    write_images(source, count, georeferenced=georeferenced)
    tiling = Tiling(SIDE, SIDE, 0.25)
    model = write_model(folder / "model", 4, "nano", tiling)
    request = Request(tiling=tiling, out=out)
    survey = walk_survey([source], out=out)
    plan = plan_survey(survey, request)
    runner = Runner(LocalWorkers(open_model(describe_checkpoint(str(model)))))
    with closing(runner):
        assert {outcome.state for outcome in runner.run(plan, request)} == {"done"}

        def run_again() -> None:
            assert {outcome.state for outcome in runner.run(plan, request)} == {"skipped"}

        def look() -> None:
            with gdal_environment():
                for image in plan.images:
                    image.found.path.stat()
                    for path in all_paths(image.outputs):
                        path.stat()
                        read_header(path)

        planned, again, looked = (
            best_ms(work, count) for work in (lambda: plan_survey(survey, request), run_again, look)
        )
    files = len([*all_paths(plan.images[0].outputs)])
    form = "COG" if georeferenced else "PNG"
    return [form, str(files), *(f"{each:.2f}" for each in (planned, again, looked, max(again - looked, 0)))]


def main() -> None:
    """Measure both forms and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="of each form")
    parser.add_argument("--folder", type=Path, help="for images and masks; a temporary one by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = [
            measure(Path(folder, str(georeferenced)), arguments.images, georeferenced=georeferenced)
            for georeferenced in (False, True)
        ]
    print(machine(("noseam", "rasterio", "pillow")), "\n")
    head = ["masks", "files an image", "plan, ms an image", "run, ms", "header read, ms", "beyond, ms"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
