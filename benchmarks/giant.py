"""Segment one giant image: its time and peak memory, what its empty regions cost, and how it goes on after a kill.

Run from the repository, inside its virtual environment:

    python benchmarks/giant.py [--side 100000] [--folder DIR] [--options "--workers 2"] [--small]

It makes a sparse GeoTIFF of `--side` x `--side` px with painted regions, and an untrained network; then runs
`noseam segment` as a process of its own at full resolution: an image without a painted region, the image to its end,
and the image again, killed by SIGKILL when half of its parts are there, and then to its end. "Parts made" counts the
part files that appeared, by name and time; a part that appears twice was repeated.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import rasterio
from measure import machine, table, write_model
from PIL import Image
from rasterio.windows import Window

from tiler.grid.tiling import Tiling

CLASSES = 8
REGION = 2000
"""Side of a painted region, pixels."""
_LOOK_S = 0.02


@dataclass
class Watched:
    """What was seen of a run from outside."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    """Largest resident memory of any one of its processes."""
    parts: set[tuple[str, int]] = field(default_factory=set)
    """Part files that appeared, by name and time."""
    stood: set[tuple[str, int]] = field(default_factory=set)
    """Those that were there before."""

    @property
    def repeated(self) -> int:
        """How many parts were made though they had been there."""
        return len(self.parts) - len({name for name, _ in self.parts} - {name for name, _ in self.stood})


def make_image(path: Path, side: int, regions: int) -> None:
    """Write a sparse image with painted regions on a diagonal."""
    generator = np.random.default_rng(0)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8", nodata=0, tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", sparse_ok=True, bigtiff="yes", photometric="rgb",
        crs="EPSG:32632", transform=rasterio.Affine(0.02, 0, 500_000, 0, -0.02, 5_000_000),
    ) as dataset:  # fmt: skip
        region = min(REGION, side // 4)
        for index in range(regions):
            off = 512 * ((side - region) * (index + 1) // (regions + 1) // 512)
            coarse = Image.fromarray(generator.integers(1, 256, (region // 40, region // 40, 3)).astype(np.uint8))
            pixels = np.asarray(coarse.resize((region, region), Image.Resampling.BICUBIC)).clip(1)
            dataset.write(pixels.transpose(2, 0, 1), window=Window(off, off, region, region))


def watch(command: list[str], out: Path, *, kill_at: int | None = None) -> Watched:
    """Run a command; end it by SIGKILL when so many parts are there."""
    found, began = Watched(stood=_parts(out)), time.monotonic()
    with psutil.Popen(command) as process:
        while process.poll() is None:
            _see(process, out, found)
            if kill_at is not None and len({name for name, _ in found.parts}) >= kill_at:
                for each in (*process.children(recursive=True), process):
                    each.kill()
            time.sleep(_LOOK_S)
    found.seconds = time.monotonic() - began
    if kill_at is None and process.returncode:
        raise SystemExit(f"{shlex.join(command)}: exit code {process.returncode}")
    return found


def _see(process: psutil.Popen, out: Path, found: Watched) -> None:
    try:
        everyone = [process, *process.children(recursive=True)]
        found.peak_mb = max(found.peak_mb, *(each.memory_info().rss / 1e6 for each in everyone))
        found.cpu_seconds = sum(sum(each.cpu_times()[:2]) for each in everyone)
    except (psutil.Error, ValueError):
        pass
    found.parts |= _parts(out) - found.stood


def _parts(out: Path) -> set[tuple[str, int]]:
    found = set()
    for path in out.glob(".*.parts/label-*.tif"):
        with suppress(OSError):
            found.add((path.name, path.stat().st_mtime_ns))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=100_000, help="Height and width, pixels.")
    parser.add_argument("--regions", type=int, default=40, help="Painted regions.")
    parser.add_argument("--folder", type=Path, help="Where files go; a temporary folder by default.")
    parser.add_argument("--options", default="", help="Further options of noseam segment.")
    parser.add_argument("--small", action="store_true", help="A small image.")
    given = parser.parse_args()
    side, regions = (4000, 2) if given.small else (given.side, given.regions)
    options = [*shlex.split(given.options), *(("--part-size", "1") if given.small else ())]
    tiling = Tiling(512, 512, 0.25)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        model = write_model(folder / "model", CLASSES, "nano", tiling)
        for name, count in (("warm", 1), ("empty", 0), ("painted", regions)):
            make_image(folder / f"{name}.tif", 3000 if name == "warm" else side, count)
        rows: list[tuple[str, ...]] = []
        for name, kill in (("warm", 0), ("empty", 0), ("painted", 0), ("painted", 1), ("painted", 0)):
            out = folder / ("killed" if kill or (rows and rows[-1][0].endswith("killed")) else f"masks-{name}")
            command = [sys.executable, "-m", "cli", "-q", "segment", str(folder / f"{name}.tif"), "--out", str(out),
                       "--model", str(model), *options]  # fmt: skip
            whole = next((int(row[4]) for row in rows if row[0] == "painted"), 0)
            found = watch(command, out, kill_at=whole // 2 if kill else None)
            label = f"{name}, killed" if kill else f"{name}, resumed" if out.name == "killed" else name
            row = (
                label,
                f"{found.seconds:.1f}",
                f"{found.cpu_seconds:.1f}",
                f"{found.peak_mb:.0f}",
                str(len(found.parts)),
            )
            rows.append((*row, str(found.repeated)))
            print(*rows[-1], flush=True)
            if name == "empty":
                shutil.rmtree(out)
        same = (folder / "killed" / "painted_label.tif").read_bytes() == (
            folder / "masks-painted" / "painted_label.tif"
        ).read_bytes()
    print(table(("image", "seconds", "core seconds", "peak MB of a process", "parts made", "repeated"), rows[1:]))
    print("same bytes after the kill" if same else "OTHER BYTES AFTER THE KILL")
    print(machine())


if __name__ == "__main__":
    main()
