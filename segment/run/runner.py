"""Run a planned survey: hand out its images, record how each ends, write the summary."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

from segment.guard.limits import Gate
from segment.guard.request import RunLimits
from segment.guard.signals import raise_if_asked
from segment.plan.request import Request
from segment.plan.shard import WHOLE, marks_of
from segment.plan.standing import as_lines, look_at_all
from segment.plan.survey import SurveyPlan
from segment.record.failures import FAILURES, write_failures
from segment.record.manifest import MANIFEST, Manifest
from segment.record.outcome import Outcome
from segment.record.summary import SUMMARY, Covered, write_summary
from segment.run.agenda import Agenda, in_order
from segment.run.crew import Advance, Workers
from segment.run.schedule import Schedule
from segment.run.task import Work
from tiler.classes import ClassTable
from tiler.masks.products import has_mask
from tiler.source.footprint import Footprint

_log = logging.getLogger(__name__)


class Runner:
    """Runs surveys with workers who have a model open; close it after the last.

    Parameters
    ----------
    workers : Workers
        Who does the work.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @property
    def classes(self) -> ClassTable:
        """Names and colours of the model's classes."""
        return self._workers.known.classes

    def close(self) -> None:
        """Let go of the model."""
        self._workers.close()

    def run(
        self,
        plan: SurveyPlan,
        request: Request,
        *,
        overwrite: bool = False,
        gate: Gate | None = None,
        advance: Advance = lambda path, pixels: None,
    ) -> Generator[Outcome]:
        """Segment a survey; yield the outcome of each input as it ends.

        Each outcome is on the disk, in `manifest.jsonl`, before it is yielded. `summary.csv` and `failures.csv` are
        written after the last one.
        Inputs that the run did not get to have no outcome. The caller holds the output folder, see `hold_folder`.

        Parameters
        ----------
        plan : SurveyPlan
            The survey.
        request : Request
            What it was planned for.
        overwrite : bool
            Make masks again that are already there, and replace files that noseam did not write.
        gate : Gate, optional
            Says whether further images may begin; None: all may.
        advance : callable
            Called in the images' own threads with the path of an image and how many more of its pixels are labelled.

        Raises
        ------
        RecordError
            If the records cannot be written.
        DeviceLostError
            If the device fails for good. Images without an outcome are not done.
        """
        request.out.mkdir(parents=True, exist_ok=True)
        gate = gate or Gate(RunLimits())
        with Manifest(request.out / request.shard.mark(MANIFEST), self.classes) as manifest:
            tables = _Tables(plan, request, self.classes)
            agenda = self._agenda(plan, Work(request, overwrite), advance)
            crew = self._workers.crew(agenda.work, gate, advance)
            broken = False
            try:
                raise_if_asked()
                for outcomes in chain(_refused(plan), Schedule(agenda, crew, gate).outcomes()):
                    manifest.append(outcomes)
                    tables.add(outcomes)
                    yield from outcomes
            except BaseException as error:
                gate.shut_by(error)
                broken = True
                raise
            finally:
                try:
                    tables.write()
                finally:
                    crew.end(broken=broken)

    def _agenda(self, plan: SurveyPlan, work: Work, advance: Advance) -> Agenda:
        """Return what is to be done; say why masks are made again."""
        known = self._workers.known
        recipe = partial(known.recipe, request=work.request)
        standings = look_at_all(plan.images, recipe, overwrite=work.overwrite)
        for line in as_lines(standings.values()):
            _log.warning("%s", line)
        images = deque(in_order(plan.images, standings))
        return Agenda(images, standings, known, work, self._workers.count, advance)


def _refused(plan: SurveyPlan) -> Iterator[list[Outcome]]:
    if plan.refused:
        yield [
            Outcome(each.path, "failed", each.reason, relative=each.relative, advice=each.advice)
            for each in plan.refused
        ]


class _Tables:
    """What the tables of a run will hold: the images that failed, and what covers the others."""

    def __init__(self, plan: SurveyPlan, request: Request, classes: ClassTable) -> None:
        self._plan, self._request, self._classes = plan, request, classes
        self._ground = {image.found.path: Footprint(image.info.georeference, image.info.shape) for image in plan.images}
        self._covered: list[Covered] = []
        self._failed: list[Outcome] = []

    def add(self, outcomes: Sequence[Outcome]) -> None:
        self._failed += [each for each in outcomes if each.state == "failed"]
        self._covered += [
            Covered(each.relative, each.coverage, self._ground[each.path]) for each in outcomes if each.coverage
        ]

    def write(self) -> None:
        plan, out, mark = self._plan, self._request.out, self._request.shard.mark
        write_failures(out / mark(FAILURES), self._failed, part=() if plan.whole else plan.paths)
        made = {each.image for each in self._covered}
        earlier = [each for each in plan.named if each not in made and has_mask(out, each)]
        write_summary(out / mark(SUMMARY), self._classes, self._covered, plan.named, whole=plan.whole, earlier=earlier)
        if self._request.shard == WHOLE and plan.whole:
            _drop_tables_of_shards(out)


def _drop_tables_of_shards(out: Path) -> None:
    """Remove tables of earlier shards; those of the whole survey hold all that they held."""
    for name in (FAILURES, SUMMARY):
        for path in out.glob(marks_of(name)):
            with suppress(OSError):
                path.unlink()
