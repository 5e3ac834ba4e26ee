"""Which masks belong together: those that are judged, the truth, and masks of the same photos under another grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.errors import RequestError
from tiler.errors import NoPairError
from tiler.files.names import PNG, TIFF, mask_name, read_name
from tiler.files.pairs import Pair, Pairs, pair_files
from tiler.masks.provenance import MODEL_KEY, read_tags


@dataclass(frozen=True, slots=True)
class Sides:
    """The masks of one image."""

    name: str
    """What they have in common."""
    predicted: Path
    """The mask that is judged."""
    truth: Path | None
    """The truth; None: there is none for this image."""
    shifted: Path | None
    """The mask of the same image under another grid; None: there is none."""

    @property
    def confidence(self) -> Path | None:
        """The mask of confidence that noseam wrote beside the judged one; None: it stands not there."""
        image = read_name(self.predicted.stem).image
        names = (self.predicted.with_name(mask_name(image, "confidence", suffix)) for suffix in (PNG, TIFF))
        return next((path for path in names if path.exists()), None)


@dataclass(frozen=True, slots=True)
class Match:
    """The masks of all images, and those without a partner."""

    images: tuple[Sides, ...]
    """Images whose predicted mask has truth, a shifted mask or both; sorted by name."""
    without_truth: tuple[Path, ...]
    """Predicted masks without truth, where truth was given."""
    only_truth: tuple[Path, ...]
    """Truth without predicted masks."""
    without_shifted: tuple[Path, ...]
    """Predicted masks without a shifted one, where shifted ones were given."""
    only_shifted: tuple[Path, ...]
    """Shifted masks without predicted ones."""
    truth_model: str = ""
    """The model by which a run of noseam made what was given as truth; empty where none did."""


def match(predicted: Path, truth: Path | None, shifted: Path | None) -> Match:
    """Return which masks belong together, by their names; see `pair_files`.

    Parameters
    ----------
    predicted, truth, shifted : Path
        All files, or all folders; None: none were given.

    Raises
    ------
    PairError
        If two sides cannot be paired; `NoPairError` if they have no file in common.
    RequestError
        If a run of noseam made the truth and not the predicted masks: the two seem to be swapped.
    """
    true = _paired(predicted, truth, "true")
    moved = _paired(predicted, shifted, "shifted")
    truths, shifts = ({pair.first: pair.second for pair in found.pairs} for found in (true, moved))
    names = {pair.first: pair.name.as_posix() for pair in (*true.pairs, *moved.pairs)}
    return Match(
        tuple(Sides(names[path], path, truths.get(path), shifts.get(path)) for path in sorted(names, key=names.get)),  # type: ignore[arg-type]
        _outside(true.only_first, shifted), true.only_second, _outside(moved.only_first, truth), moved.only_second,
        _truth_model(true.pairs, predicted, truth),
    )  # fmt: skip


def _truth_model(pairs: Sequence[Pair], predicted: Path, truth: Path | None) -> str:
    """Return which model made the first mask of the truth, by its tags; raise if none made the predicted one."""
    for pair in pairs[:1]:
        ours, theirs = (read_tags(path).get(MODEL_KEY, "") for path in (pair.first, pair.second))
        if theirs and not ours:
            raise RequestError(
                f"{pair.second}: noseam made this mask with the model {theirs}, and it was given as truth, while "
                f"{pair.first} was given as predicted, which no run of noseam made; predicted masks come first: "
                f"noseam evaluate {truth} {predicted}"
            )
        return theirs
    return ""


def _paired(predicted: Path, other: Path | None, what: str) -> Pairs:
    if other is None:
        return Pairs((), (), ())
    pairs = pair_files(predicted, other)
    if not pairs.pairs:
        raise NoPairError(
            f"{predicted} and {other} have no image in common: "
            f"{len(pairs.only_first)} predicted and {len(pairs.only_second)} {what} masks without partner"
            + "".join(f", such as {path}" for path in (*pairs.only_first[:1], *pairs.only_second[:1]))
        )
    return pairs


def _outside(paths: Iterable[Path], folder: Path | None) -> tuple[Path, ...]:
    """Return the files that do not belong to the third side, whose folder may lie within that of the first."""
    if folder is None:
        return tuple(paths)
    within = folder.resolve()
    return tuple(path for path in paths if not path.resolve().is_relative_to(within))
