"""Bring one image to its end: leave it where its masks are current, else segment it, and say how that went.

Nothing here knows of records, of other images or of the caller. So any thread or process that has a model can do it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version

from segment.engine.contract import Engine
from segment.errors import DeviceLostError
from segment.plan.recipe import Recipe, recipe_for
from segment.plan.request import Request
from segment.plan.standing import Standing, find, look
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.cores import Threads
from segment.run.image import segment_image
from tiler.classes import ClassTable
from tiler.doubt import OF_PLACE, Doubt, read_doubts
from tiler.errors import DiskFullError, advice_of, reason_of
from tiler.files.outputs import all_paths
from tiler.grid.seams import grid_tags
from tiler.masks.coverage import read_coverage
from tiler.masks.products import remove_products
from tiler.masks.provenance import DIGEST_KEY, ENGINE_KEY, MODEL_KEY, SOURCE_KEY

_log = logging.getLogger(__name__)
_version = cache(version)  # a look at the disk


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

    def recipe(self, image: ImagePlan, request: Request) -> Recipe:
        """Return what the masks of an image are made from."""
        return recipe_for(image, request, model_digest=self.digest, classes=self.classes, engine=self.engine.name)


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
    standing: Standing | None = None
    """What stands in the output folder for the image; None: the job looks itself."""

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
        image = self.image
        path = image.found.path
        outcome = partial(Outcome, path, pixels=image.pixels, relative=image.found.relative)
        try:
            recipe = self.model.recipe(image, self.request)
            standing = self.standing or look(image, recipe, find([image]), overwrite=self.overwrite)
            if standing.state == "current":
                remove_products(standing.stale, keep=set(all_paths(image.outputs)))
                doubts = (*_of_pixels(read_doubts(standing.tags)), *image.doubts)
                coverage = read_coverage(standing.tags)
                return outcome("skipped", "its masks are up to date", coverage=coverage, doubts=doubts)
            if not admit(image.working_bytes(len(self.model.classes))):
                return None
            made = segment_image(
                image, self.request, engine=self.model.engine, classes=self.model.classes,
                tags={**self.tags(), **recipe.tags(polygons=standing.polygons)}, stale=standing.stale,
                threads=self.model.threads.gdal, advance=advance,
            )  # fmt: skip
        except DeviceLostError:
            raise
        except Exception as error:  # one bad image costs only itself, whatever it raised
            _log.debug("%s: %s; --debug shows where", path, type(error).__name__, exc_info=True)
            return outcome(
                "failed", reason_of(error, path), disk_full=isinstance(error, DiskFullError), advice=advice_of(error)
            )
        why = f"made again: {standing.why}" if standing.state == "again" else ""
        return outcome("done", why, notes=made.notes, doubts=made.doubts, coverage=made.coverage)

    def tags(self) -> dict[str, str]:
        """Return what the masks say about what made them."""
        return {
            "SOFTWARE": f"noseam {_version('noseam')}",
            SOURCE_KEY: self.image.source_text,
            MODEL_KEY: self.model.name,
            DIGEST_KEY: self.model.digest,
            "CLASS_NAMES": json.dumps(self.model.classes.names),
            ENGINE_KEY: self.model.engine.name,
            **grid_tags(self.image.grid),
        }


def _of_pixels(doubts: Iterable[Doubt]) -> Iterator[Doubt]:
    """Yield the doubts of a mask that reading its image raised; those of its place are known anew in each run."""
    yield from (doubt for doubt in doubts if doubt.kind not in OF_PLACE)
