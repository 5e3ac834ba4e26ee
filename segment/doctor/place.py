"""Where the network is tried out, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segment.engine.request import Precision
from segment.record.hardware import count_gpus

SCENE = "scene.png"
"""The picture that is tried, in the folder of the trials."""


@dataclass(frozen=True, slots=True)
class Place:
    """An engine on a device."""

    engine: Literal["openvino", "torch"]
    """What runs the network."""
    device: str
    """Where: `cpu`, or `cuda:N`."""
    precisions: tuple[Precision, ...]
    """In which arithmetic, `auto` first."""

    def __str__(self) -> str:
        return f"{self.engine} {self.device}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one engine in one precision."""

    place: Place
    """Where it ran."""
    precision: str
    """The precision that it ran in, or that was asked for where it did not run."""
    is_auto: bool
    """Whether `--precision auto` takes that."""
    error: str = ""
    """Why it did not run; empty where it did."""
    labels: NDArray[np.uint8] | None = None
    """What it says of the scene, shape (height, width); None where it did not run."""
    opened_s: float = 0.0
    """Seconds from opening the engine to the first labels."""
    megapixels_s: float = 0.0
    """Source megapixels a second, where as many images are in flight as in a run."""
    notes: tuple[str, ...] = ()
    """Warnings that came meanwhile."""

    @property
    def name(self) -> str:
        """Engine, device and precision."""
        return f"{self.place} {self.precision}"

    @property
    def works(self) -> bool:
        """Whether it gave labels."""
        return self.labels is not None


def places() -> list[Place]:
    """Return where the network can run: the reference first, then what `auto` takes on a CPU, then each GPU."""
    found = [Place("torch", "cpu", ("auto", "fp32")), Place("openvino", "cpu", ("auto", "fp32"))]
    for number in range(count_gpus()):
        precisions: tuple[Precision, ...] = ("auto", "fp16", "bf16", "tf32", "fp32") if number == 0 else ("auto",)
        found.append(Place("torch", f"cuda:{number}", precisions))
    return found
