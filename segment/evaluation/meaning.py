"""What the ids in masks mean, and which classes a comparison counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment.errors import RequestError
from segment.evaluation.sides import Sides
from tiler.classes import ClassTable, distinct_colours
from tiler.errors import TilerError
from tiler.masks.labels import LabelReader, open_labels
from tiler.masks.view import LabelView
from tiler.remap.options import AS_IT_IS, RemapOptions
from tiler.remap.table import remap_classes


@dataclass(frozen=True, slots=True)
class Meaning:
    """What ids in masks mean, and what they become in a comparison."""

    table: ClassTable | None
    """The class table that was given."""
    in_masks: tuple[str, ...]
    """Names of the classes in masks, by id."""
    compared: ClassTable
    """The classes that are compared; colours are made up where no table was given."""
    lookup: NDArray[np.uint8]
    """The compared id of each id in masks, shape (256,)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes that are compared, by id."""
        return self.compared.names

    def holds_compared(self, labels: LabelReader) -> bool:
        """Return whether a mask says that it holds the classes that are compared, not those before."""
        return self.names != self.in_masks and labels.class_names == self.names

    def open(
        self,
        path: Path,
        enter: Callable[[AbstractContextManager[LabelReader]], LabelReader],
        *,
        shape: tuple[int, int] | None = None,
        checked: bool = True,
    ) -> LabelView:
        """Return an open mask in the classes that are compared.

        A mask of a model that was trained on these classes says their names, and is read as it is.

        Parameters
        ----------
        path : Path
            The mask.
        enter : callable
            Keeps what it is given open for as long as the view is read.
        shape : tuple of int, optional
            The size at which it is read; by default its own.
        checked : bool
            Whether the names that it carries must fit.

        Raises
        ------
        TilerError
            If the mask cannot be opened, or not be scaled.
        RequestError
            If it says that it holds other classes.
        """
        labels = enter(open_labels(path, self.table))
        if self.holds_compared(labels):
            return LabelView(enter(open_labels(path, self.table and self.compared)), shape=shape)
        if checked:
            check_names(labels, self.in_masks, given=self.table is not None)
        return LabelView(labels, shape=shape, lookup=self.lookup, classes=len(self.in_masks))


def meaning_of(images: Sequence[Sides], table: ClassTable | None, remap: RemapOptions = AS_IT_IS) -> Meaning:
    """Return what the ids in masks mean: as the table says, else as the first mask that carries names does.

    A table is compared with the first mask at once. So a table of another model is one error, not one per image.

    Raises
    ------
    RequestError
        If no names are known, or the first mask says that it holds other classes than the table.
    ClassTableError
        If `remap` does not fit the classes.
    """
    names = table.names if table else _own_names(images)
    compared, lookup = remap_classes(table or ClassTable(names, distinct_colours(len(names))), remap)
    meant = Meaning(table, names, compared, lookup)
    if table and images:
        with suppress(TilerError), open_labels(images[0].predicted, table) as labels:  # it fails again in its turn
            if not meant.holds_compared(labels):
                check_names(labels, names, given=True)
    return meant


def _own_names(images: Sequence[Sides]) -> tuple[str, ...]:
    for image in images:
        with suppress(TilerError), open_labels(image.predicted, None) as labels:
            if own := labels.class_names:
                return own
    raise RequestError(
        f"{images[0].predicted}: the mask does not say its class names; give them with --classes, a CSV with name,r,g,b"
    )


def check_names(mask: LabelReader, expected: tuple[str, ...], *, given: bool) -> None:
    """Raise if a mask's ids do not mean the expected classes; a given table may name them in other words."""
    own, path = mask.class_names, mask.info.path
    if own and len(own) != len(expected):
        raise RequestError(f"{path}: the mask has {len(own)} classes; expected {len(expected)}, as in the class table")
    for index, name in enumerate(own):
        if name in expected and expected.index(name) != index:
            raise RequestError(f"{path}: class {name} is {index} in the mask, {expected.index(name)} in the table")
    if own and own != expected and not given:
        raise RequestError(f"{path}: the mask has the classes {', '.join(own)}; expected {', '.join(expected)}")
