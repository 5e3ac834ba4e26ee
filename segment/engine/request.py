"""What a user can ask of the engine that runs the network; standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from segment.errors import RequestError
from tiler.option import check, option

EngineKind = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
WhenToCompile = Literal["auto", "always", "never"]
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What runs the network, where, and how."""

    device: str = option("auto", "The network runs on this device.", unit="auto|cpu|cuda[:N]", group="model")
    engine: EngineKind = option(
        "auto", "This library runs the network; auto: OpenVINO on the CPU, PyTorch on CUDA.", group="model"
    )
    precision: Precision = option(
        "auto",
        "The network computes in this arithmetic; auto: fp16 on CUDA, bf16 on a CPU that has it, else fp32. On CUDA, "
        "tf32 is fp32 with rounded factors.",
        group="model",
    )
    compile: WhenToCompile = option(
        "auto",
        "PyTorch's compiler makes the network faster, once, for later runs too; auto: on CUDA, beside a run, once that "
        "took 20 s of the device's time.",
        group="model",
    )
    batch_size: int | None = option(
        None,
        "PyTorch takes at most TILES tiles at once; OpenVINO takes one per core.",
        unit="TILES",
        shown="4 on the CPU, 32 on CUDA",
        least=1,
        group="model",
    )
    threads: int | None = option(
        None,
        "The network uses CORES cores; fewer leave room for other work on the machine.",
        unit="CORES",
        shown="all",
        least=1,
        group="model",
    )

    def __post_init__(self) -> None:
        check(self, RequestError)
        if not _DEVICE.fullmatch(self.device):
            raise RequestError(f"device: auto, cpu, cuda or cuda:N expected, such as cuda:1; {self.device!r:.80} found")
        if self.engine == "openvino" and self.device not in {"auto", "cpu"}:
            raise RequestError(f"engine: openvino runs on the CPU, and device is {self.device}; torch runs there")
        if self.precision in {"fp16", "tf32"} and self.device == "cpu":
            raise RequestError(
                f"precision: {self.precision} needs a CUDA device, and device is cpu; fp32 and bf16 run there"
            )
