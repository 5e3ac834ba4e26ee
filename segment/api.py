"""The commands of noseam as functions, for Python: `crop`, `train`, `segment`, `evaluate`, `polygons`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from segment.engine.contract import EngineKind, Precision
from segment.evaluation.compare import Evaluation
from segment.evaluation.compare import evaluate as compare
from segment.guard.lock import hold_folder
from segment.model.checkpoint import describe_checkpoint
from segment.plan.survey import Request, plan_survey
from segment.record.outcome import Outcome
from segment.run.runner import open_runner
from segment.training.request import TrainRequest
from segment.training.train import TrainResult
from segment.training.train import train as run_training
from tiler.classes import ClassTable, read_class_table
from tiler.crops.make import CropReport, make_crops
from tiler.crops.plan import CropRequest
from tiler.files.walk import walk_survey
from tiler.grid.tiling import override
from tiler.polygons.make import write_survey_polygons
from tiler.polygons.request import PolygonReport, PolygonRequest

AnyPath = str | Path

warnings.filterwarnings("ignore", message="Dataset has no geotransform")  # so do most photos


def crop(
    images: AnyPath, masks: AnyPath, out: AnyPath, *, classes: AnyPath | None = None, jobs: int = -1, **options: Any
) -> CropReport:
    """Cut images and their masks into training crops.

    Parameters
    ----------
    images, masks : path
        Two files, or two folders whose files are paired by name.
    out : path
        Folder of the crops.
    classes : path, optional
        Class table, CSV; needed where masks hold colours.
    jobs : int
        Processes; -1: one per core.
    **options
        Fields of `CropRequest`: window_px, overlap, split, seed and so on.

    Returns
    -------
    CropReport
        What was cut, what failed and why.

    Raises
    ------
    TilerError
        See `make_crops`.
    """
    request = CropRequest(**options)
    # Absolute, for the workers of an earlier call may stand in another folder.
    images, masks, out = (Path(path).absolute() for path in (images, masks, out))
    return make_crops(images, masks, out, request, classes=_table(classes), jobs=jobs)


def train(crops: AnyPath, out: AnyPath, **options: Any) -> TrainResult:
    """Train a model on crops, or go on with its training.

    Parameters
    ----------
    crops : path
        Folder that `crop` made.
    out : path
        Folder of the model.
    **options
        Fields of `TrainRequest`: base, epochs, lr, batch_size, input_px and so on.

    Returns
    -------
    TrainResult
        The model's folder, its best mIoU and the learning curve.

    Raises
    ------
    TilerError, SegmentError
        See `segment.training.train.train`.
    """
    return run_training(TrainRequest(crops=Path(crops), out=Path(out), **options))


def segment(
    sources: AnyPath | Sequence[AnyPath],
    out: AnyPath,
    *,
    model: str,
    window_px: int | None = None,
    input_px: int | None = None,
    overlap: float | None = None,
    gsd_m: float | None = None,
    engine: EngineKind = "auto",
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    **options: Any,
) -> tuple[Outcome, ...]:
    """Segment images and folders of images; write full-resolution masks.

    Parameters
    ----------
    sources : path or sequence of paths
        Images, and folders that are walked recursively.
    out : path
        Output folder.
    model : str
        Checkpoint folder, hub id, or `demo`.
    window_px, input_px, overlap, gsd_m
        See `Tiling`; None: the checkpoint's own.
    engine, device, precision, batch_size, threads
        See `open_runner`.
    overwrite : bool
        Make masks again that are up to date.
    **options
        Further fields of `Request`: format, color, confidence, sidecars, polygons, georef, channels, value_range
        and so on.

    Returns
    -------
    tuple of Outcome
        One per input, as they ended; a bad image is one of them, not an exception.

    Raises
    ------
    TilerError, SegmentError
        If the run cannot start.
    """
    description = describe_checkpoint(model)
    tiling = override(description.tiling, window_px=window_px, input_px=input_px, overlap=overlap, gsd_m=gsd_m)
    request = Request(tiling, Path(out), **options)
    plan = plan_survey(walk_survey(_paths(sources), out=request.out), request)
    runner = open_runner(
        description, tile_px=tiling.input_px, kind=engine, device=device, precision=precision,
        batch_size=batch_size, threads=threads,
    )  # fmt: skip
    with closing(runner.engine), hold_folder(request.out, request.shard):
        return tuple(runner.run(plan, request, overwrite=overwrite))


def polygons(masks: AnyPath | Sequence[AnyPath], out: AnyPath, **options: Any) -> PolygonReport:
    """Write the polygons of label masks to one vector file; its ending chooses the format.

    Parameters
    ----------
    masks : path or sequence of paths
        Label masks, all in one CRS.
    out : path
        Such as `survey.gpkg`.
    **options
        Fields of `PolygonRequest`: min_area_m2, simplify_px, classes.

    Returns
    -------
    PolygonReport
        How many, their areas, and what the user should know.

    Raises
    ------
    TilerError
        See `write_survey_polygons`.
    """
    return write_survey_polygons(list(_paths(masks)), Path(out), PolygonRequest(**options))


def evaluate(predicted: AnyPath, truth: AnyPath, *, classes: AnyPath | None = None) -> Evaluation:
    """Compare predicted masks with the truth.

    Parameters
    ----------
    predicted, truth : path
        Two files, or two folders whose files are paired by name.
    classes : path, optional
        Class table, CSV; without it the names that the predicted masks carry.

    Returns
    -------
    Evaluation
        Metrics per class and image, and in the seam zones.

    Raises
    ------
    TilerError, SegmentError
        See `segment.evaluation.compare.evaluate`.
    """
    return compare(Path(predicted), Path(truth), classes=_table(classes))


def _table(classes: AnyPath | None) -> ClassTable | None:
    return None if classes is None else read_class_table(Path(classes))


def _paths(sources: AnyPath | Sequence[AnyPath]) -> Iterable[Path]:
    return [Path(sources)] if isinstance(sources, (str, Path)) else map(Path, sources)
