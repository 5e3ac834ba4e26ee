"""Take a zip that `noseam review --format cvat` made through CVAT's own importer and exporter, as CVAT calls them.

It needs Datumaro, which noseam does not: CVAT's own branch of it (github.com/cvat-ai/datumaro) on `PYTHONPATH`, or that
of PyPI. The steps are those of `cvat/apps/dataset_manager/formats/mask.py`, without CVAT's database between them: its
importer reads the zip, each mask becomes one of CVAT's shapes and back, and its exporter writes another zip.

    python benchmarks/cvat.py masks/review/export-1/cvat.zip from-cvat.zip
    noseam review masks/ --import from-cvat.zip --take-unchanged
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

_BLACK = (0, 0, 0)


def through_cvat(archive: Path, out: Path) -> tuple[int, int]:
    """Write what CVAT would export of a zip that it imported; return how many pictures and masks it found."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset
    from datumaro.components.environment import Environment

    with tempfile.TemporaryDirectory() as there, tempfile.TemporaryDirectory() as back:
        with zipfile.ZipFile(archive) as read:
            read.extractall(there)
        detected = Environment().detect_dataset(there)
        if not {"voc", "voc_segmentation"} & set(detected):
            raise SystemExit(f"{archive}: Datumaro takes it for {detected}, expected voc")
        form = "voc" if "voc" in detected else "voc_segmentation"
        found = Dataset.import_from(there, form)
        labels = found.categories()[AnnotationType.label]
        colours = found.categories()[AnnotationType.mask].colormap
        items = [item.wrap(annotations=[_as_shape(each) for each in item.annotations]) for item in found]
        stored = Dataset.from_iterable(items, categories=found.categories())
        # A project in CVAT has the labels of the zip, and CVAT puts its own background before them.
        names = {label.name: [tuple(map(int, colours[index])), [], []] for index, label in enumerate(labels.items)}
        label_map = names if "background" in names else {"background": [_BLACK, [], []], **names}
        stored.transform("merge_instance_segments")
        stored.export(back, "voc_segmentation", apply_colormap=True, label_map=label_map)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
            for path in sorted(Path(back).rglob("*")):
                if path.is_file():
                    written.write(path, path.relative_to(back).as_posix())
    return len(items), sum(len(item.annotations) for item in items)


def _as_shape(mask: Any) -> Any:
    """Return a mask after CVAT stored it: the box around it, as lengths of runs, pasted into the picture again."""
    from datumaro.components.annotation import Mask

    image = np.asarray(mask.image)
    rows, cols = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    box = image[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    flat = box.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    runs = np.diff(np.concatenate(([0], edges, [flat.size])))
    values = (np.arange(len(runs)) % 2 == 0) == bool(flat[0])
    again = np.zeros_like(image, dtype=bool)
    again[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = np.repeat(values, runs).reshape(box.shape)
    return Mask(image=again, label=mask.label, group=mask.group)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="zip that noseam review made")
    parser.add_argument("out", type=Path, help="zip as CVAT exports it")
    wanted = parser.parse_args()
    pictures, masks = through_cvat(wanted.archive, wanted.out)
    print(f"{wanted.out}: {pictures} pictures with {masks} masks, imported and exported as CVAT does")


if __name__ == "__main__":
    main()
