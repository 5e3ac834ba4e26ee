"""Find tile, class bias, temperature and balance of a checkpoint that was trained elsewhere, as `noseam train` does it.

    noseam scenes scenes --photos 40 --photo-size 2048 3072 --seed 2
    noseam crop scenes/images scenes/truth --out crops --classes scenes/classes.csv --window 1024 --split 0.4
    python benchmarks/temperature.py bundled:demo crops [--steps N] [--write FOLDER]
    python benchmarks/temperature.py bundled:start --images FOLDER --truth FOLDER [--classes CSV] [--others T ...]

The first prints what squares as in training bring on the validation crops, beside tiles that suit each image; what a
constant for each class brings there, found by the training crops; the temperature and the expected calibration errors;
and the strength of `segment --balance-classes auto`. It looks at as many training crops as a training of `--steps` of 4
does. `--write` writes a checkpoint that has all that, also over the old one.
See docs/training.md, docs/confidence.md and docs/survey.md.

The second finds nothing. It segments whole photos that the temperature was not found by, as `noseam segment
--confidence` does: without a temperature, and with that of the checkpoint. It prints what `noseam evaluate` says of
both: what the rasters of confidence state on average, how many labels are right, and the expected calibration error.
`--others` tries more temperatures, to see which would have been better.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from measure import machine, table

import noseam
from segment.model.checkpoint import describe_checkpoint, load_checkpoint
from segment.model.config import tiling_entry
from segment.model.save import write_checkpoint
from segment.model.weights import read_weights
from segment.training.plan import plan_training
from segment.training.request import TrainRequest
from segment.training.tune import Tuned, tune
from tiler.words import counted


def tuned(model: str, crops: Path, steps: int, out: Path) -> Tuned:
    """Find what a training of so many steps finds when its weights are trained; write the checkpoint with all that."""
    description = describe_checkpoint(model)
    request = TrainRequest(crops=(crops,), out=out, base=model, input_px=description.tiling.input_px, max_steps=steps)
    plan = plan_training(request)
    if plan.crops.classes.names != description.classes.names:
        raise SystemExit(f"{crops}: classes {', '.join(description.classes.names)} expected")
    network = load_checkpoint(description).network
    found = tune(plan, network, description.normalisation)
    if description.folder.resolve() != out.resolve():
        shutil.copytree(description.folder, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("state"))
    config = json.loads((description.folder / "config.json").read_text("utf-8"))
    half = any(tensor.dtype.itemsize == 2 for tensor in read_weights(description.folder).values())
    write_checkpoint(network, out, description.normalisation, request.input_px, half=half)
    entries = {name: getattr(network.config, name) for name in ("class_bias", "calibration", "class_balance")}
    tiling = tiling_entry(replace(description.tiling, tile=found.tiling.tile), description.classes)
    write(out, **{**config, **entries, "tiling": tiling, "class_frequencies": plan.crops.train.class_frequencies})
    return found


def write(folder: Path, **entries: Any) -> None:
    """Put entries into the config of a checkpoint."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text("utf-8")), **entries}
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n", "utf-8")


HEAD = ("temperature", "states, %", "right, %", "expected calibration error, %", "pixels")


def on_photos(model: str, wanted: argparse.Namespace, folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield a row for each temperature: what confidence states of photos, and what is right."""
    description = describe_checkpoint(model)
    named = {1.0: "1, as without one"} | {description.temperature: f"{description.temperature:g}, the checkpoint's"}
    for value in dict.fromkeys([1.0, description.temperature, *wanted.others]):
        changed, masks = folder / f"model {value:g}", folder / f"masks {value:g}"
        shutil.copytree(description.folder, changed)
        write(changed, calibration={"temperature": value})
        for outcome in noseam.segment(wanted.images, masks, model=str(changed), window_px=wanted.window,
                                      confidence=True, report=False):  # fmt: skip
            if outcome.state == "failed":
                raise SystemExit(outcome.reason)
        compared = noseam.evaluate(masks, wanted.truth, classes=wanted.classes, scale_masks=True)
        found = compared.reliability
        if found is None or compared.failed:
            raise SystemExit(compared.failed[0].reason if compared.failed else f"{wanted.truth}: no truth found")
        shares = (f"{100 * each:.2f}" for each in (found.confidence, found.accuracy, found.ece))
        yield named.get(value, f"{value:g}"), *shares, f"{found.pixels:,}"


def main() -> None:
    """Print the temperature, and write it if asked; or what it is worth on photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("crops", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=1000, help="of the training, 4 crops each")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("--images", type=Path, help="photos that the temperature was not found by")
    parser.add_argument("--truth", type=Path, help="their masks")
    parser.add_argument("--classes", type=Path, metavar="CSV", help="what colours in the truth mean")
    parser.add_argument("--window", type=int, metavar="PX", help="as of noseam segment; the checkpoint's by default")
    parser.add_argument("--others", type=float, nargs="+", default=[], metavar="T", help="more temperatures")
    given = parser.parse_args()
    if (given.crops is None) == (given.images is None) or (given.images is None) != (given.truth is None):
        parser.error("a folder of crops, or --images and --truth")
    if given.images is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(table(HEAD, list(on_photos(given.model, given, Path(folder)))))
        print(machine())
        return
    with tempfile.TemporaryDirectory() as folder:
        found = tuned(given.model, given.crops, given.steps, given.write or Path(folder))
    temperature = found.temperature
    if temperature is None:
        raise SystemExit(f"{given.crops}: no validation crop has a label")
    print(f"tiles: {found.tile or 'all alike'}")
    print(f"{counted(found.tiles, 'tile')} of validation; class bias: {found.bias}")
    print(
        f"temperature {temperature.value:g}; expected calibration error {100 * temperature.ece_before:.3f} % before, "
        f"{100 * temperature.ece_after:.3f} % after; {temperature.pixels:,} pixels"
    )
    print(f"--balance-classes auto: {found.balance}")
    print(machine())


if __name__ == "__main__":
    main()
