"""From what was measured on a few images to the time, memory and disk of a whole run: arithmetic, no work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segment.plan.figures import TYPICAL_COMPRESSION, Calibration, Estimate, Kind, Rates
from segment.plan.survey import ImagePlan
from tiler.previews.canvas import preview_shape

_AT_ONCE = 3
"""Images that even a worker with few cores has in flight."""
_PREVIEW_BYTES, _THUMB_BYTES = 0.3, 15_000
"""Bytes for each pixel of the previews of an image, photo and masks together, and of the small picture of both."""


def kind_of(image: ImagePlan) -> Kind:
    """Return which kind an image is of."""
    outputs = [f"{output.kind} {output.format}" for output in image.outputs]
    outputs += [side.kind for output in image.outputs for side in output.sidecars if side.kind == "polygons"]
    return Kind(image.info.driver, image.info.dtype, len(image.info.interpretations), tuple(outputs))


def estimate(
    images: Sequence[ImagePlan],
    out: Path,
    calibration: Calibration | None = None,
    *,
    planning_s: float = 0.0,
    workers: int = 1,
    unknown: str = "where nothing was tried out",
) -> Estimate:
    """Return what it takes to segment images.

    Parameters
    ----------
    images : sequence of ImagePlan
        Those that are to be done; images whose masks are up to date do not belong here.
    out : Path
        The output folder; it need not be there.
    calibration : Calibration, optional
        What was measured. Without it there is neither time nor memory, and masks are compressed as is typical.
    planning_s : float
        Seconds that the run takes to read all headers.
    workers : int
        How many processes share the work, and its cores.
    unknown : str
        Why there is no calibration, if there is none.
    """
    free = free_bytes(out)
    if calibration is None or not calibration.rates:
        typical = [1 / TYPICAL_COMPRESSION] * len(images)
        if calibration is not None:
            unknown = f"because the images that were tried out failed: {calibration.failed}"
        files = _mask_bytes(images, typical), free, scratch_bytes(images, typical), _report_bytes(images)
        return Estimate(len(images), *files, unknown)
    found = {each.kind: each for each in calibration.rates}
    rates = [found.get(kind_of(image)) or calibration.rates[0] for image in images]
    working = work_s(images, rates, calibration)
    each = replace(calibration, at_once=min(calibration.at_once, max(-(-calibration.at_once // workers), _AT_ONCE)))
    return Estimate(
        images=len(images),
        mask_bytes=_mask_bytes(images, [rate.compression for rate in rates]),
        free_bytes=free,
        scratch_bytes=scratch_bytes(images, [rate.compression for rate in rates], workers * each.at_once),
        report_bytes=_report_bytes(images),
        seconds=planning_s + _startup_s(calibration, workers) + working,
        images_per_s=len(images) / working if working else 0.0,
        core_s=core_s(images, rates, calibration),
        memory_bytes=calibration.base_bytes + held_bytes(images, rates, each),
        workers=workers,
        calibration=calibration,
    )


def _startup_s(measured: Calibration, workers: int) -> float:
    """Return the seconds until all processes have the model open: several start after the one that plans."""
    rounds = 1 + -(-workers // max(measured.cores, 1)) if workers > 1 else 1
    return rounds * measured.startup_s


def work_s(images: Sequence[ImagePlan], rates: Sequence[Rates], measured: Calibration) -> float:
    """Return the seconds from the first tile to the last file.

    The slowest of four things decides: the network, the cores, the drive that is read from, and the work that can only
    follow on other work of the same image. What closes the last image comes on top, because nothing runs beside it;
    that work keeps one core busy.
    """
    if not images:
        return 0.0
    closing_s = sum(image.pixels * rate.closing_s for image, rate in zip(images, rates, strict=True))
    network_s = measured.tile_s * work_of(images, rates)
    cores_s = core_s(images, rates, measured) / measured.cores
    chain_s = (network_s + closing_s) / min(measured.at_once, len(images))
    read_s = sum(image.stamp[0] for image in images) / measured.read_bytes_s
    tail_s = closing_s / len(images) * max(1 - 1 / measured.cores, 0)
    return max(network_s, cores_s, chain_s, read_s) + tail_s


def work_of(images: Sequence[ImagePlan], rates: Sequence[Rates]) -> float:
    """Return what the network has to do, in tiles of the size that it was trained at."""
    return sum(image.work * rate.tiles_run for image, rate in zip(images, rates, strict=True))


def core_s(images: Sequence[ImagePlan], rates: Sequence[Rates], measured: Calibration) -> float:
    """Return the core seconds of the network and of all else."""
    beside = sum(image.pixels * rate.core_s for image, rate in zip(images, rates, strict=True))
    return measured.tile_core_s * work_of(images, rates) + beside


def held_bytes(images: Sequence[ImagePlan], rates: Sequence[Rates], measured: Calibration) -> int:
    """Return the most bytes that the images in flight hold together; an image above the limit of a run runs alone."""
    each = sorted(
        (
            ((claimed := image.working_bytes(measured.classes)), claimed * rate.memory)
            for image, rate in zip(images, rates, strict=True)
        ),
        reverse=True,
    )[: measured.at_once]
    said = held = 0.0
    for claimed, found in each:
        if said and said + claimed > measured.most_bytes:
            break
        said, held = said + claimed, held + found
    return round(held)


def scratch_bytes(images: Sequence[ImagePlan], compressions: Sequence[float], at_once: int = 1) -> int:
    """Return the most bytes of files that are there only while masks are made, for so many images at a time."""
    each = (image.scratch_bytes * compression for image, compression in zip(images, compressions, strict=True))
    return round(sum(sorted(each, reverse=True)[:at_once]))


def _mask_bytes(images: Sequence[ImagePlan], compressions: Sequence[float]) -> int:
    return round(sum(image.output_bytes * each for image, each in zip(images, compressions, strict=True)))


def _report_bytes(images: Sequence[ImagePlan]) -> int:
    shapes = [preview_shape(image.grid.model_shape) for image in images if image.shown]
    return round(sum(_PREVIEW_BYTES * height * width + _THUMB_BYTES for height, width in shapes))


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free where a folder is, or will be."""
    return shutil.disk_usage(_standing(folder)).free


def is_writable(folder: Path) -> bool:
    """Return whether a folder can be written to, or made; as far as can be told without writing."""
    return os.access(_standing(folder), os.W_OK)


def _standing(folder: Path) -> Path:
    """Return the folder, or the first above it that is there."""
    return next((path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()), Path())
