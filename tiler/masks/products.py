"""The files that noseam makes of an image: found by their names, and removed with all that stands beside them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import get_args

import rasterio

from tiler.files.aside import is_aside
from tiler.files.beside import Sidecar, sidecar_path
from tiler.files.names import PNG, TIFF, mask_name, product_kind, read_product
from tiler.masks.provenance import SOURCE_KEY, read_tags
from tiler.source.raster import gdal_environment

_PARTS = ".parts"


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
        are folders that cannot be listed, and those that noseam set aside.

    Returns
    -------
    mapping of Path to tuple of Path
        The key is the path of the image below the folder, without a suffix.
    """
    there = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not (name.startswith(".") or is_aside(Path(parent, name))))
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


def part_folder(label: Path) -> Path:
    """Return the hidden folder in which the parts of a large image wait until its label mask is made of them."""
    return label.with_name(f".{label.name}{_PARTS}")


def part_folders_below(folder: Path) -> Mapping[Path, tuple[Path, str]]:
    """Return the folders of parts below a folder, each with the label mask that it is for, and the image as told."""
    found = {}
    for path in folder.rglob(f".*{_PARTS}"):
        parts = sorted(path.glob("label-*.tif")) if path.is_dir() else []
        source = next((tags[SOURCE_KEY] for part in parts if SOURCE_KEY in (tags := read_tags(part))), "")
        if source:
            found[path] = path.with_name(path.name[1:].removesuffix(_PARTS)), source
    return found


def labelled_pixels(folder: Path) -> int:
    """Return how many pixels of an image the parts in a folder label; 0 where none can be read."""
    with suppress(Exception), gdal_environment():  # rasterio's private errors too; a part may go meanwhile
        paths = list(folder.glob("label-*-*.tif"))
        rows = [path.stem.split("-")[1:] for path in paths]
        with rasterio.open(str(paths[0].absolute()), driver="GTiff") as part:
            return sum(int(stop) - int(start) for start, stop in rows) * int(part.width)
    return 0
