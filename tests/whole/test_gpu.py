"""Whole runs on CUDA: labels by precision, too little memory, values beyond float16, a lost device, several at once.

Most have a counterpart on the CPU, so that what they expect is known to be right. On CUDA the last bits of logits
depend on the batch, so labels may differ where two classes tie.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image

from tests.grids import squares
from tests.models import checkpoint_folder, overflowing
from tests.runs import MANIFEST, exit_code, make_survey, noseam, run
from tiler.scenes.request import SceneOptions
from tiler.scenes.survey import make_survey as make_scenes

ON_BOTH = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
Exact = tuple[Path, dict[str, tuple[str, Path]]]
TIES = 0.9999
"""Share of labels that are equal where logits differ in their last bits."""


@pytest.fixture(autouse=True)
def _no_cuda_no_test(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_folder(tmp_path_factory.mktemp("nano"), classes=3, tiling=squares(64, 64))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that take eight tiles of 64 each."""
    return make_survey(tmp_path_factory.mktemp("survey") / "all", photos=5, rasters=0, height=100, width=200)


def segment(survey: Path, out: Path, model: object, device: str, *more: object) -> Result:
    """Segment with PyTorch; every image is done."""
    command = "segment", survey, "--out", out, "--model", model, "--engine", "torch", "--device", device
    result = noseam(*command, "--format", "png", *more)
    assert result.exit_code == 0, result.output
    return result


def labels(out: Path) -> NDArray[np.uint8]:
    """Return the labels of all masks in a folder, one after another."""
    found = []
    for path in sorted(out.rglob("*_label.png")):
        with Image.open(path) as mask:
            found.append(np.asarray(mask).ravel())
    assert found
    return np.concatenate(found)


def equal(out: Path, other: Path) -> float:
    return float((labels(out) == labels(other)).mean())


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Exact:
    """A made-up photo, and for each kind of model what it is called, and its masks by PyTorch in fp32 on the CPU."""
    folder = tmp_path_factory.mktemp("exact")
    make_scenes(folder, SceneOptions(photos=1, photo_shape=(2048, 3072), orthomosaics=0, seed=77))
    random = checkpoint_folder(folder / "b0", classes=24, tiling=squares(1024, 512), size="b0")
    models = {"random": (str(random), folder / "of random"), "bundled": ("demo", folder / "of bundled")}
    for model, masks in models.values():
        segment(folder / "images", masks, model, "cpu", "--precision", "fp32", "--tile", 512)
    return folder / "images", models


@pytest.mark.parametrize(
    ("model", "device", "precision", "least"),
    [
        ("random", "cpu", "bf16", 0.96),
        ("bundled", "cpu", "bf16", 0.999),
        *(
            pytest.param(*case, marks=pytest.mark.gpu)
            for case in (
                ("random", "cuda", "fp32", 0.9999),
                ("random", "cuda", "tf32", 0.999),
                ("random", "cuda", "fp16", 0.999),
                ("random", "cuda", "bf16", 0.993),
                ("random", "cuda", "auto", 0.999),
                ("bundled", "cuda", "fp32", 0.9999),
                ("bundled", "cuda", "fp16", 0.9995),
                ("bundled", "cuda", "bf16", 0.999),
                ("bundled", "cuda", "auto", 0.9995),
            )
        ),
    ],
)
def test_labels_are_those_of_fp32_on_the_cpu(
    exact: Exact, tmp_path: Path, model: str, device: str, precision: str, least: float
) -> None:
    pictures, models = exact
    checkpoint, masks = models[model]
    segment(pictures, tmp_path, checkpoint, device, "--precision", precision, "--tile", 512)
    share = equal(tmp_path, masks)
    print(f"{model} {device} {precision}: {share:.4%} equal")
    assert share >= least


@pytest.mark.parametrize("device", ON_BOTH)
def test_several_images_at_once_get_the_masks_of_one_alone(
    survey: Path, nano: Path, tmp_path: Path, device: str
) -> None:
    segment(survey, tmp_path / "all", nano, device, "--precision", "fp32")
    for photo in survey.glob("*.jpg"):
        segment(photo, tmp_path / "alone", nano, device, "--precision", "fp32", "--batch-size", 1)
    share = equal(tmp_path / "all", tmp_path / "alone")
    assert share == 1 if device == "cpu" else share >= TIES


@pytest.mark.parametrize(
    ("device", "asked", "told"),
    [
        ("cpu", "bf16", ""),
        pytest.param("cuda", "auto", "so it computes in bf16", marks=pytest.mark.gpu),
        pytest.param("cuda", "fp16", "computed again in bf16", marks=pytest.mark.gpu),
    ],
)
def test_a_network_beyond_float16_is_run_in_bfloat16(
    survey: Path, nano: Path, tmp_path: Path, device: str, asked: str, told: str
) -> None:
    """No image is lost, and one warning says it."""
    model = overflowing(nano, tmp_path / "model")
    segment(survey, tmp_path / "exact", nano, "cpu", "--precision", "fp32")
    segment(survey, tmp_path / "scaled", model, "cpu", "--precision", "fp32")
    assert equal(tmp_path / "scaled", tmp_path / "exact") == 1
    result = segment(survey, tmp_path / "found", model, device, "--precision", asked)
    assert equal(tmp_path / "found", tmp_path / "exact") >= 0.98
    said = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert len(said) == bool(told), result.stderr
    assert told in "".join(said)


