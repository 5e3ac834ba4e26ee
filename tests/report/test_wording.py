from __future__ import annotations

from dataclasses import replace

import pytest

from segment.report.wording import area, gravest, hexadecimal, moment, percent, two_digits, units, verdict
from tests.report.making import content, image, mixed


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, ""),
        (0, "0.0 %"),
        (0.0001, "< 0.05 %"),
        (0.0005, "0.1 %"),
        (0.123, "12.3 %"),
        (0.9999, "> 99.9 %"),
        (1, "100.0 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("m2", "text"),
    [
        (None, ""),
        (0.0, "0.0 m²"),
        (12.34, "12.3 m²"),
        (9999.0, "9,999 m²"),
        (12_345.0, "1.23 ha"),
        (9_999_000.0, "999.90 ha"),
        (12_300_000.0, "12.30 km²"),
    ],
)
def test_an_area_has_the_unit_of_its_size(m2: float | None, text: str) -> None:
    assert area(m2) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("m2 left out: no summary", "m² left out: no summary"),
        ("It covers 30 m2.", "It covers 30 m²."),
        ("m2/a.jpg, /b/m2/c, m2.tif, x-m2, m21", "m2/a.jpg, /b/m2/c, m2.tif, x-m2, m21"),
    ],
)
def test_square_metres_are_written_as_such_but_in_names(text: str, shown: str) -> None:
    assert units(text) == shown


def test_digits_colours_and_moments() -> None:
    assert (two_digits(0.456), two_digits(None)) == ("0.46", "")
    assert hexadecimal((0, 128, 255)) == "#0080ff"
    assert moment("2026-11-27T09:05:00+00:00") == "27 November 2026, 09:05 UTC"
    assert moment("2026-11-27T09:05:00") == "27 November 2026, 09:05"
    assert moment("yesterday") == "yesterday"


def test_the_gravest_light_decides() -> None:
    assert gravest(["green", "red", "amber"]) == "red"
    assert gravest(["unknown", "green"]) == "green"
    assert gravest(["unknown"]) == gravest([]) == "unknown"


def test_the_verdict_says_how_many_images_have_masks_and_what_became_of_the_others() -> None:
    found = verdict(content(mixed(12)))
    assert (found.level, found.headline) == ("red", "Not ready to use")
    assert found.sentence == "11 of 12 images have masks, 1 failed, 1 is doubtful."
    rows = [replace(image("a"), state="skipped"), replace(image("b"), state="left")]
    assert verdict(content(rows)).sentence == "1 of 2 images has masks, 1 is left: the same command goes on."
    assert verdict(content([image("a")])).headline == "Looks good"
    assert verdict(content([image("a", doubts=("suspect",))])).headline == "Usable, with doubts"
    assert verdict(content([image("a")], lights=())).headline == "Nothing was judged"


def test_a_caveat_makes_the_verdict_amber_at_best() -> None:
    found = verdict(content([image("a")], caveat="The model learned made-up scenes alone."))
    assert (found.level, found.headline) == ("amber", "Look at it before you pass it on")
    doubtful = [image("a", doubts=("suspect",))]
    assert verdict(content(doubtful, caveat="It is new.")).headline == "Look at it before you pass it on"
    assert verdict(content([image("a")], caveat="It is new.", lights=())).level == "amber"
    assert verdict(content(mixed(12), caveat="It is new.")).headline == "Not ready to use"
