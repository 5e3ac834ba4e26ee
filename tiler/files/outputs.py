"""Which files an image's masks go to; planned for the whole survey before any work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tiler.errors import OutputClashError
from tiler.files.beside import Sidecar, SideFile, plan_sidecars
from tiler.files.vector import Format as PolygonFormat
from tiler.files.vector import suffix_of

Format = Literal["png", "geotiff", "cog"]
Kind = Literal["label", "color", "confidence"]


@dataclass(frozen=True, slots=True)
class Output:
    """One file to be written for an image."""

    path: Path
    """Its final name."""
    kind: Kind
    """`label`: class ids; `color`: the same as colours; `confidence`: how far the best class is ahead of the second."""
    format: Format
    """How it is stored."""
    sidecars: tuple[SideFile, ...] = ()
    """What stands beside it."""


def plan_outputs(
    relative: Path,
    out: Path,
    *,
    georeferenced: bool,
    wanted: Literal["auto"] | Format,
    color: bool | None,
    confidence: bool = False,
    sidecars: Collection[Sidecar] = (),
    polygons: PolygonFormat | None = None,
) -> tuple[Output, ...]:
    """Return the files that one image's masks go to.

    Parameters
    ----------
    relative : Path
        Place of the image below its source; kept below `out`.
    out : Path
        The output folder.
    georeferenced : bool
        Whether the image says where it lies; `auto` makes those a COG and the others a PNG.
    wanted : str
        `auto`, `png`, `geotiff` or `cog`.
    color : bool or None
        Whether to write a colour mask too; None: with PNG only, for a label GeoTIFF has its palette.
    confidence : bool
        Whether to write how sure the labels are.
    sidecars : collection of Sidecar
        Side files to write, see `plan_sidecars`.
    polygons : str or None
        How to store polygons of the labels; None: not at all.
    """
    chosen: Format = ("cog" if georeferenced else "png") if wanted == "auto" else wanted
    suffix = ".png" if chosen == "png" else ".tif"
    kinds: list[Kind] = ["label"]
    if color or (color is None and chosen == "png"):
        kinds.append("color")
    if confidence:
        kinds.append("confidence")
    stem = out / relative.with_suffix("")
    outputs = []
    for kind in kinds:
        path = stem.with_name(f"{stem.name}_{kind}{suffix}")
        beside = plan_sidecars(path, labels=kind == "label", georeferenced=georeferenced, wanted=sidecars)
        if polygons and kind == "label":
            beside = (*beside, SideFile("polygons", stem.with_name(f"{stem.name}_polygons{suffix_of(polygons)}")))
        outputs.append(Output(path, kind, chosen, beside))
    return tuple(outputs)


def refuse_clashes(planned: Iterable[tuple[Path, Sequence[Output]]]) -> None:
    """Raise if two sources would write one file, on a file system that is case-blind too.

    Raises
    ------
    OutputClashError
        Names both sources and the file; or the source that would be written over.
    """
    planned = list(planned)
    sources = {_identity(source): source for source, _ in planned}
    writers: dict[str, Path] = {}
    for source, outputs in planned:
        for path in all_paths(outputs):
            if (victim := sources.get(_identity(path))) is not None:
                raise OutputClashError(f"{source} would write its mask over {victim}; choose another --out folder")
            other = writers.setdefault(str(path).casefold(), source)
            if other != source:
                raise OutputClashError(
                    f"{other} and {source} would both write {path}; "
                    "rename one, or run them with different --out folders"
                )


def files_beside(outputs: Iterable[Output]) -> frozenset[Path]:
    """Return every file in the folders of some outputs, without those of folders that cannot be listed."""
    found: set[Path] = set()
    for folder in {output.path.parent for output in outputs}:
        with suppress(OSError):
            found.update(folder.iterdir())
    return frozenset(found)


def output_names(label: Path) -> Iterator[str]:
    """Yield the names that masks and polygons of a label mask's image can have, whatever is asked for."""
    stem = label.stem.removesuffix("_label")
    for kind in get_args(Kind):
        for suffix in (".png", ".tif"):
            yield f"{stem}_{kind}{suffix}"
    yield from (f"{stem}_polygons{suffix_of(format)}" for format in get_args(PolygonFormat))


def all_paths(outputs: Iterable[Output]) -> Iterator[Path]:
    """Yield every file of some outputs, side files too."""
    for output in outputs:
        yield output.path
        yield from (side.path for side in output.sidecars)


def _identity(path: Path) -> str:
    return str(path.parent.resolve() / path.name).casefold()
