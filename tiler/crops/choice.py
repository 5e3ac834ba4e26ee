"""Which split was chosen for a folder of crops, kept in the folder; and the sources and groups that follow from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from tiler.crops.places import group_by_place
from tiler.crops.split import Grouping, SplitBy, SplitOptions, ToldBy, one_each
from tiler.crops.val_list import read_val_list
from tiler.errors import CropRequestError, NoPairError, PairError
from tiler.files.atomic import write_whole
from tiler.files.pairs import Pair, Pairs, pair_files
from tiler.files.walk import identity
from tiler.masks.provenance import digest, source_stamp
from tiler.source.options import ReadingOptions

CHOICE = ".noseam.split.json"
"""The file that keeps it."""
VAL = "val"
"""Names of the sources of a validation folder begin with it, as if it were a folder of the survey."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a folder of crops is split."""

    by: Literal[SplitBy, "list", "val folder"] = "image"
    """What was chosen."""
    val: tuple[str, ...] = ()
    """The sources that validate, where they were listed."""
    folders: tuple[str, str] | None = None
    """Images and masks that validate, where they have folders of their own."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """The places that were told last, and for which images: to tell them again takes minutes."""


def chosen(out: Path, options: SplitOptions, pairs: Pairs) -> Choice:
    """Return what was chosen now, or else earlier for a folder of crops.

    Raises
    ------
    CropRequestError
        If the list of validation images does not fit the images, or the file that keeps the choice is damaged.
    """
    if options.val_list is not None:
        names = [pair.name.as_posix() for pair in pairs.pairs]
        return Choice("list", tuple(sorted(read_val_list(options.val_list, names))))
    if options.val is not None:
        images, masks = (str(path.absolute()) for path in options.val)
        return Choice("val folder", folders=(images, masks))
    if options.split_by is not None:
        kept = Choice()
        with suppress(CropRequestError):  # a new choice replaces a damaged one
            kept = _read(out / CHOICE)
        return Choice(options.split_by, known=kept.known)
    return _read(out / CHOICE)


def keep(out: Path, choice: Choice) -> None:
    """Write down what was chosen, in the folder of crops."""
    found = {"by": choice.by, "val": choice.val, "folders": choice.folders, "known": choice.known}
    write_whole(out / CHOICE, json.dumps(found).encode("ascii"))


def _read(path: Path) -> Choice:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
        choice = Choice(
            found["by"], tuple(map(str, found["val"])), found["folders"] and tuple(map(str, found["folders"])),
            dict(found["known"]),
        )  # fmt: skip
        if choice.by not in {*get_args(SplitBy), "list", "val folder"}:
            raise ValueError(choice.by)
        if (choice.by == "val folder") != (choice.folders is not None and len(choice.folders) == 2):
            raise ValueError(choice.folders)
    except FileNotFoundError:
        return Choice()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CropRequestError(
            f"{path}: the file is damaged and does not say how the crops are split; choose again, such as "
            "--split-by image"
        ) from error
    return choice


def with_val_folder(pairs: Pairs, choice: Choice) -> Pairs:
    """Return the pairs of a survey, and those of a validation folder where one was chosen.

    Files of that folder that lie within the survey count for validation alone. The names of its sources begin with
    `val/`.

    Raises
    ------
    PairError
        If nothing is left to train, or the folder has no pair or is gone.
    """
    if choice.folders is None:
        return pairs
    images, masks = map(Path, choice.folders)
    for path in (images, masks):
        if not path.exists():
            raise PairError(f"--val {path}: no such folder; give the folders of validation anew, or --split-by image")
    val = pair_files(images, masks)
    if not val.pairs:
        raise NoPairError(f"--val {images} {masks}: no image there has a mask of its name")
    own = {identity(path) for pair in val.pairs for path in (pair.first, pair.second)}
    train = [pair for pair in pairs.pairs if not own & {identity(pair.first), identity(pair.second)}]
    if not train:
        raise PairError(f"--val {images}: all images validate; expected some beside them in IMAGES that train")
    if any(pair.name.parts[0] == VAL for pair in train):
        raise PairError(f"--val {images}: a folder {VAL} of IMAGES trains, and names of validation begin so; rename it")
    named = [replace(pair, name=Path(VAL, pair.name)) for pair in val.pairs]
    return Pairs(
        (*train, *named),
        (*(path for path in pairs.only_first if identity(path) not in own), *val.only_first),
        (*(path for path in pairs.only_second if identity(path) not in own), *val.only_second),
    )


def group_sources(
    pairs: Sequence[Pair],
    choice: Choice,
    reading: ReadingOptions,
    *,
    jobs: int = 1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Grouping, Choice]:
    """Return which sources stay together, and the choice with what was found out on the way.

    Raises
    ------
    CropRequestError
        If all sources are of one group, so that one side would be empty.
    MissingExtraError
        If places can be told by pictures alone, and OpenCV is missing.
    """
    names = [pair.name.as_posix() for pair in pairs]
    if choice.by == "image":
        return one_each(names), choice
    if choice.by == "list":
        return _named(names, "list", frozenset(choice.val) & frozenset(names)), choice
    if choice.by == "val folder":
        return _named(names, "val folder", frozenset(name for name in names if name.startswith(f"{VAL}/"))), choice
    if choice.by == "folder":
        folders = {name: PurePosixPath(name).parent.as_posix() for name in names}
        grouping = Grouping("folder", folders, dict.fromkeys(names, "folder"))
    else:
        grouping, choice = _places(pairs, choice, reading, jobs, advance)
    if len(names) > 1 and len(set(grouping.groups.values())) == 1:
        raise CropRequestError(_one_group(grouping, len(names)))
    return grouping, choice


def _named(names: Sequence[str], by: Literal["list", "val folder"], val: frozenset[str]) -> Grouping:
    return Grouping(by, {name: name for name in names}, dict.fromkeys(names, by), val)


def _one_group(grouping: Grouping, count: int) -> str:
    if grouping.by == "folder":
        return (
            f"--split-by folder: all {count} images lie in one folder, so none would be left to validate; "
            "--split-by place, --val-list or --val parts them otherwise"
        )
    return (
        f"--split-by place: all {count} images are of one place, each linked to the next by ground that both see, so "
        "none would be left to validate; add images of another place, or name some that see none of the others' "
        "ground: --val-list"
    )


def _places(
    pairs: Sequence[Pair], choice: Choice, reading: ReadingOptions, jobs: int, advance: Callable[[int, int], None]
) -> tuple[Grouping, Choice]:
    """Return the places of images; those that were told last, if the images are the same."""
    stamp = digest({
        "images": [(pair.name.as_posix(), source_stamp(pair.first)) for pair in pairs if pair.first.exists()],
        "reading": [reading.channels, reading.value_range],
    })  # fmt: skip
    if choice.known.get("stamp") == stamp:
        groups, told = choice.known["groups"], choice.known["told_by"]
        names = {pair.name.as_posix() for pair in pairs}
        if set(groups) == set(told) == names and set(told.values()) <= set(get_args(ToldBy)):
            return Grouping("place", groups, told), choice
    grouping = group_by_place(pairs, reading, jobs=jobs, advance=advance)
    known = {"stamp": stamp, "groups": dict(grouping.groups), "told_by": dict(grouping.told_by)}
    return grouping, replace(choice, known=known)
