"""The commands of noseam as functions, for Python: the same as `import noseam`.

Every function takes the options of its command as keywords, with the same defaults and bounds. The page
`docs/reference.md` says what each option does. A path may be given as text. Nothing heavy is imported before a
function is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from segment import steps
from segment.adapt.request import AdaptRequest
from segment.doctor.request import DoctorRequest
from segment.engine.request import EngineKind, EngineOptions, Precision, WhenToCompile
from segment.evaluation.request import EvaluateRequest
from segment.guard.request import RunLimits
from segment.plan.shard import Shard
from segment.record.request import StatusRequest
from segment.report.request import ReportRequest
from segment.review.request import By, ReviewFormat, ReviewRequest
from segment.run.request import PlanRequest, Resource, SegmentRequest, WorkerOptions
from segment.steps import Progress
from segment.training.request import Balance, Loss, Recipe, Schedule, TrainRequest
from segment.training.variation import Variation
from tiler.crops.plan import CropFormat, CropOptions
from tiler.crops.request import CropRequest
from tiler.crops.split import SplitBy, SplitOptions
from tiler.files.beside import SidecarGroup
from tiler.files.outputs import Format
from tiler.files.vector import Format as PolygonFormat
from tiler.files.vector import OneFile
from tiler.grid.fit import Quality, TileSize
from tiler.grid.tiling import TilingOptions
from tiler.option import gather
from tiler.photo.options import PoseOptions, YawSource
from tiler.polygons.request import PolygonOptions, PolygonsRequest
from tiler.remap.options import RemapOptions
from tiler.source.options import FileLimits, ReadingOptions

if TYPE_CHECKING:
    from segment.adapt.adapt import Adapted
    from segment.doctor.examine import Examination
    from segment.evaluation.results import Evaluation
    from segment.plan.survey import SurveyPlan
    from segment.record.outcome import Outcome
    from segment.record.status import Status
    from segment.review.export import Exported
    from segment.review.take_back import TakenBack
    from segment.training.train import TrainResult
    from tiler.crops.make import CropReport

__all__ = ["adapt", "crop", "doctor", "evaluate", "plan", "polygons", "report", "review", "segment", "status", "train"]
AnyPath = str | Path


def crop(
    images: AnyPath,
    masks: AnyPath,
    out: AnyPath,
    *,
    classes: AnyPath | None = CropRequest.classes,
    ignore: Iterable[str] = RemapOptions.ignore,
    map: Iterable[str] = RemapOptions.map,
    jobs: int | None = CropRequest.jobs,
    window_px: int = CropOptions.window_px,
    overlap: float = CropOptions.overlap,
    split: float = CropOptions.split,
    split_by: SplitBy | None = SplitOptions.split_by,
    val_list: AnyPath | None = SplitOptions.val_list,
    val: tuple[AnyPath, AnyPath] | None = SplitOptions.val,
    seed: int = CropOptions.seed,
    min_labelled: float = CropOptions.min_labelled,
    skip_empty: bool = CropOptions.skip_empty,
    balance: bool = CropOptions.balance,
    format: CropFormat = CropOptions.format,
    scale_masks: bool = CropOptions.scale_masks,
    channels: Sequence[int] | str = ReadingOptions.channels,
    value_range: tuple[float, float] | None = ReadingOptions.value_range,
    progress: Progress | None = None,
) -> CropReport:
    """Cut images and their masks into training crops.

    Parameters
    ----------
    images, masks : path
        Two files, or two folders whose files are paired by name.
    out : path
        Folder of the crops.
    progress : callable, optional
        Called with (sources done, sources in all) in the calling thread.
    **options
        The options of `noseam crop`.

    Returns
    -------
    CropReport
        What was cut, what failed and why.

    Raises
    ------
    NoseamError
        If the options or the folders cannot be used, or another run writes to `out`; see `make_crops`.
    """
    request = gather(CropRequest, locals())
    return steps.crop(request, lambda outcome, done, total: progress(done, total) if progress else None)


def train(
    crops: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    *,
    base: str = TrainRequest.base,
    epochs: float = TrainRequest.epochs,
    max_steps: int | None = TrainRequest.max_steps,
    validate_every: int | None = TrainRequest.validate_every,
    patience: int | None = TrainRequest.patience,
    recipe: Recipe = TrainRequest.recipe,
    lr: float | None = TrainRequest.lr,
    head_lr_factor: float | None = TrainRequest.head_lr_factor,
    schedule: Schedule | None = TrainRequest.schedule,
    warmup: float | None = TrainRequest.warmup,
    weight_decay: float | None = TrainRequest.weight_decay,
    ema: float | None = TrainRequest.ema,
    dropout: float | None = TrainRequest.dropout,
    coarse_first: float | None = TrainRequest.coarse_first,
    loss: Loss | None = TrainRequest.loss,
    ohem: float = TrainRequest.ohem,
    class_weights: Balance = TrainRequest.class_weights,
    class_bias: bool = TrainRequest.class_bias,
    ignore: Iterable[str] = RemapOptions.ignore,
    map: Iterable[str] = RemapOptions.map,
    batch_size: int = TrainRequest.batch_size,
    accumulate: int = TrainRequest.accumulate,
    input_px: int = TrainRequest.input_px,
    overlap: float = TrainRequest.overlap,
    tile: TileSize | str | None = TrainRequest.tile,
    augment: bool = TrainRequest.augment,
    zoom: tuple[float, float] = Variation.zoom,
    tilt: bool = Variation.tilt,
    colour: float | None = Variation.colour,
    shadow: float = Variation.shadow,
    blur: float = Variation.blur,
    noise: float = Variation.noise,
    jpeg: float = Variation.jpeg,
    device: Literal["auto", "cpu", "cuda"] = TrainRequest.device,
    precision: Precision = TrainRequest.precision,
    workers: int | Literal["auto"] = TrainRequest.workers,
    threads: int | None = TrainRequest.threads,
    seed: int = TrainRequest.seed,
    half: bool = TrainRequest.half,
    tensorboard: bool = TrainRequest.tensorboard,
    fresh: bool = TrainRequest.fresh,
    extend: bool = TrainRequest.extend,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a model on crops, or go on with its training.

    Parameters
    ----------
    crops : path or iterable of paths
        Folders that `crop` or `review` made.
    out : path
        Folder of the model.
    progress : callable, optional
        Called with (steps done, steps in all) after every step.
    **options
        The options of `noseam train`.

    Returns
    -------
    TrainResult
        The model's folder, its best mIoU and the learning curve.

    Raises
    ------
    NoseamError
        If the options, the crops, the base or the device cannot be used, or another run writes to `out`; see
        `segment.training.train.train`.
    """
    return steps.train(gather(TrainRequest, locals()), progress or steps.unheard)


