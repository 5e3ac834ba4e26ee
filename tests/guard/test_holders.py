"""Who holds an output folder is told of runs that run, and telling it disturbs none."""

from __future__ import annotations

import json
import os
import platform
import threading
from pathlib import Path
from typing import Any

import pytest

from segment.guard.lock import hold_folder, holders
from segment.plan.shard import WHOLE, Shard

ME = {"pid": os.getpid(), "host": platform.node(), "since": "now"}


def test_runs_that_hold_a_folder_are_told_by_their_shards(tmp_path: Path) -> None:
    me = f"process {os.getpid()} on {platform.node()}"
    assert holders(tmp_path) == {}
    with hold_folder(tmp_path, Shard(1, 3)), hold_folder(tmp_path, Shard(3, 3)):
        assert {shard: str(who) for shard, who in holders(tmp_path).items()} == {Shard(1, 3): me, Shard(3, 3): me}
    with hold_folder(tmp_path):
        assert holders(tmp_path).keys() == {WHOLE}
        (tmp_path / ".noseam.holder").unlink()
        assert str(holders(tmp_path)[WHOLE]) == "a run that has just begun or is about to end"
    assert holders(tmp_path) == {}


def test_what_a_killed_run_left_does_not_count(tmp_path: Path) -> None:
    (tmp_path / ".noseam.2-of-3.lock").touch()
    (tmp_path / ".noseam.2-of-3.holder").write_text(json.dumps(ME))
    assert holders(tmp_path) == {}


@pytest.mark.parametrize(
    ("holder", "held"),
    [(ME, True), (ME | {"pid": 2**22 + 1}, False), (ME | {"host": "elsewhere"}, True), ({}, False), (None, False)],
)
def test_where_nobody_may_write_the_process_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: dict[str, object] | None, held: bool
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("segment.guard.lock.FileLock.acquire", refuse)
    (tmp_path / ".noseam.lock").touch()
    if holder is not None:
        (tmp_path / ".noseam.holder").write_text(json.dumps(holder))
    assert bool(holders(tmp_path)) == held


def test_to_ask_keeps_out_no_run_that_begins(tmp_path: Path) -> None:
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            holders(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for shard in [WHOLE, Shard(1, 2), Shard(2, 2)] * 30:
            with hold_folder(tmp_path, shard):
                pass
    finally:
        ended.set()
        asking.join()
