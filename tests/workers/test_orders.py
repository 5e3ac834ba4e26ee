"""What goes to workers means the same there, and what comes back can be read here."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from segment.errors import CheckpointError, SegmentError
from segment.plan.request import Request
from segment.plan.standing import Standing
from segment.run.task import Task
from segment.workers.orders import absolute, packed, portable, unpacked
from tests.grids import squares
from tests.runs import make_survey, plan_for
from tiler.files.outputs import all_paths


def test_a_task_means_the_same_files_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_survey(tmp_path / "survey", photos=1, rasters=1)
    monkeypatch.chdir(tmp_path)
    request = Request(tiling=squares(64, 64), out=Path("out"), polygons=True)
    for image in plan_for(Path("survey"), request).images:
        assert not image.found.path.is_absolute()
        task = Task(image, Standing("again", stale=(Path("out/old_label.tif"),)))
        moved = unpacked(packed(absolute(task)))
        assert moved.path == tmp_path / image.found.path
        assert moved.image.found.relative == image.found.relative
        assert list(all_paths(moved.image.outputs)) == [tmp_path / path for path in all_paths(image.outputs)]
        assert moved.standing.stale == (tmp_path / "out/old_label.tif",)


class OddError(Exception):
    """An error that cannot be read again."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} at {where}")
        self.lock = threading.Lock()


def test_errors_arrive_as_they_are_or_as_a_text() -> None:
    found = unpacked(packed(portable(CheckpointError("model/: no weights"))))
    assert (type(found), str(found)) == (CheckpointError, "model/: no weights")
    assert isinstance(portable(KeyError("width")), KeyError)
    odd = unpacked(packed(portable(OddError("a fault", "home"))))
    assert (type(odd), str(odd)) == (SegmentError, "OddError: a fault at home")
