from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tiler.files import atomic
from tiler.files.atomic import hidden_folder, hidden_name, replacing, sweep, write_whole


def _left_by(folder: Path, process: int) -> Path:
    """Make a hidden file as another process of this machine leaves it."""
    path = folder / f".a.tif.{process}-{atomic._machine()}-{'0' * 16}.part.tif"
    path.touch()
    return path


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_whole(path, b"before")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs.csv").write_text("theirs")
    (tmp_path / "a.csv").symlink_to("theirs.csv")
    write_whole(tmp_path / "a.csv", b"ours")
    assert not (tmp_path / "a.csv").is_symlink()
    assert (tmp_path / "theirs.csv").read_text() == "theirs"


def test_hidden_names_are_short_and_differ(tmp_path: Path) -> None:
    final = tmp_path / f"{'é' * 120}.tif"
    names = {hidden_name(final) for _ in range(100)}
    assert len(names) == 100
    for name in names:
        assert name.parent == tmp_path
        assert name.name.startswith(".é")
        assert name.suffix == ".tif"
        assert len(os.fsencode(name.name)) < 200


def test_a_hidden_folder_goes_with_all_that_it_holds(tmp_path: Path) -> None:
    with hidden_folder(tmp_path / "a") as folder:
        (folder / "b").mkdir()
        (folder / "b" / "c").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_leaves_what_a_running_process_writes(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone = [_left_by(tmp_path, int(ended.stdout)), _left_by(tmp_path, os.getpid()), _left_by(tmp_path, 10**30)]
    running = _left_by(tmp_path, os.getppid())
    assert sweep(tmp_path, of_all=False) == len(gone)
    assert list(tmp_path.iterdir()) == [running]


@pytest.mark.parametrize("runs", [True, False])
def test_no_process_is_sent_a_signal_to_see_whether_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    """On Windows `os.kill(process, 0)` is Ctrl-C."""
    asked: list[int] = []

    def say(process: int) -> SimpleNamespace:
        asked.append(process)
        return SimpleNamespace(status=lambda: psutil.STATUS_RUNNING if runs else psutil.STATUS_ZOMBIE)

    monkeypatch.setattr(os, "kill", lambda *arguments: pytest.fail(f"os.kill{arguments} was called"))
    monkeypatch.setattr(psutil, "Process", say)
    path = _left_by(tmp_path, 4711)
    assert sweep(tmp_path, of_all=False) == (not runs)
    assert path.exists() == runs
    assert asked == [4711]


def test_a_sweep_leaves_what_the_system_says_nothing_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process: int) -> None:
        raise psutil.AccessDenied(process)

    monkeypatch.setattr(psutil, "Process", refuse)
    path = _left_by(tmp_path, 4711)
    assert sweep(tmp_path, of_all=False) == 0
    assert path.exists()
