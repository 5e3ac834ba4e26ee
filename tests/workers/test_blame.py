"""An image that ends its workers is told from one that workers die with by chance."""

from __future__ import annotations

import random

import pytest

from segment.workers.blame import is_to_blame
from segment.workers.board import Death


def deaths_of(kinds: str, seconds: float = 1.0, every: float = 4.0) -> tuple[list[Death], dict[int, float]]:
    """Return deaths in company (c) and alone (a), and when they were."""
    deaths = [Death("here", number, kind == "a", every * number) for number, kind in enumerate(kinds)]
    return deaths, {death.process: death.begun + seconds for death in deaths}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("", False),
        ("c", False),
        ("a", False),
        ("ca", False),
        ("cc", False),
        ("cccc", False),
        ("aa", True),
        ("caa", True),
    ],
)
def test_where_nothing_else_ends_two_deaths_alone_are_enough(kinds: str, expected: bool) -> None:
    deaths, ended = deaths_of(kinds)
    assert is_to_blame(deaths, ended, others=0, worked_s=60) == expected
    assert is_to_blame(deaths, {}, others=0, worked_s=60) == expected


@pytest.mark.parametrize(("others", "needed"), [(0, 2), (1, 3), (20, 10)])
def test_where_workers_end_anyway_more_are_needed(others: int, needed: int) -> None:
    found = [count for count in range(12) if is_to_blame(*deaths_of("c" + count * "a"), others=others, worked_s=66)]
    assert found == list(range(needed, 12))


def test_long_work_is_hit_more_often_by_chance_and_ten_deaths_are_enough_in_any_case() -> None:
    def needed(seconds: float) -> int:
        return next(k for k in range(20) if is_to_blame(*deaths_of(k * "a", seconds, 4e4), others=0, worked_s=1e4))

    assert [needed(seconds) for seconds in (1, 30, 60, 300, 3600)] == [2, 3, 4, 9, 10]


def test_innocent_images_are_hardly_ever_blamed_and_guilty_ones_always() -> None:
    """Three workers, images of two seconds, a worker killed each second on average."""
    chance = random.Random(0)
    blamed = hit = 0
    for _ in range(20_000):
        now, deaths, ended = 30.0, [Death("here", 0, False, 29.0)], {0: 30.0}
        while (life := chance.expovariate(1 / 3)) < 2.0:
            deaths.append(Death("here", len(deaths), True, now))
            ended[len(ended)] = now + life
            now += life + 2
            hit += 1
            if is_to_blame(deaths, ended, others=int(now) - len(deaths), worked_s=3 * now):
                blamed += 1
                break
    assert hit > 10_000
    assert blamed <= 20_000 * 0.002
