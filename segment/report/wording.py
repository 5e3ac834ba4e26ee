"""Figures and findings of a report as its readers say them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from segment.report.content import Content, Level
from tiler.words import counted

_GRAVEST_FIRST: tuple[Level, ...] = ("red", "amber", "green", "unknown")
_HEADLINES: dict[Level, str] = {
    "red": "Not ready to use",
    "amber": "Usable, with doubts",
    "green": "Looks good",
    "unknown": "Nothing was judged",
}
_LOOK_FIRST = "Look at it before you pass it on"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reader should know first."""

    level: Level
    """The gravest of all lights; amber at best where the content has a caveat."""
    headline: str
    """The same in a few words."""
    sentence: str
    """How many images have masks, and what became of the others."""


def verdict(content: Content) -> Verdict:
    """Return what a reader should know first: the gravest light or the caveat, and how many images have masks."""
    caveat: tuple[Level, ...] = ("amber",) if content.caveat else ()
    level = gravest((*(light.level for light in content.lights), *caveat))
    headline = _LOOK_FIRST if content.caveat and level == "amber" else _HEADLINES[level]
    states = [image.state for image in content.images]
    masked = states.count("done") + states.count("skipped")
    parts = [f"{masked:,} of {counted(len(states), 'image')} {'has' if masked == 1 else 'have'} masks"]
    if failed := states.count("failed"):
        parts.append(f"{failed:,} failed")
    if doubtful := sum(bool(image.doubts) for image in content.images):
        parts.append(f"{doubtful:,} {'is' if doubtful == 1 else 'are'} doubtful")
    if left := states.count("left"):
        parts.append(f"{left:,} {'is' if left == 1 else 'are'} left: the same command goes on")
    return Verdict(level, headline, ", ".join(parts) + ".")


def gravest(levels: Iterable[Level]) -> Level:
    """Return the gravest of some levels; `unknown` where nothing else was measured."""
    return min(levels, key=_GRAVEST_FIRST.index, default="unknown")


def percent(share: float | None) -> str:
    """Return a share of 1 in per cent, with a digit more where it is small; empty where it is None."""
    if share is None:
        return ""
    if 0 < share < 0.0005:
        return "< 0.05 %"
    return f"{100 * share:.1f} %" if share < 0.9995 or share == 1 else "> 99.9 %"


def area(m2: float | None) -> str:
    """Return an area in m² below a hectare, else in ha, or in km² from 1,000 ha; empty where it is None."""
    if m2 is None:
        return ""
    if m2 < 1e4:
        return f"{m2:,.1f} m²" if m2 < 100 else f"{m2:,.0f} m²"
    return f"{m2 / 1e4:,.2f} ha" if m2 < 1e7 else f"{m2 / 1e6:,.2f} km²"


def units(text: str) -> str:
    """Return a text with m² where it says m2, but for names and paths that hold it."""
    return re.sub(r"(?<![\w/.\\-])m2(?![\w/\\-]|\.\w)", "m²", text)


def two_digits(value: float | None) -> str:
    """Return a value between 0 and 1 with two digits; empty where it is None."""
    return "" if value is None else f"{value:.2f}"


def moment(made: str) -> str:
    """Return a moment in ISO 8601 as people read it, such as 27 November 2026, 09:30; any other text as it is."""
    try:
        at = datetime.fromisoformat(made)
    except ValueError:
        return made
    return f"{at.day} {at:%B %Y, %H:%M %Z}".rstrip()


def hexadecimal(colour: Iterable[int]) -> str:
    """Return red, green and blue as HTML writes a colour, such as #00ff80."""
    return "#" + "".join(f"{channel:02x}" for channel in colour)