def test_that_network_gives_no_numbers_in_float16(nano: Path, tmp_path: Path) -> None:
    from transformers import SegformerForSemanticSegmentation

    pixels = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32))
    finite = {}
    for kind in (torch.float16, torch.bfloat16):
        folder = tmp_path / str(kind)
        network = SegformerForSemanticSegmentation.from_pretrained(overflowing(nano, folder)).eval().to(kind)
        with torch.inference_mode():
            finite[kind] = bool(network(pixel_values=pixels.to(kind)).logits.isfinite().all())
    assert finite == {torch.float16: False, torch.bfloat16: True}


@pytest.fixture
def memory() -> Iterator[None]:
    """Let a test take the device's memory away from this process, and give it back."""
    gc.collect()
    torch.cuda.empty_cache()
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    gc.collect()
    torch.cuda.empty_cache()


@pytest.mark.gpu
def test_too_little_memory_halves_the_batches_and_changes_no_mask(memory: None, tmp_path: Path) -> None:
    """The limit lies between what a batch of one tile takes and what one of sixteen takes, as measured here."""
    model = checkpoint_folder(tmp_path / "model", classes=3, tiling=squares(512, 512), size="b0")
    photos = make_survey(tmp_path / "survey", photos=6, rasters=0, height=1200, width=1800)
    peaks = {}
    for size in (1, 16):
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        segment(photos, tmp_path / str(size), model, "cuda", "--precision", "fp32", "--batch-size", size)
        peaks[size] = torch.cuda.max_memory_allocated()
    assert peaks[16] > 1.5 * peaks[1], peaks
    gc.collect()
    torch.cuda.empty_cache()
    most = peaks[1] + (peaks[16] - peaks[1]) // 2
    torch.cuda.set_per_process_memory_fraction(most / torch.cuda.get_device_properties(0).total_memory)
    result = segment(photos, tmp_path / "short", model, "cuda", "--precision", "fp32", "--batch-size", 16)
    assert "out of memory; batches are of" in result.stderr
    assert equal(tmp_path / "short", tmp_path / "16") >= TIES


_BREAKS = """
import sys
import torch
from segment.record.manifest import Manifest
from cli import main
append = Manifest.append
def break_after(self, outcomes):
    append(self, outcomes)
    {breaks}
Manifest.append = break_after
sys.argv[0] = "noseam"
main()
"""
BREAKS = {
    "cpu": """
    def fail(*arguments, **more):
        raise getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: unspecified launch failure")
    torch.nn.functional.conv2d = fail
""",
    "cuda": """
    try:
        torch.zeros(1, device="cuda")[torch.tensor([7], device="cuda")]  # a failed assertion on the device, for good
    except RuntimeError:
        pass  # whoever computes there learns of it
""",
}
"""What takes the device away once the first image is recorded: on the CPU an error of the same kind."""


@pytest.mark.parametrize("device", ON_BOTH)
def test_a_lost_device_ends_the_run_and_blames_no_image(nano: Path, tmp_path: Path, device: str) -> None:
    photos = make_survey(tmp_path / "survey", photos=40, rasters=0, height=300, width=400)
    out = tmp_path / "out"
    wanted = "segment", photos, "--out", out, "--model", nano, "--engine", "torch", "--device", device
    done = run([sys.executable, "-c", _BREAKS.format(breaks=BREAKS[device].strip()), *map(str, wanted)])
    assert exit_code(done) == 1, done.stderr
    assert f"{device}" in done.stderr
    assert "is lost and the run ends here: CUDA error" in done.stderr
    assert "Traceback" not in done.stderr
    rows = [json.loads(line) for line in (out / MANIFEST).read_text("utf-8").splitlines()]
    assert 0 < len(rows) < 40
    assert {row["state"] for row in rows} == {"done"}
    assert len(list(out.glob("*_label.png"))) >= len(rows)  # one more may have ended meanwhile
    result = segment(photos, out, nano, "cpu", "--precision", "fp32")  # the same folder goes on, on what is left
    assert "Traceback" not in result.output


@pytest.mark.gpu
def test_the_second_device_is_used_alone(survey: Path, nano: Path, tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    segment(survey, tmp_path / "first", nano, "cuda:0", "--precision", "fp32")
    gc.collect()
    torch.cuda.empty_cache()
    for index in range(2):
        torch.cuda.reset_peak_memory_stats(index)
    before = torch.cuda.max_memory_allocated(0)
    segment(survey, tmp_path / "second", nano, "cuda:1", "--precision", "fp32")
    assert torch.cuda.max_memory_allocated(0) == before
    assert torch.cuda.max_memory_allocated(1) > 0
    assert equal(tmp_path / "first", tmp_path / "second") >= TIES
