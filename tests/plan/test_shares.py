"""Every input belongs to one shard whatever comes and goes, and shards have about as many pixels."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.errors import RecordError
from segment.plan.shard import WHOLE, Shard
from segment.plan.shares import Shares, forget_shares, share_out, shared_inputs, take_shard
from segment.plan.survey import Refused, SurveyPlan

NAMES = st.binary(min_size=1, max_size=9).map(lambda name: Path(name.decode("utf-8", "surrogateescape")).as_posix())
SURVEYS = st.dictionaries(NAMES, st.integers(0, 10**9), max_size=60)


def survey_of(*names: str) -> SurveyPlan:
    """Return a plan of inputs that are told by their names alone."""
    return SurveyPlan((), tuple(Refused(Path(name), "", Path(name)) for name in names))


def shards(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(1, count + 1)]


def names(plan: SurveyPlan) -> list[str]:
    return [entry.relative.as_posix() for entry in plan.refused]


@given(SURVEYS, st.integers(1, 12))
def test_each_input_is_taken_once_and_sums_differ_by_the_largest_at_most(pixels: dict[str, int], count: int) -> None:
    shares = share_out(pixels, count)
    taken = [[name for name in pixels if shares.takes(shard, Path(name))] for shard in shards(count)]
    assert sorted(name for names in taken for name in names) == sorted(pixels)
    sums = [sum(pixels[name] for name in names) for names in taken]
    assert max(sums) - min(sums) <= max(pixels.values(), default=0)


@given(SURVEYS, st.integers(1, 12), st.randoms())
def test_the_order_of_a_walk_changes_nothing(pixels: dict[str, int], count: int, random: object) -> None:
    shuffled = list(pixels.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert share_out(dict(shuffled), count) == share_out(pixels, count)


def test_files_that_cannot_be_segmented_are_dealt_out_too() -> None:
    of = share_out({"huge": 10**9, **{f"bad {index}": 0 for index in range(9)}}, 3).of
    assert [sum(index == shard for name, index in of.items() if "bad" in name) for shard in (1, 2, 3)] == [3, 3, 3]


@given(SURVEYS, NAMES, st.integers(1, 12))
def test_an_input_that_came_later_belongs_to_one_shard_too(pixels: dict[str, int], late: str, count: int) -> None:
    shares = share_out(pixels, count)
    assert sum(shares.takes(shard, Path(late)) for shard in shards(count)) == 1


def test_shards_that_walk_at_other_moments_go_by_what_the_first_one_kept(tmp_path: Path) -> None:
    first = take_shard(survey_of(*"abcdefg"), Shard(1, 3), tmp_path, settle=True)
    later = survey_of(*"bcdefg", "new 1", "new 2")
    taken = [names(take_shard(later, shard, tmp_path, settle=True)) for shard in shards(3)]
    assert sorted(name for names in taken for name in names) == names(later)
    assert set(names(first)) - {"a"} == set(taken[0]) - {"new 1", "new 2"}
    assert names(take_shard(later, WHOLE, tmp_path)) == names(later)


def test_a_plan_goes_by_what_is_kept_and_keeps_nothing(tmp_path: Path) -> None:
    planned = [names(take_shard(survey_of(*"dcba"), shard, tmp_path / "out")) for shard in shards(2)]
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    settled = [names(take_shard(survey_of(*"abcd"), shard, tmp_path / "out", settle=True)) for shard in shards(2)]
    assert list(map(sorted, planned)) == settled
    assert take_shard(survey_of(*"abcd"), Shard(2, 2), tmp_path / "out").elsewhere == 2


def test_of_shards_that_begin_at_once_one_shares_out_for_all(tmp_path: Path) -> None:
    count = 12
    barrier = threading.Barrier(count)

    def begin(shard: Shard) -> None:
        barrier.wait()  # each has walked another survey
        take_shard(survey_of(*map(str, range(shard.index, 60))), shard, tmp_path, settle=True)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(begin, shards(count)))
    assert {path.name for path in tmp_path.iterdir()} == {f".noseam.shards-{count}"}
    everything = survey_of(*map(str, range(60)))
    taken = [name for shard in shards(count) for name in names(take_shard(everything, shard, tmp_path))]
    assert sorted(taken) == sorted(names(everything))


def test_each_count_is_shared_out_for_itself_and_all_are_forgotten(tmp_path: Path) -> None:
    for count in (2, 3):
        take_shard(survey_of(*"abc"), Shard(1, count), tmp_path, settle=True)
    assert {len(set(shared_inputs(tmp_path, count).values())) for count in (2, 3)} == {2, 3}
    forget_shares(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert shared_inputs(tmp_path, 2) == {}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"inputs": {"a": 3}}', '{"inputs": {"a": "1"}}', '{"inputs": 1}']
)
def test_shares_that_are_damaged_stop_a_shard_because_it_could_leave_images_out(tmp_path: Path, content: str) -> None:
    take_shard(survey_of(*"abc"), Shard(1, 2), tmp_path, settle=True)
    (kept,) = tmp_path.glob(".noseam.shards-2/*")
    kept.write_text(content)
    for settle in (False, True):
        with pytest.raises(RecordError, match=r"shares\.json: damaged.*run once without --shard.*all 2 shards again"):
            take_shard(survey_of(*"abc"), Shard(2, 2), tmp_path, settle=settle)
    assert shared_inputs(tmp_path, 2) == {}
    assert names(take_shard(survey_of(*"abc"), WHOLE, tmp_path)) == list("abc")


def test_shares_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / ".noseam.shards-2").touch()
    with pytest.raises(RecordError, match=r"\.noseam\.shards-2: cannot be written: "):
        take_shard(survey_of(*"abc"), Shard(2, 2), tmp_path, settle=True)


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    odd = b"b\xe9 \xf0\x9f\x9b\xb0.jpg".decode("utf-8", "surrogateescape")
    take_shard(survey_of(odd), Shard(1, 2), tmp_path, settle=True)
    assert shared_inputs(tmp_path, 2) == {odd: 1}
    assert Shares(2, {odd: 1}).takes(Shard(1, 2), Path(odd))
    assert json.loads((tmp_path / ".noseam.shards-2" / "shares.json").read_text("ascii")) == {"inputs": {odd: 1}}
