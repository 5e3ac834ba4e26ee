"""What the benchmarks share: made-up photos, an untrained model, a measured child process, the machine in words."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment.model.presets import Size, write_untrained
from tiler.classes import ClassTable, distinct_colours
from tiler.grid.tiling import Tiling

PACKAGES = ("noseam", "torch", "transformers", "openvino", "numpy", "pillow", "rasterio", "numba")
QUIET_CORES = 0.15
"""A run during which everything else kept more cores busy than this is repeated."""
TRIES = 3
PALE = ((140, 136, 120), (150, 140, 110), (146, 138, 114))
"""Colours of fields, red, green, blue."""
# A process starts with the peak of the one that forked it, so a small one stands between.
CHILD = """
import json, os, resource, subprocess, sys, time
cores = json.loads(sys.argv[1])
if cores:
    os.sched_setaffinity(0, cores)
def busy():
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
started, before = time.monotonic(), busy()
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
seconds = time.monotonic() - started
machine = busy() - before
used = resource.getrusage(resource.RUSAGE_CHILDREN)
own = used.ru_utime + used.ru_stime
print(json.dumps({
    "seconds": seconds, "cpu_seconds": own, "others": max(0.0, machine - own) / seconds,
    "peak_mb": used.ru_maxrss / 1000,
    "status": done.returncode, "output": done.stdout[-4000:], "errors": done.stderr[-4000:],
}))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one finished process took."""

    seconds: float
    """Wall time from start to exit."""
    cpu_seconds: float
    """User and system time of all its threads and children."""
    others: float
    """Cores that everything else on the machine kept busy meanwhile."""
    peak_mb: float
    """Largest resident set that the kernel saw (`ru_maxrss`), in 10^6 bytes of 1024-byte pages."""
    output: str
    """The end of its standard output."""


def run(
    command: Sequence[str], *, cores: int | None = None, prefix: Sequence[str] = (), timeout_s: float | None = None
) -> Run:
    """Run a command as a process of its own and return what it took.

    Parameters
    ----------
    command : sequence of str
        The process to measure.
    cores : int, optional
        How many of the usable cores it may use; all by default.
    prefix : sequence of str
        Stands before the measuring process, outside of what is measured, such as `flock FILE`.
    timeout_s : float, optional
        The command and its children are killed after so many seconds.

    Raises
    ------
    SystemExit
        If the command fails or takes too long; the message ends with what it wrote to standard error.
    """
    allowed = sorted(os.sched_getaffinity(0))[:cores] if cores else []
    child = [*prefix, sys.executable, "-c", CHILD, json.dumps(allowed), *command]
    with subprocess.Popen(child, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise SystemExit(f"{' '.join(command)}: not done after {timeout_s:.0f} s") from error
            raise
    found = json.loads(output)
    if found["status"]:
        raise SystemExit(f"{' '.join(command)}: exit status {found['status']}\n{found['errors']}")
    return Run(found["seconds"], found["cpu_seconds"], found["others"], found["peak_mb"], found["output"])


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of some rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


def run_undisturbed(command: Sequence[str], *, cores: int | None = None, prefix: Sequence[str] = ()) -> Run:
    """Run a command up to `TRIES` times, until nothing else was busy meanwhile; return the least disturbed run.

    A single busy core elsewhere can make PyTorch many times slower: its threads wait for each other
    after every operation, and with a thread per core one of them has no core.
    """
    best = run(command, cores=cores, prefix=prefix)
    for _ in range(TRIES - 1):
        if best.others <= QUIET_CORES:
            break
        best = min(best, run(command, cores=cores, prefix=prefix), key=lambda found: found.others)
    return best


def noseam_command(source: Path, out: Path, model: Path, tiling: Tiling, *more: str) -> list[str]:
    """Return the command line that segments `source` into label and colour masks."""
    return [
        sys.executable, "-m", "cli", "-q", "segment", str(source), "--out", str(out), "--model", str(model),
        "--window", str(tiling.window_px), "--input", str(tiling.input_px), "--overlap", str(tiling.overlap),
        "--color", "--overwrite", *more,
    ]  # fmt: skip


def write_model(folder: Path, classes: int, size: Size, tiling: Tiling) -> Path:
    """Write an untrained checkpoint and return its folder."""
    table = ClassTable(tuple(f"class {index}" for index in range(classes)), distinct_colours(classes))
    write_untrained(folder, table, tiling, preset=size)
    return folder


def make_photo(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Return a picture of shape (height, width, 3) with the spectrum of a photo: detail falls with its size.

    Fields of random colours, each twice as fine and about half as strong as the one before, are
    enlarged and summed, and noise of a standard deviation of 5 comes on top. At JPEG quality 92
    this costs about 3 bits per pixel, as drone photos do.
    """
    generator = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 118, np.float32)
    cell, strength = 1024, 42.0
    while cell >= 4:
        field = generator.normal(0, strength, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        for channel in range(3):
            coarse = Image.fromarray(0.8 * field[..., 0] + 0.3 * field[..., channel])
            picture[..., channel] += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        cell, strength = cell // 2, strength * 0.7
    picture += 5 * generator.standard_normal((height, width, 1), dtype=np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def make_field(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Return a picture of an even, pale field, shape (height, width, 3): faint clouds and rows, hardly any contrast.

    Such pictures leave networks in doubt, as stubble and dry meadows do. What a network says of a place then hangs on
    what else the tile shows, and the tile's shape shows in the mask.
    """
    generator = np.random.default_rng(seed)
    down, right = np.mgrid[:height, :width].astype(np.float32)
    light = 10 * (right / width - 0.5) + 6 * (down / height - 0.5)
    light += 1.5 * np.sin((0.94 * right + 0.34 * down) * (2 * np.pi / 12))
    for cell, strength in ((1024, 4.0), (512, 2.8), (256, 2.0), (128, 1.4), (2, 2.0)):
        light += strength * _clouds(generator, height, width, cell)
    tint = _clouds(generator, height, width, 700)[..., np.newaxis] * np.array([2.0, 0.0, -2.0], np.float32)
    picture = generator.choice(PALE) + light[..., np.newaxis] + tint
    picture += generator.normal(0, 1.5, picture.shape)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _clouds(generator: np.random.Generator, height: int, width: int, cell: int) -> NDArray[np.float32]:
    """Return smooth noise whose bumps are as wide as a cell."""
    coarse = generator.normal(0, 1, (height // cell + 3, width // cell + 3)).astype(np.float32)
    size = coarse.shape[1] * cell, coarse.shape[0] * cell
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))[:height, :width]


def write_photos(folder: Path, count: int, height: int, width: int) -> Path:
    """Write JPEG photos (quality 92) that are not there yet and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        path = folder / f"photo_{index:02d}.jpg"
        if not path.exists():
            Image.fromarray(make_photo(height, width, index)).save(path, quality=92)
    return folder


def machine(packages: Sequence[str] = PACKAGES) -> str:
    """Return processor, cores, memory, Python and package versions in one line."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{len(os.sched_getaffinity(0))} cores of {processor}, {gigabytes:.0f} GB; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name in packages if (version := _version(name)))
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
