"""Run a planned survey: open the model, record how each image ends, write the summary."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from segment.engine.choose import open_engine
from segment.engine.request import EngineKind, Precision
from segment.guard.limits import Gate
from segment.guard.request import RunLimits
from segment.guard.signals import raise_if_asked
from segment.model.checkpoint import BUNDLED_MODELS, Description, fit_classes, weights_digest
from segment.plan.request import Request
from segment.plan.shard import WHOLE, marks_of
from segment.plan.standing import Standing, as_lines, look_at_all
from segment.plan.survey import ImagePlan, SurveyPlan
from segment.record.failures import FAILURES, write_failures
from segment.record.manifest import MANIFEST, Manifest
from segment.record.outcome import Outcome
from segment.record.summary import SUMMARY, Covered, write_summary
from segment.run.cores import share_cores
from segment.run.job import OpenModel
from segment.run.local import LocalSchedule
from tiler.masks.products import has_mask
from tiler.source.footprint import Footprint

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner(OpenModel):
    """A model on a device, ready to run surveys; close its engine after the last."""

    def run(
        self,
        plan: SurveyPlan,
        request: Request,
        *,
        overwrite: bool = False,
        gate: Gate | None = None,
        advance: Callable[[Path, int], None] = lambda path, pixels: None,
    ) -> Generator[Outcome]:
        """Segment a survey; yield the outcome of each input as it ends.

        Each outcome is written to `manifest.jsonl` before it is yielded. `summary.csv` is written after the last one,
        and so is `failures.csv`.
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
        covered: list[Covered] = []
        ground = {image.found.path: Footprint(image.info.georeference, image.info.shape) for image in plan.images}
        request.out.mkdir(parents=True, exist_ok=True)
        gate = gate or Gate(RunLimits())
        failed: list[Outcome] = []
        refused = (
            Outcome(each.path, "failed", each.reason, relative=each.relative, advice=each.advice)
            for each in plan.refused
        )
        with Manifest(request.out / request.shard.mark(MANIFEST), self.classes) as manifest:
            standings = look_at_all(plan.images, partial(self.recipe, request=request), overwrite=overwrite)
            for line in as_lines(standings.values()):
                _log.warning("%s", line)
            schedule = LocalSchedule(request, self, gate, advance=advance, overwrite=overwrite, standings=standings)
            broken = False
            try:
                raise_if_asked()
                for outcome in chain(refused, schedule.outcomes(_in_order(plan.images, standings))):
                    manifest.append(outcome)
                    if outcome.state == "failed":
                        failed.append(outcome)
                    if outcome.coverage is not None:
                        covered.append(Covered(outcome.relative, outcome.coverage, ground[outcome.path]))
                    yield outcome
            except BaseException as error:
                gate.shut_by(error)
                broken = True
                raise
            finally:
                schedule.begin_no_more()
                try:
                    part = () if plan.whole else plan.paths
                    write_failures(request.out / request.shard.mark(FAILURES), failed, part=part)
                    made = {each.image for each in covered}
                    write_summary(
                        request.out / request.shard.mark(SUMMARY), self.classes, covered, plan.named, whole=plan.whole,
                        earlier=[each for each in plan.named if each not in made and has_mask(request.out, each)],
                    )  # fmt: skip
                    if request.shard == WHOLE and plan.whole:
                        _drop_tables_of_shards(request.out)
                finally:
                    if broken:
                        self.engine.close()  # ends the threads that wait for logits
                    schedule.wait()


def _in_order(images: Iterable[ImagePlan], standings: Mapping[Path, Standing]) -> list[ImagePlan]:
    """Return images in the order of work.

    Those with nothing to do come first, so that none of them is ever left. Images of one tile shape follow each other,
    because the network takes memory anew when it turns to another shape.
    """
    images = list(images)
    places = {shape: place for place, shape in enumerate(dict.fromkeys(image.grid.tile_shape for image in images))}

    def turn(image: ImagePlan) -> tuple[bool, int]:
        standing = standings.get(image.found.path)
        return standing is None or standing.state != "current", places[image.grid.tile_shape]

    return sorted(images, key=turn)


def _drop_tables_of_shards(out: Path) -> None:
    """Remove tables of earlier shards; those of the whole survey hold all that they held."""
    for name in (FAILURES, SUMMARY):
        for path in out.glob(marks_of(name)):
            with suppress(OSError):
                path.unlink()


def open_runner(
    description: Description,
    class_table: Path | None = None,
    *,
    kind: EngineKind = "auto",
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
) -> Runner:
    """Load a checkpoint and put it on a device.

    Parameters
    ----------
    description : Description
        The checkpoint, see `describe_checkpoint`.
    class_table : Path or None
        CSV with other names and colours for its classes.
    kind, device, precision, batch_size
        See `open_engine`.
    threads : int or None
        Cores to use; None: all that this process may use.

    Raises
    ------
    CheckpointError, ClassTableError, DeviceError, EngineError
        If the weights, the table, the device or the engine cannot be used.
    """
    if description.name in BUNDLED_MODELS:
        _log.warning("the bundled model %r is a demonstration: it knows made-up scenes only, not real photos",
                     description.name)  # fmt: skip
    classes = fit_classes(description, class_table)
    digest, shared = weights_digest(description), share_cores(threads)
    engine = open_engine(
        description, digest, threads=shared.cores, kind=kind, device=device, precision=precision, batch_size=batch_size
    )
    _log.info("model %s, %d classes, %s, %d threads", description.name, len(classes), engine.name, shared.cores)
    return Runner(description.name, digest, classes, engine, shared)
