"""Windows as a zip in CVAT's format "Segmentation mask 1.1", and back from what CVAT exports.

The format is that of Pascal VOC: `labelmap.txt`, a class mask and a mask of instances for each picture, and a list of
names. Masks of one channel hold the number of a line of `labelmap.txt`; CVAT itself writes colours of that table.
CVAT has no class for pixels without a label. A pixel of instance 0 carries none, whatever its class mask says, so each
class of a window is one instance here; where CVAT writes masks, such pixels get its own label `background`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segment.errors import RequestError
from segment.review.archive import Files, named
from segment.review.drafts import Draft
from segment.review.known import Known
from segment.review.pixels import Colours, decode, labels_of
from tiler.classes import NO_LABEL, ClassTable, Colour, distinct_colours
from tiler.crops.write import pad, pad_labels, picture
from tiler.errors import LabelError
from tiler.files.atomic import replacing, write_whole

ZIP, LABELS = "cvat.zip", "labels.json"
"""The zip, and the labels of the project in the form that CVAT's label constructor takes as Raw."""
_MAP, _LIST = "labelmap.txt", "ImageSets/Segmentation/default.txt"
_IMAGES, _CLASSES, _INSTANCES = "JPEGImages", "SegmentationClass", "SegmentationObject"
_BACKGROUND, _BLACK = "background", (0, 0, 0)
_HEADER = "# label:color_rgb:parts:actions"
_DATE = (2000, 1, 1, 0, 0, 0)
"""What the zip says of its files: always the same, so that the same windows make the same zip."""
_MOST_TEXT = 2**20
_MOST_BYTES_A_PIXEL = 5


def write_cvat(folder: Path, drafts: Iterable[Draft], classes: ClassTable) -> Path:
    """Write drafts as a zip that CVAT imports into a project, with `labels.json` beside it; return the zip.

    Raises
    ------
    RequestError
        If CVAT cannot tell two classes apart by their names.
    """
    labels = label_map(classes)
    names = []
    with replacing(folder / ZIP) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for draft in drafts:
            for name, data in _files_of(draft):
                archive.writestr(_entry(name), data)
            names.append(draft.known.name)
        lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in labels.items()]
        archive.writestr(_entry(_MAP), "\n".join([_HEADER, *lines, ""]))
        archive.writestr(_entry(_LIST), "".join(f"{name}\n" for name in names))
    write_whole(folder / LABELS, f"{json.dumps(_as_json(labels), indent=2)}\n".encode())
    return folder / ZIP


def label_map(classes: ClassTable) -> dict[str, Colour]:
    """Return the names and colours of classes as CVAT takes them, in order of id.

    A colon ends a name in `labelmap.txt`, and a `#` begins a comment. Black is the colour of pixels without a label,
    so a black class gets another.

    Raises
    ------
    RequestError
        If two names would be one.
    """
    names = [name.replace(":", ";").strip().lstrip("#").strip() or "class" for name in classes.names]
    if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise RequestError(
            f"two classes would be called {twice!r} in CVAT, where names hold no colon and begin with no #; "
            "name the classes otherwise with --classes of noseam segment"
        )
    spare = (colour for colour in distinct_colours(len(classes) + 1) if colour not in classes.colours)
    return {
        name: next(spare) if colour == _BLACK else colour for name, colour in zip(names, classes.colours, strict=True)
    }


