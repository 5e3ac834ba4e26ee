"""Choose what blends and labels on a device: kernels where they give what tensor operations give, else these."""

from __future__ import annotations

import atexit
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from segment.engine.device_arithmetic import Arithmetic, Axis, on_device
from segment.engine.device_tensors import Tensors
from segment.guard.signals import raise_if_asked
from segment.model.kept import kept_folder
from tiler.grid.tiles import LOGITS_STRIDE
from tiler.stitch.upsample import sample_points

_DEVICES = 16
_CELLS = 5, 24, 40
"""Classes, rows and columns of a trial."""
_SOURCE = 130, 203
"""Source rows and columns of a trial."""
_TEMPERATURE = 1.5
"""Of a trial."""
_CLOSE = 1e-5
"""Sums may differ by this part, because a kernel rounds once where tensor operations round twice."""
_TIES = 1e-3
"""So many labels may differ."""
_MOST_LETTERS = 200
"""Letters of a compiler's message that the log takes."""
_log = logging.getLogger(__name__)


@lru_cache(_DEVICES)
def arithmetic(device: torch.device) -> Arithmetic:
    """Return what blends and labels on a device; all images of this process share it.

    On CUDA that is kernels, and tensor operations where there is no Triton, or where a kernel does not compile, run
    or give the same. A warning says why then, once.
    """
    return Judged(_kernels, device) if device.type == "cuda" else Tensors()


def _kernels() -> Arithmetic:
    _keep_compiled()
    from segment.engine.device_kernels import Kernels  # only here: not every system has Triton

    return Kernels()


def _keep_compiled() -> None:
    """Let Triton keep compiled kernels in noseam's cache folder, unless the user named one for it.

    Triton compiles into a folder only. By itself it takes one in the home folder, which a service may not have. Where
    the cache folder cannot be written to, it gets a temporary one.
    """
    if {"TRITON_CACHE_DIR", "TRITON_HOME"} & os.environ.keys():
        return
    folder = kept_folder("triton")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="noseam-triton-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["TRITON_CACHE_DIR"] = str(folder)


class Judged:
    """Arithmetic by kernels. Before a kernel is first used tensor operations judge it, and replace it if it fails.

    Parameters
    ----------
    load : callable
        Returns the kernels; ImportError: there are none.
    device : torch.device
        Where they run.
    """

    def __init__(self, load: Callable[[], Arithmetic], device: torch.device) -> None:
        self._load, self._device = load, device
        self._chosen: Arithmetic | None = None
        self._judge = Tensors()
        self._passed: set[object] = set()
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What is used so far."""
        return "nothing yet" if self._chosen is None else self._chosen.name

    def blend(self, sums: Tensor, logits: Tensor, weights: Tensor, unusable: Tensor, *, counter: int) -> None:
        """Add one tile."""
        kind = logits.dtype, logits.stride(0) == 1 != logits.stride(2)  # each has a kernel of its own
        if kind not in self._passed:
            self._try(kind, partial(_blended, self._device, *kind), _refuse_sums)
        self._fit.blend(sums, logits, weights, unusable, counter=counter)

    def label(
        self, sums: Tensor, rows: Axis, cols: Axis, masks: Tensor, *, top: int, first: int, temperature: float = 1.0
    ) -> None:
        """Fill the masks of some source rows."""
        rated = len(masks) == 2
        if rated not in self._passed:
            self._try(rated, partial(_labelled, self._device, rated), _refuse_masks)
        self._fit.label(sums, rows, cols, masks, top=top, first=first, temperature=temperature)

    @property
    def _fit(self) -> Arithmetic:
        return self._chosen or self._judge

    def _try(self, kind: object, run: Callable[[Arithmetic], list[Tensor]], refuse: Callable[..., None]) -> None:
        """Choose the kernels if one of them does what the judge does; else choose the judge, once and for all."""
        with self._lock:
            if kind in self._passed:
                return
            self._chosen = self._chosen or self._loaded()
            if self._chosen is not self._judge:
                try:
                    refuse(run(self._chosen), run(self._judge))
                except torch.OutOfMemoryError:
                    raise
                except Exception as error:  # compilers and drivers raise anything
                    raise_if_asked()
                    self._give_up(error)
            self._passed.add(kind)

    def _loaded(self) -> Arithmetic:
        try:
            return self._load()
        except ImportError as error:
            _log.info("%s: labels are made by %s, because Triton is missing: %s", self._device, self._judge.name, error)
            return self._judge

    def _give_up(self, error: Exception) -> None:
        self._chosen = self._judge
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        _log.warning(
            "%s: labels are made by %s, which is slower, because a kernel failed: %s",
            self._device, self._judge.name, reason[:_MOST_LETTERS],
        )  # fmt: skip


def _blended(device: torch.device, dtype: torch.dtype, last: bool, which: Arithmetic) -> list[Tensor]:
    """Return the sums and the counts of one random tile, of which two logits are unusable."""
    classes, height, width = _CELLS
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(height, width, classes, generator=random).permute(2, 0, 1)
    logits[0, 1, 2], logits[1, 2, 3] = math.nan, math.inf
    weights = torch.rand(height, width, generator=random).to(device)
    sums = torch.ones(classes + 1, height + 2, width + 8, device=device)
    unusable = torch.zeros(3, dtype=torch.int64, device=device)
    logits = (logits if last else logits.contiguous()).to(device, dtype)
    which.blend(sums[:, 1 : 1 + height, 8:], logits, weights, unusable, counter=1)
    return [sums, unusable]


def _refuse_sums(found: list[Tensor], expected: list[Tensor]) -> None:
    if not torch.allclose(found[0], expected[0], rtol=_CLOSE, atol=_CLOSE, equal_nan=True):
        raise ArithmeticError("blended logits differ")
    if not torch.equal(found[1], expected[1]):
        raise ArithmeticError(f"{found[1].tolist()} unusable logits were counted, {expected[1].tolist()} expected")


def _labelled(device: torch.device, rated: bool, which: Arithmetic) -> list[Tensor]:
    """Return the masks of random sums; some cells have no weight."""
    classes, height, width = _CELLS
    random = torch.Generator().manual_seed(0)
    sums = torch.randn(classes + 1, height, width, generator=random)
    sums[-1] = torch.rand(height, width, generator=random) + 0.1
    sums[:, height // 2 :, : width // 2] = 0
    rows, cols = (_axis(device, *lengths) for lengths in zip(_SOURCE, (height, width), strict=True))
    masks = torch.zeros(1 + rated, _SOURCE[0] - 3, _SOURCE[1], dtype=torch.uint8, device=device)
    which.label(sums.to(device), rows, cols, masks, top=0, first=2, temperature=_TEMPERATURE)
    return [masks]


def _axis(device: torch.device, source: int, cells: int) -> Axis:
    lower, fraction = sample_points(source=source, model=LOGITS_STRIDE * cells, cells=cells)
    return on_device(device, lower), on_device(device, fraction)


def _refuse_masks(found: list[Tensor], expected: list[Tensor]) -> None:
    """Refuse labels that differ, but for a few at ties, and confidence that differs by more than one level."""
    (found_masks,), (expected_masks,) = found, expected
    share = (found_masks[0] != expected_masks[0]).float().mean().item()
    if share > _TIES:
        raise ArithmeticError(f"{share:.1%} of the labels differ")
    if len(found_masks) == 2 and (found_masks[1].int() - expected_masks[1].int()).abs().max() > 1:
        raise ArithmeticError("confidence differs by more than one level")
