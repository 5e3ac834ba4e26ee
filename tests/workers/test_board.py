"""Marks on the board tell which tasks processes died of, and whether one of them is to blame."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segment.workers.board import Board

BEGINS = "import os, sys; from pathlib import Path; from segment.workers.board import Board\n"


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def die_of(board: Board, task: str, *, alone: bool) -> int:
    """Let a process end in the middle of a task; return its number."""
    code = f"{BEGINS}with Board(Path({str(board.folder)!r})).begun({task!r}, alone={alone}): os._exit(1)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        pass
    return process.pid


def test_a_task_that_ends_in_any_way_but_death_leaves_no_mark(board: Board) -> None:
    with board.begun("run-1", alone=False):
        assert len(list(board.folder.iterdir())) == 1
        assert board.deaths("run-1") == ()
    with pytest.raises(ValueError, match="bad image"), board.begun("run-1", alone=True):
        raise ValueError("bad image")
    assert list(board.folder.iterdir()) == []


def test_a_process_that_died_is_known_by_what_it_worked_on(board: Board) -> None:
    processes = [die_of(board, "run-1", alone=False), die_of(board, "run-1", alone=True)]
    die_of(board, "run-11", alone=True)
    found = {(death.process, death.alone) for death in board.deaths("run-1")}
    assert found == {(processes[0], False), (processes[1], True)}
    assert {death.host for death in board.deaths("run-1")} == {platform.node()}
    assert board.deaths("run-2") == ()


def test_a_process_that_is_still_there_did_not_die(board: Board) -> None:
    code = f"{BEGINS}with Board(Path({str(board.folder)!r})).begun('run-1', alone=False): print(flush=True), input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert board.deaths("run-1") == ()
        process.kill()
        process.wait()
        assert [death.process for death in board.deaths("run-1")] == [process.pid]


def test_a_new_process_may_have_the_number_of_one_that_died(board: Board) -> None:
    (board.folder / f"run-1.alone.{os.getpid()}.0123abcd.{platform.node()}").touch()
    assert [(death.process, death.alone) for death in board.deaths("run-1")] == [(os.getpid(), True)]


def test_names_of_hosts_may_have_dots(board: Board) -> None:
    (board.folder / "run-1.company.4711.0123abcd.node7.example.org").touch()
    (death,) = board.deaths("run-1")
    assert (death.host, death.process, death.alone) == ("node7.example.org", 4711, False)
    assert abs(death.begun - time.time()) < 60


def test_a_board_is_open_until_it_is_shut_and_there_until_it_is_removed(board: Board) -> None:
    assert not board.is_open
    board.open()
    assert board.is_open
    board.shut()
    board.shut()
    assert (board.is_open, board.is_there) == (False, True)
    board.folder.rmdir()
    assert not board.is_there