class CvatMasks:
    """Corrected masks in a zip that CVAT exported, or in its unpacked folder.

    Parameters
    ----------
    where : Path
        The zip or folder, for messages.
    files : Files
        What it holds.
    classes : ClassTable
        The classes of the masks that were exported.

    Raises
    ------
    RequestError
        If there is no label map, or it lacks classes of the masks.
    LabelError
        If the label map cannot be read.
    """

    def __init__(self, where: Path, files: Files, classes: ClassTable) -> None:
        self._where, self._files = where, files
        self._classes = named(files, _CLASSES, ".png")
        self._instances = named(files, _INSTANCES, ".png")
        maps = [name for name in files.names if name.rsplit("/", 1)[-1] == _MAP]
        if len(maps) != 1 or not self._classes:
            found = ", ".join(sorted(files.names)[:3]) or "nothing"
            raise RequestError(
                f"{where}: {_MAP} and {_CLASSES}/*.png expected, found {found}; export the task or project from CVAT "
                'as "Segmentation mask 1.1"'
            )
        labels = _parse(f"{where}: {maps[0]}", files.read(maps[0], _MOST_TEXT))
        self._names = names = list(label_map(classes))
        self._meaning, self._backgrounds = _meaning(f"{where}: {maps[0]}", labels, names)
        self._strange = [(line, *entry) for line, entry in enumerate(labels.items()) if entry[0] not in names]

    @property
    def names(self) -> Sequence[str]:
        """Names of the windows that it holds."""
        return list(self._classes)

    def read(self, known: Known) -> NDArray[np.uint8]:
        """Return the labels of a window, of the shape of its files."""
        samples = self._samples(self._classes[known.name], known.window_px)
        self._refuse_strange(self._named(self._classes[known.name]), samples)
        if known.name not in self._instances:
            return labels_of(self._named(self._classes[known.name]), samples, self._meaning)
        instances = self._samples(self._instances[known.name], known.window_px)
        nobody = (instances == 0) if instances.ndim == 2 else (instances == 0).all(axis=-1)
        # Instances past the 255th have the colours of the first again, so 0 alone does not mean: no label.
        blank = nobody & (samples == 0 if samples.ndim == 2 else _any_colour(samples, self._backgrounds))
        filled = samples.copy()
        filled[blank] = next(iter(self._meaning.ids)) if samples.ndim == 2 else next(iter(self._meaning.colours))
        labels = labels_of(self._named(self._classes[known.name]), filled, self._meaning)
        return np.where(blank, np.uint8(NO_LABEL), labels)

    def _refuse_strange(self, where: str, samples: NDArray[np.uint8] | NDArray[np.int64]) -> None:
        """Raise if a mask holds a label that is no class, such as one that people added in CVAT."""
        for line, name, colour in self._strange:
            if name == _BACKGROUND or colour in self._meaning.colours:
                continue
            if (samples == line).any() if samples.ndim == 2 else _any_colour(samples, [colour]).any():
                raise LabelError(
                    f"{where}: the label {name!r} is no class of the masks; expected one of "
                    f"{', '.join(self._names)}: give these pixels another in CVAT"
                )

    def _samples(self, name: str, side: int) -> NDArray[np.uint8] | NDArray[np.int64]:
        data = self._files.read(name, _MOST_BYTES_A_PIXEL * side**2 + _MOST_TEXT)
        return decode(self._named(name), data, side)

    def _named(self, name: str) -> str:
        return f"{self._where}: {name}"


def _files_of(draft: Draft) -> Iterator[tuple[str, bytes]]:
    side, name = draft.known.window_px, draft.known.name
    labels = pad_labels(draft.labels, side)
    valid = labels != NO_LABEL
    yield f"{_IMAGES}/{name}.jpg", picture(pad(draft.pixels, side).transpose(1, 2, 0), lossy=True)
    yield f"{_CLASSES}/{name}.png", picture(np.where(valid, labels, np.uint8(0)), lossy=False)
    yield f"{_INSTANCES}/{name}.png", picture(np.where(valid, labels + np.uint8(1), np.uint8(0)), lossy=False)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".txt") else zipfile.ZIP_STORED
    return entry


def _as_json(labels: Mapping[str, Colour]) -> list[dict[str, object]]:
    return [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*colour), "type": "any", "attributes": []}
        for name, colour in labels.items()
    ]


def _parse(where: str, data: bytes) -> dict[str, Colour]:
    """Return names and colours of a label map, in the order of its lines."""
    found: dict[str, Colour] = {}
    try:
        for line in io.StringIO(data.decode("utf-8-sig")):
            if not (line := line.strip()) or line.startswith("#"):
                continue
            name, colour, *_ = line.split(":")
            red, green, blue = map(int, colour.split(","))
            found[name] = red, green, blue
    except ValueError as error:  # a UnicodeDecodeError too
        raise LabelError(f"{where}: lines such as `tree:0,128,0::` expected; {error}") from error
    return found


def _meaning(where: str, labels: Mapping[str, Colour], names: Sequence[str]) -> tuple[Colours, Sequence[Colour]]:
    """Return what the values of masks mean, and the colours of pixels that no mask covers."""
    if missing := [name for name in names if name not in labels]:
        raise RequestError(
            f"{where}: {len(missing)} classes of the masks are missing, such as {missing[0]!r}; found "
            f"{', '.join(list(labels)[:5])} ...; a project with the labels of {LABELS} has them all"
        )
    ids = {name: index for index, name in enumerate(names)}
    ids.setdefault(_BACKGROUND, NO_LABEL)
    by_line = {line: ids[name] for line, name in enumerate(labels) if name in ids}
    by_colour: dict[Colour, int] = {}
    for name, colour in labels.items():
        if name in ids and by_colour.setdefault(colour, ids[name]) != ids[name]:
            other = next(each for each in labels if labels[each] == colour)
            raise RequestError(f"{where}: {other} and {name} have one colour; give them two in CVAT, and export again")
    backgrounds = [colour for name, colour in labels.items() if name == _BACKGROUND or colour == _BLACK]
    return Colours(by_line, by_colour), backgrounds


def _any_colour(samples: NDArray[np.uint8] | NDArray[np.int64], colours: Sequence[Colour]) -> NDArray[np.bool_]:
    found = np.zeros(samples.shape[:2], np.bool_)
    for colour in colours:
        found |= (samples == colour).all(axis=-1)
    return found
