"""Tasks come in the right order: small images whole, large ones part by part, and the joining last."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segment.plan.request import Request
from segment.plan.standing import Standing
from segment.plan.survey import ImagePlan
from segment.record.outcome import Outcome
from segment.run.agenda import Agenda
from segment.run.model import KnownModel
from segment.run.task import Ended, Task, Work
from tests.grids import squares
from tests.make import write_tif
from tests.models import class_table
from tests.runs import plan_for
from tiler.masks.parts import Seen
from tiler.source.remarks import Findings
from tiler.source.stretch import Stretch

MODEL = KnownModel("a model", "0" * 32, class_table(3), "an engine")
TOLD = Seen(Findings(Stretch(1, 9)), ((1, 2, 3),))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(Request(tiling=squares(64, 64), out=tmp_path / "out", part_size=0.06))


@pytest.fixture
def images(tmp_path: Path, work: Work) -> tuple[ImagePlan, ...]:
    folder = tmp_path / "survey"
    folder.mkdir()
    write_tif(folder / "large.tif", np.ones((3, 6000, 100), np.uint8))
    Image.new("RGB", (100, 100)).save(folder / "small.png")
    return plan_for(folder, work.request).images


def agenda_of(images: tuple[ImagePlan, ...], work: Work, workers: int = 1) -> Agenda:
    standings = {image.found.path: Standing("new") for image in images}
    return Agenda(deque(images), standings, MODEL, work, workers)


def handed_out(agenda: Agenda) -> list[Task]:
    found = []
    while (task := agenda.next()) is not None:
        found.append(task)
    return found


def done(task: Task) -> Ended:
    return Ended(Outcome(task.path, "done", seconds=0), seconds=2)


def test_one_worker_gets_all_parts_in_one_go_and_then_joins_them(images: tuple[ImagePlan, ...], work: Work) -> None:
    agenda = agenda_of(images, work)
    parts, small = handed_out(agenda)
    assert (parts.step, parts.spans, small.step) == ("parts", images[0].parts, "image")
    outcome, follows = agenda.ended(parts, Ended(seen=TOLD, seconds=3))
    assert outcome is None
    assert follows is not None
    assert (follows.step, follows.seen, follows.spans) == ("join", TOLD, images[0].parts)
    outcome, follows = agenda.ended(follows, done(follows))
    assert outcome is not None
    assert (outcome.seconds, follows) == (5, None)
    assert agenda.ended(small, done(small))[0] == replace(done(small).outcome, seconds=2)  # type: ignore[type-var]


def test_several_workers_share_a_large_image_once_its_first_part_has_told_of_it(
    images: tuple[ImagePlan, ...], work: Work
) -> None:
    agenda = agenda_of(images, work, workers=3)
    first, small = handed_out(agenda)
    assert (first.seen, small.path.name) == (None, "small.png")
    assert agenda.ended(first, Ended(seen=TOLD)) == (None, None)
    others = handed_out(agenda)
    assert len(others) >= 5
    assert all(task.seen == TOLD for task in others)
    assert [span for task in (first, *others) for span in task.spans] == list(images[0].parts)
    steps = [agenda.ended(task, Ended(seen=TOLD))[1] for task in others]
    assert [step is not None for step in steps] == [False] * (len(others) - 1) + [True]


def test_an_image_fails_once_and_its_other_parts_are_dropped(images: tuple[ImagePlan, ...], work: Work) -> None:
    agenda = agenda_of(images[:1], work, workers=3)
    (first,) = handed_out(agenda)
    agenda.ended(first, Ended(seen=TOLD))
    one, two = agenda.next(), agenda.next()
    assert one is not None
    assert two is not None
    failed = Ended(Outcome(one.path, "failed", "a bad row"))
    assert agenda.ended(one, failed)[0] == failed.outcome
    assert agenda.next() is None
    assert agenda.ended(two, failed) == (None, None)
    assert agenda.next() is None


def test_an_image_whose_parts_were_not_begun_is_left(images: tuple[ImagePlan, ...], work: Work) -> None:
    agenda = agenda_of(images[:1], work)
    (parts,) = handed_out(agenda)
    assert agenda.ended(parts, None) == (None, None)
    assert agenda.next() is None
