"""What the peers share: their command line, the stopwatch of their stages, and masks written with Pillow.

Nothing of noseam is used here or in any peer.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked of a peer."""

    photos: tuple[Path, ...]
    """The images of the folder, by name."""
    out: Path
    """Where masks go."""
    model: Path
    """A SegFormer checkpoint folder."""
    window: int
    """Side of the source window that becomes one tile, source pixels."""
    input: int
    """Side of a tile as the network sees it."""
    overlap: float
    """Overlap of neighbouring windows, as a fraction of the window."""
    precision: str
    """`fp32`, or `bf16`: the network under autocast."""
    batch_size: int
    """Tiles per call of the network."""
    tuned: bool
    """Labels by `max` instead of `argmax`."""
    device: str
    """Where the network runs, and sums and labels are made: `cpu` or `cuda`."""
    more: argparse.Namespace
    """The peer's own options."""


def parse(description: str, batch_size: int, add: Callable[[argparse.ArgumentParser], object] | None = None) -> Job:
    """Parse the command line that all peers have; `batch_size` is the peer's best, `add` adds its own options."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="Folder of images.")
    parser.add_argument("--out", type=Path, required=True, help="Where masks go.")
    parser.add_argument("--model", type=Path, required=True, help="SegFormer checkpoint folder.")
    parser.add_argument("--window", type=int, default=2000, help="Side of a window, source pixels.")
    parser.add_argument("--input", type=int, default=512, help="Side of a tile as the network sees it.")
    parser.add_argument("--overlap", type=float, default=0.25, help="Overlap, as a fraction of the window.")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="Arithmetic of the network.")
    parser.add_argument("--batch-size", type=int, default=batch_size, help="Tiles per call of the network.")
    parser.add_argument(
        "--tuned", action="store_true", help="Labels by max(0).indices, on a CPU many times as fast as argmax(0)."
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda: the network, sums and labels are there.")
    if add:
        add(parser)
    given = parser.parse_args()
    photos = tuple(sorted(path for path in given.folder.iterdir() if path.suffix.lower() in SUFFIXES))
    if not photos:
        parser.error(f"{given.folder}: no images")
    given.out.mkdir(parents=True, exist_ok=True)
    return Job(
        photos, given.out, given.model, given.window, given.input, given.overlap, given.precision, given.batch_size,
        given.tuned, given.device, given,
    )  # fmt: skip


@dataclass(slots=True)
class Stages:
    """Seconds spent per stage, summed over the images; a stage inside another is not counted twice."""

    seconds: dict[str, float] = field(default_factory=lambda: {"start-up": _process_age()})
    """By name of the stage. Start-up runs from the start of the process to the making of this object."""
    _inner: float = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the block's seconds, less those of stages inside it, as `name`."""
        before, self._inner = self._inner, 0.0
        started = time.perf_counter()
        yield
        elapsed = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + elapsed - self._inner
        self._inner = before + elapsed

    def report(self) -> None:
        """Print the stages as one line of JSON."""
        print(json.dumps({name: round(seconds, 3) for name, seconds in self.seconds.items()}))


def _process_age() -> float:
    """Return the seconds since this process started (Linux), to a clock tick."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def load_network(model: Path, device: str = "cpu") -> torch.nn.Module:
    """Return the SegFormer of a checkpoint folder in evaluation mode on a device, as transformers builds it."""
    from transformers import SegformerForSemanticSegmentation

    network: torch.nn.Module = SegformerForSemanticSegmentation.from_pretrained(model)
    return network.eval().to(device)


def read_normalisation(model: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation that the network expects, shape (3, 1, 1), of samples from 0 to 255."""
    entries: dict[str, Any] = json.loads((model / "preprocessor_config.json").read_text())
    scale = entries.get("rescale_factor", 1 / 255)
    mean, std = (torch.tensor(entries[name]).view(3, 1, 1) / scale for name in ("image_mean", "image_std"))
    return mean, std


def read_colours(model: Path) -> NDArray[np.uint8]:
    """Return the colour of each class, shape (256, 3); drawn by lot where the checkpoint names none."""
    named = json.loads((model / "config.json").read_text()).get("tiling", {}).get("colors", [])
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    colours[: len(named)] = np.array(named, np.uint8).reshape(-1, 3)
    return colours


def to_labels(logits: torch.Tensor, tuned: bool) -> NDArray[np.uint8]:
    """Return the class of the largest of the logits (classes, height, width), shape (height, width)."""
    labels = logits.max(0).indices if tuned else logits.argmax(0)
    return labels.to(torch.uint8).cpu().numpy()


def save_masks(labels: NDArray[np.uint8], photo: Path, out: Path, colours: NDArray[np.uint8]) -> None:
    """Write `NAME_label.png` (ids, gray) and `NAME_color.png` (palette)."""
    Image.fromarray(labels).save(out / f"{photo.stem}_label.png")
    coloured = Image.fromarray(labels)
    coloured.putpalette(colours.tobytes())
    coloured.save(out / f"{photo.stem}_color.png")


def positions(size: int, window: int, overlap: float) -> list[int]:
    """Return where windows start along an axis: one stride apart, the last pulled back to the edge."""
    last = max(size - window, 0)
    return [*range(0, last, int(window * (1 - overlap))), last]
