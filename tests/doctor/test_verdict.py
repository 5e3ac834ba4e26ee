"""Engines are judged by their labels, and one that fails costs itself alone."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from segment.doctor import apart
from segment.doctor.apart import _run
from segment.doctor.examine import Examination
from segment.doctor.fact import Fact
from segment.doctor.place import Place, Trial
from segment.doctor.report import as_dict, as_lines
from segment.doctor.verdict import judge
from tests.models import NEEDS_TORCH

TORCH, OPENVINO = Place("torch", "cpu", ("auto", "fp32")), Place("openvino", "cpu", ("auto", "fp32"))
GPU = Place("torch", "cuda:0", ("auto", "fp32"))
TRUTH = np.zeros((10, 1000), np.uint8)


def labels(wrong: int) -> NDArray[np.uint8]:
    """Return labels of which so many are wrong."""
    found = TRUTH.copy()
    found.flat[:wrong] = 1
    return found


def trial(place: Place, precision: str, wrong: int | None, *, is_auto: bool = True, error: str = "") -> Trial:
    return Trial(place, precision, is_auto, error=error, labels=None if wrong is None else labels(wrong),
                 megapixels_s=1.0, opened_s=2.0)  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "wrong", "state"),
    [("fp32", 10, "ok"), ("fp32", 11, "look"), ("bf16", 100, "ok"), ("bf16", 101, "look"), ("bf16", 501, "bad")],
)
def test_labels_are_held_against_those_of_pytorch(precision: str, wrong: int, state: str) -> None:
    reference, found = judge([trial(TORCH, "fp32", 0), trial(OPENVINO, precision, wrong)], TRUTH)
    assert (reference.state, reference.agreement, reference.right) == ("ok", 1.0, 1.0)
    assert found.state == state
    assert found.agreement == 1 - wrong / TRUTH.size
    assert bool(found.advice) == (state != "ok")


def test_a_reference_that_computes_nonsense_is_bad() -> None:
    (found,) = judge([trial(TORCH, "fp32", 1001)], TRUTH)
    assert (found.state, found.agreement) == ("bad", 1.0)


def test_where_pytorch_fails_another_exact_engine_is_the_reference() -> None:
    failed, rounded, exact = judge(
        [trial(TORCH, "auto", None, error="no torch"), trial(OPENVINO, "bf16", 50),
         trial(OPENVINO, "fp32", 0, is_auto=False)], TRUTH,
    )  # fmt: skip
    assert (failed.state, failed.agreement) == ("bad", None)
    assert exact.agreement == 1.0
    assert rounded.agreement == 1 - 50 / TRUTH.size


@NEEDS_TORCH  # or the advice is to install it
def test_the_text_says_what_auto_takes_and_has_80_columns() -> None:
    verdicts = judge(
        [
            trial(TORCH, "fp32", 0),
            trial(OPENVINO, "bf16", 0),
            trial(GPU, "auto", None, error="the driver is too old " * 9),
        ],
        TRUTH,
    )
    found = Examination((Fact("machine", "cores", "2 " * 60, "look", "more of them"),), tuple(verdicts))
    lines = "\n".join(as_lines(found)).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join("\n".join(lines).split())
    assert "Segmenting works here. Unless told otherwise, noseam takes torch cuda:0 auto." in text
    assert text.endswith("1 bad and 1 to look at, each with what helps.")
    assert "do without it (--device cpu)" in text
    assert as_dict(found)["engines"][2]["error"].startswith("the driver is too old")
    cpu = Examination((), tuple(verdicts[:2]))
    assert as_dict(cpu)["auto"] == "openvino cpu bf16"
    assert "All is well." in list(as_lines(cpu))
    assert "Segmenting does not work here" in "\n".join(as_lines(Examination((), (verdicts[2],))))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("pass", ""),
        ("raise ImportError('no libtorch')", "ImportError: no libtorch"),
        ("import sys; sys.exit(7)", "its process ended with exit code 7"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
            "its process was ended by SIGILL: the processor lacks an instruction that it was built with",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals"),
        ),
    ],
)
def test_a_process_that_ends_says_why(code: str, why: str) -> None:
    assert _run([sys.executable, "-c", code], b"", 30) == why


def test_a_process_that_hangs_is_ended() -> None:
    assert _run([sys.executable, "-c", "import time; time.sleep(60)"], b"", 0.3) == "no answer in 0 s"


def test_what_came_before_a_crash_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = trial(OPENVINO, "bf16", 0)

    def run(command: list[str], given: bytes, seconds: float) -> str:
        (Path(command[-1]) / "result-0").write_bytes(pickle.dumps(done))
        return "its process was ended by SIGSEGV"

    monkeypatch.setattr(apart, "_run", run)
    kept, failed = apart._in_child(OPENVINO, np.zeros((8, 8, 3), np.uint8), 5)
    assert isinstance(kept, Trial)
    assert isinstance(failed, Trial)
    assert (kept.works, kept.precision) == (True, "bf16")
    assert (failed.works, failed.precision, failed.is_auto) == (False, "others", False)


@NEEDS_TORCH
def test_a_pytorch_without_cuda_is_told_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from segment.doctor.trial import about_gpu

    monkeypatch.setattr(torch.version, "cuda", None)
    found = about_gpu("cuda:0")
    assert (found.state, found.value) == ("look", f"PyTorch {torch.__version__} is built without CUDA")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = about_gpu("cuda:0")
    assert (found.state, "(CUDA 12.8) cannot use it" in found.value) == ("look", True)
    assert "driver" in found.advice


def test_when_the_time_is_over_engines_are_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "BUDGET_S", 0.0)
    monkeypatch.setattr(apart, "SHAPE", (64, 64))
    told: list[tuple[int, int]] = []
    found, truth = apart.try_out([TORCH, GPU], lambda done, total: told.append((done, total)))
    assert [each.error for each in found if isinstance(each, Trial)] == ["there was no time left for it"] * 2
    assert (truth.shape, told) == ((64, 64), [(1, 2), (2, 2)])
