"""Kernels are used on a device if they give what tensor operations give; what fails is replaced, with one warning."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segment.engine import device_choice
from segment.engine.device_arithmetic import Arithmetic, Axis
from segment.engine.device_choice import Judged, arithmetic
from segment.engine.device_stitch import DeviceStitcher
from segment.engine.device_tensors import Tensors
from tests.device_work import CPU, kernels
from tiler.grid.tiles import plan_grid
from tiler.stitch.upsample import MaskRows


class Fake(Tensors):
    """Kernels that may do something wrong, and count what they are asked for."""

    name = "fakes"

    def __init__(self, spoil: Callable[[str, Tensor], None] = lambda what, result: None) -> None:
        self.spoil = spoil
        self.asked: list[str] = []

    def blend(self, sums: Tensor, logits: Tensor, weights: Tensor, unusable: Tensor, *, counter: int) -> None:
        super().blend(sums, logits, weights, unusable, counter=counter)
        self.asked.append("blend")
        self.spoil("sums", sums)
        self.spoil("unusable", unusable)

    def label(self, sums: Tensor, rows: Axis, cols: Axis, masks: Tensor, **more: Any) -> None:
        super().label(sums, rows, cols, masks, **more)
        self.asked.append("label")
        self.spoil("labels", masks[0])
        if len(masks) == 2:
            self.spoil("confidence", masks[1])


def stitched(work: Arithmetic, dtype: torch.dtype = torch.float32) -> MaskRows:
    """Return the masks of one small image of one tile."""
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    logits = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1)).to(dtype)
    (rows,) = DeviceStitcher(grid, 3, CPU, confidence=True, work=work).add(next(grid.tiles()), logits)
    return rows


def assert_right(rows: MaskRows) -> None:
    expected = stitched(Tensors())
    assert (rows.labels == expected.labels).all()
    assert rows.confidence is not None
    assert (rows.confidence == expected.confidence).all()


def test_kernels_that_pass_are_used_and_judged_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()
    judged = Judged(lambda: fake, CPU)
    assert judged.name == "nothing yet"
    for _ in range(3):
        assert_right(stitched(judged))
    assert fake.asked.count("blend") == fake.asked.count("label") == 1 + 3
    stitched(judged, torch.float16)
    assert fake.asked.count("blend") == 4 + 2  # another type of logits is another kernel
    assert fake.asked.count("label") == 4 + 1
    assert judged.name == "fakes"
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("what", "spoil", "reason"),
    [
        ("sums", lambda sums: sums.mul_(1.001), "blended logits differ"),
        ("unusable", lambda counts: counts.add_(1), "[1, 3, 1] unusable logits were counted, [0, 2, 0] expected"),
        ("labels", lambda labels: labels[0].fill_(1), "of the labels differ"),
        ("confidence", lambda levels: levels[-1].sub_(2), "confidence differs by more than one level"),
    ],
)
def test_kernels_that_give_something_else_are_replaced_with_one_warning(
    caplog: pytest.LogCaptureFixture, what: str, spoil: Callable[[Tensor], Any], reason: str
) -> None:
    fake = Fake(lambda result, tensor: spoil(tensor) if result == what else None)
    judged = Judged(lambda: fake, CPU)
    for dtype in (torch.float32, torch.float32, torch.float64):
        rows = stitched(judged, dtype)
    assert_right(rows)
    (message,) = caplog.messages
    assert message.startswith("cpu: labels are made by tensor operations, which is slower, because a kernel failed: ")
    assert reason in message
    assert fake.asked.count("blend") + fake.asked.count("label") <= 3  # asked no more once it has failed


def test_a_kernel_that_does_not_compile_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Fake):
        def label(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("Failed to find C compiler.\nand more")

    judged = Judged(Broken, CPU)
    assert_right(stitched(judged))
    assert caplog.messages[0].endswith("because a kernel failed: Failed to find C compiler.")
    assert judged.name == "tensor operations"


def test_too_little_memory_is_no_fault_of_a_kernel(caplog: pytest.LogCaptureFixture) -> None:
    class Short(Fake):
        tries = 0

        def blend(self, *arguments: Any, **more: Any) -> None:
            self.tries += 1
            if self.tries == 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().blend(*arguments, **more)

    judged = Judged(Short, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        stitched(judged)
    assert_right(stitched(judged))
    assert judged.name == "fakes"
    assert caplog.messages == []


def test_without_triton_nothing_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> Arithmetic:
        raise ModuleNotFoundError("No module named 'triton'")

    judged = Judged(load, CPU)
    with caplog.at_level("INFO"):
        assert_right(stitched(judged))
        assert_right(stitched(judged))
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert caplog.messages[0].endswith("because Triton is missing: No module named 'triton'")


def test_threads_that_come_at_once_judge_once() -> None:
    fake = Fake()
    judged = Judged(lambda: fake, CPU)
    threads = [threading.Thread(target=stitched, args=(judged,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.asked.count("blend") == fake.asked.count("label") == 1 + 6


def test_the_kernels_themselves_pass(caplog: pytest.LogCaptureFixture) -> None:
    work, device = kernels()
    judged = Judged(lambda: work, device)
    grid = plan_grid((64, 64), scale=1, tile=(64, 64), overlap=(0, 0))
    for confidence in (False, True):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            for shape, order in (((3, 16, 16), (0, 1, 2)), ((16, 16, 3), (2, 0, 1))):
                stitcher = DeviceStitcher(grid, 3, device, confidence=confidence, work=judged)
                logits = torch.ones(shape, dtype=dtype, device=device).permute(order)
                (rows,) = stitcher.add(next(grid.tiles()), logits)
                assert (rows.labels == 0).all()
    assert judged.name == "Triton kernels"
    assert caplog.messages == []


def test_a_cpu_takes_tensor_operations_and_never_triton() -> None:
    code = (
        "import sys, torch; from segment.engine.device_stitch import DeviceStitcher; "
        "from segment.engine.device_choice import arithmetic; print(arithmetic(torch.device('cpu')).name); "
        "assert 'segment.engine.device_kernels' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "tensor operations\n"
    assert arithmetic(CPU) is arithmetic(torch.device("cpu"))


def kept_in(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str | None:
    """Return where Triton keeps what it compiles, by the variables of the environment."""
    with monkeypatch.context() as patch:
        for name in ("TRITON_CACHE_DIR", "TRITON_HOME", "NOSEAM_CACHE"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        device_choice._keep_compiled()
        found = os.environ.get("TRITON_CACHE_DIR")
        os.environ.pop("TRITON_CACHE_DIR", None)
    return found


def test_compiled_kernels_are_kept_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = kept_in(monkeypatch, NOSEAM_CACHE=str(tmp_path / "cache"))
    assert found == str(tmp_path / "cache/triton")
    assert list(Path(found).iterdir()) == []


def test_a_folder_that_the_user_named_for_triton_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert kept_in(monkeypatch, TRITON_CACHE_DIR="mine", NOSEAM_CACHE=str(tmp_path)) == "mine"
    assert kept_in(monkeypatch, TRITON_HOME="mine", NOSEAM_CACHE=str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_that_can_be_written_to_kernels_go_to_a_temporary_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = kept_in(monkeypatch, NOSEAM_CACHE=str(tmp_path / "file"))
    assert found is not None
    assert Path(found).parent == tmp_path
    assert Path(found).is_dir()
