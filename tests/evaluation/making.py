"""Masks as noseam writes them, and what others write, for tests of their comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segment.evaluation.report import evaluation_as_dict
from segment.evaluation.results import Evaluation
from tests.make import noise
from tests.models import class_table
from tiler.classes import ClassTable
from tiler.files.outputs import Format, Output
from tiler.grid.seams import grid_tags
from tiler.grid.tiles import Grid
from tiler.masks.sink import MaskMeta
from tiler.masks.writer import MaskWriter
from tiler.source.georef import Georeference
from tiler.source.raster import FINGERPRINT_KEY

TABLE = class_table(4)
SHAPE = (301, 203)


def labels(*, seed: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """Return random ids of four classes, a fifth of them 255."""
    ids = noise(*shape, high=5, seed=seed)
    ids[ids == 4] = 255
    return ids


def write_mask(
    path: Path,
    ids: NDArray[np.uint8],
    *,
    grid: Grid | None = None,
    names: tuple[str, ...] | None = TABLE.names,
    format: Format = "png",
    **tags: str,
) -> Path:
    """Write a mask as noseam does, with the tags that `segment` gives it."""
    tags |= {FINGERPRINT_KEY: "0"} | ({} if grid is None else grid_tags(grid))
    if names is not None:
        tags["CLASS_NAMES"] = json.dumps(names)
    meta = MaskMeta((ids.shape[0], ids.shape[1]), TABLE, Georeference(), tags)
    with MaskWriter([Output(path, "label", format)], meta) as writer:
        writer.write(ids)
        writer.commit()
    return path


def write_gray(path: Path, ids: NDArray[np.uint8]) -> Path:
    Image.fromarray(ids).save(path)
    return path


def write_colours(path: Path, ids: NDArray[np.uint8], table: ClassTable = TABLE) -> Path:
    Image.fromarray(table.palette()[ids]).save(path)
    return path


def as_json(evaluation: Evaluation) -> Any:
    return json.loads(json.dumps(evaluation_as_dict(evaluation), allow_nan=False))
