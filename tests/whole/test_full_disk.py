"""A disk that fills at any byte leaves no wrong file, loses none, and leaves no temporary one."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from segment.record.failures import FAILURES
from segment.record.manifest import MANIFEST
from segment.record.summary import SUMMARY
from tests import ROOT
from tests.grids import squares
from tests.models import checkpoint_folder
from tests.runs import HOLDER, contents, exit_code, make_survey, run, segment_command
from tests.whole.full_disk import BEYOND, SIDECARS, STEPS, WRITERS, limit_files, write_masks
from tiler.errors import DiskFullError, RasterWriteError
from tiler.masks.sink import write_error

Try = dict[str, Any]
Mount = Callable[[str], Path]


@pytest.fixture(scope="module")
def tries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Try]]:
    folder = tmp_path_factory.mktemp("sweep")
    command = [sys.executable, "-W", "ignore", "-m", "tests.whole.full_disk", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = defaultdict(list)
    for line in done.stdout.splitlines():
        found[json.loads(line)["writer"]].append(json.loads(line))
    return found


def test_every_writer_is_tried_at_thirty_sizes(tries: dict[str, list[Try]]) -> None:
    assert set(tries) == set(WRITERS)
    assert all(len(each) == 2 * (STEPS + 1 + len(BEYOND)) >= 60 for each in tries.values())


@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_that_does_not_fit_is_reported_and_changes_nothing(tries: dict[str, list[Try]], writer: str) -> None:
    wrong = [each for each in tries[writer] if each["state"] != ("unchanged" if each["error"] else "new")]
    assert not wrong
    assert all(each["error"] for each in tries[writer] if each["share"] < 1)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_that_fits_succeeds(tries: dict[str, list[Try]], writer: str) -> None:
    assert not [each for each in tries[writer] if each["share"] >= BEYOND[-1] and each["error"]]


@pytest.mark.parametrize("writer", WRITERS)
def test_what_does_not_fit_is_named(tries: dict[str, list[Try]], writer: str, tmp_path: Path) -> None:
    errors = [each["error"] for each in tries[writer] if each["error"]]
    assert errors
    assert all(
        error.startswith(("RasterWriteError: ", "RecordError: ")) and f"/{writer}/tried" in error for error in errors
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("model"), classes=4, tiling=squares(256, 64))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_survey(tmp_path_factory.mktemp("disk") / "survey", photos=3, rasters=2)


@pytest.fixture(scope="module")
def whole(survey: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Folder of a run whose disk never fills."""
    out = tmp_path_factory.mktemp("whole")
    done = run(segment_command(survey, out, model))
    assert done.returncode == 0, done.stderr
    return contents(out)


OF_A_RUN = {SUMMARY, FAILURES}
"""Tables that say what one run came to."""


def assert_nothing_is_wrong(out: Path, stderr: str, whole: dict[str, bytes]) -> None:
    """Check that every file is as in an undisturbed run, and those of every image that is called done are there."""
    found = contents(out)
    assert not {name for name in found if name not in OF_A_RUN and found[name] != whole.get(name)}
    for line in stderr.splitlines():
        if " done: " in line:
            stem = Path(line.split(" done: ")[1].split(": ")[0]).stem
            ours = {name for name in whole if Path(name).name.startswith(f"{stem}_")}
            expected = {name for name in ours if not name.startswith("report/")}  # a report is made of masks that stand
            assert expected
            assert expected <= set(found)


