"""The files that noseam makes of an image: found by their names, and removed with all that stands beside them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import get_args

from tiler.files.beside import Sidecar, sidecar_path
from tiler.files.names import PNG, TIFF, mask_name, product_kind, read_product


def products_by_image(there: Iterable[Path]) -> Mapping[Path, tuple[Path, ...]]:
    """Return those of some files that have the name of a mask or of polygons, by image: its path, without a suffix."""
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in there:
        if (product := read_product(path.name)) is not None:
            found[path.with_name(product[0])].append(path)
    return {image: tuple(sorted(paths)) for image, paths in found.items()}


def has_mask(out: Path, image: Path) -> bool:
    """Return whether a label mask stands in an output folder for an image, given by its place below the survey."""
    with suppress(OSError):  # its name would be too long
        return any((out / image.parent / mask_name(image.stem, "label", suffix)).exists() for suffix in (PNG, TIFF))
    return False


def products_below(folder: Path) -> Mapping[Path, tuple[Path, ...]]:
    """Return the files below a folder that have the name of a mask or of polygons, by image.

    Parameters
    ----------
    folder : Path
        It is walked to any depth. Links to folders are not followed; hidden files and folders are passed over, and so
        are folders that cannot be listed.

    Returns
    -------
    mapping of Path to tuple of Path
        The key is the path of the image below the folder, without a suffix.
    """
    there = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        there += [Path(parent, name) for name in sorted(files) if not name.startswith(".")]
    return {image.relative_to(folder): products for image, products in products_by_image(there).items()}


def remove_products(products: Iterable[Path], *, keep: Container[Path] = ()) -> None:
    """Remove masks and polygons, each after all side files that it can have; what cannot be removed stays.

    Parameters
    ----------
    products : iterable of Path
        The masks and polygons.
    keep : container of Path
        Side files that belong to another mask too and stay: `a_label.png` and `a_label.tif` have one `a_label.qml`.
    """
    for product in products:
        beside = () if product_kind(product) in {None, "polygons"} else get_args(Sidecar)
        for path in (*(sidecar_path(product, kind) for kind in beside if kind != "polygons"), product):
            if path not in keep:
                with suppress(OSError):
                    path.unlink()
