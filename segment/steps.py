"""The steps of noseam as functions of a request: each holds its output folder, does its work, returns the result.

A step imports what it needs when it is called, so that `import segment.api` and `noseam --help` load nothing heavy.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from segment.errors import RequestError
from segment.record.logs import ignore_placeless
from tiler.errors import NoseamError, PolygonRequestError, TilerError
from tiler.stopwatch import watch

if TYPE_CHECKING:
    from segment.adapt.adapt import Adapted
    from segment.adapt.request import AdaptRequest
    from segment.doctor.examine import Examination
    from segment.doctor.request import DoctorRequest
    from segment.evaluation.request import EvaluateRequest
    from segment.evaluation.results import Evaluation
    from segment.guard.limits import Gate
    from segment.model.checkpoint import Description
    from segment.plan.request import Request, SurveyRequest
    from segment.plan.scope import Scope
    from segment.plan.survey import SurveyPlan
    from segment.record.outcome import Outcome
    from segment.record.request import StatusRequest
    from segment.record.status import Status
    from segment.report.request import ReportRequest
    from segment.review.export import Exported
    from segment.review.request import ReviewRequest
    from segment.review.take_back import TakenBack
    from segment.run.crew import Workers
    from segment.run.request import PlanRequest, SegmentRequest
    from segment.run.runner import Runner
    from segment.training.request import TrainRequest
    from segment.training.train import TrainResult
    from tiler.classes import ClassTable
    from tiler.crops.cut import CropOutcome
    from tiler.crops.make import CropReport
    from tiler.crops.request import CropRequest
    from tiler.polygons.request import PolygonReport, PolygonsRequest

Progress = Callable[[int, int], None]
"""Called with how many of a step's pieces are done, and how many there are."""
_log = logging.getLogger(__name__)


def unheard(done: int, total: int) -> None:
    """Tell nobody how far a step is."""


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep rasterio's warnings of images without a place from a Python program, for the block."""
    with warnings.catch_warnings():
        ignore_placeless()
        yield


@dataclass(frozen=True, slots=True)
class Planned:
    """A survey that can be segmented."""

    description: Description | None
    """The checkpoint; None if the user named none."""
    request: Request
    """What was asked, with the checkpoint's tiling."""
    survey: SurveyPlan
    """Its inputs, each planned or refused; those of the shard that is asked for."""
    everything: SurveyPlan
    """All inputs, those of other shards too."""
    scope: Scope
    """Where its sources lie in the survey of the output folder."""


@_no_warnings()
def plan(request: SurveyRequest) -> Planned:
    """Return what `segment` would do, from headers alone.

    Raises
    ------
    RequestError
        If a source is not there, or the options do not go with the checkpoint.
    NoseamError
        If the checkpoint cannot be used, an optional package is missing, or two images would write one output.
    """
    from segment.plan.gone import find_gone
    from segment.plan.report import passed_over
    from segment.plan.scope import scope_of
    from segment.plan.shard import WHOLE
    from segment.plan.shares import take_shard
    from segment.plan.survey import plan_survey
    from tiler.extra import require_extra
    from tiler.files.walk import walk_survey
    from tiler.grid.tiling import Tiling

    for source in request.sources:
        if not source.exists() and not source.is_symlink():
            raise RequestError(f"{source}: no such file or folder")
    if request.polygons:
        require_extra("vector")
    if request.georef == "photo":
        require_extra("photo")
    description = _described(request)
    try:
        asked = (Tiling(),) if description is None else (description.tiling, description.cost.balance_px)
        resolved = request.over(*asked)
    except TilerError as error:
        raise RequestError(str(error)) from error
    own = description is not None and resolved.tiling == description.tiling
    said_by = description.tiling_source if own and description else "your options" if description else "no model"
    _log.info("how images are cut: %s (source: %s)", resolved.tiling, said_by)
    if request.shard.origin:
        _log.info("shard %s, because %s", request.shard, request.shard.origin)
    scope = scope_of(request.sources, request.out)
    walked = walk_survey(request.sources, out=request.out, below=scope.below)
    scope.refuse_namesakes(walked.images)
    everything = replace(plan_survey(walked, resolved), whole=scope.whole)
    if request.shard == WHOLE:
        everything = replace(everything, gone=find_gone(everything, scope))
    ours = take_shard(everything, request.shard, request.out)
    for level, text in passed_over(walked, ours, request):
        _log.log(level, "%s", text)
    return Planned(description, resolved, ours, everything, scope)


def _described(request: SurveyRequest) -> Description | None:
    """Return the checkpoint that a user named, its classes balanced as asked; None if there is none."""
    from segment.model.checkpoint import describe_checkpoint

    if request.model is not None:
        return describe_checkpoint(request.model).balanced(request.balance_classes)
    if request.balance_classes:
        raise RequestError("--balance-classes needs --model, which says how often training showed each class")
    return None


