"""How much of an image each class covers, and how sure its labels are, as numbers and as tags of its masks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tiler.classes import NO_LABEL

PIXELS_KEY = "NOSEAM_CLASS_PIXELS"
"""Tag: pixels of each class by id, then those without data, separated by spaces."""
AREA_KEY = "NOSEAM_CLASS_M2"
"""Tag: square metres of ground of each class by id, separated by spaces; only where the mask says where it lies."""
CONFIDENCE_KEY = "NOSEAM_CLASS_CONFIDENCE"
"""Tag: the sum of the levels of confidence, 0 to 254, of each class by id, separated by spaces."""
LOW_KEY = "NOSEAM_CLASS_LOW"
"""Tag: pixels of each class by id whose confidence is low, separated by spaces."""
DISAGREEMENT_KEY = "NOSEAM_DISAGREEMENT"
"""Tag: how many labels several tiles voted for, and the sum of their levels of disagreement, 0 to 254."""
LOW_BELOW = 0.5
"""Confidence, 0 to 1, counts as low below this.

Confidence `c` means that the best class has the probability `(1 + c) / 2` against the second best alone. So below 0.5
the best one has less than 75 % of what the two have together: less than three times the other.
"""
MOST_LOW = 0.2
"""With a larger share of labels whose confidence is low, an image is doubtful.

A model that knows what it sees is hardly ever so unsure: 1.7 to 2.8 % of the labels are low in scenes like those that
the bundled model learned from. In real photos from drones, of which it finds little that is true, 18 to 26 % are.
"""
_MOST_LEVEL = NO_LABEL - 1


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure some labels are."""

    pixels: int = 0
    """How many they are."""
    levels: int = 0
    """Sum of their levels in the confidence raster, 0 to 254."""
    low: int = 0
    """How many of them have a confidence below `LOW_BELOW`."""

    @property
    def mean(self) -> float | None:
        """Mean confidence, 0 to 1; None where there are no labels."""
        return self.levels / (_MOST_LEVEL * self.pixels) if self.pixels else None

    @property
    def low_share(self) -> float | None:
        """Share of the labels whose confidence is low; None where there are no labels."""
        return self.low / self.pixels if self.pixels else None

    def __add__(self, other: Confidence) -> Confidence:
        """Return how sure these labels and others are together."""
        return Confidence(self.pixels + other.pixels, self.levels + other.levels, self.low + other.low)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far tiles that overlap disagree about some labels."""

    pixels: int = 0
    """How many labels several tiles voted for."""
    levels: int = 0
    """Sum of their levels in the disagreement raster, 0 to 254."""

    @property
    def mean(self) -> float | None:
        """Mean disagreement of the labels that several tiles voted for, 0 to 1; None where there are none."""
        return self.levels / (_MOST_LEVEL * self.pixels) if self.pixels else None

    def __add__(self, other: Disagreement) -> Disagreement:
        """Return the sums of both."""
        return Disagreement(self.pixels + other.pixels, self.levels + other.levels)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an image each class covers."""

    pixels: tuple[int, ...]
    """Pixels of each class, by id."""
    no_data: int
    """Pixels without a label."""
    area_m2: tuple[float, ...] | None = None
    """Square metres of ground of each class, by id; None where the image does not say where it lies."""
    confidence: tuple[Confidence, ...] | None = None
    """How sure the labels of each class are, by id; None where that was not asked for."""
    disagreement: Disagreement | None = None
    """How far its tiles disagree; None where that was not asked for."""

    @property
    def sure(self) -> Confidence | None:
        """How sure all labels are; None where that was not asked for."""
        return None if self.confidence is None else sum(self.confidence, Confidence())

    def tags(self) -> dict[str, str]:
        """Return the tags that tell this; `read_coverage` is the inverse."""
        tags = {PIXELS_KEY: " ".join(map(str, (*self.pixels, self.no_data)))}
        if self.area_m2 is not None:
            tags[AREA_KEY] = " ".join(map(repr, self.area_m2))
        if self.confidence is not None:
            tags[CONFIDENCE_KEY] = " ".join(str(each.levels) for each in self.confidence)
            tags[LOW_KEY] = " ".join(str(each.low) for each in self.confidence)
        if self.disagreement is not None:
            tags[DISAGREEMENT_KEY] = f"{self.disagreement.pixels} {self.disagreement.levels}"
        return tags


def read_coverage(tags: Mapping[str, str]) -> Coverage | None:
    """Return what a mask's tags say of its classes; None where they say nothing that can be understood."""
    try:
        *pixels, no_data = map(int, tags[PIXELS_KEY].split())
        area = tuple(map(float, tags[AREA_KEY].split())) if AREA_KEY in tags else None
    except (KeyError, ValueError):
        return None
    if area is not None and len(area) != len(pixels):
        return None
    if not all(0 <= number < math.inf for number in (*pixels, no_data, *(area or ()))):
        return None
    confidence, disagreement = _read_confidence(tags, pixels), _read_disagreement(tags, sum(pixels))
    return Coverage(tuple(pixels), no_data, area, confidence, disagreement)


def _read_confidence(tags: Mapping[str, str], pixels: list[int]) -> tuple[Confidence, ...] | None:
    """Return how sure labels are by the tags of their mask; None where these tell nothing that can be."""
    try:
        levels, low = (map(int, tags[key].split()) for key in (CONFIDENCE_KEY, LOW_KEY))
        found = tuple(Confidence(*each) for each in zip(pixels, levels, low, strict=True))
    except (KeyError, ValueError):
        return None
    possible = (0 <= each.levels <= _MOST_LEVEL * each.pixels and 0 <= each.low <= each.pixels for each in found)
    return found if all(possible) else None


def _read_disagreement(tags: Mapping[str, str], labels: int) -> Disagreement | None:
    """Return how far tiles disagree by the tags of their mask; None where these tell nothing that can be."""
    try:
        pixels, levels = map(int, tags[DISAGREEMENT_KEY].split())
    except (KeyError, ValueError):
        return None
    return Disagreement(pixels, levels) if 0 <= pixels <= labels and 0 <= levels <= _MOST_LEVEL * pixels else None
