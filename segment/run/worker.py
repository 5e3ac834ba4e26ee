"""Bring a task to its end with an open model, and say how that went.

Nothing here knows of records, of other workers or of who hands out tasks. So any thread or process that has a model can
do it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from segment.errors import DeviceLostError
from segment.plan.recipe import Recipe
from segment.plan.standing import Standing, find, look
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.image import Masks, Segmented, join_parts, segment_image, segment_parts
from segment.run.model import OpenModel
from segment.run.task import Ended, Task, Work
from segment.run.under_way import UnderWay
from tiler.doubt import OF_PLACE, Doubt, read_doubts
from tiler.errors import DiskFullError, advice_of, reason_of
from tiler.files.names import PICTURES
from tiler.files.outputs import all_paths
from tiler.grid.parts import runs_of_parts
from tiler.masks.coverage import read_coverage
from tiler.masks.parts import PartFolder, Seen
from tiler.masks.products import remove_products

WORKING_BYTES = 2 * 2**30
"""Most bytes that the tasks in flight hold together; one above it runs alone."""
_log = logging.getLogger(__name__)


class Worker:
    """A model that does the tasks of one run; several threads may give it tasks at the same time.

    Parameters
    ----------
    model : OpenModel
        What segments.
    work : Work
        What the run asks.
    """

    def __init__(self, model: OpenModel, work: Work) -> None:
        self.under_way = UnderWay(WORKING_BYTES)
        self._model, self._work = model, work

    def end(self, task: Task, is_open: Callable[[], bool], advance: Callable[[int], None]) -> Ended | None:
        """Bring a task to its end, in the thread that calls; whatever is wrong with its image is part of the outcome.

        Parameters
        ----------
        task : Task
            The task.
        is_open : callable
            Returns whether work may still begin.
        advance : callable
            Takes how many more pixels of the image are labelled; called from this thread.

        Returns
        -------
        Ended or None
            None where it was not begun.

        Raises
        ------
        DeviceLostError
            If the device fails for good, which is no image's fault.
        """
        if not is_open():
            return None
        with self.under_way.work_on(task):
            ended = self._end(task, is_open, advance)
            seconds = self.under_way.seconds(task)
        return None if ended is None else replace(ended, seconds=seconds)

    def _end(self, task: Task, is_open: Callable[[], bool], advance: Callable[[int], None]) -> Ended | None:
        image = task.image
        path = image.found.path
        try:
            recipe = self._model.known.recipe(image, self._work.request)
            standing = task.standing or look(image, recipe, find([image]), overwrite=self._work.overwrite)
            if standing.state == "current":
                if len(image.parts) > 1:  # a run that was killed after the joining left them
                    self._folder(task, recipe).remove()
                return Ended(skipped(image, standing))
            self.under_way.hold(task, self._bytes_for(task))
            if not is_open():  # the wait may have been long
                return None
            if task.step == "parts":
                return Ended(seen=self._label_parts(task, recipe, is_open, advance))
            made = self._make(task, recipe, standing, advance)
        except DeviceLostError:
            raise
        except Exception as error:  # one bad image costs only itself, whatever it raised
            _log.debug("%s: %s; --debug shows where", path, type(error).__name__, exc_info=True)
            return Ended(failure(image, error))
        why = f"made again: {standing.why}" if standing.state == "again" else ""
        end = partial(Outcome, path, "done", why, image.pixels, relative=image.found.relative)
        return Ended(end(notes=made.notes, doubts=made.doubts, coverage=made.coverage))

    def _bytes_for(self, task: Task) -> int:
        joins = task.step == "join"
        return task.image.writing_bytes if joins else task.image.working_bytes(len(self._model.classes))

    def _make(self, task: Task, recipe: Recipe, standing: Standing, advance: Callable[[int], None]) -> Segmented:
        """Make the masks of an image, from the image or from its parts."""
        known = self._model.known
        tags = {**known.tags(task.image), **recipe.tags(polygons=standing.polygons)}
        masks = Masks(plan=task.image, request=self._work.request, classes=known.classes, tags=tags,
                      stale=standing.stale, threads=self._model.threads.gdal)  # fmt: skip
        if task.step == "image":
            made = segment_image(masks, engine=self._model.engine, advance=advance)
            self._folder(task, recipe).remove()  # those of another --part-size
            return made
        assert task.seen is not None
        return join_parts(masks, task.spans, self._folder(task, recipe), task.seen)

    def _label_parts(
        self, task: Task, recipe: Recipe, is_open: Callable[[], bool], advance: Callable[[int], None]
    ) -> Seen | None:
        """Label the parts of a task that are not there yet; return what all of them tell."""
        folder, request, classes = self._folder(task, recipe), self._work.request, self._model.classes
        there = folder.standing(task.spans, alone=False)
        missing = [span for span in task.spans if span not in there]
        for run in runs_of_parts(task.image.grid, missing, workers=1):
            segment_parts(
                task.image, request, run, folder, engine=self._model.engine, classes=classes,
                findings=task.seen.findings if task.seen else None, is_open=is_open, advance=advance,
            )  # fmt: skip
        return sum_of(folder.standing(task.spans, alone=False).values())

    def _folder(self, task: Task, recipe: Recipe) -> PartFolder:
        return folder_of(task.image, recipe, self._work)


def folder_of(image: ImagePlan, recipe: Recipe, work: Work) -> PartFolder:
    """Return where the parts of an image lie."""
    kinds = [output.kind for output in reversed(image.outputs) if output.kind not in PICTURES]
    return PartFolder(
        image.label,
        recipe.of_rows if "confidence" in kinds else recipe.of_labels,
        source=image.source_text,
        kinds=kinds,
    )


def sum_of(seen: Iterable[Seen]) -> Seen | None:
    """Return what some parts tell together; None where there are none."""
    found: Seen | None = None
    for each in seen:
        found = each if found is None else found + each
    return found


def failure(image: ImagePlan, error: Exception) -> Outcome:
    """Return how an image ended that failed by an error."""
    path = image.found.path
    return Outcome(
        path, "failed", reason_of(error, path), image.pixels, relative=image.found.relative,
        disk_full=isinstance(error, DiskFullError), advice=advice_of(error),
    )  # fmt: skip


def skipped(image: ImagePlan, standing: Standing) -> Outcome:
    """Return how an image ends whose masks are current; remove what contradicts them."""
    remove_products(standing.stale, keep=set(all_paths(image.outputs)))
    doubts = (*_of_pixels(read_doubts(standing.tags)), *image.doubts)
    return Outcome(
        image.found.path, "skipped", "its masks are up to date", image.pixels, relative=image.found.relative,
        doubts=doubts, coverage=read_coverage(standing.tags),
    )  # fmt: skip


def _of_pixels(doubts: Iterable[Doubt]) -> Iterator[Doubt]:
    """Yield the doubts of a mask that reading its image raised; those of its place are known anew in each run."""
    yield from (doubt for doubt in doubts if doubt.kind not in OF_PLACE)
