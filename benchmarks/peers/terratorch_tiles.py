"""TerraTorch's `tiled_inference`, which blends by cosine ramps, on images read with rasterio.

Crop, stride and batch size are ours (the job's); border cropping (`delta`), reflected padding, blending and averaging
are its defaults. The model callable shrinks crops to the network's size and enlarges the logits.

Importing the package imports torchvision, torchgeo and dozens of others, of which some machines have no build. The one
module that tiles needs a single function of theirs, for models of fixed size, and never calls it here. So this script
loads that module alone, unchanged, from the installed package; `pip install --no-deps terratorch` is enough.

    python benchmarks/peers/terratorch_tiles.py FOLDER --out DIR --model CHECKPOINT
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import rasterio
import torch
from job import Job, Stages, load_network, parse, read_colours, read_normalisation, save_masks, to_labels
from numpy.typing import NDArray
from torch import Tensor, nn

BATCH_SIZE = 1


def load_tiled_inference() -> Any:
    """Return TerraTorch's function, without importing the rest of TerraTorch.

    Raises
    ------
    ModuleNotFoundError
        If TerraTorch is not installed.
    """
    package = importlib.util.find_spec("terratorch")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("terratorch is not installed", name="terratorch")
    stand_in: Any = ModuleType("terratorch.models.utils")
    stand_in.pad_images = None
    for name, module in (
        ("terratorch", ModuleType("terratorch")),
        ("terratorch.models", ModuleType("terratorch.models")),
        ("terratorch.models.utils", stand_in),
    ):
        sys.modules[name] = module
    path = Path(package.origin).parent / "tasks" / "tiled_inference.py"
    spec = importlib.util.spec_from_file_location("terratorch_tiled_inference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.tiled_inference


@dataclass(frozen=True, slots=True)
class Model:
    """Crops of full resolution in, logits of full resolution out."""

    job: Job
    network: nn.Module
    stages: Stages

    def __call__(self, crops: Tensor) -> Tensor:
        """Return logits of the size of the crops."""
        side = self.job.input
        with self.stages("prepare"):
            tiles = nn.functional.interpolate(crops, size=(side, side), mode="bilinear", antialias=True)
        bf16 = self.job.precision == "bf16"
        with self.stages("forward"), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = self.network(pixel_values=tiles).logits.float()
        return nn.functional.interpolate(logits, size=crops.shape[2:], mode="bilinear", align_corners=False)


def read(path: Path) -> NDArray[np.uint8]:
    """Return the first three channels, shape (3, height, width)."""
    with rasterio.open(path) as dataset:
        pixels: NDArray[np.uint8] = dataset.read([1, 2, 3])
    return pixels


@torch.inference_mode()
def main() -> None:
    job = parse((__doc__ or "").splitlines()[0], BATCH_SIZE)
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    tiled_inference, network = load_tiled_inference(), load_network(job.model)
    (mean, std), colours = read_normalisation(job.model), read_colours(job.model)
    stages = Stages()
    model = Model(job, network, stages)
    stride = int(job.window * (1 - job.overlap))
    for path in job.photos:
        with stages("decode"):
            pixels = torch.from_numpy(read(path))
        with stages("prepare"):
            batch = ((pixels - mean) / std)[None]
        with stages("stitch"):
            logits = tiled_inference(model, batch, crop=job.window, stride=stride, batch_size=job.batch_size)
            labels = to_labels(logits[0], job.tuned)
        with stages("encode"):
            save_masks(labels, path, job.out, colours)
    stages.report()


if __name__ == "__main__":
    main()