def adapt(
    sources: AnyPath | Iterable[AnyPath],
    model: str,
    out: AnyPath,
    *,
    device: Literal["auto", "cpu", "cuda"] = AdaptRequest.device,
    channels: Sequence[int] | str = ReadingOptions.channels,
    value_range: tuple[float, float] | None = ReadingOptions.value_range,
    max_megapixels: float = FileLimits.max_megapixels,
    max_block_mb: float = FileLimits.max_block_mb,
    max_pixels_per_byte: float | None = FileLimits.max_pixels_per_byte,
    allow_vrt: bool = FileLimits.allow_vrt,
    progress: Progress | None = None,
) -> Adapted:
    """Make a model at home in a survey, without labels.

    Parameters
    ----------
    sources : path or iterable of paths
        Images, and folders that are walked recursively.
    model : str
        The model that is adapted.
    out : path
        Folder of the adapted model.
    progress : callable, optional
        Called with (images done, images in all).
    **options
        The options of `noseam adapt`.

    Returns
    -------
    Adapted
        The model's folder, and how much of the survey it has seen.

    Raises
    ------
    NoseamError
        If the options, the model or the device cannot be used, no image can be read, or another run writes to `out`;
        see `segment.adapt.adapt.adapt`.
    """
    return steps.adapt(gather(AdaptRequest, locals()), progress or steps.unheard)


