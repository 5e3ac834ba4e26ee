"""Which folders the masks of an output folder come from, so that a photo has the same masks in every run.

The output folder remembers the folders of its survey. A later run of a part of them writes to the same masks. A run
that would give photos a second set of masks, or two photos one mask, is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from segment.errors import RecordError, RequestError
from tiler.files.atomic import write_whole
from tiler.files.walk import IMAGE_SUFFIXES, Found, identity

MEMORY = ".noseam.survey.json"
"""Name of the hidden file in an output folder that names the folders of its survey."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the sources of a run lie in the survey of its output folder."""

    out: Path
    """The output folder."""
    known: tuple[Path, ...]
    """Folders of the survey that earlier runs named, absolute."""
    roots: tuple[Path, ...]
    """All folders of the survey, those of this run too, absolute; none lies in another."""
    below: Mapping[Path, Path]
    """Place of each source below its root; a source that is a file has the place of its folder."""
    whole: bool
    """Whether the run takes the whole survey, so that what it does not find is gone."""

    def refuse_namesakes(self, images: Iterable[Found]) -> None:
        """Raise if an image of the run and one of another root would have the same masks.

        Raises
        ------
        RequestError
            If there are two such images. The message names both, and the commands that would be right.
        """
        listing = cache(_images_by_stem)
        for found in images if len(self.roots) > 1 else ():
            for root in self.roots:
                other = listing(root / found.relative.parent).get(found.relative.stem.casefold())
                if other is not None and root / found.relative != identity(found.path):
                    raise RequestError(
                        f"{other} and {found.path} would have the same masks in {self.out}; {self._way_out(root)}"
                    )

    def _way_out(self, root: Path) -> str:
        """Return what helps where an image of a root and one of another would have the same masks."""
        if root in self.known:
            return f"it holds the masks of {root}, so take another --out, such as {self.out}-2, or rename one of them"
        together = Path(os.path.commonpath(self.roots))
        return f"name the folder that holds both, {together}, or give each folder another --out"

    def remember(self) -> None:
        """Keep the roots in the output folder, for later runs.

        Raises
        ------
        RecordError
            If they cannot be written.
        """
        if set(read_roots(self.out)) == set(self.roots):
            return
        try:
            write_whole(self.out / MEMORY, json.dumps({"folders": list(map(str, self.roots))}).encode())
        except OSError as error:
            raise RecordError(f"{self.out / MEMORY}: cannot be written: {error.strerror or error}") from error


def scope_of(sources: Sequence[Path], out: Path) -> Scope:
    """Return where sources lie in the survey of an output folder.

    Folders that an earlier run named, and that are no more, are forgotten: the survey has moved.

    Parameters
    ----------
    sources : sequence of Path
        Files and folders that exist. A file stands for its folder.
    out : Path
        The output folder; it need not exist.

    Raises
    ------
    RequestError
        If a source holds a folder of the survey, because its photos would get second masks. The message names the
        commands that would be right.
    """
    folders = {source: (source if source.is_dir() else source.parent).resolve() for source in sources}
    known = [root for root in read_roots(out) if root.is_dir()]
    for source, folder in folders.items():
        if inside := next((root for root in known if folder in root.parents), None):
            raise RequestError(
                f"{out} holds the masks of {inside}, which lies in {source}: its photos would get second masks. "
                f"Go on with `noseam segment {inside} --out {out} ...`, "
                f"or take another folder for all: `noseam segment {source} --out {out}-{folder.name} ...`"
            )
    roots = list(_outermost([*known, *folders.values()]))
    below = {source: folder.relative_to(_root_of(folder, roots)) for source, folder in folders.items()}
    named = {folder for source, folder in folders.items() if source.is_dir()}
    return Scope(out, tuple(known), tuple(roots), below, whole=named.issuperset(roots))


def read_roots(out: Path) -> list[Path]:
    """Return the folders of the survey that an output folder remembers; none where it remembers nothing."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [Path(folder) for folder in json.loads((out / MEMORY).read_bytes())["folders"]]
    return []


def _outermost(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield each folder once that lies in none of the others."""
    folders = dict.fromkeys(folders)
    yield from (folder for folder in folders if not any(parent in folders for parent in folder.parents))


def _root_of(folder: Path, roots: Iterable[Path]) -> Path:
    return next(root for root in roots if root == folder or root in folder.parents)


def _images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the images in a folder by the stems of their names in lower case; none where it cannot be listed."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return {}
    return {path.stem.casefold(): path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES}
