"""Tell which images see the same ground: by where they lie, by their pictures, or by their names."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from tiler.crops.connected import Groups
from tiler.crops.ground import footprint_of, georeference_of
from tiler.crops.pictures import link_pictures
from tiler.crops.split import Grouping, Side, ToldBy
from tiler.errors import MissingExtraError, TilerError
from tiler.extra import require_extra
from tiler.files.pairs import Pair
from tiler.source.footprint import Footprint, overlaps
from tiler.source.georef import Georeference
from tiler.source.image import open_image
from tiler.source.options import ReadingOptions

_log = logging.getLogger(__name__)
_SERIES = re.compile(r"(.*?)\d+\D*")
_IN_WORDS: Mapping[ToldBy, str] = {
    "georeference": "georeference", "gps": "GPS", "pictures": "matching pictures", "names": "series of names",
    "nothing": "nothing",
}  # fmt: skip


def group_by_place(
    pairs: Sequence[Pair],
    reading: ReadingOptions,
    *,
    jobs: int = 1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Grouping:
    """Return the groups of images that see the same ground, whichever others lie between them.

    Images that say where they lie are of one place where their outlines share ground. All others are compared by their
    pictures, with these too. Where OpenCV is missing, the names of those tell: `siteA_1` and `siteA_2` are of one
    series.

    Parameters
    ----------
    pairs : sequence of Pair
        The images.
    reading : ReadingOptions
        How images become 8-bit colours.
    jobs : int
        Number of threads.
    advance : callable
        Called with (pictures looked at, pictures in all).

    Raises
    ------
    MissingExtraError
        If some images do not say where they lie, OpenCV is missing, and names tell nothing.
    """
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(_place, pairs))
    groups = Groups(len(pairs))
    links, compared = overlaps([footprint for footprint, _ in found])
    for one, other in links:
        groups.join(one, other)
    told: list[ToldBy] = [how if index in compared else "pictures" for index, (_, how) in enumerate(found)]
    if len(compared) < len(pairs):
        try:
            require_extra("place")
        except MissingExtraError as error:
            _link_names(pairs, groups, told, error)
        else:
            paths = [pair.first for pair in pairs]
            for index in link_pictures(paths, groups, reading, known=compared, jobs=jobs, advance=advance):
                told[index] = told[index] if index in compared else "nothing"
    names = [pair.name.as_posix() for pair in pairs]
    return Grouping(
        "place",
        {name: names[groups.first(index)] for index, name in enumerate(names)},
        dict(zip(names, told, strict=True)),
    )


def _place(pair: Pair) -> tuple[Footprint, ToldBy]:
    """Return the ground of an image and what told it; a footprint that says nothing where nobody knows."""
    nowhere = Footprint(Georeference(), (1, 1))
    try:
        with open_image(pair.first) as image:
            own: ToldBy = "georeference" if image.info.georeference.present else "gps"
            return footprint_of(image.info, georeference_of(image.info)) or nowhere, own
    except TilerError:  # it fails again when it is cut, with its reason
        return nowhere, "nothing"


def _link_names(pairs: Sequence[Pair], groups: Groups, told: list[ToldBy], missing: MissingExtraError) -> None:
    """Join images without a place whose names are of one series; raise where names tell nothing."""
    series: dict[str, list[int]] = {}
    for index, pair in enumerate(pairs):
        if told[index] == "pictures":
            series.setdefault(series_of(pair.name.as_posix()), []).append(index)
            told[index] = "names"
    if not 1 < len(series) < sum(map(len, series.values())):
        raise MissingExtraError(f"--split-by place: some images do not say where they lie, and {missing}") from missing
    _log.warning("places are told by series of names, such as %s; matching pictures is surer: %s", min(series), missing)
    for members in series.values():
        for other in members[1:]:
            groups.join(members[0], other)


def series_of(name: str) -> str:
    """Return what names of one series share: all before the last number, with the folder."""
    path = PurePosixPath(name)
    found = _SERIES.fullmatch(path.name)
    return path.with_name(found[1] or "0").as_posix() if found else name


def told_in_words(told_by: Mapping[str, ToldBy]) -> str:
    """Return by what places were told: `230 by GPS, 4 by matching pictures`."""
    counts = Counter(told_by.values())
    return ", ".join(f"{count} by {_IN_WORDS[how]}" for how, count in counts.most_common())


def seen_by_both(sides: Mapping[str, Side], grounds: Mapping[str, Footprint]) -> int:
    """Return how many validation images share ground with training images, of those that say where they lie."""
    names = [name for name in sides if name in grounds]
    links, _ = overlaps([grounds[name] for name in names])
    pairs = [(names[one], names[other]) for one, other in links]
    crossing = [pair for pair in pairs if sides[pair[0]].split != sides[pair[1]].split]
    return len({name for pair in crossing for name in pair if sides[name].split == "val"})
