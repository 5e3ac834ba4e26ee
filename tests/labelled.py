"""Masks as `noseam segment` writes them, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from tests.make import UTM, noise
from tiler.classes import NO_LABEL, ClassTable, distinct_colours
from tiler.files.outputs import plan_outputs
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.source.georef import Georeference
from tiler.source.raster import FINGERPRINT_KEY

NAMES = ("road", "roof", "tree")
NORTH_UP = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
PLACED = Georeference(UTM, NORTH_UP)
LABELS = noise(6, 8, high=3).repeat(5, 0).repeat(4, 1)
LABELS[:7, :9] = NO_LABEL


def write_mask(
    folder: Path,
    name: str = "IMG_1",
    *,
    labels: NDArray[np.uint8] = LABELS,
    georeference: Georeference | None = None,
    **wanted: Any,
) -> Path:
    """Write masks as `noseam segment` does and return the label mask."""
    georeference = georeference or Georeference()
    outputs = plan_outputs(
        Path(f"{name}.jpg"), folder, georeferenced=georeference.present, **({"wanted": "auto", "color": None} | wanted)
    )
    tags = {"MODEL": "demo", "SOURCE": f"a/{name}.jpg", "CLASS_NAMES": json.dumps(NAMES), FINGERPRINT_KEY: "abc"}
    meta = MaskMeta(labels.shape, ClassTable(NAMES, distinct_colours(3)), georeference, tags)
    with MaskWriter(outputs, meta) as writer:
        confidence = [np.zeros_like(labels)] if wanted.get("confidence") else []
        writer.write(labels, *confidence)
        writer.commit()
    return outputs[0].path
