"""MONAI's `sliding_window_inference` with Gaussian weights, in two set-ups, to full-resolution masks.

- By default windows of full resolution slide over the photo, and the predictor shrinks them to the network's size and
  enlarges the logits again: the direct translation of the job.
- `--low-res` shrinks the photo once, slides windows of the network's size over it, lets the predictor answer with
  logits on its own, coarser grid, as MONAI allows (it scales weights and places then; the shrunk photo is a multiple of
  4, which keeps them whole), and enlarges the blended logits at the end. MONAI's documentation does not propose this
  for the job; it is the strongest set-up that we found.

    python benchmarks/peers/monai_window.py FOLDER --out DIR --model CHECKPOINT [--low-res]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from job import Job, Stages, load_network, parse, read_colours, read_normalisation, save_masks, to_labels
from monai.inferers import sliding_window_inference  # type: ignore[import-not-found,unused-ignore]
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

BATCH_SIZE = 1
GRID = 4


@dataclass(frozen=True, slots=True)
class Sliding:
    """The loaded model and what is asked of it."""

    job: Job
    network: nn.Module
    normalisation: tuple[Tensor, Tensor]
    """Mean and standard deviation, shape (3, 1, 1)."""
    stages: Stages

    def labels(self, photo: Image.Image) -> NDArray[np.uint8]:
        """Return the label of every pixel, by windows of full resolution."""
        with self.stages("prepare"):
            pixels = self._normalise(photo)
        with self.stages("stitch"):
            logits = self._slide(pixels, self.job.window, self._predict_large)
            return to_labels(logits[0], self.job.tuned)

    def labels_low_res(self, photo: Image.Image) -> NDArray[np.uint8]:
        """Return the label of every pixel, by windows over the shrunk photo."""
        scale = self.job.input / self.job.window
        width, height = (max(GRID, round(side * scale / GRID) * GRID) for side in photo.size)
        with self.stages("prepare"):
            pixels = self._normalise(photo.resize((width, height), Image.Resampling.BILINEAR))
        with self.stages("stitch"):
            logits = self._slide(pixels, self.job.input, self._predict)
            large = _resize(logits, photo.size[1], photo.size[0])
            return to_labels(large[0], self.job.tuned)

    def _normalise(self, photo: Image.Image) -> Tensor:
        mean, std = self.normalisation
        pixels = torch.from_numpy(np.array(photo)).to(self.job.device).permute(2, 0, 1)
        return ((pixels - mean.to(self.job.device)) / std.to(self.job.device))[None].contiguous()

    def _slide(self, pixels: Tensor, roi: int, predict: object) -> Tensor:
        logits: Tensor = sliding_window_inference(
            pixels, (roi, roi), self.job.batch_size, predict, overlap=self.job.overlap, mode="gaussian"
        )
        return logits

    def _predict(self, tiles: Tensor) -> Tensor:
        bf16 = self.job.precision == "bf16"
        with self.stages("forward"), torch.autocast(self.job.device, torch.bfloat16, enabled=bf16):
            return self.network(pixel_values=tiles).logits.float()  # type: ignore[no-any-return]

    def _predict_large(self, windows: Tensor) -> Tensor:
        side = self.job.input
        with self.stages("prepare"):
            tiles = nn.functional.interpolate(windows, size=(side, side), mode="bilinear", antialias=True)
        return _resize(self._predict(tiles), *windows.shape[2:])


def _resize(logits: Tensor, height: int, width: int) -> Tensor:
    return nn.functional.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--low-res", action="store_true", help="Blend on the logits' own grid, enlarge once.")


@torch.inference_mode()
def main() -> None:
    job = parse((__doc__ or "").splitlines()[0], BATCH_SIZE, _add_options)
    network, normalisation, colours = (
        load_network(job.model, job.device),
        read_normalisation(job.model),
        read_colours(job.model),
    )
    stages = Stages()
    sliding = Sliding(job, network, normalisation, stages)
    label = sliding.labels_low_res if job.more.low_res else sliding.labels
    for path in job.photos:
        with stages("decode"):
            photo = Image.open(path).convert("RGB")
        labels = label(photo)
        with stages("encode"):
            save_masks(labels, path, job.out, colours)
    stages.report()


if __name__ == "__main__":
    main()
