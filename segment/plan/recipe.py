"""What an image's masks are made from: a recipe that each of them carries, and what sets two recipes apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from segment.plan.request import Request
from segment.plan.survey import ImagePlan
from tiler.balance import OFF, Balance
from tiler.classes import ClassTable
from tiler.masks.provenance import DAMAGED, ENGINE_KEY, RECIPE_KEY, digest, read_recipe
from tiler.source.raster import FINGERPRINT_KEY

MASK_VERSION = 3
"""Raised by one when a change of noseam changes masks, so that they are made again."""
_SHARED = ("classes", "tiling")
"""Long parts of names and whole numbers that many images of a survey have in common."""
_FEW = 16
_OF_PRODUCTS = ("polygons", "formats", "beside")
_ALONE = {
    "masks": "noseam makes other masks now",
    "source": "the source changed (its size or time)",
    "model": "the model changed",
    "classes": "names or colours of classes changed",
    "georeference": "the place changed",
    "class_frequencies": "the model's class frequencies changed",
}
_CUT = {"window_px": "window", "input_px": "input", "overlap": "overlap", "gsd_m": "gsd"}
_SETTINGS = ("strict", "channels", "value_range", "balance_classes")
_OF_BALANCE = ("balance_classes", "class_frequencies")
"""Parts that are there only where classes are balanced."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides the masks of one image."""

    parts: Mapping[str, Any]
    """JSON-able parts, by name: the source's stamp, the model, each setting, which products."""
    cut: Mapping[str, Any]
    """The settings that lead to the part `tiling`, by name, for people."""
    labels: Mapping[str, Any]
    """The parts that decide labels and colours, whichever products are made of them; a digest of each long one."""
    temperature: float = 1.0
    """What logits are divided by before they say how sure a label is. It decides the raster of confidence alone."""

    @property
    def fingerprint(self) -> str:
        """32 hex digits that change whenever a part does."""
        return digest(self.parts)

    @property
    def of_labels(self) -> str:
        """32 hex digits that change whenever a part does that decides labels."""
        return digest(self.labels)

    @property
    def of_rows(self) -> str:
        """32 hex digits that change whenever labels or confidence would."""
        alike = self.temperature == 1.0
        return self.of_labels if alike else digest({**self.labels, "temperature": self.temperature})

    def rated(self, tags: Mapping[str, str]) -> bool:
        """Return whether a raster of confidence with these tags has the temperature that this recipe leads to."""
        found = (read_recipe(tags) or {}).get("temperature", 1.0)
        return bool(found == self.temperature)

    @property
    def polygons(self) -> str | None:
        """What decides the polygons, besides the labels; None: there are none."""
        found: str | None = self.parts["polygons"]
        return found

    def tags(self, *, polygons: str | None) -> dict[str, str]:
        """Return the tags that tell the recipe.

        Parameters
        ----------
        polygons : str or None
            What decided the polygons that stand beside the mask; they may be of an earlier run.
        """
        rated = {} if self.temperature == 1.0 else {"temperature": self.temperature}
        told = {**self.labels, "polygons": polygons, "cut": self.cut, **rated}
        text = json.dumps(told, separators=(",", ":"))
        return {FINGERPRINT_KEY: self.fingerprint, RECIPE_KEY: text}

    def made(self, tags: Mapping[str, str]) -> bool:
        """Return whether a mask with these tags has the labels and colours that this recipe leads to."""
        return not self.why_again(tags)

    def why_again(self, tags: Mapping[str, str]) -> str:
        """Return what sets a mask apart from what this recipe leads to, in words; empty where nothing does."""
        found = read_recipe(tags)
        if found is not None:
            return "; ".join(self._differences(found))
        fingerprint = tags.get(FINGERPRINT_KEY)
        if fingerprint == self._by(tags.get(ENGINE_KEY)).fingerprint:  # an earlier version wrote no recipe
            return ""
        damaged = fingerprint == DAMAGED
        return "masks are damaged" if damaged else "an earlier version of noseam made them, or settings changed"

    def _by(self, engine: Any) -> Recipe:
        """Return the recipe with an engine in place of one that is not known."""
        if self.parts["engine"] is not None:
            return self
        parts, labels = ({**known, "engine": engine} for known in (self.parts, self.labels))
        return replace(self, parts=parts, labels=labels)

    def _apart(self, found: Mapping[str, Any]) -> list[str]:
        known = self._by(found.get("engine")).labels
        names = {**known, **dict.fromkeys(name for name in _OF_BALANCE if name in found)}
        return [name for name in names if found.get(name) != known.get(name)]

    def _differences(self, found: Mapping[str, Any]) -> Iterator[str]:
        other = self._apart(found)
        if "masks" in other:
            yield _ALONE["masks"]
            return
        yield from (_ALONE[name] for name in other if name in _ALONE and not _follows(name, other))
        if "engine" in other:
            yield f"the engine changed: {found.get('engine')} to {self.parts['engine']}"
        changed = list(self._cut_changes(found)) if "tiling" in other else []
        changed += [_change(name, found.get(name), self.labels.get(name)) for name in other if name in _SETTINGS]
        if changed:
            yield "settings changed: " + ", ".join(changed)

    def _cut_changes(self, found: Mapping[str, Any]) -> Iterator[str]:
        before = found.get("cut", {})
        changes = [_change(name, before.get(name), now) for name, now in self.cut.items() if before.get(name) != now]
        yield from changes or ["how the image is cut"]


