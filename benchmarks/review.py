"""Whether the windows that `noseam review` picks hold the errors, and whether training on them helps more than chance.

Scenes from half as high again as those that the bundled model learned from are segmented. Windows are picked by each
measure of doubt and by chance, and labelled with the truth: the share of labels that this changes is their error rate.
Then the model is trained on with the windows of each pick beside crops of its old scenes, and evaluated on other
scenes. Every pool of scenes is a repetition of its own. All that bears on the training is said here, so that other
defaults of `train` do not change it.

    python benchmarks/review.py FOLDER
    python benchmarks/review.py FOLDER --picks confidence disagreement random
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import numpy as np
import pandas
from PIL import Image

import noseam
from segment.evaluation.metrics import Metrics
from segment.review.export import Exported
from segment.review.take_back import TakenBack
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey

Pick = Literal["confidence", "disagreement", "random"]
MODEL, WINDOW_PX, INPUT_PX, BATCH = "bundled:demo", 512, 256, 4
"""Window and input are half of the model's own, so the scale is the same, and training costs a quarter."""
PICKS: tuple[Pick, ...] = ("confidence", "disagreement", "random")
SEED_OF_POOLS, SEED_OF_HELD, SEED_OF_VAL, SEED_OF_OLD = 4711, 99, 77, 1
"""The last is the seed of the scenes that the model was trained on; the others are of scenes that it never saw."""
OLD_GSD_M, OLD_PHOTOS = 0.015, 2
TRAINING: Mapping[str, Any] = {
    "recipe": "finetune", "head_lr_factor": 1.0, "schedule": "linear", "warmup": 0.1, "weight_decay": 0.01, "ema": 0.0,
    "dropout": 0.1, "coarse_first": 0.0,
    "loss": "ce", "ohem": 1.0, "class_weights": "none", "class_bias": False, "ignore": (), "map": (),
    "batch_size": BATCH, "accumulate": 1, "input_px": INPUT_PX, "overlap": 0.25, "tile": "auto", "precision": "fp32",
    "epochs": 1.0, "patience": None,
    "augment": True, "zoom": (1.0, 1.0), "tilt": False, "colour": 0.2, "shadow": 0.0, "blur": 0.0, "noise": 0.0,
    "jpeg": 0.0,
}  # fmt: skip
"""How the model is trained on, besides rate, steps and seed: no mean of weights, no zoom, one rate for all weights."""
_DRAWS = 5


