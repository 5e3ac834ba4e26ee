"""Traffic lights: what they count, when they change colour, which come first."""

from __future__ import annotations

import pytest

from segment.report.content import ImageRow, Light
from segment.report.lights import lights_of


def light(images: list[ImageRow], of: str) -> Light:
    (found,) = (each for each in lights_of(images) if each.id == of)
    return found


def images(count: int, failed: int = 0, **known: object) -> list[ImageRow]:
    return [ImageRow(name=f"{at}", state="failed" if at < failed else "done", **known) for at in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("failed", "level"), [(0, "green"), (1, "amber"), (5, "amber"), (6, "red"), (100, "red")])
def test_a_light_is_amber_up_to_five_per_cent_and_red_above(failed: int, level: str) -> None:
    found = light(images(100, failed), "failed")
    assert (found.level, found.count, found.of) == (level, failed, 100)
    assert "5 %" in found.thresholds
    assert found.says.startswith(f"{failed} of 100 images." if failed else "None of 100 images.")


def test_confidence_is_unknown_until_it_is_measured() -> None:
    assert light(images(4), "low confidence").level == "unknown"
    assert "--confidence" in light(images(4), "low confidence").says
    measured = images(3, confidence=0.9) + images(1, confidence=0.4, doubts=("low confidence",)) + images(6)
    found = light(measured, "low confidence")
    assert (found.level, found.count, found.of) == ("red", 1, 4)


@pytest.mark.parametrize(("unknown", "level"), [(0, "green"), (1, "green"), (4, "unknown")])
def test_scales_are_unknown_where_no_image_says_its_own(unknown: int, level: str) -> None:
    masks = (("label", "../a_label.png"),)
    found = light(
        images(4 - unknown, masks=masks, judged_gsd_m="0.02") + images(unknown, masks=masks), "far from scale"
    )
    assert (found.level, found.count) == (level, 0)
    assert found.says.startswith(f"Not judged: {unknown} of 4 images" if unknown else "None of 4 images")
    alone = light(images(2, failed=1) + images(3, masks=masks), "far from scale")
    assert alone.level == "unknown"  # the image that failed says no scale either
    far = images(1, masks=masks, judged_gsd_m="0.02", doubts=("far from scale",)) + images(3, masks=masks)
    assert light(far, "far from scale").level == "red"
    assert "1 of 4 images" in light(far, "far from scale").says


def test_scales_that_are_not_known_lead_to_the_extra_that_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    one = images(1, masks=(("label", "../a_label.png"),))
    monkeypatch.setattr("segment.report.lights.is_installed", lambda extra: True)
    says = "Not judged: 1 of 1 image; its scale or that of the model is not known."
    assert light(one, "far from scale").says == says
    monkeypatch.setattr("segment.report.lights.is_installed", lambda extra: extra != "photo")
    found = light(one, "far from scale")
    assert (found.level, found.says.startswith(says)) == ("unknown", True)
    assert "pip install 'noseam[photo]'" in found.says
    judged = images(1, masks=(("label", "../a_label.png"),), judged_gsd_m="0.02")
    assert light(judged, "far from scale").says == "None of 1 image."


def test_each_light_says_when_it_counts_an_image_green_ones_too() -> None:
    kinds = ("stretched", "mask not read", "one value", "empty")
    for found in (*lights_of(images(10, 3)), *lights_of(images(1, doubts=kinds)), *lights_of([])):
        assert found.counts.startswith("An image counts if "), found.id
    assert "more than 20 % of its labels have a confidence below 0.5" in light(images(4), "low confidence").counts
    measured = images(4, confidence=0.9)
    assert light(measured, "low confidence").counts == light(images(4), "low confidence").counts
    assert "3 or more times as large or as small" in light(images(4), "far from scale").counts


def test_the_gravest_come_first_and_rare_doubts_have_a_light_only_where_they_occur() -> None:
    found = lights_of(images(10, 3) + images(1, doubts=("empty", "suspect")))
    assert [each.id for each in found][:3] == ["failed", "suspect", "empty"]
    assert [each.level for each in found] == ["red", "red", "red", "unknown", "green", "green", "green"]
    assert "empty" not in {each.id for each in lights_of(images(3))}
