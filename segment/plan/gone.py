"""Masks of photos that have left the survey: found by what the masks say of their sources, and removed when asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from segment.plan.scope import Scope
from segment.plan.survey import SurveyPlan
from tiler.files.names import product_kind
from tiler.masks.products import part_folders_below, products_below, remove_products
from tiler.masks.provenance import SOURCE_KEY, is_made_by_noseam, read_tags
from tiler.polygons.make import is_foreign
from tiler.words import counted

_NAMED = 10


def find_gone(plan: SurveyPlan, scope: Scope) -> Mapping[str, tuple[Path, ...]]:
    """Return the masks, polygons and parts of photos that are no more, by the photos' paths below the survey.

    Parameters
    ----------
    plan : SurveyPlan
        The inputs of a run.
    scope : Scope
        Where they come from.

    Returns
    -------
    mapping of str to tuple of Path
        Empty where the run does not see the whole survey. What noseam did not write is left out. So are photos whose
        folder is empty or a link to nowhere: their drive may not be there.
    """
    if not plan.whole or plan.unlisted:
        return {}
    planned = {relative.parent / relative.stem for relative in plan.named}
    found: dict[str, tuple[Path, ...]] = {}
    for image, products in products_below(scope.out).items():
        if image not in planned and (source := _source(products)) and not _may_return(source, scope.roots):
            found[source] = tuple(path for path in products if _is_ours(path, source))
    labels = {image.label for image in plan.images}
    for folder, (label, source) in part_folders_below(scope.out).items():
        if label not in labels and not _may_return(source, scope.roots):
            found[source] = (*found.get(source, ()), folder)
    return found


def remove_gone(gone: Mapping[str, tuple[Path, ...]]) -> None:
    """Remove masks, polygons and parts with all beside them, and the folders that are empty then."""
    for products in gone.values():
        remove_products(products)
        for folder in filter(Path.is_dir, products):
            shutil.rmtree(folder, ignore_errors=True)
        for product in products:
            with suppress(OSError):  # something else is there
                product.parent.rmdir()


def named(gone: Mapping[str, tuple[Path, ...]]) -> str:
    """Return the first of the photos in words."""
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    return ", ".join(list(gone)[:_NAMED]) + more


def stay(gone: Mapping[str, tuple[Path, ...]]) -> str:
    """Return in words that the masks of some photos stay though the photos left."""
    photos = counted(len(gone), "photo")
    return f"masks of {photos} that left the survey stay: {named(gone)}; `segment --prune` removes them"


def _source(products: Sequence[Path]) -> str | None:
    """Return the photo that the first mask among some products says it is of."""
    tags = (read_tags(path) for path in products if _is_mask(path))
    return next((found[SOURCE_KEY] for found in tags if is_made_by_noseam(found) and SOURCE_KEY in found), None)


def _is_ours(path: Path, source: str) -> bool:
    if not _is_mask(path):
        return not is_foreign(path)
    tags = read_tags(path)
    return is_made_by_noseam(tags) and tags.get(SOURCE_KEY) == source


def _is_mask(path: Path) -> bool:
    return product_kind(path) not in {None, "polygons"}


def _may_return(source: str, roots: Sequence[Path]) -> bool:
    """Return whether a photo is there, or one of the folders on the way to it is empty or a link to nowhere."""
    return any((root / source).exists() or any(map(_is_away, _folders(root, source))) for root in roots)


def _folders(root: Path, source: str) -> Iterator[Path]:
    yield from (root / folder for folder in Path(source).parents if folder != Path())


def _is_away(folder: Path) -> bool:
    try:
        return not any(folder.iterdir()) if folder.is_dir() else folder.is_symlink()
    except OSError:
        return True
