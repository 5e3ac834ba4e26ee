"""What already stands in the output folder for each image: nothing, current masks, or masks to be made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segment.plan.recipe import Recipe
from segment.plan.survey import ImagePlan
from tiler.errors import OutputExistsError
from tiler.files.names import Product, product_kind
from tiler.files.outputs import all_paths, files_beside
from tiler.masks.products import products_by_image
from tiler.masks.provenance import SOURCE_KEY, is_made_by_noseam, read_recipe, read_tags
from tiler.polygons.make import is_foreign, refuse_foreign_polygons
from tiler.words import counted

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the output folder for one image."""

    state: Literal["new", "current", "again"]
    """`new`: it has no mask yet. `current`: nothing is to do."""
    why: str = ""
    """Why its masks are not current; for people where there are masks."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of its label mask, which may be in another format."""
    stale: tuple[Path, ...] = ()
    """Masks and polygons of earlier runs that are not made now, and that contradict those that are."""
    doubled: frozenset[Product] = frozenset()
    """Kinds of what is stale that are made now in another format."""
    polygons: str | None = None
    """What decides the polygons that stand there in the end; see `Recipe.polygons`."""

    @property
    def gone(self) -> frozenset[Product]:
        """Kinds of what is stale that are not made now."""
        return frozenset(kind for path in self.stale if (kind := product_kind(path)) is not None) - self.doubled


@dataclass(frozen=True, slots=True)
class Found:
    """The files in the folders of some masks."""

    paths: frozenset[Path]
    """All of them."""
    products: Mapping[Path, tuple[Path, ...]]
    """Masks and polygons among them, by image; see `products_by_image`."""


def find(images: Iterable[ImagePlan]) -> Found:
    """Return the files in the folders of the masks of some images."""
    paths = files_beside(output for image in images for output in image.outputs)
    return Found(paths, products_by_image(paths))


def look(image: ImagePlan, recipe: Recipe, found: Found, *, overwrite: bool = False) -> Standing:
    """Return what stands in the output folder for an image.

    Masks and polygons of the same labels that are not asked for now stay, because they are right. What noseam did not
    write stays in any case.

    Parameters
    ----------
    image : ImagePlan
        The image.
    recipe : Recipe
        What its masks are made from now.
    found : Found
        The files in the folder of its masks.
    overwrite : bool
        Whether its masks are made again in any case, and replace what noseam did not write.

    Raises
    ------
    OutputExistsError
        If a file that noseam did not write stands where an output goes, and is not to be overwritten.
    """
    there = found.paths
    tags = [read_tags(output.path) if output.path in there else None for output in image.outputs]
    if not overwrite:
        _refuse_foreign(image, tags)
    label = tags[0] or {}
    others = _others(image, found)
    known = label or next(_labels_of(image, others), {})
    written, right = read_recipe(known) or {}, recipe.made(known)
    before = written.get("polygons") if right else None
    stale = tuple(_stale(image, recipe, found, others, keep_polygons=before is not None))
    ours = [each for each in tags if each is not None]
    reasons = ["--overwrite"] if overwrite else []
    if known and not label:
        reasons += [*_changes(image, recipe, [known]), "settings changed: format"]
    else:
        reasons += [*_changes(image, recipe, ours)] or [*_missing(image, tags, there)]
    sure = [
        each for out, each in zip(image.outputs, tags, strict=True) if out.kind == "confidence" and each is not None
    ]
    if label and right and not all(map(recipe.rated, sure)):
        reasons.append("the temperature of confidence changed")
    if label and right and written and recipe.polygons not in {None, before}:
        reasons.append("settings of polygons changed" if before else "missing: polygons")
    state: Literal["new", "current", "again"] = "again" if known or ours or stale else "new"
    return Standing(
        state if reasons else "current",
        "; ".join(dict.fromkeys(reasons)),
        known,
        stale,
        frozenset(kind for path in stale if (kind := product_kind(path)) in _planned_kinds(image)),
        recipe.polygons or before,
    )


def look_at_all(
    images: Sequence[ImagePlan], recipe: Callable[[ImagePlan], Recipe], *, overwrite: bool = False
) -> Mapping[Path, Standing]:
    """Return what stands in the output folder for images, by their paths; several are looked at at a time.

    An image in whose way a file stands that noseam did not write is left out: its own job says so.

    Parameters
    ----------
    images : sequence of ImagePlan
        The images.
    recipe : callable
        Returns what the masks of an image are made from now.
    overwrite : bool
        See `look`.
    """
    found = find(images)

    def standing(image: ImagePlan) -> Standing | None:
        try:
            return look(image, recipe(image), found, overwrite=overwrite)
        except OutputExistsError:
            return None

    with ThreadPoolExecutor(_THREADS) as pool:
        standings = zip(images, pool.map(standing, images), strict=True)
        return {image.found.path: each for image, each in standings if each is not None}


