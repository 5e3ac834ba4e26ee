"""Classes, tiling, normalisation and balance, as the text files of a checkpoint hold them: read and written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from segment.errors import RequestError
from tiler.balance import MOST_BALANCE, OFF, Balance, offsets_of
from tiler.classes import ClassTable, distinct_colours
from tiler.grid.fit import AUTO, parse_tile
from tiler.grid.tiles import LATTICE_PX, MIN_TILE_PX
from tiler.grid.tiling import DEFAULT_INPUT_PX, DEFAULT_OVERLAP, Tiling

_TILING_KEYS = {"window_px", "input_px", "overlap", "gsd_m", "trained_gsd_m", "tile", "colors"}

TEMPERATURES = 0.05, 20.0
"""Least and most temperature that a checkpoint may have."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How samples 0 to 255 become the network's input: `(value * rescale - mean) / std`."""

    rescale: float = 1 / 255
    """Factor on the samples."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel, red, green, blue; the default is that of ImageNet."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Per channel, red, green, blue."""


def read_temperature(config: dict[str, Any]) -> float:
    """Return what logits are divided by before they say how sure a label is: the entry `calibration`; 1 without it.

    Raises
    ------
    ValueError, TypeError
        If the entry has the wrong kind or an impossible value.
    """
    entry = _object(config, "calibration")
    if entry is None:
        return 1.0
    found = float(entry.get("temperature", 1.0))
    least, most = TEMPERATURES
    if not least <= found <= most:
        raise ValueError(f"calibration: a temperature of {least:g} to {most:g} expected, {found:g} found")
    return found


def read_frequencies(config: dict[str, Any], classes: int) -> tuple[float, ...]:
    """Return how often training showed each class, as shares of 1: the entry `class_frequencies`; empty without it.

    Raises
    ------
    ValueError, TypeError
        If the entry is no list of numbers from 0, one for each class, some of them above 0.
    """
    entry = config.get("class_frequencies")
    if entry is None:
        return ()
    shares = tuple(map(float, entry))
    if len(shares) != classes or not all(0 <= share < math.inf for share in shares) or not any(shares):
        raise ValueError(
            f"class_frequencies: {classes} numbers from 0 expected, not all of them 0; {entry!r:.80} found"
        )
    return tuple(share / sum(shares) for share in shares)


def read_tuned_balance(config: dict[str, Any]) -> float | None:
    """Return to which strength training would have classes balanced: the entry `class_balance`; None without it.

    Raises
    ------
    ValueError, TypeError
        If the entry has the wrong kind or an impossible value.
    """
    entry = _object(config, "class_balance")
    if entry is None:
        return None
    found = float(entry["strength"])
    if not 0 <= found <= MOST_BALANCE:
        raise ValueError(f"class_balance: a strength of 0 to {MOST_BALANCE:g} expected, {found:g} found")
    return found


def read_measured(config: dict[str, Any]) -> str:
    """Return in words how good a network is on photos that it does not know: the entry `measured`; empty without it.

    Raises
    ------
    ValueError, TypeError
        If the entry has the wrong kind or an impossible value.
    """
    entry = _object(config, "measured")
    if entry is None:
        return ""
    accuracy, miou = float(entry["accuracy"]), float(entry["miou"])
    if not (0 <= accuracy <= 1 and 0 <= miou <= 1):
        raise ValueError(f"measured: shares of 1 expected, an accuracy of {accuracy:g} and a mIoU of {miou:g} found")
    return (
        f"{100 * accuracy:.3g} % of the pixels right and a mean IoU of {100 * miou:.3g} % on {str(entry['on'])[:200]}"
    )


