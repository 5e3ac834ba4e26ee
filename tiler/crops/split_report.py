"""Say how the sources of a folder of crops were split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tiler.crops.places import told_in_words
from tiler.crops.split import Grouping, Side
from tiler.words import counted

_FAR = 0.5
"""A share of validation crops that misses the wanted one by more than this part of it is told."""


@dataclass(frozen=True, slots=True)
class SplitReport:
    """How the sources were split."""

    grouping: Grouping
    """What stayed together, and how that is known."""
    sides: Mapping[str, Side]
    """The side of each source that has crops."""
    share: float
    """Share of the crops that validates."""
    wanted: float
    """Share that was asked for."""
    seen_by_both: int
    """Validation images that share ground with training images, as far as these were cut now and say where they lie."""

    def count(self, side: str) -> int:
        """Return how many images a side has."""
        return sum(each.split == side for each in self.sides.values())

    def groups(self, side: str) -> int:
        """Return how many groups a side has."""
        return len({each.group for each in self.sides.values() if each.split == side})


def split_as_line(report: SplitReport) -> str:
    """Return one line: by what the images were split, and how many are on each side."""
    how = {
        "image": "by image, each drawn by itself",
        "folder": "by folder",
        "place": "by place",
        "list": "as listed",
        "val folder": "by folder, one for validation",
    }[report.grouping.by]
    line = f"split {how}: {counted(report.count('train'), 'image')} to train, {report.count('val')} to validate"
    if report.grouping.by in {"folder", "place"}:
        one = report.grouping.by
        line += f", of {counted(report.groups('train'), one)} and {counted(report.groups('val'), one)}"
    if report.grouping.by == "place":
        told = {name: how for name, how in report.grouping.told_by.items() if name in report.sides}
        line += f" (told {told_in_words(told)})"
    return line


def split_warnings(report: SplitReport) -> list[str]:
    """Return what the user should know of the split, where anything is amiss."""
    found = []
    drawn = report.grouping.by in {"folder", "place"}
    if drawn and abs(report.share - report.wanted) > _FAR * report.wanted:
        found.append(
            f"{report.share:.1%} of the crops validate where {report.wanted:.1%} were asked for: "
            f"a {report.grouping.by} stays whole, and none comes nearer; another --seed draws anew"
        )
    if report.grouping.by == "place":
        unknown = sum(how == "nothing" for name, how in report.grouping.told_by.items() if name in report.sides)
        if unknown:
            found.append(
                f"images that say no place, and show too little to be matched: {unknown}; each was drawn by itself"
            )
        if len(set(report.grouping.groups.values())) == len(report.grouping.groups) > 1:
            found.append("no two images were found to see the same ground, so each was drawn by itself")
    if report.seen_by_both:
        found.append(
            "scores will be too good: training images see ground of validation images too, of "
            f"{report.seen_by_both} of {report.count('val')}; --split-by place keeps such images on one side"
        )
    return found