def recipe_for(
    image: ImagePlan,
    request: Request,
    *,
    model_digest: str,
    classes: ClassTable,
    engine: str | None,
    temperature: float = 1.0,
    balance: Balance = OFF,
) -> Recipe:
    """Return the recipe of an image.

    Parameters
    ----------
    image : ImagePlan
        The image.
    request : Request
        What it was planned for.
    model_digest : str
        See `weights_digest`.
    classes : ClassTable
        Names and colours of the model's classes.
    engine : str or None
        Name of the engine; None: not known yet, so that masks of any engine are taken for right.
    temperature : float
        What logits are divided by before they say how sure a label is.
    balance : Balance
        What is added to the logits.
    """
    grid, tiling = image.grid, request.tiling
    parts = {
        "masks": MASK_VERSION,
        "source": image.stamp,
        "model": model_digest,
        "engine": engine,
        "classes": (classes.names, classes.colours),
        "tiling": (grid.model_shape, grid.tile_shape, grid.row_offs, grid.col_offs),
        "georeference": image.info.georeference.key,
        "polygons": request.polygon_options.key if request.polygons else None,
        "strict": request.strict,
        "channels": request.reading.channels,
        "value_range": request.reading.value_range,
        "formats": [(output.path.name, output.format) for output in image.outputs],
        "beside": [side.path.name for output in image.outputs for side in output.sidecars],
    }
    if balance.offsets:
        parts |= dict(zip(_OF_BALANCE, (balance.strength, balance.key), strict=True))
    cut = {name: getattr(tiling, field) for field, name in _CUT.items()}
    cut |= {"tile": str(tiling.tile), "quality": tiling.quality, "grid shift": request.grid_shift_px}
    return Recipe(parts, cut, _of_labels(parts), temperature)


def _follows(name: str, other: Sequence[str]) -> bool:
    """Return whether a change is told by another one."""
    return name == "class_frequencies" and "balance_classes" in other


def _of_labels(parts: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {name: value for name, value in parts.items() if name not in _OF_PRODUCTS}
    chosen |= {name: _short_of_many(name, chosen[name]) for name in _SHARED}
    chosen["georeference"] = _short("georeference", chosen["georeference"])
    found: dict[str, Any] = json.loads(json.dumps(chosen))  # as a tag gives it back
    return found


def _short(name: str, value: Any) -> str:
    return digest({name: value})[:12]


_short_of_many = lru_cache(_FEW)(_short)


def _change(name: str, old: Any, new: Any) -> str:
    return f"{name.replace('_', ' ')} {_text(old)} to {_text(new)}"


def _text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
