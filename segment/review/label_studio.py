"""Windows as tasks for Label Studio, with their drafts as predictions in brush masks; and back from its JSON export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from segment.errors import RequestError
from segment.review.brush import decode, encode
from segment.review.drafts import Draft
from segment.review.known import Known
from tiler.classes import NO_LABEL, ClassTable
from tiler.crops.write import pad, pad_labels, picture
from tiler.errors import LabelError
from tiler.files.atomic import write_whole

TASKS, CONFIG = "tasks.json", "config.xml"
"""The tasks, and the labelling interface of the project."""
_IMAGES = "images"
_LOCAL = "/data/local-files/?d="
"""Where Label Studio serves files of its folder for local files."""
_LABEL, _IMAGE, _KIND = "label", "image", "brushlabels"
_MOST_BYTES = 2**30
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f]")


def write_label_studio(folder: Path, drafts: Iterable[Draft], classes: ClassTable) -> Path:
    """Write drafts as pictures, tasks and a labelling interface; return the file of the tasks."""
    (folder / _IMAGES).mkdir(parents=True)
    tasks = []
    for draft in drafts:
        side, name = draft.known.window_px, f"{_IMAGES}/{draft.known.name}.jpg"
        write_whole(folder / name, picture(pad(draft.pixels, side).transpose(1, 2, 0), lossy=True))
        result = list(_results(pad_labels(draft.labels, side), classes))
        tasks.append(
            {
                "data": {_IMAGE: f"{_LOCAL}{quote(f'{folder.name}/{name}')}", "name": draft.known.name},
                "predictions": [{"model_version": "noseam", "score": 1 - draft.known.score, "result": result}],
            }
        )
    write_whole(folder / TASKS, json.dumps(tasks).encode())
    write_whole(folder / CONFIG, _config(classes).encode())
    return folder / TASKS


class LabelStudioMasks:
    """Corrected masks in a JSON file that Label Studio exported.

    The last annotation of a task counts that was not skipped. Where masks overlap, the later one counts.

    Parameters
    ----------
    path : Path
        The file.
    classes : ClassTable
        The classes of the masks.

    Raises
    ------
    RequestError
        If it is no such file.
    """

    def __init__(self, path: Path, classes: ClassTable) -> None:
        self._path = path
        self._ids = {_readable(name): index for index, name in enumerate(classes.names)}
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES} bytes")
            tasks = json.loads(path.read_bytes())
            found = {str(task["data"]["name"]): _last(task) for task in tasks}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RequestError(
                f"{path}: a JSON export of Label Studio expected, tasks whose data hold a name as exported; {error!r}"
            ) from error
        self._results = {name: results for name, results in found.items() if results is not None}

    @property
    def names(self) -> Sequence[str]:
        """Names of the windows that somebody annotated."""
        return list(self._results)

    def read(self, known: Known) -> NDArray[np.uint8]:
        """Return the labels of a window, of the shape of its files."""
        where = f"{self._path}: {known.name}"
        labels = np.full((known.window_px, known.window_px), NO_LABEL, np.uint8)
        try:
            for result in self._results[known.name]:
                if str(result.get("type", "")).lower() != _KIND:
                    continue
                names = result["value"][_KIND]
                if len(names) != 1 or names[0] not in self._ids:
                    raise LabelError(f"{where}: a mask of {names!r:.80}; expected one of {', '.join(self._ids)}")
                size = result["original_height"], result["original_width"]
                if size != labels.shape:
                    raise LabelError(
                        f"{where}: {size[0]} x {size[1]} pixels found, expected {known.window_px} x {known.window_px}"
                    )
                labels[decode(where, result["value"]["rle"], labels.shape)] = self._ids[names[0]]
        except (KeyError, TypeError, AttributeError) as error:
            raise LabelError(f"{where}: a brush mask expected, with size and rle; {error!r}") from error
        return labels


def _results(labels: NDArray[np.uint8], classes: ClassTable) -> Iterator[Mapping[str, Any]]:
    height, width = labels.shape
    for index in np.unique(labels):
        if index != NO_LABEL:
            yield {
                "id": f"class-{index}", "type": _KIND, "from_name": _LABEL, "to_name": _IMAGE,
                "original_width": width, "original_height": height, "image_rotation": 0,
                "value": {"format": "rle", "rle": encode(labels == index), _KIND: [_readable(classes.names[index])]},
            }  # fmt: skip


def _last(task: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Return what was annotated last in a task; None where nothing was."""
    done = [each for each in task.get("annotations", ()) if not each.get("was_cancelled")]
    results: Sequence[Mapping[str, Any]] | None = done[-1]["result"] if done else None
    return results


def _config(classes: ClassTable) -> str:
    labels = "\n".join(
        f"    <Label value={quoteattr(_readable(name))} background={quoteattr('#{:02x}{:02x}{:02x}'.format(*colour))}/>"
        for name, colour in zip(classes.names, classes.colours, strict=True)
    )
    return (
        f'<View>\n  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{_LABEL}" toName="{_IMAGE}">\n{labels}\n  </BrushLabels>\n</View>\n'
    )


def _readable(name: str) -> str:
    """Return a class name as XML attributes give it back."""
    return _UNWRITABLE.sub(" ", name).strip()