def plan(
    sources: AnyPath | Iterable[AnyPath],
    out: AnyPath = PlanRequest.out,
    *,
    model: str | None = PlanRequest.model,
    classes: AnyPath | None = PlanRequest.classes,
    window_px: int | None = TilingOptions.window_px,
    input_px: int | None = TilingOptions.input_px,
    tile: TileSize | str | None = TilingOptions.tile,
    quality: Quality = TilingOptions.quality,
    overlap: float | None = TilingOptions.overlap,
    gsd_m: float | None = TilingOptions.gsd_m,
    channels: Sequence[int] | str = ReadingOptions.channels,
    value_range: tuple[float, float] | None = ReadingOptions.value_range,
    max_megapixels: float = FileLimits.max_megapixels,
    max_block_mb: float = FileLimits.max_block_mb,
    max_pixels_per_byte: float | None = FileLimits.max_pixels_per_byte,
    grid_shift_px: int = PlanRequest.grid_shift_px,
    balance_classes: float | Literal["auto"] = PlanRequest.balance_classes,
    part_size: float = PlanRequest.part_size,
    strict: bool = PlanRequest.strict,
    allow_vrt: bool = FileLimits.allow_vrt,
    shard: Shard | str = PlanRequest.shard,
    format: Literal["auto"] | Format = PlanRequest.format,
    color: bool | None = PlanRequest.color,
    confidence: bool = PlanRequest.confidence,
    disagreement: bool = PlanRequest.disagreement,
    overlay: bool = PlanRequest.overlay,
    report: bool = PlanRequest.report,
    sidecars: Iterable[SidecarGroup] | str = PlanRequest.sidecars,
    georef: Literal["auto", "photo", "none"] = PlanRequest.georef,
    flying_height_m: float | None = PoseOptions.flying_height_m,
    ground_elevation_m: float | None = PoseOptions.ground_elevation_m,
    dem: AnyPath | None = PoseOptions.dem,
    yaw_source: YawSource = PoseOptions.yaw_source,
    focal_px: float | None = PoseOptions.focal_px,
    polygons: bool = PlanRequest.polygons,
    polygons_format: OneFile = PlanRequest.polygons_format,
    min_area_m2: float | None = PolygonOptions.min_area_m2,
    simplify_px: float = PolygonOptions.simplify_px,
    smooth: bool = PolygonOptions.smooth,
    only: Sequence[str] = PolygonOptions.only,
    device: str = EngineOptions.device,
    engine: EngineKind = EngineOptions.engine,
    precision: Precision = EngineOptions.precision,
    compile: WhenToCompile = EngineOptions.compile,
    batch_size: int | None = EngineOptions.batch_size,
    threads: int | None = EngineOptions.threads,
    calibrate: bool = PlanRequest.calibrate,
    workers: int | Literal["auto"] = PlanRequest.workers,
) -> SurveyPlan:
    """Return what `segment` would do, and what that takes; nothing is written to `out`.

    With a model, and unless `calibrate` is False, some of the images are tried out for a few seconds, in a process of
    its own. Then `estimate` of the result holds time and memory too. Without, headers alone are read.

    Parameters
    ----------
    sources : path or iterable of paths
        Images, and folders that are walked recursively.
    out : path
        Output folder of the planned run.
    **options
        The options of `noseam plan`.

    Returns
    -------
    SurveyPlan
        Every input, either planned or refused with its reason, and the estimate.

    Raises
    ------
    NoseamError
        If the options, the checkpoint or the device cannot be used, or two images would write one output.
    """
    return steps.survey(gather(PlanRequest, locals()))


