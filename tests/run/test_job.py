"""One image is brought to its end in any thread or process, by a job and a model alone."""

from __future__ import annotations

import errno
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from segment.errors import DeviceLostError, ImageMemoryError
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.job import Job
from tests.make import noise
from tests.models import MeanEngine, runner_of
from tests.run.test_runner import TILING, tree
from tests.runs import plan_for, run
from tiler.masks.sink import write_error


@pytest.fixture
def image(tmp_path: Path) -> ImagePlan:
    Image.fromarray(noise(90, 130, 3)).save(tmp_path / "one.png")
    return plan_for(tmp_path / "one.png", Request(tiling=TILING, out=tmp_path / "out")).images[0]


def job_for(image: ImagePlan, **changes: Any) -> Job:
    return Job(image, Request(tiling=TILING, out=image.outputs[0].path.parent), runner_of(MeanEngine()), **changes)


def end(job: Job, *, admitted: bool = True) -> tuple[Outcome | None, list[int], int]:
    """Return how a job ends, the bytes of each call of `admit`, and the sum of the pixels of all calls of `advance`."""
    asked: list[int] = []
    told: list[int] = []
    try:
        return job.end(lambda wanted: asked.append(wanted) or admitted, told.append), asked, sum(told)  # type: ignore[func-returns-value]
    finally:
        job.model.engine.close()


def test_room_is_asked_for_once_and_every_pixel_told(image: ImagePlan) -> None:
    outcome, asked, told = end(job_for(image))
    assert outcome is not None
    assert (outcome.state, outcome.pixels, told) == ("done", 90 * 130, 90 * 130)
    assert asked == [image.working_bytes(4)]


def test_what_is_current_asks_for_no_room(image: ImagePlan) -> None:
    end(job_for(image))
    outcome, asked, told = end(job_for(image))
    assert outcome is not None
    assert (outcome.state, asked, told) == ("skipped", [], 0)
    assert end(job_for(image, overwrite=True))[2] == 90 * 130


def test_an_image_that_is_not_admitted_leaves_nothing(image: ImagePlan) -> None:
    assert end(job_for(image), admitted=False)[0] is None
    assert not image.outputs[0].path.parent.exists()


def test_whatever_is_raised_for_an_image_becomes_its_outcome(image: ImagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise errors[-1]

    monkeypatch.setattr("segment.run.job.segment_image", fail)
    full = write_error(image.outputs[0].path, OSError(errno.ENOSPC, "No space left on device"))
    errors: list[Exception] = [ValueError("odd"), ImageMemoryError("too wide"), full]
    found: list[tuple[str, bool]] = []
    while errors:
        outcome, _, _ = end(job_for(image))
        assert outcome is not None
        assert (outcome.path, outcome.state) == (image.found.path, "failed")
        found.append((outcome.reason.rpartition(": ")[2], outcome.disk_full))
        errors.pop()
    assert found == [("No space left on device", True), ("too wide", False), ("odd", False)]


def test_a_lost_device_is_no_outcome_of_an_image(image: ImagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*arguments: object, **options: object) -> None:
        raise DeviceLostError("the device is gone")

    monkeypatch.setattr("segment.run.job.segment_image", lose)
    with pytest.raises(DeviceLostError, match="the device is gone"):
        end(job_for(image))


def test_a_process_of_its_own_makes_the_same_bytes(image: ImagePlan, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(pickle.dumps(image))
    code = (
        "import pickle, sys; from pathlib import Path; from tests.run.test_job import end, job_for; "
        "print(end(job_for(pickle.loads(Path(sys.argv[1]).read_bytes())))[0].state)"
    )
    done = run([sys.executable, "-c", code, str(tmp_path / "image")])
    assert done.stdout == "done\n", done.stderr
    out = image.outputs[0].path.parent
    made = tree(out)
    assert made
    end(job_for(image, overwrite=True))
    assert tree(out) == made
