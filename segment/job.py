"""Run a planned survey: several images in flight, each failure its own."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from segment.checkpoint import BUNDLED_MODELS, Description, fit_classes, weights_digest
from segment.engine import Engine, EngineKind, Precision, open_engine
from segment.errors import DeviceLostError, SegmentError
from segment.limits import Gate, Limits
from segment.outcome import Outcome
from segment.pipeline import Segmented, segment_image
from segment.plan import ImagePlan, Request, SurveyPlan, name_file
from segment.records import Manifest
from segment.summary import write_summary
from segment.threads import Threads, share_cores
from tiler.classes import ClassTable
from tiler.coverage import Coverage, read_coverage
from tiler.errors import TilerError
from tiler.provenance import current_tags, digest
from tiler.raster import FINGERPRINT_KEY
from tiler.seams import grid_tags

WORKING_BYTES = 2 * 2**30
"""Most bytes that the images in flight hold together; an image above it runs alone."""
MASK_VERSION = 2
"""Counted up when a change of noseam changes masks, so that they are made again."""
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
        covered: dict[Path, Coverage] = {}
        request.out.mkdir(parents=True, exist_ok=True)
        gate = gate or Gate(Limits(), request.out)
        with Manifest(request.out, self.classes) as manifest:
            run = _Run(self, request, _ByteBudget(WORKING_BYTES), overwrite, advance, gate)
            pool = ThreadPoolExecutor(self.threads.images)
            try:
                for outcome in run.outcomes(plan, pool):
                    gate.see(outcome)
                    manifest.append(outcome)
                    if outcome.coverage is not None:
                        covered[outcome.relative] = outcome.coverage
                    yield outcome
            except BaseException:
                gate.shut("interrupted")
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                try:
                    write_summary(request.out, self.classes, covered)
                finally:
                    if gate.end == "interrupted":
                        self.engine.close()  # whoever waits for logits gives up
                    pool.shutdown()

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
                "polygons": request.polygon_request if request.polygons else None,
                "strict": request.strict,
                "channels": request.channels,
                "value_range": request.value_range,
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
    budget: _ByteBudget
    overwrite: bool
    advance: Callable[[Path, int], None]
    gate: Gate

    def outcomes(self, plan: SurveyPlan, pool: ThreadPoolExecutor) -> Iterator[Outcome]:
        """Yield how the inputs of a survey end, those that were refused first."""
        yield from (Outcome(refused.path, "failed", refused.reason) for refused in plan.refused)
        for future in as_completed([pool.submit(self.image, image) for image in plan.images]):
            if (outcome := future.result()) is not None:
                yield outcome

    def image(self, image: ImagePlan) -> Outcome | None:
        """Bring one image to its end, in whatever thread this is called; None where no more work is taken."""
        if not self.gate.open:
            return None
        path, started = image.found.path, time.monotonic()
        end = partial(Outcome, path, pixels=image.pixels, relative=image.found.relative)
        try:
            fingerprint = self.runner.fingerprint(image, self.request)
            if not self.overwrite and (tags := current_tags(image.outputs, fingerprint)) is not None:
                return end("skipped", "its masks are up to date", coverage=read_coverage(tags))
            made = self._segment(image, fingerprint)
        except DeviceLostError:  # no image's fault, and no other image would fare better
            raise
        except Exception as error:  # one bad image costs only itself, whatever it raised
            _log.debug("%s", path, exc_info=True)
            reason = str(error) if isinstance(error, (TilerError, SegmentError)) else f"{type(error).__name__}: {error}"
            return end("failed", name_file(path, reason), seconds=time.monotonic() - started)
        return end("done", seconds=time.monotonic() - started, notes=made.notes, coverage=made.coverage)

    def _segment(self, image: ImagePlan, fingerprint: str) -> Segmented:
        with self.budget.hold(image.working_bytes(len(self.runner.classes))):
            return segment_image(
                image,
                self.request,
                engine=self.runner.engine,
                classes=self.runner.classes,
                tags=self.runner.tags(image, fingerprint),
                threads=self.runner.threads.gdal,
                advance=partial(self.advance, image.found.path),
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


class _ByteBudget:
    """Let threads in only while what they hold together stays within a limit; one always gets in."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, wanted: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + wanted <= self._limit)
            self._held += wanted
        try:
            yield
        finally:
            with self._changed:
                self._held -= wanted
                self._changed.notify_all()
