"""How much of an image each class covers, as numbers and as tags of its masks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

PIXELS_KEY = "NOSEAM_CLASS_PIXELS"
"""Tag: pixels of each class by id, then those without data, separated by spaces."""
AREA_KEY = "NOSEAM_CLASS_M2"
"""Tag: square metres of ground of each class by id, separated by spaces; only where the mask says where it lies."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of an image each class covers."""

    pixels: tuple[int, ...]
    """Pixels of each class, by id."""
    no_data: int
    """Pixels without a label."""
    area_m2: tuple[float, ...] | None = None
    """Square metres of ground of each class, by id; None where the image does not say where it lies."""

    def tags(self) -> dict[str, str]:
        """Return the tags that tell this; `read_coverage` is the inverse."""
        tags = {PIXELS_KEY: " ".join(map(str, (*self.pixels, self.no_data)))}
        if self.area_m2 is not None:
            tags[AREA_KEY] = " ".join(map(repr, self.area_m2))
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
    return Coverage(tuple(pixels), no_data, area)