def _object(config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return an entry of a config that holds several values; None without it."""
    entry = config.get(name)
    if entry is not None and not isinstance(entry, dict):
        raise ValueError(f"{name}: an object expected, {entry!r:.80} found")
    return entry


def chosen_balance(
    asked: float | Literal["auto"], *, name: str, frequencies: Sequence[float], tuned: float | None
) -> Balance:
    """Return what a user asks to be added to the logits of a checkpoint.

    Parameters
    ----------
    asked : float or "auto"
        T; auto: the one that training found best on its validation crops.
    name : str
        The checkpoint, for the error.
    frequencies : sequence of float
        How often training showed each class; empty: the checkpoint does not say it.
    tuned : float or None
        The strength that training found best; None: the checkpoint does not say it.

    Raises
    ------
    RequestError
        If the checkpoint does not say what is needed.
    """
    strength = tuned if asked == "auto" else asked
    if strength == 0:
        return OFF
    if strength is not None and frequencies:
        return Balance(strength, offsets_of(frequencies, strength))
    missing = "class_balance" if strength is None else "class_frequencies"
    what = "which strength was best in training" if strength is None else "how often training showed each class"
    helps = "give a number, such as 0.25" if frequencies else "train it with this version of noseam"
    raise RequestError(f"--balance-classes: {name} does not say {what} ({missing} in its config.json); {helps}")


def class_entries(classes: ClassTable) -> dict[str, Any]:
    """Return the entries of a config that name its classes."""
    return {
        "id2label": dict(enumerate(classes.names)),
        "label2id": {name: index for index, name in enumerate(classes.names)},
    }


def tiling_entry(tiling: Tiling, classes: ClassTable) -> dict[str, Any]:
    """Return the `tiling` entry of a config: how to cut images, and the classes' colours."""
    entry: dict[str, Any] = {
        "window_px": tiling.window_px, "input_px": tiling.input_px, "overlap": tiling.overlap
    }  # fmt: skip
    if tiling.gsd_m is not None:
        entry["gsd_m"] = tiling.gsd_m
    if tiling.trained_gsd_m is not None:
        entry["trained_gsd_m"] = list(tiling.trained_gsd_m)
    if tiling.tile != AUTO:
        entry["tile"] = str(tiling.tile)
    return {**entry, "colors": [list(colour) for colour in classes.colours]}


def read_classes(config: dict[str, Any]) -> ClassTable:
    """Return the names and colours of the classes of a config; colours are made up where it has none.

    Raises
    ------
    ValueError, TypeError, AttributeError, ClassTableError
        If an entry has the wrong kind or an impossible value.
    """
    entry = config.get("id2label")
    if not isinstance(entry, dict):
        raise ValueError(f"id2label expected, a name for each class, {entry!r:.80} found")
    labels = {int(key): str(name) for key, name in entry.items()}
    if sorted(labels) != list(range(len(labels))):
        raise ValueError(f"id2label must number the classes from 0 without gaps, got {sorted(labels)!r:.80}")
    names = tuple(labels[index] for index in range(len(labels)))
    colours = (config.get("tiling") or {}).get("colors")
    if colours is None:
        return ClassTable(names, distinct_colours(len(names)))
    return ClassTable(names, tuple((int(red), int(green), int(blue)) for red, green, blue in colours))


def read_tiling(config: dict[str, Any], processing: dict[str, Any]) -> tuple[Tiling, str]:
    """Return how to cut images for a network, and where that comes from, for the log.

    Parameters
    ----------
    config : dict
        Content of `config.json`; its entry `tiling` counts.
    processing : dict
        Content of `preprocessor_config.json`. Its size counts where the config has no entry `tiling`, at scale 1.

    Raises
    ------
    ValueError, TypeError, GridError
        If an entry has the wrong kind or an impossible value.
    """
    entry = _object(config, "tiling")
    if entry is None:
        size = processing.get("size", DEFAULT_INPUT_PX)
        if isinstance(size, dict):  # older releases wrote a number, or only the shortest edge
            size = size.get("height") or size.get("shortest_edge") or DEFAULT_INPUT_PX
        side = max(round(int(size) / LATTICE_PX) * LATTICE_PX, MIN_TILE_PX)
        return Tiling(
            window_px=side, input_px=side
        ), "no tiling in the checkpoint, so its input size at full resolution"
    unknown = set(entry) - _TILING_KEYS
    if unknown:
        raise ValueError(f"unknown keys in its tiling: {sorted(unknown)}, known are {sorted(_TILING_KEYS)}")
    gsd_m, window_px = entry.get("gsd_m"), entry.get("window_px")
    tiling = Tiling(
        window_px=None if window_px is None else int(window_px),
        input_px=int(entry.get("input_px", DEFAULT_INPUT_PX)),
        overlap=float(entry.get("overlap", DEFAULT_OVERLAP)),
        gsd_m=None if gsd_m is None else float(gsd_m),
        trained_gsd_m=_pair(entry.get("trained_gsd_m")),
        tile=parse_tile(str(entry.get("tile", AUTO))),
    )
    return tiling, "the checkpoint"


def read_normalisation(processing: dict[str, Any]) -> Normalisation:
    """Return how a network wants its input scaled, by the content of its `preprocessor_config.json`.

    Raises
    ------
    ValueError, TypeError
        If an entry has the wrong kind or an impossible value.
    """
    default = Normalisation()
    rescale = float(processing.get("rescale_factor", default.rescale)) if processing.get("do_rescale", True) else 1.0
    mean, std = processing.get("image_mean", default.mean), processing.get("image_std", default.std)
    if not processing.get("do_normalize", True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    if not (len(mean) == len(std) == 3 and all(map(math.isfinite, (rescale, *mean, *std))) and min(rescale, *std) > 0):
        raise ValueError(
            f"impossible normalisation: rescale {rescale}, mean {mean!r:.80}, std {std!r:.80}; "
            "expected finite numbers, three per list, rescale and std above 0"
        )
    return Normalisation(rescale, _triple(mean), _triple(std))


def _pair(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    low, high = map(float, values)
    return low, high


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = map(float, values)
    return first, second, third
