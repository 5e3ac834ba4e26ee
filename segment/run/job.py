"""Bring one image to its end: leave it where its masks are current, else segment it, and say how that went.

Nothing here knows of records, of other images or of the caller. So any thread or process that has a model can do it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from segment.engine.contract import Engine
from segment.errors import DeviceLostError
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.cores import Threads
from segment.run.image import segment_image
from tiler.classes import ClassTable
from tiler.doubt import read_doubts
from tiler.errors import DiskFullError, reason_of
from tiler.grid.seams import grid_tags
from tiler.masks.coverage import read_coverage
from tiler.masks.provenance import current_tags, digest
from tiler.polygons.make import refuse_foreign_polygons
from tiler.source.raster import FINGERPRINT_KEY

MASK_VERSION = 2
"""Raised by one when a change of noseam changes masks, so that they are made again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model on its device; whoever opened it closes its engine."""

    name: str
    """The folder or hub id that the user gave."""
    digest: str
    """Digest of its weights; it goes into every mask."""
    classes: ClassTable
    """Names and colours of its classes."""
    engine: Engine
    """The network on its device."""
    threads: Threads
    """How the cores are shared."""


@dataclass(frozen=True, slots=True)
class Job:
    """One image, and what its masks are made by."""

    image: ImagePlan
    """The image."""
    request: Request
    """What it was planned for."""
    model: OpenModel
    """What segments it."""
    overwrite: bool = False
    """Whether current masks are made again, and files that noseam did not write are replaced."""
    there: Container[Path] = frozenset()
    """Files that are known to exist, so that the disk is not asked for each; see `current_tags`."""

    def end(self, admit: Callable[[int], bool], advance: Callable[[int], None]) -> Outcome | None:
        """Bring the image to its end, in the thread that calls; whatever is wrong with it is part of the outcome.

        Parameters
        ----------
        admit : callable
            Takes how many bytes the image will hold, waits until there is room for them, and returns whether work
            on it may still begin. It is not called where nothing is to do.
        advance : callable
            Takes how many more of its pixels are labelled; called from this thread.

        Returns
        -------
        Outcome or None
            How the image ended; None where `admit` refused it.

        Raises
        ------
        DeviceLostError
            If the device fails for good, which is no image's fault.
        """
        image, started = self.image, time.monotonic()
        path = image.found.path
        outcome = partial(Outcome, path, pixels=image.pixels, relative=image.found.relative)
        try:
            fingerprint = self.fingerprint()
            if not self.overwrite and (tags := current_tags(image.outputs, fingerprint, self.there)) is not None:
                return outcome(
                    "skipped", "its masks are up to date", coverage=read_coverage(tags), doubts=read_doubts(tags)
                )
            if not admit(image.working_bytes(len(self.model.classes))):
                return None
            if not self.overwrite:
                refuse_foreign_polygons(image.outputs)
            made = segment_image(
                image, self.request, engine=self.model.engine, classes=self.model.classes, tags=self.tags(fingerprint),
                threads=self.model.threads.gdal, advance=advance,
            )  # fmt: skip
        except DeviceLostError:
            raise
        except Exception as error:  # one bad image costs only itself, whatever it raised
            _log.debug("%s: %s; --debug shows where", path, type(error).__name__, exc_info=True)
            return outcome(
                "failed", reason_of(error, path), seconds=time.monotonic() - started,
                disk_full=isinstance(error, DiskFullError),
            )  # fmt: skip
        return outcome(
            "done", seconds=time.monotonic() - started, notes=made.notes, doubts=made.doubts, coverage=made.coverage
        )

    def fingerprint(self) -> str:
        """Return 32 hex digits that change whenever the masks would: with the source, the model or the settings."""
        image, request, model = self.image, self.request, self.model
        return digest(
            {
                "masks": MASK_VERSION,
                "source": image.stamp,
                "model": model.digest,
                "engine": model.engine.name,
                "classes": [model.classes.names, model.classes.colours],
                "tiling": [image.grid.model_shape, image.grid.tile_px, image.grid.row_offs, image.grid.col_offs],
                "georeference": image.info.georeference.key,
                "polygons": request.polygon_options.key if request.polygons else None,
                "strict": request.strict,
                "channels": request.reading.channels,
                "value_range": request.reading.value_range,
                "formats": [(output.path.name, output.format) for output in image.outputs],
                "beside": [side.path.name for output in image.outputs for side in output.sidecars],
            }
        )

    def tags(self, fingerprint: str) -> dict[str, str]:
        """Return what the masks say about what made them."""
        return {
            "SOFTWARE": f"noseam {version('noseam')}",
            "SOURCE": self.image.found.relative.as_posix().encode("utf-8", "backslashreplace").decode(),
            "MODEL": self.model.name,
            "MODEL_DIGEST": self.model.digest,
            "CLASS_NAMES": json.dumps(self.model.classes.names),
            "NOSEAM_ENGINE": self.model.engine.name,
            **grid_tags(self.image.grid),
            FINGERPRINT_KEY: fingerprint,
        }