def segment(
    sources: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    *,
    model: str,
    classes: AnyPath | None = SegmentRequest.classes,
    window_px: int | None = TilingOptions.window_px,
    input_px: int | None = TilingOptions.input_px,
    tile: TileSize | str | None = TilingOptions.tile,
    quality: Quality = TilingOptions.quality,
    overlap: float | None = TilingOptions.overlap,
    gsd_m: float | None = TilingOptions.gsd_m,
    device: str = EngineOptions.device,
    engine: EngineKind = EngineOptions.engine,
    precision: Precision = EngineOptions.precision,
    compile: WhenToCompile = EngineOptions.compile,
    batch_size: int | None = EngineOptions.batch_size,
    threads: int | None = EngineOptions.threads,
    channels: Sequence[int] | str = ReadingOptions.channels,
    value_range: tuple[float, float] | None = ReadingOptions.value_range,
    max_megapixels: float = FileLimits.max_megapixels,
    max_block_mb: float = FileLimits.max_block_mb,
    max_pixels_per_byte: float | None = FileLimits.max_pixels_per_byte,
    grid_shift_px: int = SegmentRequest.grid_shift_px,
    balance_classes: float | Literal["auto"] = SegmentRequest.balance_classes,
    part_size: float = SegmentRequest.part_size,
    strict: bool = SegmentRequest.strict,
    allow_vrt: bool = FileLimits.allow_vrt,
    shard: Shard | str = SegmentRequest.shard,
    format: Literal["auto"] | Format = SegmentRequest.format,
    color: bool | None = SegmentRequest.color,
    confidence: bool = SegmentRequest.confidence,
    disagreement: bool = SegmentRequest.disagreement,
    overlay: bool = SegmentRequest.overlay,
    report: bool = SegmentRequest.report,
    sidecars: Iterable[SidecarGroup] | str = SegmentRequest.sidecars,
    overwrite: bool = SegmentRequest.overwrite,
    prune: bool = SegmentRequest.prune,
    georef: Literal["auto", "photo", "none"] = SegmentRequest.georef,
    flying_height_m: float | None = PoseOptions.flying_height_m,
    ground_elevation_m: float | None = PoseOptions.ground_elevation_m,
    dem: AnyPath | None = PoseOptions.dem,
    yaw_source: YawSource = PoseOptions.yaw_source,
    focal_px: float | None = PoseOptions.focal_px,
    polygons: bool = SegmentRequest.polygons,
    polygons_format: OneFile = SegmentRequest.polygons_format,
    min_area_m2: float | None = PolygonOptions.min_area_m2,
    simplify_px: float = PolygonOptions.simplify_px,
    smooth: bool = PolygonOptions.smooth,
    only: Sequence[str] = PolygonOptions.only,
    max_errors: int | None = RunLimits.max_errors,
    max_runtime_min: float | None = RunLimits.max_runtime_min,
    max_stall_min: float = RunLimits.max_stall_min,
    workers: int | Literal["auto"] = WorkerOptions.workers,
    scheduler: str | None = WorkerOptions.scheduler,
    resources: Resource | str | None = WorkerOptions.resources,
    progress: Progress | None = None,
) -> tuple[Outcome, ...]:
    """Segment images and folders of images; write full-resolution masks.

    Parameters
    ----------
    sources : path or iterable of paths
        Images, and folders that are walked recursively.
    out : path
        Output folder.
    model : str
        Checkpoint folder, hub id, `bundled:start` or `bundled:demo`.
    progress : callable, optional
        Called with (images ended, images in all) in the calling thread.
    **options
        The options of `noseam segment`.

    Returns
    -------
    tuple of Outcome
        One per input that the run reached, in the order in which they ended. A bad image has one too.

    Raises
    ------
    NoseamError
        If the run cannot start: the options, the checkpoint or the device cannot be used, two images would write one
        output, or another run writes to `out`. If the device fails for good, or a record cannot be written.
    """
    return steps.segment(gather(SegmentRequest, locals()), progress or steps.unheard)


def review(
    out: AnyPath,
    *,
    export: int | None = ReviewRequest.export,
    corrected: AnyPath | None = ReviewRequest.corrected,
    format: ReviewFormat = ReviewRequest.format,
    by: By = ReviewRequest.by,
    window_px: int | None = ReviewRequest.window_px,
    seed: int = ReviewRequest.seed,
    into: AnyPath | None = ReviewRequest.into,
    split: float = ReviewRequest.split,
    take_unchanged: bool = ReviewRequest.take_unchanged,
    progress: Progress | None = None,
) -> Exported | TakenBack:
    """Export the windows that are most worth labelling, or take corrected labels back as crops for `train`.

    Parameters
    ----------
    out : path
        The output folder of `segment`.
    export : int, optional
        How many windows are exported.
    corrected : path, optional
        What comes back; one of the two is needed.
    progress : callable, optional
        Called with (images or windows done, all of them) in the calling thread.
    **options
        The options of `noseam review`.

    Returns
    -------
    Exported or TakenBack
        Which windows were exported, and where; or which were taken, and which were not and why.

    Raises
    ------
    NoseamError
        If the options, the masks or the labels cannot be used, or another review of this folder runs; see
        `segment.review.export.export` and `segment.review.take_back.take_back`.
    """
    return steps.review(gather(ReviewRequest, locals()), progress or steps.unheard)