def as_lines(standings: Iterable[Standing]) -> list[str]:
    """Return why masks are made again, and what goes with them: a line for each reason, with the number of images."""
    standings = tuple(standings)
    again = Counter(standing.why for standing in standings if standing.state == "again")
    gone = Counter(kind for standing in standings for kind in sorted(standing.gone))
    doubled = Counter(kind for standing in standings for kind in sorted(standing.doubled))
    lines = [f"made again, {count} of {counted(len(standings), 'image')}: {why}" for why, count in again.most_common()]
    lines += [
        f"goes with the labels that it was made of: {kind} of {counted(count, 'image')}; --{kind} makes it again"
        for kind, count in gone.items()
    ]
    return lines + [
        f"replaced by another format: {kind} of {counted(count, 'image')}" for kind, count in doubled.items()
    ]


def _refuse_foreign(image: ImagePlan, tags: Sequence[Mapping[str, str] | None]) -> None:
    for output, found in zip(image.outputs, tags, strict=True):
        if found is not None and not is_made_by_noseam(found) and output.path.exists():
            raise OutputExistsError(f"{output.path} exists and noseam did not write it; --overwrite replaces it")
    refuse_foreign_polygons(image.outputs)


def _changes(image: ImagePlan, recipe: Recipe, tags: Iterable[Mapping[str, str]]) -> Iterator[str]:
    for found in tags:
        if found.get(SOURCE_KEY, image.source_text) != image.source_text:
            yield "a mask of another image stands there"
        elif why := recipe.why_again(found):
            yield why


def _products(image: ImagePlan, found: Found) -> Iterator[Path]:
    """Yield the masks and polygons that stand there and are not planned."""
    planned = {output.path for output in image.outputs} | {side.path for out in image.outputs for side in out.sidecars}
    key = image.label.with_name(image.found.relative.stem)
    yield from (path for path in found.products.get(key, ()) if path not in planned)


def _others(image: ImagePlan, found: Found) -> Mapping[Path, Mapping[str, str]]:
    """Return the tags of masks of noseam that stand there and are not planned, also of another image of that name."""
    tags = {path: read_tags(path) for path in _products(image, found) if product_kind(path) != "polygons"}
    return {path: each for path, each in tags.items() if is_made_by_noseam(each)}


def _missing(image: ImagePlan, tags: Sequence[Mapping[str, str] | None], there: Container[Path]) -> Iterator[str]:
    for output, found in zip(image.outputs, tags, strict=True):
        if found is None:
            yield f"missing: {output.kind}"
        elif lost := [side for side in output.sidecars if side.path not in there]:
            yield "missing: " + ("polygons" if lost[0].kind == "polygons" else "side files")


def _labels_of(image: ImagePlan, others: Mapping[Path, Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """Yield the tags of the image's label mask in another format than is planned."""
    labels = (tags for path, tags in others.items() if product_kind(path) == "label")
    yield from (tags for tags in labels if tags.get(SOURCE_KEY) == image.source_text)


def _stale(
    image: ImagePlan, recipe: Recipe, found: Found, others: Mapping[Path, Mapping[str, str]], *, keep_polygons: bool
) -> Iterator[Path]:
    """Yield what noseam made of an image in earlier runs, is not planned, and differs from what is, or doubles it.

    Masks of `a.jpg` and of `a.tif` can have one name but for their formats; the tag of the source tells them apart.
    Polygons have no tags, so they stay where both images have masks.
    """
    kinds = _planned_kinds(image)
    ours = {path: tags for path, tags in others.items() if tags.get(SOURCE_KEY) == image.source_text}
    yield from (
        path for path, tags in ours.items()
        if product_kind(path) in kinds
        or not recipe.made(tags)
        or (product_kind(path) == "confidence" and not recipe.rated(tags))
    )  # fmt: skip
    if len(ours) == len(others) and ("polygons" in kinds or not keep_polygons):
        polygons = (path for path in _products(image, found) if product_kind(path) == "polygons")
        yield from (path for path in polygons if not is_foreign(path))


def _planned_kinds(image: ImagePlan) -> frozenset[Product]:
    return frozenset(kind for path in all_paths(image.outputs) if (kind := product_kind(path)) is not None)
