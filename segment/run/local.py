"""Work on the images of a run in threads of this process, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from segment.guard.limits import Gate
from segment.plan.request import Request
from segment.plan.standing import Standing
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.job import Job, OpenModel
from segment.run.under_way import UnderWay

WORKING_BYTES = 2 * 2**30
"""Most bytes that the images in flight hold together; an image above it runs alone."""
_LOOK_S = 1.0
_DRIVES = "look whether its drive and that of the masks answer, then give the same command again"


class LocalSchedule:
    """Keep as many images in flight as the model's threads say, and fewer where images are wide.

    Parameters
    ----------
    request : Request
        What the images were planned for.
    model : OpenModel
        What segments them.
    gate : Gate
        Says whether further images may begin; the schedule shuts it on a full disk and on a stall.
    advance : callable
        Called in the images' own threads with the path of an image and how many more of its pixels are labelled.
    overwrite : bool
        See `Job`.
    standings : mapping of Path to Standing
        What stands in the output folder for images, by their paths; see `Job`.
    """

    def __init__(
        self,
        request: Request,
        model: OpenModel,
        gate: Gate,
        *,
        advance: Callable[[Path, int], None],
        overwrite: bool,
        standings: Mapping[Path, Standing],
    ) -> None:
        self._job = partial(Job, request=request, model=model, overwrite=overwrite)
        self._standings = standings
        self._gate = gate
        self._advance = advance
        self._under_way = UnderWay(WORKING_BYTES)
        self._pool = ThreadPoolExecutor(model.threads.images)

    def outcomes(self, images: Sequence[ImagePlan]) -> Iterator[Outcome]:
        """Yield how images end, as they end; those that the gate kept from beginning have no outcome.

        Raises
        ------
        DeviceLostError
            If the device fails for good.
        """
        ended: SimpleQueue[Future[Outcome | None]] = SimpleQueue()
        for image in images:
            self._pool.submit(self._end, image).add_done_callback(ended.put)
        left = len(images)
        while left and self._gate.end != "stalled":
            try:
                outcome = ended.get(timeout=min(_LOOK_S, self._gate.limits.max_stall_s)).result()
            except Empty:
                yield from self._stalled(images)
            else:
                left -= 1
                if outcome is not None:
                    self._gate.see(outcome)
                    yield outcome

    def begin_no_more(self) -> None:
        """Drop the images that no thread has begun; returns at once."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def wait(self) -> None:
        """Wait for the images in flight. After a stall return at once, because they may never end."""
        self._pool.shutdown(wait=self._gate.end != "stalled")

    def _end(self, image: ImagePlan) -> Outcome | None:
        """Bring one image to its end, in a thread of the pool; None where no more work is taken."""
        if not self._gate.open:
            return None
        path = image.found.path
        with self._under_way.work_on(path):
            job = self._job(image, standing=self._standings.get(path))
            outcome = job.end(partial(self._admit, path), partial(self._move, path))
            seconds = self._under_way.seconds(path)
        if outcome is None:
            return None
        if outcome.disk_full:  # no other image would fare better
            self._gate.shut("disk full")
        return replace(outcome, seconds=seconds)

    def _admit(self, path: Path, wanted: int) -> bool:
        self._under_way.hold(path, wanted)
        return self._gate.open  # the wait may have been long

    def _move(self, path: Path, pixels: int) -> None:
        self._gate.pulse.move()
        self._advance(path, pixels)

    def _stalled(self, images: Sequence[ImagePlan]) -> Iterator[Outcome]:
        """Give up the images under way if none of them moved for too long."""
        longest = self._gate.limits.max_stall_s
        if self._gate.pulse.still_s() <= longest:
            return
        self._gate.shut("stalled")
        still = self._under_way.shares()
        for path, image in ((image.found.path, image) for image in images if image.found.path in still):
            reason = f"{path}: nothing moved for {longest / 60:g} minutes; does its drive or that of the masks hang?"
            yield Outcome(
                path, "failed", reason, image.pixels, still[path], relative=image.found.relative, advice=_DRIVES
            )
