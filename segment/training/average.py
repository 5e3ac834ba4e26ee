"""The running mean of a network's weights, which is often a better model than the last weights are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback

from segment.errors import CheckpointError

FILE = "mean.safetensors"
"""The file of a mean in a checkpoint of the Trainer."""


class Average(TrainerCallback):  # type: ignore[misc]
    """The exponential mean of all weights and statistics of a network, taken after every step.

    The mean keeps `decay` of itself with each step, at first less: `(1 + step) / (10 + step)`, so that random first
    weights are soon forgotten.

    Parameters
    ----------
    decay : float
        Above 0, below 1.
    resumed : Path or None
        The checkpoint of the Trainer that the training goes on from, with its mean.
    """

    def __init__(self, decay: float, resumed: Path | None) -> None:
        self._decay = decay
        self._resumed = resumed
        self._live: dict[str, Tensor] = {}
        self._mean: dict[str, Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, model: nn.Module, **_: Any) -> None:
        """Begin with the weights that are there, or with the mean of the checkpoint."""
        self._live = model.state_dict()  # views of what the optimizer changes
        stored = {} if self._resumed is None else read_mean(self._resumed)
        self._mean = {
            name: stored.get(name, tensor).to(tensor.device, copy=True) for name, tensor in self._live.items()
        }

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the weights of a step into the mean."""
        keep = min(self._decay, (1 + state.global_step) / (10 + state.global_step))
        floats = [name for name, tensor in self._live.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self._mean[name] for name in floats], [self._live[name] for name in floats], 1 - keep)
        for name in self._live.keys() - set(floats):
            self._mean[name].copy_(self._live[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network be its mean for a while; afterwards it has its own weights again, bit for bit."""
        if torch.distributed.is_initialized():  # statistics of batches differ between processes
            for tensor in self._mean.values():
                torch.distributed.broadcast(tensor, 0)
        own = {name: tensor.clone() for name, tensor in self._live.items()}
        self._fill(self._mean)
        try:
            yield
        finally:
            self._fill(own)

    def write(self, checkpoint: Path) -> None:
        """Write the mean into a checkpoint of the Trainer."""
        save_file({name: tensor.contiguous() for name, tensor in self._mean.items()}, checkpoint / FILE)

    def _fill(self, source: dict[str, Tensor]) -> None:
        for name, tensor in self._live.items():
            tensor.copy_(source[name])


def read_mean(checkpoint: Path) -> dict[str, Tensor]:
    """Return the mean of a checkpoint of the Trainer, by the names of the network, on the CPU.

    Raises
    ------
    CheckpointError
        If it is not there or cannot be read.
    """
    path = checkpoint / FILE
    try:
        mean: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: the mean of the weights cannot be read ({error}); "
            f"delete {checkpoint} to go back to the state before it"
        ) from error
    return mean
