"""The usual script: transformers' image processor per window, logits enlarged, summed, divided, argmax, PNG.

It follows what forums and notebooks show. Photos are decoded whole by Pillow; `AutoImageProcessor`
brings every window to the network's size and normalises it (by torchvision where that is
installed, else by Pillow); logits are enlarged to the window's size and summed, with Hann or uniform
weights, into one float32 array (classes, height, width) beside the sum of the weights. The colour mask is an RGB PNG,
by a look-up of the labels. The model is loaded once for the folder. PyTorch runs on all cores, and
sums are kept in PyTorch too, whose additions are spread over the cores (NumPy's are not). With `--device cuda` the
network, sums and labels are there.

    python benchmarks/peers/usual_script.py FOLDER --out DIR --model CHECKPOINT
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from job import Job, Stages, load_network, parse, positions, read_colours, to_labels
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import AutoImageProcessor

BATCH_SIZE = 4


@dataclass(frozen=True, slots=True)
class Script:
    """The loaded model and what is asked of it."""

    job: Job
    processor: AutoImageProcessor
    network: nn.Module
    weights: Tensor
    """Weights of a window, shape (window, window)."""
    stages: Stages

    def labels(self, photo: Image.Image) -> NDArray[np.uint8]:
        """Return the label of every pixel."""
        width, height = photo.size
        window = self.job.window
        corners = [
            (row, col)
            for row in positions(height, window, self.job.overlap)
            for col in positions(width, window, self.job.overlap)
        ]
        sums, counts = None, torch.zeros(height, width, device=self.job.device)
        for start in range(0, len(corners), self.job.batch_size):
            batch = corners[start : start + self.job.batch_size]
            with self.stages("prepare"):
                tiles = [photo.crop((col, row, col + window, row + window)) for row, col in batch]
                pixels = self.processor(images=tiles, return_tensors="pt")["pixel_values"].to(self.job.device)
            with self.stages("forward"):
                logits = self._forward(pixels)
            with self.stages("stitch"):
                if sums is None:
                    sums = torch.zeros(logits.shape[1], height, width, device=self.job.device)
                self._add(logits, batch, sums, counts)
        assert sums is not None
        with self.stages("stitch"):
            return to_labels(sums.div_(counts), self.job.tuned)

    def _forward(self, pixels: Tensor) -> Tensor:
        with torch.autocast(self.job.device, torch.bfloat16, enabled=self.job.precision == "bf16"):
            logits: Tensor = self.network(pixel_values=pixels).logits
        return logits.float()

    def _add(self, logits: Tensor, corners: list[tuple[int, int]], sums: Tensor, counts: Tensor) -> None:
        window = self.job.window
        large = nn.functional.interpolate(logits, size=(window, window), mode="bilinear", align_corners=False)
        for tile, (row, col) in zip(large, corners, strict=True):
            place = slice(row, row + window), slice(col, col + window)
            rows, cols = counts[place].shape  # fewer than the window's where the photo is smaller
            sums[(slice(None), *place)] += tile[:, :rows, :cols] * self.weights[:rows, :cols]
            counts[place] += self.weights[:rows, :cols]


def weights(kind: str, window: int) -> Tensor:
    """Return the weights of a window: `uniform`, or `hann`, which is nowhere quite zero."""
    if kind == "uniform":
        return torch.ones(window, window)
    taper = torch.hann_window(window + 2, periodic=False)[1:-1]
    return taper[:, None] * taper


def save(labels: NDArray[np.uint8], name: str, job: Job, colours: NDArray[np.uint8]) -> None:
    """Write the label mask, and the colour mask as RGB."""
    Image.fromarray(labels).save(job.out / f"{name}_label.png")
    Image.fromarray(colours[labels]).save(job.out / f"{name}_color.png")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", choices=("hann", "uniform"), default="hann", help="Weights of a window.")


@torch.inference_mode()
def main() -> None:
    job = parse((__doc__ or "").splitlines()[0], BATCH_SIZE, _add_options)
    size = {"height": job.input, "width": job.input}
    processor = AutoImageProcessor.from_pretrained(job.model, size=size)
    network, colours = load_network(job.model, job.device), read_colours(job.model)
    stages = Stages()
    script = Script(job, processor, network, weights(job.more.weights, job.window).to(job.device), stages)
    for path in job.photos:
        with stages("decode"):
            photo = Image.open(path).convert("RGB")
        labels = script.labels(photo)
        with stages("encode"):
            save(labels, path.stem, job, colours)
    stages.report()


if __name__ == "__main__":
    main()
