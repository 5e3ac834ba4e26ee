"""Measure peak memory of whole `noseam segment` runs: it follows the width of an image, not its height.

Run from the repository, inside its virtual environment:

    python benchmarks/memory.py [--folder DIR] [--small]

It makes its own images and an untrained MiT-B0 with 24 classes, runs `noseam segment` on one image
at a time as a process of its own, and prints a Markdown table. The figure is the largest resident
set that the kernel saw (`ru_maxrss` of the finished process). `--small` tries it out on a tiny image.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from measure import Run, noseam_command, run, write_model
from PIL import Image
from rasterio.windows import Window

from tiler.grid.tiling import Tiling

CLASSES = 24
BAND = 1000


@dataclass(frozen=True)
class Case:
    """One image and how it is cut."""

    name: str
    height: int
    width: int
    window: int


CASES = (
    Case("photo.jpg", 4_000, 6_000, 2000),
    Case("square.tif", 12_000, 12_000, 2000),
    Case("tall.tif", 60_000, 12_000, 2000),
    Case("square-full-resolution.tif", 12_000, 12_000, 512),
)


def make_image(path: Path, case: Case) -> None:
    """Write an image of smooth colours with noise, band by band."""
    generator = np.random.default_rng(0)
    if path.suffix == ".jpg":
        Image.fromarray(_band(case.height, case.width, 0, generator)).save(path, quality=92)
        return
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "jpeg", "photometric": "ycbcr"}
    with rasterio.open(
        path, "w", driver="GTiff", height=case.height, width=case.width, count=3, dtype="uint8",
        crs="EPSG:32632", transform=rasterio.Affine(0.02, 0, 500_000, 0, -0.02, 5_000_000), **options,
    ) as dataset:  # fmt: skip
        for start in range(0, case.height, BAND):
            pixels = _band(min(BAND, case.height - start), case.width, start, generator)
            dataset.write(pixels.transpose(2, 0, 1), window=Window(0, start, case.width, len(pixels)))


def _band(height: int, width: int, start: int, generator: np.random.Generator) -> np.ndarray:
    rows, cols = np.arange(start, start + height)[:, None] / 300, np.arange(width) / 400
    waves = [np.sin(rows + shift) * np.cos(cols - shift) for shift in range(3)]
    noise = generator.integers(-20, 21, (height, width, 1), dtype=np.int16)
    return np.clip(np.stack(waves, axis=-1) * 90 + 128 + noise, 0, 255).astype(np.uint8)


def segment(case: Case, folder: Path) -> Run:
    """Segment one image in a process of its own."""
    tiling = Tiling(case.window, 512, 0.25)
    return run(noseam_command(folder / case.name, folder / "masks", folder / "model", tiling))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="Where images and masks go; a temporary folder by default.")
    parser.add_argument("--small", action="store_true", help="One tiny photo.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder / "model", CLASSES, "b0", Tiling(2000, 512, 0.25))
        print("| image | megapixels | window to input | seconds | peak memory, MB |\n|---|---|---|---|---|")
        for case in (Case("small.jpg", 400, 600, 2000),) if given.small else CASES:
            if not (folder / case.name).exists():
                make_image(folder / case.name, case)
            found = segment(case, folder)
            size = f"{case.width} x {case.height} {Path(case.name).suffix[1:]}"
            megapixels = case.height * case.width / 1e6
            print(
                f"| {size} | {megapixels:.0f} | {case.window} to 512 | {found.seconds:.0f} | {found.peak_mb:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
