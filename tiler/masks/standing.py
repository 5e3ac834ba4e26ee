"""The label masks that stand in an output folder, each with what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tiler.files.names import product_kind
from tiler.masks.products import products_below
from tiler.masks.provenance import SOURCE_KEY, is_made_by_noseam, read_tags

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of one image."""

    label: Path
    """Its label mask."""
    products: tuple[Path, ...]
    """All masks and polygons of that name."""
    tags: Mapping[str, str]
    """What the label mask says of itself."""

    @property
    def source(self) -> str:
        """The image, by its path below the folder of the survey, as its mask tells it."""
        return self.tags[SOURCE_KEY]


def masks_below(folder: Path) -> tuple[Masks, ...]:
    """Return the label masks of noseam below a folder, in the order of their names; see `products_below`."""
    labels = [
        (path, products)
        for products in products_below(folder).values()
        for path in products
        if product_kind(path) == "label"
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        tags = pool.map(read_tags, (path for path, _ in labels))
        found = [Masks(*each, told) for each, told in zip(labels, tags, strict=True)]
    return tuple(masks for masks in found if is_made_by_noseam(masks.tags) and SOURCE_KEY in masks.tags)
