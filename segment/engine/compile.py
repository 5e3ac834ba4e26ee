"""Compile a network with PyTorch's compiler into a package that later runs load; a process of its own does it."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch

from segment.engine.compiled import LEAST_TILES, Wanted
from segment.engine.device import current, noise, placed
from segment.model.checkpoint import describe_checkpoint
from segment.model.network import add_offsets
from segment.model.segmenter import load_segmenter

_KINDNESS = 10
"""Added to the nice value, because the run that goes on meanwhile comes first."""
_TOOLKITS = Path("/usr/local")
_HEADER = "include/cuda.h"
_SIGNS = ("error:", "cannot find")
"""What the lines hold in which gcc and ld say what is wrong."""
_LOADED = Path("/proc/self/maps")
"""Lists the libraries that a process has loaded, on Linux."""


def main() -> None:
    """Do what `CompiledNetworks` asks on the standard input of this process."""
    wanted, shape, most, package = pickle.loads(sys.stdin.buffer.read())
    if hasattr(os, "nice"):
        os.nice(_KINDNESS)
    try:
        compile_network(wanted, shape, most, package)
    except Exception as error:
        traceback.print_exc()
        raise SystemExit(f"{type(error).__name__}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the line of a message that says most; those of C++ compilers have many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    return next((line for line in lines if any(sign in line for sign in _SIGNS)), lines[0])


def compile_network(wanted: Wanted, shape: tuple[int, int], most: int, package: Path) -> None:
    """Write a checkpoint's network as a package of AOTInductor, for batches of at most so many tiles of a shape.

    Raises
    ------
    Exception
        Whatever PyTorch's compiler raises, where it does not work on this machine.
    """
    device = torch.device(wanted.device)
    plain = load_segmenter(describe_checkpoint(str(wanted.folder)), wanted.digest)
    segmenter = add_offsets(plain, wanted.balance.offsets)
    network = placed(segmenter, device, wanted.precision)
    with current(device), torch.no_grad(), tempfile.TemporaryDirectory() as scratch:
        batch: Any = torch.export.Dim("tiles", min=LEAST_TILES, max=max(most, LEAST_TILES + 1))
        dynamic = ({0: batch},) if most > LEAST_TILES else None
        tiles = noise(*shape, device)
        assert len(tiles) == LEAST_TILES
        program = torch.export.export(network, (tiles,), dynamic_shapes=dynamic)
        if device.type == "cuda":
            _show_toolkit()
            _show_driver(Path(scratch))
        torch._inductor.aoti_compile_and_package(program, package_path=str(package))


def _show_toolkit() -> None:
    """Name the folder of CUDA's headers: of a toolkit, or those that PyTorch's packages bring.

    PyTorch guesses it from where `nvcc` lies, which may be a script in a folder of its own.
    """
    compiler = shutil.which("nvcc")
    guesses = [
        os.environ.get("CUDA_HOME"),
        os.environ.get("CUDA_PATH"),
        compiler and Path(compiler).resolve().parents[1],
    ]
    folders = [Path(guess) for guess in guesses if guess]
    folders += sorted(_TOOLKITS.glob("cuda*"), reverse=True)
    for package in sys.path:
        folders += Path(package, "nvidia").glob("cu*")
    for folder in folders:
        if (folder / _HEADER).exists():
            os.environ["CUDA_HOME"] = str(folder)
            return


def _show_driver(scratch: Path) -> None:
    """Let the linker find the driver's library, which often has no name without a version."""
    for line in _LOADED.read_text().splitlines() if _LOADED.exists() else ():
        library = Path(line.split(maxsplit=5)[-1])
        if library.name.startswith("libcuda.so"):
            (scratch / "libcuda.so").symlink_to(library)
            os.environ["LIBRARY_PATH"] = os.pathsep.join(filter(None, (str(scratch), os.environ.get("LIBRARY_PATH"))))
            return