def status(out: AnyPath) -> Status:
    """Return what is done, failed and left in an output folder, from the records of `segment` alone.

    Parameters
    ----------
    out : path
        The output folder.

    Returns
    -------
    Status
        How the last run of each shard, or of the whole survey, stands; `parts` is empty where no run left a record.

    Raises
    ------
    NoseamError
        If there is no such folder, or a record cannot be read.
    """
    return steps.status(gather(StatusRequest, locals()))


def report(
    out: AnyPath, *, evaluation: AnyPath | None = ReportRequest.evaluation, progress: Progress | None = None
) -> Path | None:
    """Make the report of an output folder, a page for any browser; `segment` does so itself at its end.

    Parameters
    ----------
    out : path
        The output folder.
    evaluation : path, optional
        Folder that `evaluate` wrote.
    progress : callable, optional
        Called with (previews made, previews that were missing), from any thread.

    Returns
    -------
    Path or None
        The page; None where no image was ever planned there.

    Raises
    ------
    NoseamError
        If there is no such folder, a record cannot be read, the report cannot be written, or another process writes it.
    """
    return steps.report(gather(ReportRequest, locals()), progress or steps.unheard)


def polygons(
    masks: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    *,
    format: PolygonFormat = PolygonsRequest.format,
    min_area_m2: float | None = PolygonOptions.min_area_m2,
    simplify_px: float = PolygonOptions.simplify_px,
    smooth: bool = PolygonOptions.smooth,
    only: Sequence[str] = PolygonOptions.only,
    progress: Progress | None = None,
) -> tuple[steps.Written, ...]:
    """Turn label masks into polygons for a GIS.

    Parameters
    ----------
    masks : path or iterable of paths
        Label masks, and folders in which every `*_label.png` and `*_label.tif` counts.
    out : path
        A file such as `survey.gpkg`, which gets the polygons of all masks; or a folder, which gets one file per mask.
    progress : callable, optional
        Called with (masks done, masks in all) in the calling thread.
    **options
        The options of `noseam polygons`.

    Returns
    -------
    tuple of Written
        One per file: how many polygons, their areas, what the user should know; or why it failed.

    Raises
    ------
    NoseamError
        If the files cannot be planned, another run writes there, or all masks go to one file and that file fails.
    """
    return tuple(steps.polygons(gather(PolygonsRequest, locals()), progress or steps.unheard))


def evaluate(
    predicted: AnyPath,
    truth: AnyPath | None = EvaluateRequest.truth,
    *,
    shifted: AnyPath | None = EvaluateRequest.shifted,
    classes: AnyPath | None = EvaluateRequest.classes,
    ignore: Iterable[str] = RemapOptions.ignore,
    map: Iterable[str] = RemapOptions.map,
    scale_masks: bool = EvaluateRequest.scale_masks,
    seam_px: int = EvaluateRequest.seam_px,
    out: AnyPath | None = EvaluateRequest.out,
    progress: Progress | None = None,
) -> Evaluation:
    """Compare predicted masks with the truth, with masks of the same photos under another grid, or with both.

    Parameters
    ----------
    predicted : path
        A file, or a folder.
    truth, shifted : path, optional
        Files, or folders whose files are paired with the predicted ones by name; one of the two is needed.
    out : path, optional
        Folder for a report.
    progress : callable, optional
        Called with (images done, images in all) in the calling thread.
    **options
        The options of `noseam evaluate`.

    Returns
    -------
    Evaluation
        Metrics per class and image and in the seam zones; how many labels depend on the grid.

    Raises
    ------
    NoseamError
        If the sides cannot be compared, or the report cannot be written; see
        `segment.evaluation.compare.evaluate`.
    """
    return steps.evaluate(gather(EvaluateRequest, locals()), progress or steps.unheard)


def doctor(*, network: bool = DoctorRequest.network, progress: Progress | None = None) -> Examination:
    """Return what this machine has, and what each of its engines computes of a small made-up scene.

    Parameters
    ----------
    network : bool
        Whether the Hugging Face hub is asked if it answers.
    progress : callable, optional
        Called with (engines tried, engines in all).

    Returns
    -------
    Examination
        Facts, and a verdict on each engine and precision; what is broken is told there, and raises nothing.
    """
    return steps.doctor(gather(DoctorRequest, locals()), progress or steps.unheard)
