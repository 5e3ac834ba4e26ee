"""Which files an image's masks go to; planned for the whole survey before any work."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiler.errors import OutputClashError
from tiler.files.beside import Sidecar, SideFile, plan_sidecars
from tiler.files.names import JPEG, PNG, TIFF, Kind, mask_name, polygons_name
from tiler.files.vector import OneFile as PolygonFormat
from tiler.files.walk import identity

Format = Literal["png", "geotiff", "cog"]
"""How a mask is stored; a COG is a GeoTIFF that holds itself at smaller sizes too."""

Stored = Format | Literal["jpeg"]
"""The same of all that is written; an overlay is a JPEG."""
MOST_JPEG_PX = 65_500
"""Pixels along a side that a JPEG can have."""

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Output:
    """One file to be written for an image."""

    path: Path
    """Its final name."""
    kind: Kind
    """What it holds."""
    format: Stored
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
    disagreement: bool = False,
    overlay: bool = False,
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
        Whether it is known where the image lies. With `auto` the masks of such an image are COGs, others PNGs.
    wanted : str
        How to store the masks: `png`, `geotiff`, `cog`, or `auto`.
    color : bool or None
        Whether to write a colour mask too. None: only where masks are PNG, because a label GeoTIFF carries its
        colours as a palette.
    confidence : bool
        Whether to write a mask of confidence too.
    disagreement : bool
        Whether to write a mask of the disagreement of tiles too.
    overlay : bool
        Whether to write the colours over the photo too.
    sidecars : collection of Sidecar
        Side files to write, see `plan_sidecars`.
    polygons : str or None
        How to store polygons of the labels. None: there are none.

    Returns
    -------
    tuple of Output
        The label mask, and then what else is asked for.
    """
    chosen: Format = ("cog" if georeferenced else "png") if wanted == "auto" else wanted
    suffix = PNG if chosen == "png" else TIFF
    kinds: list[Kind] = ["label"]
    if color or (color is None and chosen == "png"):
        kinds.append("color")
    if confidence:
        kinds.append("confidence")
    if disagreement:
        kinds.append("disagreement")
    folder = out / relative.parent
    outputs = []
    for kind in kinds:
        path = folder / mask_name(relative.stem, kind, suffix)
        beside = plan_sidecars(path, labels=kind == "label", georeferenced=georeferenced, wanted=sidecars)
        if polygons and kind == "label":
            beside = (*beside, SideFile("polygons", folder / polygons_name(relative.stem, polygons)))
        outputs.append(Output(path, kind, chosen, beside))
    if overlay:
        path = folder / mask_name(relative.stem, "overlay", JPEG)
        beside = plan_sidecars(path, labels=False, georeferenced=georeferenced, wanted=sidecars)
        outputs.append(Output(path, "overlay", "jpeg", beside))
    return tuple(outputs)


def refuse_clashes(planned: Iterable[tuple[Path, Sequence[Output]]]) -> None:
    """Raise if a mask would be written over a source, or two sources would write one file.

    Names that differ in upper and lower case alone count as one, because some file systems do not tell them apart.

    Parameters
    ----------
    planned : iterable of (Path, sequence of Output)
        Each source with its outputs.

    Raises
    ------
    OutputClashError
        If a mask would be written over a source, or two sources would write one file. The message names the sources
        and the file.
    """
    planned = list(planned)
    sources = {_key(source): source for source, _ in planned}
    writers: dict[str, Path] = {}
    pairs: dict[tuple[Path, Path], Path] = {}
    for source, outputs in planned:
        for path in all_paths(outputs):
            if (victim := sources.get(_key(path))) is not None:
                raise OutputClashError(f"{source} would write its mask over {victim}; choose another --out folder")
            other = writers.setdefault(str(path).casefold(), source)
            if other != source:
                pairs.setdefault((other, source), path)
    if pairs:
        listed = [f"{one} and {two} would both write {path}" for (one, two), path in pairs.items()][:_LISTED]
        more = f"; and {len(pairs) - _LISTED} more such pairs" if len(pairs) > _LISTED else ""
        advice = "rename one of each pair, or run them with different --out folders"
        raise OutputClashError(f"{'; '.join(listed)}{more}; {advice}")


def files_beside(outputs: Iterable[Output]) -> frozenset[Path]:
    """Return every file that stands in the folders of some outputs; folders that cannot be listed count as empty."""
    found: set[Path] = set()
    for folder in {output.path.parent for output in outputs}:
        with suppress(OSError):
            found.update(folder.iterdir())
    return frozenset(found)


def all_paths(outputs: Iterable[Output]) -> Iterator[Path]:
    """Yield every file of some outputs, side files too."""
    for output in outputs:
        yield output.path
        yield from (side.path for side in output.sidecars)


def _key(path: Path) -> str:
    """Return one text for all paths of a file; upper and lower case are the same."""
    return str(identity(path)).casefold()
