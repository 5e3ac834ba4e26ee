"""Pair the files of two folders by their names: photos with masks, or masks with masks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tiler.errors import PairError
from tiler.files.names import read_name
from tiler.files.walk import walk_survey

_WORD = r"(?:masks?|labels?|gt|truth|seg|annotation)"
_AFTER = re.compile(rf"(.+?)[ ._-]+{_WORD}", re.IGNORECASE | re.DOTALL)
_BEFORE = re.compile(rf"{_WORD}[ ._-]+(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files that belong together."""

    name: Path
    """Relative path of `first`, without its suffix, and without an ending that says what a mask holds."""
    first: Path
    """The file of the first side."""
    second: Path
    """The file of the second side."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which files of two sides belong together, and which have no partner."""

    pairs: tuple[Pair, ...]
    """Sorted by name; no two names are equal."""
    only_first: tuple[Path, ...]
    """Files of the first side without a partner."""
    only_second: tuple[Path, ...]
    """Files of the second side without a partner."""


def pair_files(first: Path, second: Path) -> Pairs:
    """Return which files of two folders belong together; two files are one pair.

    Partners have the same relative path, apart from the suffix and one ending `_label`, `_mask`, `_color`,
    `_confidence` or `_disagreement` of the name. Files without such a partner are matched by the name alone, where both
    sides have just one of that name. Where `x_label` stands beside `x_color` and others that noseam writes, only
    `x_label` counts. What is left of the second side may be called in more ways: `000 mask`, `000-label` and `mask_000`
    are partners of `000`, see `partner_of`.

    Parameters
    ----------
    first, second : Path
        Both files, or both folders. Where one folder lies within the other, its files count for its own side alone.

    Returns
    -------
    Pairs
        The pairs, and the files of both sides that have no partner.

    Raises
    ------
    PairError
        If one is a file and the other a folder, if one does not exist, if a folder cannot be listed, if two files of
        one side have the same name, or if two of the second side may be the partner of one.
    """
    for path in (first, second):
        if not path.exists():
            raise PairError(f"{path}: no such file or folder")
    if first.is_dir() != second.is_dir():
        raise PairError(f"{first} and {second}: expected two files or two folders, found one of each")
    if not first.is_dir():
        return Pairs((Pair(_key(Path(first.name)), first, second),), (), ())
    firsts, seconds = _files(first, apart=second), _files(second, apart=first)
    partners = {key: key for key in firsts.keys() & seconds.keys()}
    partners |= {
        key: other for key, other in _by_stem(firsts, seconds).items()
        if key not in partners and other not in partners
    }  # fmt: skip
    left = {key: seconds[key] for key in seconds.keys() - set(partners.values())}
    partners |= _by_other_names(firsts, seconds, left, partners)
    return Pairs(
        tuple(Pair(key, firsts[key], seconds[partners[key]]) for key in sorted(partners)),
        _left(firsts, partners.keys()),
        _left(seconds, partners.values()),
    )


def _key(relative: Path) -> Path:
    return relative.with_name(read_name(relative.stem).image)


def _files(folder: Path, *, apart: Path) -> dict[Path, Path]:
    survey = walk_survey([folder], out=apart)
    for path, reason in survey.unreadable:
        raise PairError(f"{path}: {reason}")
    found: dict[Path, list[Path]] = {}
    for image in survey.images:
        found.setdefault(_key(image.relative), []).append(image.path)
    return {key: _only(paths) for key, paths in found.items()}


def _only(paths: list[Path]) -> Path:
    kinds = {path: read_name(path.stem).kind for path in paths}
    if "label" in kinds.values():
        paths = [path for path in paths if kinds[path] in {"label", "mask", None}]
    if len(paths) > 1:
        raise PairError(f"{paths[0]} and {paths[1]} have one name; expected one file of each name")
    return paths[0]


def _by_stem(firsts: Iterable[Path], seconds: Iterable[Path]) -> dict[Path, Path]:
    unique = _unique_names(seconds)
    return {key: unique[name] for name, key in _unique_names(firsts).items() if name in unique}


def _unique_names(keys: Iterable[Path]) -> dict[str, Path]:
    keys = list(keys)
    counts = Counter(key.name for key in keys)
    return {key.name: key for key in keys if counts[key.name] == 1}


def partner_of(stem: str) -> str | None:
    """Return the stem of the image whose mask a file may be, by its name; None where that says nothing.

    It is what stands before or after `mask`, `masks`, `label`, `labels`, `gt`, `truth`, `seg` or `annotation`, apart
    from it by blanks, `_`, `-` or `.`; upper and lower case are the same.
    """
    found = _BEFORE.fullmatch(stem) or _AFTER.fullmatch(stem)
    return found[1] if found else None


def _by_other_names(
    firsts: Mapping[Path, Path], seconds: Mapping[Path, Path], left: Mapping[Path, Path], partners: Mapping[Path, Path]
) -> dict[Path, Path]:
    """Return partners among masks that are called in other ways; raise where two masks may be those of one image."""
    meant: dict[Path, list[Path]] = {}
    for key, path in sorted(left.items()):
        if (stem := partner_of(path.stem)) is not None:
            meant.setdefault(key.with_name(stem), []).append(key)
    found = {key: key for key in firsts.keys() & meant.keys()}
    free = {key: path for key, path in firsts.items() if key not in partners and key not in found}
    found |= {key: other for key, other in _by_stem(free, meant).items() if other not in found}
    for key, other in found.items():
        masks = [seconds[each] for each in (*meant[other], *filter(None, [partners.get(key)]))]
        if len(masks) > 1:
            raise PairError(f"{masks[0]} and {masks[1]} may both be the mask of {firsts[key]}; expected one")
    return {key: meant[other][0] for key, other in found.items()}


def _left(files: Mapping[Path, Path], paired: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(files[key] for key in sorted(files.keys() - set(paired)))
