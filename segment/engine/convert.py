"""Convert a checkpoint to OpenVINO's form once, check it, and keep it on disk."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segment.errors import EngineError
from segment.guard.signals import raise_if_asked
from segment.model.checkpoint import Description
from segment.model.kept import keep, kept_folder
from tiler.extra import version_of

_FORM = 3  # raised by one when the converted network changes, so that what was kept is not used
_TOLERANCE = 1e-3
_log = logging.getLogger(__name__)


def load_openvino() -> Any:
    """Return the module `openvino`, imported so that it sends nothing.

    On import OpenVINO reports its use to a web service, unless the package `openvino_telemetry` is missing. So this
    function makes it look missing.

    Raises
    ------
    EngineError
        If OpenVINO is not installed or does not load on this machine.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise EngineError(f"OpenVINO does not load: {error}") from error
    return openvino


@cache
def openvino_core() -> Any:
    """Return the one `openvino.Core` of this process.

    A core sets a stack for signal handlers in the thread that makes it, and removes the stack when it is destroyed.
    With several cores a signal may find a stack that is gone, and then kills the process (seen with 2026.4.1).

    OpenVINO's binding sets up its access to NumPy on first use. Two threads that do so at once wait for each other for
    ever (seen with 2026.4.1). So the thread that makes the core uses it here, before any other.

    Raises
    ------
    EngineError
        If OpenVINO is not installed or does not load on this machine.
    """
    openvino = load_openvino()
    core = openvino.Core()
    byte = openvino.op.Parameter(openvino.Type.u8, openvino.Shape([1]))
    as_float = openvino.opset13.convert(byte, "f32")
    core.compile_model(openvino.Model([as_float], [byte]), "CPU")({0: np.zeros(1, np.uint8)}, share_inputs=True)
    return core


def converted(description: Description, digest: str) -> Any:
    """Return a checkpoint as an OpenVINO network for single tiles of any shape: uint8 (1, 3, h, w) in, logits out.

    The first run converts it from PyTorch with its head folded, compares it with PyTorch in fp32 on two tiles
    of noise, and keeps it under the digest of the weights. It is kept in the user's cache folder, or in the folder that
    the variable `NOSEAM_CACHE` names. Later runs find it there and need no PyTorch. Where the folder cannot be
    written to, every run converts.

    Raises
    ------
    CheckpointError
        If the weights are missing, damaged or not those of the config.
    EngineError
        If it cannot be converted, or its logits differ from those of PyTorch by more than 1e-3 of the largest.
    """
    core = openvino_core()
    kept = _kept(digest)
    if is_kept(digest):
        try:
            return core.read_model(kept / "model.xml")
        except Exception as error:
            raise_if_asked()
            _log.warning("%s is damaged and made again: %s", kept, error)
            shutil.rmtree(kept, ignore_errors=True)
    _log.info("converting %s for OpenVINO, once; it is kept in %s", description.name, kept.parent)
    network = _convert(description, digest)
    try:
        with tempfile.TemporaryDirectory() as temporary:
            model = Path(temporary, "model.xml")
            load_openvino().save_model(network, model, compress_to_fp16=False)
            try:
                keep(Path(temporary), kept)
            except OSError as error:
                _log.warning("the converted network cannot be kept, so the next run converts it again: %s", error)
            # A network that was stored may differ from a fresh one in the last bits, so all runs take the stored one.
            return core.read_model(model.read_bytes(), model.with_suffix(".bin").read_bytes())
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"{description.name}: cannot be stored for OpenVINO in the folder for temporary files, which the variable "
            f"TMPDIR names: {error}"
        ) from error


def for_shape(network: Any, height: int, width: int) -> Any:
    """Return a converted network for tiles of one shape, which runs faster than one for any; it shares the weights."""
    fixed = network.clone()
    fixed.reshape([1, 3, height, width])
    return fixed


def add_offsets(network: Any, offsets: Sequence[float]) -> Any:
    """Return a converted network whose logits are larger by a constant for each class; none: the network itself.

    OpenVINO adds them with the bias of the last layer, when it compiles the network. So what is kept serves any.
    """
    if not offsets:
        return network
    openvino = load_openvino()
    logits = network.output(0).get_node().input_value(0)
    sums = openvino.opset13.add(logits, np.array(offsets, np.float32).reshape(1, -1, 1, 1))
    return openvino.Model([sums], network.get_parameters())


def is_kept(digest: str) -> bool:
    """Return whether a network was converted before, so that `converted` only reads it."""
    return (_kept(digest) / "model.xml").exists()


def _kept(digest: str) -> Path:
    return kept_folder("openvino") / f"{digest}-{version_of('openvino')}-{_FORM}"


def _convert(description: Description, digest: str) -> Any:
    import torch

    from segment.model.segmenter import NOISE_SHAPES, load_segmenter, noise

    network = load_segmenter(description, digest)
    tiles = [noise(*shape) for shape in NOISE_SHAPES]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of numbers that become constants; no size is among them
            example = torch.from_numpy(tiles[-1])
            model = load_openvino().convert_model(network, example_input=example, input=[(1, 3, -1, -1)])
        found = [_logits(model, tile) for tile in tiles]
    except Exception as error:  # OpenVINO raises RuntimeError and classes of its own
        raise EngineError(f"{description.name}: cannot be converted for OpenVINO: {error}") from error
    for tile, logits in zip(tiles, found, strict=True):
        with torch.inference_mode():
            expected = network(torch.from_numpy(tile)).numpy()
        _refuse_difference(description.name, logits, expected)
    return model


def _logits(model: Any, tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits of a tile, computed as exactly as OpenVINO can."""
    network = for_shape(model, *tile.shape[2:])
    exact = openvino_core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits: NDArray[np.float32] = exact({0: tile})[0]
    return logits


def _refuse_difference(name: str, found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    if found.shape != expected.shape:
        raise EngineError(f"{name}: OpenVINO's logits have the shape {found.shape}, PyTorch's {expected.shape}")
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference <= _TOLERANCE:
        raise EngineError(
            f"{name}: OpenVINO's logits differ from PyTorch's by {difference:.1e} of the largest; "
            f"at most {_TOLERANCE:g} expected"
        )
