"""Judge what engines computed: against PyTorch in fp32, and against the truth of the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from segment.doctor.apart import try_out
from segment.doctor.fact import Fact, State
from segment.doctor.place import Trial, places

EXACT = frozenset({"fp32", "tf32"})
AGREE_EXACT, AGREE_ROUNDED, AGREE_AT_ALL = 0.999, 0.99, 0.95
"""Shares of labels that are to be those of PyTorch in fp32: in fp32 and tf32; in bf16 and fp16; in any precision."""
LEAST_RIGHT = 0.9
"""Share of labels that are to be right; the bundled model has 0.96 on this scene."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one engine in one precision, and how good that is."""

    trial: Trial
    """What came of it."""
    state: State
    """How good that is."""
    advice: str = ""
    """What helps; empty where nothing need be done."""
    agreement: float | None = None
    """Share of its labels that are those of the reference; None where either did not run."""
    right: float | None = None
    """Share of its labels that are right; None where it did not run."""


def verdicts(progress: Callable[[int, int], None]) -> list[Fact | Verdict]:
    """Return what only loaded engines know, and a verdict on each engine and precision."""
    found, truth = try_out(places(), progress)
    trials = [each for each in found if isinstance(each, Trial)]
    return [*(each for each in found if isinstance(each, Fact)), *judge(trials, truth)]


def judge(trials: Sequence[Trial], truth: NDArray[np.uint8]) -> list[Verdict]:
    """Return a verdict on each trial; the reference is PyTorch in fp32, or else the first that ran."""
    running = [trial for trial in trials if trial.labels is not None]
    in_order = sorted(running, key=lambda trial: (trial.name != "torch cpu fp32", trial.precision not in EXACT))
    reference = in_order[0].labels if in_order else None
    return [_judged(trial, reference, truth) for trial in trials]


def _judged(trial: Trial, reference: NDArray[np.uint8] | None, truth: NDArray[np.uint8]) -> Verdict:
    if trial.labels is None or reference is None:
        return Verdict(trial, *_of_failure(trial))
    agreement, right = _share(trial.labels, reference), _share(trial.labels, truth)
    return Verdict(trial, *_of_shares(trial, agreement, right), agreement, right)


def _share(labels: NDArray[np.uint8], others: NDArray[np.uint8]) -> float:
    return float(np.mean(labels == others)) if labels.shape == others.shape else 0.0


def _of_shares(trial: Trial, agreement: float, right: float) -> tuple[State, str]:
    expected = AGREE_EXACT if trial.precision in EXACT else AGREE_ROUNDED
    if right < LEAST_RIGHT or agreement < AGREE_AT_ALL:
        return "bad", f"it computes other labels than it should: do without it{_instead(trial)}, and please report it"
    if agreement < expected:
        return "look", f"at least {100 * expected:g} % of labels should agree; please report it"
    if trial.notes:
        return "look", trial.notes[0]
    return "ok", ""


def _instead(trial: Trial) -> str:
    """Return the option that takes another engine than that of a trial."""
    if trial.place.device != "cpu":
        return " (--device cpu)"
    return " (--engine torch)" if trial.place.engine == "openvino" else " (--engine openvino)"


def _of_failure(trial: Trial) -> tuple[State, str]:
    if trial.place.engine == "openvino" and find_spec("openvino") is None:
        return "look", "PyTorch runs the network instead, more slowly: pip install openvino"
    if trial.place.engine == "torch" and find_spec("torch") is None:
        return "bad", "pip install torch"
    return "bad", f"until that is mended, do without it{_instead(trial)}"
