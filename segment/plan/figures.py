"""What was measured before a run, and what that says of the run: values, no work."""

from __future__ import annotations

from dataclasses import dataclass

TYPICAL_COMPRESSION = 20
"""Pixels of a mask per byte of its file where nothing was tried out; smooth masks have more, noisy ones a quarter."""

_TIMES = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_BYTES = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3))


@dataclass(frozen=True, slots=True)
class Kind:
    """What decides, besides its size, how much work an image is and how large its files are."""

    driver: str
    """What reads it: JPEG, PNG or GTiff."""
    dtype: str
    """Type of its samples."""
    channels: int
    """How many it has."""
    outputs: tuple[str, ...]
    """What is written, in words such as `label png`."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What images of one kind cost, as measured on some of them."""

    kind: Kind
    """Which images."""
    tiles_run: float
    """Fraction of their tiles that hold a valid pixel, and so are run."""
    core_s: float
    """Core seconds for each source pixel, the network aside."""
    closing_s: float
    """Seconds for each source pixel from the last label until the files have their names."""
    compression: float
    """Bytes of files, for each byte of the masks before compression."""
    memory: float
    """Most bytes that the work on images held, for each byte that `ImagePlan.working_bytes` says."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a few seconds of the real work showed."""

    engine: str
    """Engine, device and precision."""
    samples: int
    """How many images were tried out, whole or in part."""
    startup_s: float
    """Seconds that a process takes beside its work: to start, to load what it needs, to end."""
    tile_s: float
    """Seconds for a tile of the size that the network was trained at, while the device has nothing else to do."""
    tile_core_s: float
    """Core seconds for such a tile; about nothing where a GPU runs the network."""
    cores: float
    """Cores that were to be had: fewer than there are where other programs were busy."""
    cores_in_all: int
    """Cores that this process may use."""
    read_bytes_s: float
    """Bytes a second that the files of images were read at."""
    base_bytes: int
    """Resident memory of the process with its engine, before the first image."""
    classes: int
    """Number of the model's classes."""
    at_once: int
    """Images that a run works on at a time."""
    most_bytes: int
    """Most bytes that a run lets these images hold together."""
    rates: tuple[Rates, ...]
    """One for each kind that was tried out with success."""
    failed: str = ""
    """Why the first image that failed did so; empty if none did."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run takes."""

    images: int
    """Images that it will work on."""
    mask_bytes: int
    """Bytes of all its files, after compression."""
    free_bytes: int
    """Bytes that are free where they go."""
    scratch_bytes: int = 0
    """Most bytes of the files that are there only while masks are made."""
    report_bytes: int = 0
    """Bytes of the previews for the report, as is typical."""
    unknown: str = ""
    """Why time and memory are not known, such as `without --model`; empty where they are."""
    seconds: float | None = None
    """From its start to its end."""
    images_per_s: float = 0.0
    """Images a second, start-up aside."""
    core_s: float | None = None
    """Core seconds of all its threads, start-up aside."""
    memory_bytes: int | None = None
    """Peak memory of each of its processes."""
    workers: int = 1
    """How many processes share the work."""
    calibration: Calibration | None = None
    """What the figures come from; None: headers, and a typical compression."""

    @property
    def fits(self) -> bool:
        """Whether the files will have room."""
        return self.mask_bytes + self.report_bytes + self.scratch_bytes <= self.free_bytes


def about_time(seconds: float) -> str:
    """Return a duration in two figures, such as `12 minutes` or `1.5 hours`."""
    unit, size = next((each for each in _TIMES if seconds >= 1.5 * each[1]), _TIMES[-1])
    value = f"{max(seconds / size, 1):.2g}"
    return f"{value} {unit}" + ("" if value == "1" else "s")


def about_bytes(count: float) -> str:
    """Return a size in two figures, such as `9.7 MB` or `120 GB`."""
    unit, size = next((each for each in _BYTES if count >= 0.995 * each[1]), _BYTES[-1])
    value = float(f"{count / size:.2g}")
    return f"{value:g} {unit}" if value < 10 else f"{value:,.0f} {unit}"
