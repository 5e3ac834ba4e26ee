"""What a training takes over from the model that it starts from: the rows of the classifier by the names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tiler.classes import ClassTable

HEAD = "decode_head."
"""What the names of the head's weights begin with."""
_CLASSIFIER = f"{HEAD}classifier"
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Which weights of a network are those of its base."""

    encoder: tuple[int, int]
    """Tensors of the encoder: taken, and in all."""
    head: tuple[int, int]
    """Tensors of the head but for its classifier: taken, and in all."""
    before: tuple[str, ...]
    """Classes of the base's classifier, by id; empty if it has none that fits."""
    kept: tuple[str, ...]
    """Classes whose row of the classifier is that of the base."""
    new: tuple[str, ...]
    """Classes whose row is drawn at random."""

    def lines(self, base: str) -> list[str]:
        """Return what was taken and what is new, and why, as lines of the log."""
        lines = [f"weights of {base}: of the encoder {_share(self.encoder)}, of the head {_share(self.head)} taken"]
        if not self.before:
            return [*lines, f"classifier: new, because {base} has none"]
        if not self.new and self.kept == self.before:
            return [*lines, "classifier: taken, because its classes have the same names in the same order"]
        lines.append(f"classifier: {len(self.kept)} of {len(self.kept) + len(self.new)} classes taken by name"
                     + (f": {_named(self.kept)}" if self.kept else f"; {base} knows none of them"))  # fmt: skip
        if self.new:
            lines.append(f"classifier: new, because {base} has no class of this name: {_named(self.new)}")
        if gone := [name for name in self.before if name not in self.kept]:
            lines.append(f"classifier: left behind, because the crops have no such class: {_named(gone)}")
        return lines


def take_over_classes(
    network: nn.Module, weights: Mapping[str, Tensor], before: Sequence[str], classes: ClassTable
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give each class the row of the base's class of its name, and a row drawn at random to the others.

    A row that stayed at its place would be that of another class wherever names or their order differ.

    Parameters
    ----------
    network : Module
        `SegformerForSemanticSegmentation`, with the weights of the base; its classifier may hold anything.
    weights : mapping
        Weights of the base, by their names in its files.
    before : sequence of str
        Names of the base's classes, by id.
    classes : ClassTable
        Classes of the network.

    Returns
    -------
    kept, new : tuple of str
        Names of the classes with a row of the base, and of those without.
    """
    found = [weights.get(f"{_CLASSIFIER}.{part}") for part in ("weight", "bias")]
    rows = {name: index for index, name in enumerate(before)}
    if any(part is None or len(part) != len(before) for part in found):
        rows = {}
    if tuple(before) == classes.names and rows:
        return classes.names, ()
    layer: Any = network.get_submodule(_CLASSIFIER)
    nn.init.normal_(layer.weight, std=network.config.initializer_range)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for index, name in enumerate(classes.names):
            if name in rows:
                for own, part in zip((layer.weight, layer.bias), found, strict=True):
                    own[index] = part[rows[name]]  # type: ignore[index]
    kept = tuple(name for name in classes.names if name in rows)
    return kept, tuple(name for name in classes.names if name not in rows)


def taken_over(
    network: nn.Module, lacking: set[str], before: Sequence[str], kept: tuple[str, ...], new: tuple[str, ...]
) -> TakenOver:
    """Return which weights of a network are those of its base, where `lacking` names those that it did not have."""
    names = [name for name in network.state_dict() if not name.startswith(_CLASSIFIER)]
    counts = [
        (sum(name not in lacking for name in group), len(group))
        for group in (
            [name for name in names if not name.startswith(HEAD)], [name for name in names if name.startswith(HEAD)]
        )
    ]  # fmt: skip
    return TakenOver(counts[0], counts[1], tuple(before) if counts[1][0] else (), kept, new)


def names_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes of a config, by id; none where it does not number them from 0."""
    entry = config.get("id2label")
    try:
        labels = {int(key): str(name) for key, name in entry.items()} if isinstance(entry, dict) else {}
    except ValueError:
        return ()
    return tuple(labels[index] for index in range(len(labels))) if sorted(labels) == list(range(len(labels))) else ()


def _share(counts: tuple[int, int]) -> str:
    taken, whole = counts
    return f"all {whole} tensors" if taken == whole else f"{taken or 'none'} of {whole} tensors"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
