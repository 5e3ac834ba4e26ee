"""Run a planned survey: several images in flight, each failure its own."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue

from segment.engine.choose import open_engine
from segment.engine.contract import Engine
from segment.engine.request import EngineKind, Precision
from segment.errors import DeviceLostError
from segment.guard.limits import Gate
from segment.guard.request import RunLimits
from segment.guard.signals import raise_if_asked
from segment.model.checkpoint import BUNDLED_MODELS, Description, fit_classes, weights_digest
from segment.plan.request import Request
from segment.plan.survey import ImagePlan, SurveyPlan
from segment.record.manifest import MANIFEST, Manifest
from segment.record.outcome import Outcome
from segment.record.summary import SUMMARY, write_summary
from segment.run.cores import Threads, share_cores
from segment.run.image import Segmented, segment_image
from segment.run.under_way import UnderWay
from tiler.classes import ClassTable
from tiler.errors import DiskFullError, reason_of
from tiler.files.outputs import files_beside
from tiler.grid.seams import grid_tags
from tiler.masks.coverage import Coverage, read_coverage
from tiler.masks.provenance import current_tags, digest
from tiler.polygons.make import refuse_foreign_polygons
from tiler.source.raster import FINGERPRINT_KEY

WORKING_BYTES = 2 * 2**30
"""Most bytes that the images in flight hold together; an image above it runs alone."""
MASK_VERSION = 2
"""Counted up when a change of noseam changes masks, so that they are made again."""
_LOOK_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """A model on a device, ready to run surveys; close its engine after the last."""

    model: str
    """The folder or hub id that the user gave."""
    digest: str
    """Of its weights; goes into every mask."""
    classes: ClassTable
    """Names and colours of the model's classes."""
    engine: Engine
    """The network on its device."""
    threads: Threads
    """How the cores are shared."""

    def run(
        self,
        plan: SurveyPlan,
        request: Request,
        *,
        overwrite: bool = False,
        gate: Gate | None = None,
        advance: Callable[[Path, int], None] = lambda path, pixels: None,
    ) -> Generator[Outcome]:
        """Segment a survey; yields one outcome per input that was got to, as they end.

        Each is recorded in `manifest.jsonl` first, and `summary.csv` is written after the last. Hold the output
        folder meanwhile, see `hold_folder`.

        Parameters
        ----------
        plan : SurveyPlan
            The survey.
        request : Request
            What it was planned for.
        overwrite : bool
            Make masks again that are already there, and replace files that noseam did not write.
        gate : Gate, optional
            Says whether further images may begin; without it all do.
        advance : callable
            Told, from the images' own threads, the path of an image and how many more of its pixels are labelled.

        Raises
        ------
        RecordError
            If the records cannot be written.
        DeviceLostError
            If the device fails for good; images without an outcome are not done.
        """
        covered: list[tuple[Path, Coverage]] = []
        request.out.mkdir(parents=True, exist_ok=True)
        gate = gate or Gate(RunLimits())
        with Manifest(request.out / request.shard.mark(MANIFEST), self.classes) as manifest:
            run = _Run(self, request, UnderWay(WORKING_BYTES), overwrite, advance, gate, files_beside(plan.outputs))
            pool, broken = ThreadPoolExecutor(self.threads.images), False
            try:
                raise_if_asked()
                for outcome in run.outcomes(plan, pool):
                    manifest.append(outcome)
                    if outcome.coverage is not None:
                        covered.append((outcome.relative, outcome.coverage))
                    yield outcome
            except BaseException as error:
                gate.shut_by(error)
                broken = True
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                try:
                    write_summary(request.out / request.shard.mark(SUMMARY), self.classes, covered, plan.inputs)
                finally:
                    if broken:
                        self.engine.close()  # whoever waits for logits gives up
                    pool.shutdown(wait=gate.end != "stalled")

    def fingerprint(self, image: ImagePlan, request: Request) -> str:
        """Return what changes whenever the masks of an image would: source, model or settings."""
        return digest(
            {
                "masks": MASK_VERSION,
                "source": image.stamp,
                "model": self.digest,
                "engine": self.engine.name,
                "classes": [self.classes.names, self.classes.colours],
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

    def tags(self, image: ImagePlan, fingerprint: str) -> dict[str, str]:
        """Return what an image's masks say about what made them."""
        return {
            "SOFTWARE": f"noseam {version('noseam')}",
            "SOURCE": image.found.relative.as_posix().encode("utf-8", "backslashreplace").decode(),
            "MODEL": self.model,
            "MODEL_DIGEST": self.digest,
            "CLASS_NAMES": json.dumps(self.classes.names),
            "NOSEAM_ENGINE": self.engine.name,
            **grid_tags(image.grid),
            FINGERPRINT_KEY: fingerprint,
        }


@dataclass(frozen=True, slots=True)
class _Run:
    """What the images of one run share."""

    runner: Runner
    request: Request
    under_way: UnderWay
    overwrite: bool
    advance: Callable[[Path, int], None]
    gate: Gate
    there: frozenset[Path]

    def outcomes(self, plan: SurveyPlan, pool: ThreadPoolExecutor) -> Iterator[Outcome]:
        """Yield how the inputs of a survey end, those that were refused first."""
        yield from (
            Outcome(refused.path, "failed", refused.reason, relative=refused.relative) for refused in plan.refused
        )
        ended: SimpleQueue[Future[Outcome | None]] = SimpleQueue()
        for image in plan.images:
            pool.submit(self.image, image).add_done_callback(ended.put)
        left = len(plan.images)
        while left and self.gate.end != "stalled":
            try:
                outcome = ended.get(timeout=min(_LOOK_S, self.gate.limits.max_stall_s)).result()
            except Empty:
                yield from self._stalled(plan)
            else:
                left -= 1
                if outcome is not None:
                    self.gate.see(outcome)
                    yield outcome

    def _stalled(self, plan: SurveyPlan) -> Iterator[Outcome]:
        """Give up the images under way if none of them moved for too long."""
        longest = self.gate.limits.max_stall_s
        if self.gate.pulse.still_s() <= longest:
            return
        self.gate.shut("stalled")
        still = self.under_way.paths()
        for path, image in ((image.found.path, image) for image in plan.images if image.found.path in still):
            reason = f"{path}: nothing moved for {longest / 60:g} minutes; does its drive or that of the masks hang?"
            yield Outcome(path, "failed", reason, image.pixels, longest, relative=image.found.relative)

    def image(self, image: ImagePlan) -> Outcome | None:
        """Bring one image to its end, in whatever thread this is called; None where no more work is taken."""
        if not self.gate.open:
            return None
        with self.under_way.work_on(image.found.path):
            return self._end(image)

    def _end(self, image: ImagePlan) -> Outcome | None:
        path, started = image.found.path, time.monotonic()
        end = partial(Outcome, path, pixels=image.pixels, relative=image.found.relative)
        try:
            fingerprint = self.runner.fingerprint(image, self.request)
            if not self.overwrite and (tags := current_tags(image.outputs, fingerprint, self.there)) is not None:
                return end("skipped", "its masks are up to date", coverage=read_coverage(tags))
            self.under_way.hold(path, image.working_bytes(len(self.runner.classes)))
            if not self.gate.open:  # it may have waited long
                return None
            if not self.overwrite:
                refuse_foreign_polygons(image.outputs)
            made = self._segment(image, fingerprint)
        except DiskFullError as error:  # no other image would fare better
            self.gate.shut("disk full")
            return end("failed", reason_of(error, path), seconds=time.monotonic() - started)
        except DeviceLostError:  # no image's fault, and no other image would fare better
            raise
        except Exception as error:  # one bad image costs only itself, whatever it raised
            _log.debug("%s", path, exc_info=True)
            return end("failed", reason_of(error, path), seconds=time.monotonic() - started)
        return end("done", seconds=time.monotonic() - started, notes=made.notes, coverage=made.coverage)

    def _advance(self, path: Path, pixels: int) -> None:
        self.gate.pulse.move()
        self.advance(path, pixels)

    def _segment(self, image: ImagePlan, fingerprint: str) -> Segmented:
        return segment_image(
            image,
            self.request,
            engine=self.runner.engine,
            classes=self.runner.classes,
            tags=self.runner.tags(image, fingerprint),
            threads=self.runner.threads.gdal,
            advance=partial(self._advance, image.found.path),
        )


def open_runner(
    description: Description,
    class_table: Path | None = None,
    *,
    tile_px: int | None = None,
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
    tile_px : int or None
        Side of the tiles that it will see, model pixels; None: as the checkpoint says.
    kind, device, precision, batch_size
        See `open_engine`.
    threads : int or None
        Cores to use; None: all that this process may use.

    Raises
    ------
    CheckpointError, ClassTableError, DeviceError, EngineError
        If the weights, the table, the device or the engine will not do.
    """
    if description.name in BUNDLED_MODELS:
        _log.warning("the bundled model %r is a demonstration: it knows made-up scenes only, not real photos",
                     description.name)  # fmt: skip
    classes = fit_classes(description, class_table)
    digest, shared = weights_digest(description), share_cores(threads)
    engine = open_engine(
        description, digest, tile_px=tile_px or description.tiling.input_px, threads=shared.cores,
        kind=kind, device=device, precision=precision, batch_size=batch_size,
    )  # fmt: skip
    _log.info("model %s, %d classes, %s, %d threads", description.name, len(classes), engine.name, shared.cores)
    return Runner(description.name, digest, classes, engine, shared)
