"""The previews of an image, made while its masks are: of pixels that are read, and of rows that are labelled."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment.plan.survey import ImagePlan
from tiler.classes import ClassTable
from tiler.files.aside import make_aside
from tiler.files.previews import REPORT, preview_files
from tiler.previews.canvas import MaskCanvas, PhotoCanvas, preview_shape, shows_enough
from tiler.previews.write import Preview, write_previews
from tiler.stitch.upsample import MaskRows
from tiler.stopwatch import watch

_log = logging.getLogger(__name__)


class Shown:
    """Collects what the previews of one image show.

    Parameters
    ----------
    plan : ImagePlan
        The image.
    """

    def __init__(self, plan: ImagePlan) -> None:
        shape = preview_shape(plan.grid.model_shape)
        self._plan = plan
        self._photo = PhotoCanvas(plan.grid.model_shape)
        self._labels = MaskCanvas(plan.info.shape, shape)
        measured = [str(output.kind) for output in plan.outputs if output.kind in {"confidence", "disagreement"}]
        self._levels = {kind: MaskCanvas(plan.info.shape, shape) for kind in measured}

    def see(self, row: int, pixels: NDArray[np.uint8]) -> None:
        """Take rows of the model grid; see `read_tiles`."""
        with watch("previews"):
            self._photo.add(row, pixels)

    def add(self, rows: MaskRows) -> None:
        """Take the next rows of the masks."""
        with watch("previews"):
            self._labels.add(rows.labels)
            for name, canvas in self._levels.items():
                canvas.add(getattr(rows, name))

    def write(self, out: Path, classes: ClassTable, of: str) -> None:
        """Write the previews of masks with this fingerprint. Where that fails, `noseam report` makes them later."""
        levels = {name: canvas.pixels for name, canvas in self._levels.items()}
        preview = Preview(self._photo.pixels, self._labels.pixels, levels)
        try:
            with watch("previews"):
                make_aside(out / REPORT)
                write_previews(preview_files(out, Path(self._plan.source_text)), preview, classes, of)
        except OSError as error:
            _log.debug("%s: its previews cannot be written: %s", self._plan.found.path, error)


def shown(plan: ImagePlan, *, wanted: bool) -> Shown | None:
    """Return what collects the previews of an image; None where none are made.

    None are made where they are not wanted, and where the model grid shows too little; the report makes them then.
    """
    enough = shows_enough(plan.grid.model_shape, plan.info.shape)
    return Shown(plan) if wanted and enough else None
