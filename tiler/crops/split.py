"""Say which sources train and which validate, so that groups of sources stay together; standard library only."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.errors import CropRequestError
from tiler.option import check, option

Split = Literal["train", "val"]
SplitBy = Literal["image", "folder", "place"]
ToldBy = Literal["image", "folder", "georeference", "gps", "pictures", "names", "nothing", "list", "val folder"]
"""What says of a source which group it belongs to, or which side it is on."""
_DRAWS = 64


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Which images validate. A folder of crops keeps what was chosen, until something else is."""

    split_by: SplitBy | None = option(
        None,
        "Images that belong together are on one side of the split: those of a folder, or those of a place, which see "
        "the same ground by georeference, GPS or matching pictures. image: each is drawn by itself.",
        shown="what the folder was cut with, else image",
    )
    val_list: Path | None = option(
        None,
        "The images that this file names validate, all others train: a name on each line, with or without folder and "
        "suffix, or a CSV with a column name, image, file or source.",
        unit="FILE",
        shown="none",
        path="file",
        exists=True,
    )
    val: tuple[Path, Path] | None = option(
        None,
        "The images and masks of these two folders validate, and those of IMAGES and MASKS train.",
        unit="IMAGES MASKS",
        shown="none",
        exists=True,
    )

    def __post_init__(self) -> None:
        check(self, CropRequestError)
        given = {"--split-by": self.split_by, "--val-list": self.val_list, "--val": self.val}
        several = [flag for flag, value in given.items() if value is not None]
        if len(several) > 1:
            raise CropRequestError(f"{' and '.join(several)} exclude one another; give one of them")


BY_ITSELF = SplitOptions()
"""Nothing was chosen."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which sources stay together, and how that is known."""

    by: Literal["image", "folder", "place", "list", "val folder"]
    """What was asked for."""
    groups: Mapping[str, str]
    """The group of each source."""
    told_by: Mapping[str, ToldBy]
    """What told the group of each source."""
    val: frozenset[str] | None = None
    """The sources that validate, where they are named; None: they are drawn."""


@dataclass(frozen=True, slots=True)
class Side:
    """Where a source stands in the split, as the index says it."""

    split: Split
    """Its side."""
    group: str
    """Its group."""
    told_by: ToldBy
    """What told its group."""


def one_each(names: Iterable[str]) -> Grouping:
    """Return the grouping in which each source is alone."""
    names = list(names)
    return Grouping("image", {name: name for name in names}, dict.fromkeys(names, "image"))


def sides_of(grouping: Grouping, crops: Mapping[str, int], *, split: float, seed: int) -> dict[str, Side]:
    """Return the side of each source that has crops.

    Parameters
    ----------
    grouping : Grouping
        What stays together.
    crops : mapping of str to int
        Number of crops of each source.
    split : float
        Share of the sources that trains, or of the crops, where sources are grouped.
    seed : int
        Decides which train.
    """
    if grouping.val is not None:
        sides: dict[str, Split] = {name: "val" if name in grouping.val else "train" for name in crops}
    elif grouping.by == "image":
        sides = split_sources(crops, split=split, seed=seed)
    else:
        sizes: dict[str, int] = {}
        for name, count in crops.items():
            group = grouping.groups[name]
            sizes[group] = sizes.get(group, 0) + count
        drawn = split_groups(sizes, split=split, seed=seed)
        sides = {name: drawn[grouping.groups[name]] for name in crops}
    return {name: Side(side, grouping.groups[name], grouping.told_by[name]) for name, side in sides.items()}


def split_sources(names: Iterable[str], *, split: float, seed: int) -> dict[str, Split]:
    """Return the side of each source, so that no source's crops stand on both.

    Parameters
    ----------
    names : iterable of str
        The sources; their order does not matter.
    split : float
        Fraction of the sources that trains. Each side gets at least one of two sources or more, unless this is 0 or 1.
    seed : int
        Decides which sources train.
    """
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    train = round(len(shuffled) * split)
    if len(shuffled) > 1 and 0 < split < 1:
        train = min(max(train, 1), len(shuffled) - 1)
    return {name: "train" if place < train else "val" for place, name in enumerate(shuffled)}


def split_groups(sizes: Mapping[str, int], *, split: float, seed: int) -> dict[str, Split]:
    """Return the side of each group, so that the crops of validation are about `1 - split` of all.

    Groups are drawn as long as each brings the share nearer; of several draws the nearest counts.

    Parameters
    ----------
    sizes : mapping of str to int
        Number of crops of each group.
    split : float
        Share of the crops that trains. Each side gets at least one of two groups or more, unless this is 0 or 1.
    seed : int
        Decides which groups train.
    """
    if len(sizes) < 2 or not 0 < split < 1:
        return dict.fromkeys(sizes, "train" if round(split) else "val")
    wanted = (1 - split) * sum(sizes.values())
    shuffled, rng = sorted(sizes), random.Random(seed)
    draws = []
    for _ in range(_DRAWS):
        rng.shuffle(shuffled)
        draws.append(_draw(shuffled, sizes, wanted))
    counts = [sum(sizes[name] for name in drawn) for drawn in draws]
    val = draws[min(range(_DRAWS), key=lambda draw: (abs(counts[draw] - wanted), counts[draw]))]
    return {name: "val" if name in val else "train" for name in sizes}


def _draw(names: Sequence[str], sizes: Mapping[str, int], wanted: float) -> set[str]:
    val: set[str] = set()
    total = 0
    for name in names:
        if abs(total + sizes[name] - wanted) < abs(total - wanted) and len(val) < len(names) - 1:
            val.add(name)
            total += sizes[name]
    return val or {min(names, key=lambda name: (sizes[name], name))}
