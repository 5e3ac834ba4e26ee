"""What the records of runs say of done, failed, left, missing shards and speed, and in which words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segment.plan.shard import WHOLE, Shard
from segment.plan.shares import take_shard
from segment.plan.survey import Refused, SurveyPlan
from segment.record.begun import Begun, begin_record, end_record, read_records
from segment.record.status import Part, Status, read_status
from segment.record.status_report import status_as_dict, status_as_lines

COMMAND = "segment", "sur vey", "--out", "masks", "--shard", "1/9"


def plan_of(*names: str) -> SurveyPlan:
    """Return a plan of inputs that are told by their names alone."""
    return SurveyPlan((), tuple(Refused(Path(name), "", Path(name)) for name in names))


def begin(out: Path, shard: Shard, names: Sequence[str], *, pid: int = 1, command: Sequence[str] = COMMAND) -> Begun:
    """Record that a run of some images of one megapixel each begins on a machine called gpu."""
    begun = begin_record(out, shard, plan_of(*names), command)
    changed = {"inputs": dict.fromkeys(begun.inputs, 1.0), "pid": pid, "host": "gpu", "folder": "/data"}
    path = out / shard.mark(".noseam.run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    (begun,) = (each for each in read_records(out)[0] if each.shard == shard)
    return begun


def append(out: Path, shard: Shard, image: str, state: str = "done", *, at: datetime | None = None) -> None:
    line = {
        "time": (at or datetime.now(UTC)).isoformat(), "image": image, "path": f"/survey/{image}", "state": state,
        "reason": f"/survey/{image}: cut off", "advice": "copy it again", "megapixels": 1.0,
    }  # fmt: skip
    with (out / shard.mark("manifest.jsonl")).open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_a_run_counts_its_own_lines_alone(tmp_path: Path) -> None:
    append(tmp_path, WHOLE, "a", "failed")
    with (tmp_path / "manifest.jsonl").open("a") as file:
        file.write('{"time":"cut')  # a run that was killed left it, and the manifest will drop it
    begun = begin(tmp_path, WHOLE, "abc")
    assert read_status(tmp_path, {}).left == 3
    (tmp_path / "manifest.jsonl").write_text((tmp_path / "manifest.jsonl").read_text().rpartition("\n")[0] + "\n")
    append(tmp_path, WHOLE, "a", "skipped")
    append(tmp_path, WHOLE, "b", "failed")
    found = read_status(tmp_path, {WHOLE: "process 1 on gpu"})
    assert (found.done, len(found.failed), found.left, found.images) == (1, 1, 1, 3)
    assert [each.reason for each in found.failed] == ["/survey/b: cut off"]
    assert (found.parts[0].state, found.complete) == ("running", False)
    append(tmp_path, WHOLE, "c")
    end_record(tmp_path, begun, "complete")
    found = read_status(tmp_path, {})
    assert (found.parts[0].state, found.parts[0].end, found.complete, found.left) == ("ended", "complete", True, 0)


def test_speed_and_time_left_follow_from_the_last_images(tmp_path: Path) -> None:
    names = list(map(str, range(300)))
    begin(tmp_path, WHOLE, names)
    start = datetime.now(UTC)
    for place in range(200):  # the first are slow, and 100 are told from
        at = start + timedelta(seconds=10 * min(place, 99) + max(place - 99, 0) / 2)
        append(tmp_path, WHOLE, names[place], at=at)
    part = read_status(tmp_path, {WHOLE: "process 1 on gpu"}).parts[0]
    assert part.megapixels_s == pytest.approx(2)
    assert part.megapixels_left == 100
    assert part.seconds_left == pytest.approx(50)
    lines = status_as_lines(read_status(tmp_path, {WHOLE: "process 1 on gpu"}))
    assert "speed:    2 megapixels per second; about 50 seconds left" in lines
    assert read_status(tmp_path, {}).parts[0].seconds_left is None, "nothing runs"


def test_shards_that_never_ran_or_were_cut_off_are_missing(tmp_path: Path) -> None:
    names = list(map(str, range(9)))
    for index in (1, 2, 3):
        took = take_shard(plan_of(*names), Shard(index, 4), tmp_path, settle=True)
        begun = begin(tmp_path, Shard(index, 4), [entry.relative.name for entry in took.refused])
        if index == 1:
            for name in begun.inputs:
                append(tmp_path, Shard(1, 4), name)
            end_record(tmp_path, begun, "complete")
    found = read_status(tmp_path, {Shard(3, 4): "process 7 on gpu"})
    assert [part.state for part in found.parts] == ["ended", "cut off", "running", "never ran"]
    assert [part.shard.index for part in found.missing] == [2, 4]
    assert [part.left for part in found.parts] == [0, 2, 2, 2]
    assert found.images == 9
    lines = status_as_lines(found)
    assert lines[0] == "3 of 9 images have masks, 6 left"
    assert lines[2:7] == [
        "shard  masks  failed  left",
        "    1      3       0     0  done, 1 second ago",
        "    2      0       0     2  cut off on gpu; no image yet, begun 1 second ago",
        "    3      0       0     2  process 7 on gpu; no image yet, begun 1 second ago",
        "    4      -       -     2  never ran",
    ]
    assert lines[8:] == [
        "missing:  shards 2 and 4 of 4", "", "To go on, in /data on gpu:",
        "  noseam segment 'sur vey' --out masks --shard 2/4", "and the same with --shard 4/4",
    ]  # fmt: skip


def test_all_shards_done_want_the_summary(tmp_path: Path) -> None:
    for index in (1, 2):
        end_record(tmp_path, begin(tmp_path, Shard(index, 2), []), "complete")
    found = read_status(tmp_path, {})
    assert found.complete
    assert status_as_lines(found)[-2:] == [
        "For the summary of all shards, in /data on gpu:", "  noseam segment 'sur vey' --out masks",
    ]  # fmt: skip


def test_a_run_of_another_count_takes_the_place_of_what_is_recorded(tmp_path: Path) -> None:
    for shard in (WHOLE, Shard(1, 2), Shard(2, 2), Shard(2, 3)):
        begin(tmp_path, shard, "a")
    assert [path.name for path in tmp_path.iterdir()] == [".noseam.run.2-of-3.json"]
    assert [part.state for part in read_status(tmp_path, {}).parts] == ["never ran", "cut off", "never ran"]
    begin(tmp_path, WHOLE, "a")
    assert [begun.shard for begun in read_records(tmp_path)[0]] == [WHOLE]


def test_a_run_that_has_just_begun_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    end_record(tmp_path, begin(tmp_path, WHOLE, "ab"), "complete")
    for image in "ab":
        append(tmp_path, WHOLE, image)
    found = read_status(tmp_path, {WHOLE: "process 7 on gpu"})
    assert (found.complete, found.done, found.left) == (False, 0, 2)
    assert status_as_lines(found)[1:] == ["running:  process 7 on gpu; it has just begun"]
    assert read_status(tmp_path, {Shard(1, 2): "process 8 on gpu"}).others == ("process 8 on gpu",)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"shard": {"index": 1, "count": 1}}', '{"shard": 1}'])
def test_a_damaged_record_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / ".noseam.run.1-of-2.json").write_text(content)
    begin(tmp_path, Shard(2, 2), "a")
    found = read_status(tmp_path, {})
    assert [path.name for path in found.unread] == [".noseam.run.1-of-2.json"]
    assert [part.state for part in found.parts] == ["never ran", "cut off"]
    lines = status_as_lines(found)
    assert f"unread:   {tmp_path / '.noseam.run.1-of-2.json'} is damaged; what that run did is not known" in lines
    assert "unknown:  how many images shard 1 has" in lines


def test_lines_that_no_run_wrote_are_passed_over(tmp_path: Path) -> None:
    begin(tmp_path, WHOLE, "ab")
    (tmp_path / "manifest.jsonl").write_text('nothing\n[]\n{"image": "a", "state": "done", "time": 5}\n')
    found = read_status(tmp_path, {})
    assert (found.done, found.left, found.last) == (1, 1, None)


def test_doubts_are_counted_by_kind(tmp_path: Path) -> None:
    begin(tmp_path, WHOLE, "abcde")
    kinds: tuple[object, ...] = (["far from scale", "suspect"], ["far from scale"], [], "suspect", 5)
    lines = [{"image": name, "state": "done", "doubts": found} for name, found in zip("abcde", kinds, strict=True)]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_status(tmp_path, {})
    assert dict(found.doubts) == {"far from scale": 2, "suspect": 1} == status_as_dict(found)["doubts"]
    told = f"doubtful:  2 far from scale, 1 suspect; {tmp_path / 'manifest.jsonl'} says of which and why"
    assert told in status_as_lines(found)


def test_a_large_image_is_not_called_done_while_its_parts_are_joined(tmp_path: Path) -> None:
    status = Status(tmp_path, (Part(WHOLE, "cut off", _any()),), inside={"a": 0.996, "b": 1.0}, now=datetime.now(UTC))
    lines = status_as_lines(status)
    told = [line for line in lines if "labelled" in line]
    assert told[0].endswith("a: 99% of it is labelled")
    assert told[1].endswith("b: all of it is labelled, and its parts are left to join")


def test_of_many_shards_those_that_are_not_done_are_shown(tmp_path: Path) -> None:
    done = [Part(Shard(index, 40), "ended", replace(_any(), end="complete")) for index in range(1, 18)]
    never = [Part(Shard(index, 40), "never ran", left=1) for index in range(18, 41)]
    lines = status_as_lines(Status(tmp_path, (*done, *never), now=datetime.now(UTC)), 70)
    assert len(lines) < 30
    assert "and 11 shards like these; --json names all" in lines
    assert "17 shards of 40 done" in lines
    assert "missing:  shards 18-40 of 40" in lines
    assert lines[-1] == "and the same with --shard 19/40, --shard 20/40, --shard 21/40 and 19 more"


def _any() -> Begun:
    now = datetime.now(UTC)
    return Begun(WHOLE, {}, True, 1, "gpu", now, COMMAND, "/data", 0, now)


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (("segment", "a", "--shard", "auto"), "noseam segment a --shard 2/3"),
        (("-q", "segment", "--shard=1/3", "a"), "noseam -q segment a --shard 2/3"),
        (("segment", "--out", "m", "--", "-a"), "noseam segment --out m --shard 2/3 -- -a"),
        ((), ""),
    ],
)
def test_a_command_is_told_with_another_shard(typed: tuple[str, ...], again: str) -> None:
    assert " ".join(replace(_any(), command=typed).command_for(Shard(2, 3))) == again
    assert "--shard" not in replace(_any(), command=typed).command_for(WHOLE)


def test_lines_fit_a_terminal_but_commands_stay_whole(tmp_path: Path) -> None:
    begin(tmp_path, WHOLE, "ab", command=(*COMMAND, "--model", "a-model-with-a-long-name-" * 3))
    append(tmp_path, WHOLE, "a " * 50, "failed")
    lines = status_as_lines(read_status(tmp_path, {}), 50)
    assert [line for line in lines if len(line) > 50 and not line.startswith("  noseam")] == [
        line for line in lines if str(tmp_path) in line
    ]
    assert lines[-1].startswith("  noseam segment 'sur vey' --out masks --model a-model")


def test_what_programs_read_is_json(tmp_path: Path) -> None:
    begin(tmp_path, Shard(2, 2), "ab")
    append(tmp_path, Shard(2, 2), "a", "failed")
    found = json.loads(json.dumps(status_as_dict(read_status(tmp_path, {}))))
    assert {key: found[key] for key in ("images", "done", "skipped", "failed", "left", "complete", "running")} == {
        "images": 2, "done": 0, "skipped": 0, "failed": 1, "left": 1, "complete": False, "running": False,
    }  # fmt: skip
    assert found["missing"] == ["1/2", "2/2"]
    assert found["failures"] == [{"path": "/survey/a", "reason": "/survey/a: cut off", "advice": "copy it again"}]
    assert [run["state"] for run in found["runs"]] == ["never ran", "cut off"]
