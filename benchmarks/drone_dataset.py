"""The recipe on the data that it was made for: crop, train, segment and evaluate the Semantic Drone Dataset.

    python benchmarks/drone_dataset.py DATA FOLDER --base bundled:start --base mini --minutes 60
    python benchmarks/drone_dataset.py DATA FOLDER --base bundled:start --steps 500 --with loss=dice --with ema=0

DATA is the data set as its makers ship it, or as others store it: somewhere below lie photos named by three digits, and
masks of the same names in the colours of its classes or as ids. Masks of full size serve photos that were made smaller.
`drone_split.json` beside this page says which photos train and which validate, scenes apart; no other photo is read.

Each photo is cut into six crops of a third of its width, or by `--window`. A training takes `--steps`, or as many as
`--minutes` allow: 40 steps are timed first. Its model segments the validation photos at full resolution, as a survey
would be. Then come scores per class, what tiles and overlaps cost, the labels that depend on the grid, and what
balancing classes brings. `--with NAME=VALUE` sets an option of `noseam train`, by its name in Python, and `--balance`
is that of `noseam crop`: crops of rare classes are shown more often. FOLDER keeps all that is made; `results.csv` there
gets a line per training. Photos and masks may not be passed on: cite the data set, http://dronedataset.icg.tugraz.at.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import machine, table
from PIL import Image

import noseam
from segment.evaluation.results import Evaluation
from segment.model.checkpoint import describe_checkpoint
from tiler.classes import DRONE_CLASSES, write_class_table

SPLIT = Path(__file__).with_name("drone_split.json")
PHOTOS, MASKS = {".jpg", ".jpeg"}, {".png"}
TIMED_STEPS = 40
Options = dict[str, Any]


def main() -> None:
    """Read the command line, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the data set")
    parser.add_argument("folder", type=Path, help="folder of all that is made")
    parser.add_argument("--base", action="append", help="what training starts from; may be given again")
    parser.add_argument("--untrained", action="append", default=[], help="a model that is judged as it is")
    parser.add_argument("--minutes", type=float, default=60, help="a training takes as many steps as fit into these")
    parser.add_argument("--steps", type=int, help="a training takes so many steps, however long that is")
    parser.add_argument("--window", type=int, help="side of a crop, pixels of the photo; a third of its width")
    parser.add_argument("--balance", action="store_true", help="crops of rare classes are shown more often")
    parser.add_argument("--input", type=int, default=512, help="side of a crop as the network sees it, model pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a training for each")
    parser.add_argument("--with", dest="options", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--brief", action="store_true", help="scores alone; nothing on tiles, overlaps and balance")
    wanted = parser.parse_args()
    print(machine(), flush=True)
    photos = lay_out(wanted.data, wanted.folder / "photos")
    for model in wanted.untrained:
        judge(photos, wanted.folder / "as it is" / slug(model), model, wanted, {})
    bases = wanted.base or ([] if wanted.untrained else ["bundled:start", "mini"])
    side = wanted.window or side_of_six(photos)
    cuts = f"{side} balanced" if wanted.balance else str(side)
    crops = wanted.folder / f"crops {cuts}"
    if bases:
        cut(photos, crops, side, balance=wanted.balance)
    for base in bases:
        for seed in wanted.seeds:
            options = dict(map(option, wanted.options)) | {"seed": seed}
            lasts = str(wanted.steps or f"{wanted.minutes:g} min")
            shown = f"{cuts} to {wanted.input}"
            folder = wanted.folder / "trained" / slug("-".join([base, shown, *wanted.options, str(seed), lasts]))
            told = trained(crops, folder / "model", base, wanted, options) | {"window": cuts, "input": wanted.input}
            judge(photos, folder, str(folder / "model"), wanted, told)


def option(text: str) -> tuple[str, Any]:
    """Return name and value of NAME=VALUE."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def slug(text: str) -> str:
    """Return a text as the name of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-.=" else "_" for letter in text)


def lay_out(data: Path, photos: Path) -> Path:
    """Link the photos of the split and their masks into `train` and `val`, each with `images` and `masks`."""
    split: Mapping[str, Sequence[str]] = json.loads(SPLIT.read_text("ascii"))
    for part in ("train", "val"):
        for kind, suffixes in (("images", PHOTOS), ("masks", MASKS)):
            found = dict(_named(data, suffixes, kind))
            missing = [name for name in split[part] if name not in found]
            if missing:
                raise SystemExit(f"{data}: {len(missing)} {kind} of {part} are missing, such as {missing[0]}")
            (photos / part / kind).mkdir(parents=True, exist_ok=True)
            for name in split[part]:
                link = photos / part / kind / f"{name}{found[name].suffix}"
                link.unlink(missing_ok=True)
                link.symlink_to(found[name].resolve())
    return photos


def _named(data: Path, suffixes: set[str], kind: str) -> Iterator[tuple[str, Path]]:
    """Yield name and path of photos or masks; what else the data set holds has other names or lies elsewhere."""
    for path in sorted(data.rglob("*")):
        aside = {"bounding_box", "label_collapsed", "label_me_xml"} & set(path.parts)
        if path.suffix.lower() in suffixes and path.stem.isdigit() and len(path.stem) == 3 and not aside:
            yield path.stem, path


def side_of_six(photos: Path) -> int:
    """Return the side of a window by which a photo gives six crops: a third of its width."""
    return Image.open(next((photos / "train/images").iterdir())).width // 3


def cut(photos: Path, crops: Path, window: int, *, balance: bool = False) -> None:
    """Cut training and validation photos into crops; where it balances, crops of rare classes are shown more often."""
    report = noseam.crop(
        photos / "train/images", photos / "train/masks", crops, classes=class_table(photos), window_px=window,
        val=(photos / "val/images", photos / "val/masks"), scale_masks=True, format="jpeg",
        balance=balance,
    )  # fmt: skip
    assert not report.failed, report.failed[0].reason
    print(f"{report.train} crops to train, {report.val} to validate, {window} px", flush=True)


def class_table(photos: Path) -> Path:
    """Write the classes of the data set, and return the file."""
    path = photos / "classes.csv"
    write_class_table(path, DRONE_CLASSES)
    return path


def trained(crops: Path, out: Path, base: str, wanted: argparse.Namespace, options: Options) -> Options:
    """Train a model unless it is there; return what to say of it."""
    common: Options = {"input_px": wanted.input, "device": wanted.device} | options
    steps, rate = wanted.steps, None
    if steps is None:
        rate = _steps_per_second(crops, out.with_name("timed"), base, common)
        steps = round(60 * wanted.minutes * rate)
    started = time.monotonic()
    before = os.times()
    result = noseam.train(crops, out, base=base, max_steps=steps, **common)
    seconds = time.monotonic() - started
    own = sum(os.times()[:4]) - sum(before[:4])
    told = {"base": base, "steps": result.steps, "timed steps/s": rate and round(rate, 3), "seconds": round(seconds),
            "core seconds": round(own), "best miou of crops, %": round(100 * result.best_miou, 2)}  # fmt: skip
    return told | options


def _steps_per_second(crops: Path, out: Path, base: str, common: Options) -> float:
    """Return steps per second of a short training, without its start and its validation."""
    shutil.rmtree(out, ignore_errors=True)
    times: list[float] = []
    noseam.train(crops, out, base=base, max_steps=TIMED_STEPS, **(common | {"class_bias": False}),
                 progress=lambda done, total: times.append(time.monotonic()))  # fmt: skip
    skipped = TIMED_STEPS // 10  # few, because the first steps may be shorter ones
    return (len(times) - 1 - skipped) / (times[-1] - times[skipped])


def judge(photos: Path, folder: Path, model: str, wanted: argparse.Namespace, told: Options) -> None:
    """Segment the validation photos, evaluate them, and print and store what came out."""
    found = segmented(photos, folder / "masks", model, wanted.device)
    print(f"\n### {told or model}\n")
    print(f"accuracy {100 * found.metrics.accuracy:.2f} %, mIoU {100 * found.metrics.miou:.2f} %\n")
    print(table(("class", "IoU, %", "pixels, %"), _class_rows(found)), flush=True)
    _store(wanted.folder / "results.csv", {"model": model, **told, "accuracy, %": f"{100 * found.metrics.accuracy:.2f}",
                                           "mIoU, %": f"{100 * found.metrics.miou:.2f}"})  # fmt: skip
    if wanted.brief:
        return
    rows = []
    for words, options in variants(third(photos, model)).items():
        if "balance_classes" in options and not describe_checkpoint(model).frequencies:
            continue
        other = segmented(photos, folder / slug(words), model, wanted.device, **options)
        rows.append((words, f"{100 * other.metrics.accuracy:.2f}", f"{100 * other.metrics.miou:.2f}", _depends(other)))
    print(table(("segmented with", "accuracy, %", "mIoU, %", "labels that depend on the grid, %"), rows), flush=True)


def third(photos: Path, model: str) -> int:
    """Return a third of a photo's width as the network sees it, in whole cells of 32 model pixels."""
    tiling = describe_checkpoint(model).tiling
    width = Image.open(next((photos / "val/images").iterdir())).width
    return 32 * round(width * tiling.input_px / (tiling.window_px or tiling.input_px) / 3 / 32)


def variants(tile: int) -> dict[str, Options]:
    """Return ways to segment: tiles that suit each photo, tiles of some side, and classes balanced."""
    return {
        "tile auto, balanced": {"tile": "auto"},
        "tile auto, best": {"tile": "auto", "quality": "best"},
        f"tiles of {tile}, overlap 0": {"tile": str(tile), "overlap": 0.0},
        f"tiles of {tile}, overlap 0.25": {"tile": str(tile), "overlap": 0.25},
        f"tiles of {tile}, overlap 0.5": {"tile": str(tile), "overlap": 0.5},
        "balance 0.1": {"balance_classes": 0.1},
        "balance 0.25": {"balance_classes": 0.25},
        "balance 0.5": {"balance_classes": 0.5},
        "balance by training": {"balance_classes": "auto"},
    }


def segmented(photos: Path, masks: Path, model: str, device: str, **options: Any) -> Evaluation:
    """Segment the validation photos twice, the second time with tiles elsewhere, and evaluate."""
    kwargs: Options = {"model": model, "report": False, "device": device} | options
    outcomes = noseam.segment(photos / "val/images", masks, **kwargs)
    assert all(outcome.state != "failed" for outcome in outcomes), outcomes
    shifted = None
    if "tile" in options:
        shifted = masks.with_name(f"{masks.name} shifted")
        noseam.segment(photos / "val/images", shifted, grid_shift_px=96, **kwargs)
    return noseam.evaluate(masks, photos / "val/masks", shifted=shifted, classes=class_table(photos))


def _class_rows(found: Evaluation) -> list[tuple[str, str, str]]:
    shown = found.confusion.sum(axis=1)
    return [
        (name, f"{100 * found.metrics.iou[index]:.1f}", f"{100 * shown[index] / shown.sum():.2f}")
        for index, name in enumerate(found.classes)
        if shown[index]
    ]


def _depends(found: Evaluation) -> str:
    if found.dependence is None or not found.dependence.pixels:
        return "-"
    return f"{100 * found.dependence.differing / found.dependence.pixels:.2f}"


def _store(path: Path, row: Options) -> None:
    """Add a line to a CSV; its columns are those of all lines."""
    rows: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    rows.append(row)
    columns = list(dict.fromkeys(name for each in rows for name in each))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