def main() -> None:
    """Read the command line, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of all that is made; the same command again goes on")
    parser.add_argument("--pools", type=int, default=3, help="pools of scenes")
    parser.add_argument("--photos", type=int, default=8, help="photos of a pool")
    parser.add_argument("--held", type=int, default=6, help="photos to evaluate on")
    parser.add_argument("--size", type=int, nargs=2, default=(1600, 2400), help="height and width of a photo")
    parser.add_argument("--gsd", type=float, default=0.0225, help="metres per pixel; the model learned from 0.015")
    parser.add_argument("--windows", type=int, default=20, help="windows that are labelled of a pool")
    parser.add_argument("--sides", type=int, nargs="+", default=(512, 256, 128), help="sides of windows")
    parser.add_argument("--train-side", type=int, default=256, help="side of the windows that are trained on")
    parser.add_argument("--picks", nargs="+", choices=PICKS, default=("confidence", "random"),
                        help="what is trained on")  # fmt: skip
    parser.add_argument("--steps", type=int, default=150, help="steps of a training; 0: none")
    parser.add_argument("--old-size", type=int, nargs=2, default=(2048, 3072), help="height and width of an old photo")
    parser.add_argument("--lr", type=float, default=3e-5, help="learning rate")
    wanted = parser.parse_args()
    started = time.monotonic()
    pools = [_segmented(wanted.folder / f"pool-{index}", SEED_OF_POOLS + index, wanted.photos, wanted)
             for index in range(wanted.pools)]  # fmt: skip
    _print_errors(pools, wanted)
    print(f"{time.monotonic() - started:.0f} s so far", flush=True)
    if wanted.steps:
        _print_trainings(pools, wanted)
        print(f"{time.monotonic() - started:.0f} s in all")


def _scenes(folder: Path, seed: int, photos: int, wanted: argparse.Namespace) -> Path:
    shape = (wanted.size[0], wanted.size[1])
    make_survey(folder, SceneOptions(photos=photos, photo_shape=shape, seed=seed, gsd_m=wanted.gsd))
    return folder


def _segmented(folder: Path, seed: int, photos: int, wanted: argparse.Namespace, model: str = MODEL) -> Path:
    """Make and segment scenes in tiles that overlap; return their folder."""
    _scenes(folder, seed, photos, wanted)
    noseam.segment(folder / "images", folder / "masks", model=model, tile="512", window_px=WINDOW_PX, input_px=INPUT_PX,
                   confidence=True, disagreement=True, report=False)  # fmt: skip
    return folder


def _scores(scenes: Path, masks: Path) -> Metrics:
    return noseam.evaluate(masks, scenes / "truth", classes=scenes / "classes.csv").metrics


def _picked(pool: Path, pick: Pick, into: Path, count: int, side: int, seed: int = 0) -> TakenBack:
    """Pick windows, label them with the truth, and take them back."""
    masks = pool / "masks"
    shutil.rmtree(masks / "review", ignore_errors=True)
    shutil.rmtree(into, ignore_errors=True)
    exported = noseam.review(masks, export=count, by=pick, window_px=side, seed=seed)
    assert isinstance(exported, Exported)
    for known in exported.windows:
        truth = np.asarray(Image.open(pool / "truth" / Path(known.image).with_suffix(".png")))
        Image.fromarray(truth[known.window.slices]).save(exported.folder / f"masks/{known.name}.png")
    taken = noseam.review(masks, corrected=exported.folder, into=into, take_unchanged=True)
    assert isinstance(taken, TakenBack)
    assert len(taken.taken) == count
    return taken


def _error_rate(pool: Path, pick: Pick, count: int, side: int) -> float:
    """Return the share of labels in picked windows that are wrong; by chance, the mean of several draws."""
    rates = []
    for seed in range(_DRAWS if pick == "random" else 1):
        rows = _picked(pool, pick, pool / "crops", count, side, seed).taken
        rates.append(sum(row.changed for row in rows) / sum(row.labelled for row in rows))
    return mean(rates)


def _print_errors(pools: Sequence[Path], wanted: argparse.Namespace) -> None:
    everywhere = [1 - _scores(pool, pool / "masks").accuracy for pool in pools]
    print(f"{wanted.windows} windows of {wanted.photos} photos, {len(pools)} pools; labels that are wrong, %")
    print(f"all pixels {100 * mean(everywhere):.2f} ({_listed([100 * each for each in everywhere], '.2f')})")
    for side in wanted.sides:
        share = wanted.windows * side**2 / (wanted.photos * wanted.size[0] * wanted.size[1])
        rates = {pick: [_error_rate(pool, pick, wanted.windows, side) for pool in pools] for pick in PICKS}
        for pick in PICKS:
            times = [rate / chance for rate, chance in zip(rates[pick], rates["random"], strict=True)]
            print(
                f"{side:5} px ({share:.1%} of all pixels), {pick:12} {100 * mean(rates[pick]):6.2f}, "
                f"{mean(times):5.1f} times random ({_listed(times, '.1f')})"
            )


def _print_trainings(pools: Sequence[Path], wanted: argparse.Namespace) -> None:
    held = _segmented(wanted.folder / "held", SEED_OF_HELD, wanted.held, wanted)
    others = _other_crops(wanted)
    before = _scores(held, held / "masks")
    print(f"held out: mIoU {100 * before.miou:.2f} %, {100 * (1 - before.accuracy):.2f} % of labels wrong", flush=True)
    gains: dict[str, list[float]] = {pick: [] for pick in wanted.picks}
    for seed, pool in enumerate(pools):
        for pick in wanted.picks:
            after = _after(pool, pick, others, held, wanted, seed)
            gains[pick].append(100 * (after.miou - before.miou))
            print(
                f"seed {seed}, {pick:12} mIoU {100 * after.miou:.2f} % ({gains[pick][-1]:+.2f}), "
                f"{100 * (1 - after.accuracy):.2f} % wrong", flush=True,
            )  # fmt: skip
    for pick in wanted.picks:
        print(f"{pick:12} {mean(gains[pick]):+.2f} points of mIoU in the mean ({_listed(gains[pick], '+.2f')})")


def _other_crops(wanted: argparse.Namespace) -> list[Path]:
    """Return crops of scenes that the model learned from, to train, and of one new scene, to validate."""
    old, val = wanted.folder / "old", _scenes(wanted.folder / "val", SEED_OF_VAL, 1, wanted)
    shape = (wanted.old_size[0], wanted.old_size[1])
    make_survey(old, SceneOptions(photos=OLD_PHOTOS, photo_shape=shape, seed=SEED_OF_OLD, gsd_m=OLD_GSD_M))
    for scenes, split in ((old, 1.0), (val, 0.0)):
        noseam.crop(scenes / "images", scenes / "truth", scenes / "crops", classes=scenes / "classes.csv",
                    window_px=WINDOW_PX, split=split)  # fmt: skip
    return [old / "crops", val / "crops"]


def _after(
    pool: Path, pick: Pick, others: Sequence[Path], held: Path, wanted: argparse.Namespace, seed: int
) -> Metrics:
    """Return the scores, on scenes held out, of the model that was trained on with picked windows."""
    crops, model, masks = (pool / f"{pick}-{what}" for what in ("crops", "model", "masks"))
    _picked(pool, pick, crops, wanted.windows, wanted.train_side, seed)
    for folder, share in ((crops, 2 / 3), (others[0], 1 / 3)):
        _repeat(folder / "crops.csv", round(share * wanted.steps * BATCH))
    noseam.train([crops, *others], model, base=MODEL, max_steps=wanted.steps, validate_every=wanted.steps, lr=wanted.lr,
                 seed=seed, **TRAINING)  # fmt: skip
    noseam.segment(held / "images", masks, model=str(model), tile="512", report=False)
    return _scores(held, masks)


def _repeat(index: Path, samples: int) -> None:
    """Let one epoch show the crops so often that it is the whole training: it is then validated once, at its end."""
    table = pandas.read_csv(index)
    table["repeat"] = -(-samples // len(table))
    table.to_csv(index, index=False)


def _listed(values: Sequence[float], form: str) -> str:
    return ", ".join(f"{value:{form}}" for value in values)


if __name__ == "__main__":
    main()
