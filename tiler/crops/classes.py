"""The classes of crops: those that the masks hold, and those that are left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tiler.classes import ClassTable
from tiler.errors import ClassTableError
from tiler.files.pairs import Pair
from tiler.masks.own_classes import own_class_table
from tiler.remap.options import RemapOptions
from tiler.remap.table import remap_classes

NamedBy = Literal["the class table", "the masks", "nobody"]


@dataclass(frozen=True, slots=True)
class CropClasses:
    """What the ids in masks mean, and what they become in crops."""

    in_masks: ClassTable | None
    """The classes of the masks; None: nobody names them, and every id from 0 to 254 may occur."""
    in_crops: ClassTable | None
    """The classes of the crops; None as above."""
    lookup: NDArray[np.uint8]
    """The id in crops of each id in masks, shape (256,)."""
    named_by: NamedBy
    """Where names and colours come from; `nobody`: they are made up."""

    @property
    def changed(self) -> bool:
        """Return whether crops hold other classes than masks."""
        return self.in_crops != self.in_masks


def crop_classes(pairs: Sequence[Pair], masks: Path, classes: ClassTable | None, remap: RemapOptions) -> CropClasses:
    """Return what the ids in masks mean, and what they become in crops.

    Parameters
    ----------
    pairs : sequence of Pair
        Images with their masks.
    masks : Path
        The folder of the masks, or the only one.
    classes : ClassTable or None
        The classes of the masks; None: what noseam wrote into them counts, see `own_class_table`.
    remap : RemapOptions
        Which classes are left out or merged.

    Raises
    ------
    ClassTableError
        If the masks name or colour their classes differently, if `remap` does not fit the classes, or if it asks for
        something and nobody names them.
    """
    named_by: NamedBy = "the class table"
    if classes is None:
        classes = own_class_table((pair.second for pair in pairs), masks if masks.is_dir() else masks.parent)
        named_by = "nobody" if classes is None else "the masks"
    if classes is None:
        if remap:
            raise ClassTableError(
                f"{masks}: the masks do not name their classes, which --ignore and --map need; "
                "give the names with --classes, a CSV with name,r,g,b"
            )
        return CropClasses(None, None, np.arange(256, dtype=np.uint8), named_by)
    return CropClasses(classes, *remap_classes(classes, remap), named_by)