@pytest.mark.parametrize("limit", [0, 100, 600, 1_000, 3_000, 6_000, 12_000])
def test_a_run_that_may_write_small_files_only(
    limit: int, survey: Path, model: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    command = segment_command(survey, tmp_path, model)
    done = run(command, preexec_fn=partial(limit_files, limit))
    assert exit_code(done) in {1, 3}, done.stderr
    assert_nothing_is_wrong(tmp_path, done.stderr, whole)
    again = run(command)
    assert exit_code(again) == 0, again.stderr
    assert contents(tmp_path) == whole


@pytest.mark.usefixtures("whole")
def test_a_record_that_cannot_be_written_is_told_in_one_line(survey: Path, model: Path, tmp_path: Path) -> None:
    done = run(segment_command(survey, tmp_path, model), preexec_fn=partial(limit_files, 100))
    assert exit_code(done) in {1, 3}, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return a function that mounts a small file system in memory; skip where that is not allowed."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk {len(mounted)}"
        folder.mkdir()
        call_mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", folder], check=True)


def call_mount(*arguments: str) -> None:
    if shutil.which("mount") is None:
        pytest.skip("NOT TESTED: a full disk, because there is no `mount`")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT TESTED: a full disk, because mounting is not allowed: {done.stderr.strip()}")


def fill(disk: Path, leave: int) -> None:
    """Fill a file system, and leave so many bytes free."""
    free = shutil.disk_usage(disk).free
    (disk / "filler").write_bytes(bytes(free - leave))
    assert shutil.disk_usage(disk).free == leave


@pytest.mark.parametrize("writer", sorted(WRITERS.keys() - {MANIFEST}))  # its last line may fit whole
def test_a_full_disk_keeps_what_was_there(mount: Mount, writer: str) -> None:
    disk = mount("size=8m")
    for variant in (0, 1):
        write_masks(disk / f"mask_{variant}", variant, format="png", kinds=("label",), sidecars=SIDECARS)
    (disk / "out").mkdir()
    WRITERS[writer](disk / "out", 0)
    before = contents(disk / "out")
    fill(disk, leave=0)
    with pytest.raises(OSError, match=r"cannot be written: .*No space left on device"):
        WRITERS[writer](disk / "out", 1)
    assert contents(disk / "out") == before


def test_a_disk_without_room_for_another_file_keeps_what_was_there(mount: Mount) -> None:
    disk = mount("size=8m,nr_inodes=8")
    write = partial(write_masks, format="png", kinds=("label", "color"))
    write(disk, 0)
    before = contents(disk)
    while os.statvfs(disk).f_favail:
        (disk / str(os.statvfs(disk).f_favail)).touch()
    with pytest.raises(RasterWriteError, match=r"cannot be written: .*No space left on device"):
        write(disk, 1)
    assert {name: data for name, data in contents(disk).items() if data} == before


def test_a_disk_without_room_for_another_file_is_full_whatever_a_library_says(mount: Mount, tmp_path: Path) -> None:
    disk, error = mount("size=8m,nr_inodes=4"), RuntimeError("cannot create")
    assert isinstance(write_error(disk / "a.tif", error), DiskFullError)
    assert str(write_error(disk / "a.tif", error)).endswith("a.tif: cannot be written: No space left on device")
    assert not isinstance(write_error(tmp_path / "a.tif", error), DiskFullError)


@pytest.mark.parametrize("options", ["size=64k", "size=100k", "nr_inodes=12"])
def test_a_run_on_a_disk_that_fills_up(
    mount: Mount, options: str, survey: Path, model: Path, whole: dict[str, bytes]
) -> None:
    disk = mount(options)
    done = run(segment_command(survey, disk, model))
    assert exit_code(done) in {1, 3}, done.stderr
    assert "No space left on device" in done.stderr
    assert_nothing_is_wrong(disk, done.stderr, whole)
    call_mount("-o", "remount,size=8m,nr_inodes=1000", str(disk))
    again = run(segment_command(survey, disk, model))
    assert exit_code(again) == 0, again.stderr
    assert contents(disk) == whole


def test_a_folder_on_a_read_only_disk_is_refused_before_the_model_loads(
    mount: Mount, survey: Path, model: Path
) -> None:
    disk = mount("size=1m")
    call_mount("-o", "remount,ro", str(disk))
    for out in (disk, disk / "new"):
        done = run(segment_command(survey, out, model))
        assert exit_code(done) == 1
        assert f"Error: {out}: the output folder cannot be written to" in done.stderr
        assert " model " not in done.stderr


@pytest.fixture(scope="module")
def shared(survey: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the permissions of the files of a run whose user lets the group write."""
    out = tmp_path_factory.mktemp("shared") / "out"
    done = run(segment_command(survey, out, model, "--confidence", "--polygons"), umask=0o002)
    assert done.returncode == 0, done.stderr
    assert not (out / HOLDER).exists()
    return {str(path.relative_to(out)): stat.filemode(path.stat().st_mode) for path in out.rglob("*")}


def test_files_have_the_permissions_that_the_user_gives_to_others(shared: dict[str, str]) -> None:
    files = {name for name in shared if Path(name).suffix} - {name for name in shared if name.endswith(".gpkg")}
    assert {Path(name).suffix for name in files} >= {".png", ".tif", ".csv", ".xml", ".qml", ".dbf"}
    assert {name: shared[name] for name in files} == dict.fromkeys(files, "-rw-rw-r--")
    assert shared["maps"] == "drwxrwxr-x"


def test_polygons_have_the_permissions_that_the_user_gives_to_others(shared: dict[str, str]) -> None:
    files = {name for name in shared if name.endswith(".gpkg")}
    assert {name: shared[name] for name in files} == dict.fromkeys(files, "-rw-rw-r--")
