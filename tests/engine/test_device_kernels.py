"""The kernels compile for GPUs that are not here, add what was there already, and read logits where they lie.

What they give is held against the CPU in `test_device_stitch.py`. Here is what needs a GPU, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from segment.engine.device_choice import arithmetic
from segment.engine.device_return import returns
from segment.engine.device_stitch import DeviceStitcher
from segment.engine.device_tensors import Tensors
from tests.device_work import kernels
from tiler.grid.tiles import Grid, plan_grid

COMPILE = """
import sys, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from segment.engine import device_kernels as kernels

def compiled(kernel, capability, pointers, numbers, **constants):
    types = {**pointers, **dict.fromkeys(numbers.split(), "i32"), **dict.fromkeys(constants, "constexpr")}
    assert set(types) == set(kernel.arg_names)
    source = ASTSource(kernel, {name: types[name] for name in kernel.arg_names}, constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4}).asm["cubin"]

floats = {"sums": "*fp32", "weights": "*fp32", "unusable": "*i64"}
axes = {"row_lower": "*i64", "row_fraction": "*fp32", "col_lower": "*i64", "col_fraction": "*fp32", "masks": "*u8"}
for capability in (80, 90):
    for dtype in ("fp16", "bf16", "fp32"):
        for last in (False, True):
            code = compiled(
                kernels.blend_tile, capability, {**floats, "logits": "*" + dtype},
                "classes width plane line row_step step counter", last=last,
                ids_at_once=kernels._BLOCK_IDS, cells_at_once=kernels._BLOCK_CELLS,
            )
            print(capability, dtype, last, len(code) > 1000)
    for rated in (False, True):
        code = compiled(
            kernels.label_lines, capability, {"sums": "*fp32", "temperature": "fp32", **axes},
            "classes plane line top first rows width", rated=rated,
            rows_at_once=kernels._BLOCK_ROWS, cols_at_once=kernels._BLOCK_COLS,
        )
        print(capability, rated, len(code) > 1000)