@_no_warnings()
def survey(request: PlanRequest) -> SurveyPlan:
    """Return what `segment` would do, and what that takes; without a model, or if so asked, from headers alone.

    It raises what `plan` and `foresee` raise.
    """
    from segment.run.apart import foresee
    from segment.run.request import WorkerOptions
    from segment.run.stands import told_what_stands
    from segment.workers.count import count_workers

    started = time.monotonic()
    planned = plan(request)
    found, description = planned.survey, planned.description
    if description is not None:
        found = told_what_stands(found, planned.request, description, request.classes)
    planning_s = time.monotonic() - started
    workers = count_workers(WorkerOptions(workers=request.workers), request.engine_options, len(found.to_do))
    estimate = foresee(request, description, found.to_do, planning_s=planning_s, workers=workers)
    return replace(found, estimate=estimate)


@contextmanager
def held(request: SegmentRequest, planned: Planned, gate: Gate, command: Sequence[str] = ()) -> Iterator[Planned]:
    """Keep other runs from the output folder of a planned survey; enter this before its model is opened.

    It yields the survey as it is to be segmented: which inputs a shard takes is settled only now.
    `command` is what was typed after `noseam`.

    Raises
    ------
    FolderInUseError
        If another run writes there.
    RecordError
        If the folder cannot be written to.
    """
    from segment.guard.output import hold_output
    from segment.record.hardware import hardware_of
    from segment.run.cores import share_cores

    engine = request.engine_options
    hardware = hardware_of(
        share_cores(engine.threads).cores, gpus=engine.device != "cpu" and engine.engine != "openvino"
    )
    with hold_output(
        planned.scope, request.shard, planned.everything, gate, prune=request.prune, hardware=hardware, command=command
    ) as survey:
        yield replace(planned, survey=survey)


@contextmanager
def opened(request: SegmentRequest, planned: Planned) -> Iterator[Runner]:
    """Yield a runner for a planned survey, whose classes the output folder now tells; close its engine after the block.

    Raises
    ------
    RequestError
        If the model lacks a class that `--only` names.
    NoseamError
        If the model, the class table or the device cannot be used.
    """
    from segment.run.runner import Runner
    from tiler.masks.legend import write_legend

    with watch("open"):
        workers = _workers(request, planned)
    with closing(Runner(workers)) as runner:
        try:
            request.polygon_options.chosen(runner.classes.names)
        except TilerError as error:
            raise RequestError(f"--only: {error}") from error
        for why in write_legend(request.out, runner.classes):
            _log.warning("%s", why)
        yield runner


def _workers(request: SegmentRequest, planned: Planned) -> Workers:
    """Open the model where it is to run."""
    from segment.run.local import open_local
    from segment.workers.count import count_workers

    assert planned.description is not None
    count = count_workers(request.worker_options, request.engine_options, len(planned.survey.images))
    if count == 1 and request.worker_options.scheduler is None:
        return open_local(request, planned.description)
    from segment.workers.open import DaskWorkers

    return DaskWorkers(request, planned.description, count)


@_no_warnings()
def segment(request: SegmentRequest, advance: Progress = unheard) -> tuple[Outcome, ...]:
    """Segment a survey and return how its inputs ended.

    It raises what `plan`, `held`, `opened` and `Runner.run` raise.
    """
    from segment.guard.limits import Gate

    gate = Gate(request.run_limits)
    outcomes: list[Outcome] = []
    with held(request, plan(request), gate) as planned, opened(request, planned) as runner:
        for outcome in runner.run(planned.survey, planned.request, overwrite=request.overwrite, gate=gate):
            outcomes.append(outcome)
            advance(len(outcomes), planned.survey.inputs)
        report_after(request)
    return tuple(outcomes)


def report_after(request: SegmentRequest) -> Path | None:
    """Make the report at the end of a run that holds its folder; return its page, or None where none is made.

    A shard makes none, because others may be under way. A report that cannot be made costs a warning, not the run.
    """
    from segment.plan.shard import WHOLE
    from segment.report.request import ReportRequest

    if not request.report or request.shard != WHOLE:
        return None
    try:
        return report(ReportRequest(out=request.out))
    except NoseamError as error:
        _log.warning("no report: %s", error)
        return None


@_no_warnings()
def report(request: ReportRequest, advance: Progress = unheard) -> Path | None:
    """Make the report of an output folder; return its page, or None where there is nothing to report.

    Raises
    ------
    NoseamError
        If a record cannot be read, the report cannot be written, or another process writes it.
    """
    from segment.report.make import make_report
    from segment.run.cores import share_cores

    return make_report(request.out, request.evaluation, jobs=share_cores(None).cores, advance=advance)


def status(request: StatusRequest) -> Status:
    """Return how the last runs into an output folder stand, from their records alone.

    Raises
    ------
    RequestError
        If there is no such folder.
    RecordError
        If a record cannot be read.
    """
    from segment.guard.lock import holders
    from segment.record.status import read_status

    if not request.out.is_dir():
        raise RequestError(f"{request.out}: no such folder")
    return read_status(request.out, {shard: str(holder) for shard, holder in holders(request.out).items()})


