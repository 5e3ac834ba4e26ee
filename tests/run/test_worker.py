"""A task is brought to its end in any thread or process that has a model."""

from __future__ import annotations

import errno
import pickle
import sys
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image

from segment.errors import DeviceLostError, ImageMemoryError
from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.task import Task, Work
from segment.run.worker import Worker
from tests.make import noise
from tests.models import MeanEngine, model_of
from tests.run.test_runner import TILING, tree
from tests.runs import plan_for, run
from tiler.masks.sink import write_error


@pytest.fixture
def image(tmp_path: Path) -> ImagePlan:
    Image.fromarray(noise(90, 130, 3)).save(tmp_path / "one.png")
    return plan_for(tmp_path / "one.png", Request(tiling=TILING, out=tmp_path / "out")).images[0]


def end(
    image: ImagePlan, *, is_open: Iterable[bool] = repeat(True), overwrite: bool = False
) -> tuple[Outcome | None, list[int], int]:
    """Return how an image ends, the bytes that room was asked for, and the pixels that were told of, all together."""
    model, work = model_of(MeanEngine()), Work(Request(tiling=TILING, out=image.label.parent), overwrite)
    answers, told = iter(is_open), list[int]()
    worker = Worker(model, work)
    try:
        with patch.object(worker.under_way, "hold", wraps=worker.under_way.hold) as hold:
            ended = worker.end(Task(image), lambda: next(answers), told.append)
    finally:
        model.engine.close()
    return ended.outcome if ended else None, [call.args[1] for call in hold.mock_calls], sum(told)


def test_room_is_asked_for_once_and_every_pixel_told(image: ImagePlan) -> None:
    outcome, asked, told = end(image)
    assert outcome is not None
    assert (outcome.state, outcome.pixels, told) == ("done", 90 * 130, 90 * 130)
    assert asked == [image.working_bytes(4)]


def test_what_is_current_asks_for_no_room(image: ImagePlan) -> None:
    end(image)
    outcome, asked, told = end(image)
    assert outcome is not None
    assert (outcome.state, asked, told) == ("skipped", [], 0)
    assert end(image, overwrite=True)[2] == 90 * 130


@pytest.mark.parametrize("answers", [[False], [True, False]])
def test_an_image_that_may_not_begin_leaves_nothing(image: ImagePlan, answers: list[bool]) -> None:
    assert end(image, is_open=answers)[0] is None
    assert not image.label.parent.exists()


def test_whatever_is_raised_for_an_image_becomes_its_outcome(image: ImagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise errors[-1]

    monkeypatch.setattr("segment.run.worker.segment_image", fail)
    full = write_error(image.label, OSError(errno.ENOSPC, "No space left on device"))
    errors: list[Exception] = [ValueError("odd"), ImageMemoryError("too wide"), full]
    found: list[tuple[str, bool]] = []
    while errors:
        outcome, _, _ = end(image)
        assert outcome is not None
        assert (outcome.path, outcome.state) == (image.found.path, "failed")
        found.append((outcome.reason.rpartition(": ")[2], outcome.disk_full))
        errors.pop()
    assert found == [("No space left on device", True), ("too wide", False), ("odd", False)]


def test_a_lost_device_is_no_outcome_of_an_image(image: ImagePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*arguments: object, **options: object) -> None:
        raise DeviceLostError("the device is gone")

    monkeypatch.setattr("segment.run.worker.segment_image", lose)
    with pytest.raises(DeviceLostError, match="the device is gone"):
        end(image)


def test_a_process_of_its_own_makes_the_same_bytes(image: ImagePlan, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(pickle.dumps(image))
    code = (
        "import pickle, sys; from pathlib import Path; from tests.run.test_worker import end; "
        "print(end(pickle.loads(Path(sys.argv[1]).read_bytes()))[0].state)"
    )
    done = run([sys.executable, "-c", code, str(tmp_path / "image")])
    assert done.stdout == "done\n", done.stderr
    out = image.label.parent
    made = tree(out)
    assert made
    end(image, overwrite=True)
    assert tree(out) == made