"""


def test_kernels_compile_for_gpus_that_are_not_here() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, check=True, capture_output=True, text=True
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 16
    assert all(line.endswith("True") for line in lines)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_logits_are_read_where_they_lie_and_added_to_what_was_there(order: tuple[int, int, int]) -> None:
    work, device = kernels()
    shape = [0, 0, 0]
    for place, side in zip(order, (5, 24, 40), strict=True):
        shape[place] = side
    logits = torch.randn(4, *shape, device=device)[2].permute(order)  # one of a batch
    assert logits.shape == (5, 24, 40)
    sums = torch.randn(6, 30, 300, device=device)
    weights, unusable = torch.rand(24, 40, device=device), torch.zeros(4, dtype=torch.int64, device=device)
    expected = sums.clone()
    expected[:-1, 3:27, 256:296] += logits * weights
    expected[-1, 3:27, 256:296] += weights
    work.blend(sums[:, 3:27, 256:296], logits, weights, unusable, counter=3)
    torch.testing.assert_close(sums, expected)
    assert unusable.tolist() == [0, 0, 0, 0]


def cuda(count: int = 1) -> torch.device:
    """Return the last of so many CUDA devices, so that the current one is another where there are two."""
    if torch.cuda.device_count() < count:
        pytest.skip(f"fewer than {count} CUDA devices")
    return torch.device("cuda", count - 1)


GRID = plan_grid((700, 900), scale=0.5, tile=(128, 128), overlap=(32, 32))


def batches(grid: Grid, classes: int, device: torch.device, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield random logits of all tiles, each a slice of a batch in channels-last order, as the network leaves them."""
    height, width = (side // 4 for side in grid.tile_shape)
    generator = torch.Generator(device).manual_seed(0)
    for _ in range(0, len(grid), 4):
        batch = torch.randn(4, height, width, classes, device=device, generator=generator).to(dtype)
        yield from batch.permute(0, 3, 1, 2)


def masks(
    device: torch.device, classes: int, dtype: torch.dtype, work: Tensors | None = None
) -> list[NDArray[np.uint8]]:
    """Return labels and confidence of one image."""
    stitcher = DeviceStitcher(GRID, classes, device, confidence=True, work=work)
    rows = [
        rows
        for tile, logits in zip(GRID.tiles(), batches(GRID, classes, device, dtype), strict=False)
        for rows in stitcher.add(tile, logits)
    ]
    sure = [each.confidence for each in rows if each.confidence is not None]
    return [np.concatenate([each.labels for each in rows]), np.concatenate(sure)]


def assert_alike(found: list[NDArray[np.uint8]], expected: list[NDArray[np.uint8]]) -> None:
    assert found[0].shape == GRID.source_shape
    assert (found[0] != expected[0]).mean() < 1e-4
    assert np.abs(found[1].astype(int) - expected[1]).max() <= 1


@pytest.mark.gpu
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("classes", [1, 24, 150])
def test_cuda_kernels_are_chosen_and_give_what_tensors_give(
    caplog: pytest.LogCaptureFixture, classes: int, dtype: torch.dtype, count: int
) -> None:
    device = cuda(count)
    torch.cuda.set_device(0)
    assert_alike(masks(device, classes, dtype), masks(device, classes, dtype, Tensors()))
    assert arithmetic(device).name == "Triton kernels", caplog.messages
    assert caplog.messages == []


@pytest.mark.gpu
def test_cuda_threads_stitch_at_once() -> None:
    device = cuda()
    expected = masks(device, 24, torch.float16, Tensors())
    found: list[list[NDArray[np.uint8]]] = []
    threads = [threading.Thread(target=lambda: found.append(masks(device, 24, torch.float16))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for each in found:
        assert_alike(each, expected)


def host_memory() -> list[int | None]:
    """Return how often PyTorch made pinned memory, as far as this release says."""
    stats: dict[str, int] = getattr(torch.cuda, "host_memory_stats", dict)()
    return [stats.get(key) for key in ("num_host_alloc", "segment.allocated")]


@pytest.mark.gpu
def test_cuda_makes_no_pinned_memory_after_the_first_image() -> None:
    device = cuda()
    masks(device, 24, torch.float16)
    buffers = returns(device)._buffers
    made, free = buffers._left, len(buffers._free)
    before = host_memory()
    for _ in range(3):
        masks(device, 24, torch.float16)
    assert buffers._left == made
    assert len(buffers._free) == free
    assert host_memory() == before


@pytest.mark.gpu
def test_cuda_sums_of_more_than_2_31_numbers() -> None:
    device, work = cuda(), arithmetic(cuda())
    classes, rows, width = 70, 17, 2_000_000
    if torch.cuda.mem_get_info(device)[0] < 12 * 2**30:
        pytest.skip("less than 12 GiB of free memory")
    sums = torch.zeros(classes + 1, rows, width, device=device)
    assert sums.numel() > 2**31
    logits = torch.randn(classes, 16, 16, device=device)
    weights, unusable = torch.ones(16, 16, device=device), torch.zeros(1, dtype=torch.int64, device=device)
    work.blend(sums[:, 1:, -16:], logits, weights, unusable, counter=0)
    torch.testing.assert_close(sums[:-1, 1:, -16:], logits)
    axis = torch.arange(15, device=device), torch.full((15,), 0.5, device=device)
    last = axis[0] + width - 16, axis[1]
    found, expected = (torch.zeros(2, 15, 15, dtype=torch.uint8, device=device) for _ in range(2))
    work.label(sums[:, 1:], axis, last, found, top=0, first=0)
    Tensors().label(sums[:, 1:, -16:].clone(), axis, axis, expected, top=0, first=0)
    assert torch.equal(found[0], expected[0])
    assert (found[1].int() - expected[1].int()).abs().max() <= 1