def doctor(request: DoctorRequest, progress: Progress = unheard) -> Examination:
    """Return what this machine has, and what its engines compute; it raises nothing of what is broken."""
    from segment.doctor.examine import examine

    return examine(request, progress)


@_no_warnings()
def crop(
    request: CropRequest,
    advance: Callable[[CropOutcome, int, int], None] = lambda outcome, done, total: None,
    looked: Progress = unheard,
) -> CropReport:
    """Cut a survey and its masks into crops; see `make_crops` for what it raises."""
    from segment.guard.lock import hold_folder
    from tiler.crops.make import make_crops

    # Absolute, because the worker processes of an earlier call may stand in another folder.
    images, masks, out = (path.absolute() for path in (request.images, request.masks, request.out))
    return make_crops(images, masks, out, request.crops, classes=_table(request.classes), remap=request.remap,
                      sides=request.sides, jobs=request.jobs or -1, hold=hold_folder, advance=advance,
                      looked=looked)  # fmt: skip


@_no_warnings()
def review(request: ReviewRequest, advance: Progress = unheard) -> Exported | TakenBack:
    """Export windows that are worth labelling, or take corrected labels back; see `export` and `take_back`.

    Raises
    ------
    NoseamError
        What these raise; and if another review of this folder runs.
    """
    from segment.guard.lock import hold_folder
    from segment.review.export import export
    from segment.review.take_back import take_back

    if (request.export is None) == (request.corrected is None):
        raise RequestError("either --export N or --import FILE|DIR is needed, and not both")
    with hold_folder(request.folder):
        return take_back(request, advance) if request.export is None else export(request, advance)


@_no_warnings()
def train(request: TrainRequest, advance: Progress = unheard) -> TrainResult:
    """Train a model on crops, or go on with its training; see `segment.training.train.train` for what it raises."""
    from segment.training.train import train

    return train(request, advance)


@_no_warnings()
def adapt(request: AdaptRequest, advance: Progress = unheard) -> Adapted:
    """Make a model at home in a survey, without labels; see `segment.adapt.adapt.adapt` and `plan` for what it raises.

    Raises
    ------
    NoseamError
        What these raise; and if another run writes to the folder.
    """
    from segment.adapt.adapt import adapt
    from segment.guard.lock import hold_folder
    from segment.plan.request import SurveyRequest

    asked = SurveyRequest(
        sources=request.sources, out=request.out, model=request.model, reading=request.reading, limits=request.limits
    )
    planned = plan(asked)
    assert planned.description is not None
    with hold_folder(request.out):
        return adapt(request, planned.survey, planned.request, planned.description, advance)


@_no_warnings()
def evaluate(request: EvaluateRequest, advance: Progress = unheard) -> Evaluation:
    """Compare masks with the truth or with masks of another grid, and write the report if there is a folder for it.

    Raises
    ------
    NoseamError
        If the masks cannot be compared, another run writes to the folder, or the report cannot be written.
    """
    from segment.evaluation.compare import evaluate
    from segment.evaluation.report import write_report
    from segment.guard.lock import hold_folder

    with nullcontext() if request.out is None else hold_folder(request.out):
        found = evaluate(request.predicted, request.truth, shifted=request.shifted, classes=_table(request.classes),
                         remap=request.remap, scale_masks=request.scale_masks, seam_px=request.seam_px,
                         advance=advance)  # fmt: skip
        if request.out is not None:
            write_report(found, request.out)
    return found


@dataclass(frozen=True, slots=True)
class Written:
    """One file of polygons, or why there is none."""

    path: Path
    """The file."""
    report: PolygonReport | None
    """What it holds; None if it failed."""
    reason: str = ""
    """Why it failed."""


def polygons(request: PolygonsRequest, advance: Progress = unheard) -> Iterator[Written]:
    """Turn label masks into polygons; yield the files as they end. A file that fails costs only itself.

    Raises
    ------
    NoseamError
        If the files cannot be planned, another run writes there, the first mask lacks a class that `--only` names, or
        all masks go to one file and that file fails.
    """
    from segment.guard.lock import hold_folder, lock_file
    from tiler.extra import require_extra
    from tiler.polygons.make import write_survey_polygons
    from tiler.polygons.plan import plan_files

    require_extra("vector")
    planned = plan_files(request.masks, request.out, request.format)
    one = bool(planned) and planned[0].path == request.out
    hold = lock_file(request.out) if one else hold_folder(request.out)
    with hold if planned else nullcontext(), _no_warnings():
        for done, file in enumerate(planned, 1):
            told = advance if one else unheard
            try:
                report = write_survey_polygons(file.masks, file.path, request.polygons, advance=told)
            except TilerError as error:
                if one or (
                    done == 1 and isinstance(error, PolygonRequestError)
                ):  # no mask will be other than the first
                    raise
                yield Written(file.path, None, str(error))
            else:
                yield Written(file.path, report)
            if not one:
                advance(done, len(planned))


def _table(classes: Path | None) -> ClassTable | None:
    from tiler.classes import read_class_table

    return None if classes is None else read_class_table(classes)
