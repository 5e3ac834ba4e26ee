"""What the command line says where it is told something wrong, and how much its log says."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli import main
from tests import ROOT
from tests.labelled import write_mask
from tests.models import NEEDS_TORCH, checkpoint_folder
from tiler.grid.tiling import Tiling


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    tiling = Tiling(window_px=200, input_px=64, overlap=0.25)
    return str(checkpoint_folder(tmp_path_factory.mktemp("model"), classes=3, tiling=tiling))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that commands run in: photos, truth, a class table of two classes, masks of three."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    for folder, array in (("photos", pixels), ("truth", pixels[..., 0] % 2)):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "b.png"):
            Image.fromarray(array).save(tmp_path / folder / name)
    (tmp_path / "two.csv").write_text("name, r, g, b\nroad, 1, 2, 3\nroof, 4, 5, 6\n")
    (tmp_path / "torn.csv").write_text("name, r, g\nroad, 1, 2\n")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert/config.json").write_text('{"model_type": "bert"}')
    write_mask(tmp_path / "masks", "a")
    return tmp_path


def noseam(*arguments: object, **environment: str) -> Result:
    runner = CliRunner(env=environment)
    return runner.invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


SEGMENT = "segment photos --out out --model MODEL"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"{SEGMENT} --device gpu", "--device: auto, cpu, cuda or cuda:N expected, such as cuda:1; 'gpu' found"),
        (f"{SEGMENT} --device cuda --engine openvino", "--engine: openvino runs on the CPU, and device is cuda"),
        (f"{SEGMENT} --device cpu --precision fp16", "--precision: fp16 needs a CUDA device, and device is cpu"),
        (f"{SEGMENT} --classes two.csv", "two.csv has 2 classes (road, roof)"),
        (f"{SEGMENT} --classes torn.csv", "torn.csv, line 1: header name, r, g, b expected"),
        (f"{SEGMENT} --polygons --only sea", "--only: no class 'sea'; known: 0 class 0"),
        ("segment photos --out out --model nothere", "nothere: no such folder"),
        ("plan photos --model nothere", "nothere: no such folder"),
        ("segment photos --out out --model photos", "photos: no config.json there"),
        ("segment photos --out out --model bert", "bert: model_type 'segformer' expected, 'bert' found"),
        ("polygons masks/a_label.png --out a.gpkg --only sea", "no class 'sea'; known: 0 road"),
        ("polygons masks --out out --only sea", "no class 'sea'; known: 0 road"),
        ("polygons masks --out out.gml", "out.gml: expected a folder, or a name that ends in .gpkg"),
        ("crop nothere truth --out out", "'nothere' does not exist"),
        ("crop photos truth/a.png --out out", "truth/a.png: expected two files or two folders"),
        ("crop photos truth --out photos/crops", "one lies within the other"),
        ("crop photos truth --out out --classes torn.csv", "torn.csv, line 1: header"),
        ("evaluate masks nothere", "'nothere' does not exist"),
        ("evaluate masks truth --classes two.csv", "the mask has 3 classes; expected 2, as in the class table"),
        ("evaluate truth truth", "the mask does not say its class names; give them with --classes"),
        ("train photos --out out --base nano", "photos: no crops.csv; expected a folder that noseam crop wrote"),
    ],
)
def test_what_is_wrong_with_the_command_exits_2_before_any_work(
    here: Path, model: str, command: str, message: str
) -> None:
    result = noseam(*command.replace("MODEL", model).split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (here / "out/a_label.png").exists()


@NEEDS_TORCH
def test_a_misspelt_base_exits_2_and_lists_the_sizes(here: Path) -> None:
    crop = noseam("crop", "photos", "truth", "--out", "crops", "--classes", "two.csv", "--window", 64, "--jobs", 1)
    assert crop.exit_code == 0
    result = noseam("train", "crops", "--out", "out", "--base", "nanoo")
    assert result.exit_code == 2
    assert "nanoo: no such folder" in result.stderr
    assert "or give a size for random weights: nano, mini, b0" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--window 2000px", "'--window': a whole number of pixels from 1 expected, such as 2000; '2000px' found"),
        ("--window 0", "'--window': a whole number of pixels from 1 expected; '0' found"),
        ("--overlap 0,5", "'--overlap': a fraction from 0 below 1 expected, such as 0.5; '0,5' found"),
        ("--gsd 0.05m", "'--gsd': a number of metres above 0 expected, such as 0.05; '0.05m' found"),
        ("--gsd 5cm", "'--gsd': a number of metres above 0 expected; '5cm' found"),
        ("--max-runtime 2h", "'--max-runtime': a number of minutes above 0 expected; '2h' found"),
        (
            "--max-megapixels big",
            "'--max-megapixels': a number of megapixels above 0 expected, such as 20000; 'big' found",
        ),
        ("--value-range 0 4k", "'--value-range': a number expected; '4k' found"),
        ("--batch-size few", "'--batch-size': a whole number of tiles from 1 expected; 'few' found"),
    ],
)
def test_a_number_that_is_none_is_told_with_its_unit_and_an_example(here: Path, options: str, message: str) -> None:
    result = noseam("segment", "photos", "--out", "out", "--model", "nothere", *options.split())
    assert result.exit_code == 2
    assert f"Invalid value for {message}" in result.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            'window = "2000px"',
            "[segment] window: a whole number of pixels from 1 expected, such as 2000; '2000px' found",
        ),
        ("overlap = 1.5", "[segment] overlap: a fraction from 0 below 1 expected; '1.5' found"),
        ('format = "bmp"', "[segment] format: 'bmp' is not one of"),
        ("input = 100", "[segment] input: a whole number from 64, a multiple of 32 expected, 100 found"),
        ('device = "gpu"', "[segment] device: auto, cpu, cuda or cuda:N expected"),
    ],
)
def test_a_wrong_value_is_named_by_the_place_that_set_it(here: Path, setting: str, message: str) -> None:
    (here / "noseam.toml").write_text(f"[segment]\n{setting}\n")
    result = noseam("segment", "photos", "--out", "out", "--model", "nothere")
    assert result.exit_code == 2
    assert f"noseam.toml: {message}" in result.stderr
    key = setting.partition(" ")[0]
    if key != "device":  # `plan` needs none
        assert f"noseam.toml: {message}" in noseam("plan", "photos").stderr
    (here / "noseam.toml").unlink()
    value = setting.partition("= ")[2].strip('"')
    result = noseam("segment", "photos", "--out", "o", "--model", "m", **{f"NOSEAM_SEGMENT_{key}".upper(): value})
    assert result.exit_code == 2
    assert f"variable NOSEAM_SEGMENT_{key.upper()}: {message.partition(': ')[2]}" in result.stderr


@pytest.fixture
def torn(here: Path) -> str:
    """Return a command that fails one of two photos."""
    whole = (here / "photos/a.png").read_bytes()
    middle = len(whole) // 2
    (here / "photos/torn.png").write_bytes(whole[:middle] + bytes(middle // 2) + whole[middle + middle // 2 :])
    return "segment photos --out out --overwrite --model"


def test_only_debug_shows_the_place_in_the_program(torn: str, model: str) -> None:
    for more in ((), ("-v",), ("-vv",)):
        result = noseam(*torn.split(), model, *more)
        assert result.exit_code == 3
        assert "Traceback" not in result.stderr
    assert re.search(r"DEBUG photos/torn\.png: \w+; --debug shows where", result.stderr)
    for command in ((*torn.split(), model, "--debug"), ("--debug", *torn.split(), model)):
        result = noseam(*command)
        assert result.exit_code == 3
        assert re.search(r'Traceback \(most recent call last\):\n  File ".*segment/run/worker\.py"', result.stderr)


def test_debug_shows_where_a_run_failed(here: Path, model: str) -> None:
    (here / "out").touch()
    command = "segment", "photos", "--out", "out/deep", "--model", model
    result = noseam(*command)
    assert (result.exit_code, "Traceback" in result.stderr) == (1, False)
    result = noseam(*command, "--debug")
    assert result.exit_code == 1
    assert re.search(r"Traceback .*segment/steps\.py.*RecordError", result.stderr, re.DOTALL)


def test_a_line_of_the_log_begins_with_date_and_time(here: Path, model: str) -> None:
    result = noseam(*SEGMENT.replace("MODEL", model).split())
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert lines
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d (INFO|WARNING) ", line) for line in lines)


@pytest.mark.parametrize("before", [True, False])
def test_the_log_is_kept_wherever_the_option_stands(here: Path, model: str, before: bool) -> None:
    option, command = ("--log-json", "log.json"), SEGMENT.replace("MODEL", model).split()
    assert noseam(*(*option, *command) if before else (*command, *option)).exit_code == 0
    entries = [json.loads(line) for line in (here / "log.json").read_text().splitlines()]
    assert any("photos/a.png" in entry["message"] for entry in entries)


@contextmanager
def hub(status: int, headers: dict[str, str], body: bytes = b"") -> Iterator[str]:
    """Answer every question in this way; yield the address."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


UNKNOWN = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found", "X-Request-Id": "Root=1-2"}


@pytest.mark.parametrize(
    ("status", "headers", "code", "message"),
    [
        (404, UNKNOWN, 2, "owner/name: the Hugging Face hub has no public model of this name; check the name"),
        (401, UNKNOWN, 2, "owner/name: the Hugging Face hub has no public model of this name; check the name"),
        (403, {"X-Error-Code": "GatedRepo"}, 2, "only to those who accepted its terms; accept them at http://127"),
        (503, {}, 1, "owner/name: cannot be fetched from the Hugging Face hub, http://127"),
        (200, {}, 1, "owner/name: cannot be fetched from the Hugging Face hub, http://127"),
        (None, {}, 1, "owner/name: cannot be fetched from the Hugging Face hub, http://127.0.0.1:9 ("),
    ],
)
def test_what_the_hub_answers_is_one_line_with_a_way_out(
    here: Path, status: int | None, headers: dict[str, str], code: int, message: str
) -> None:
    command = [sys.executable, "-m", "cli", "segment", "photos", "--out", "out", "--model", "owner/name"]
    with hub(status or 0, headers, b"<html>\nlog in to this network\n</html>") as address:
        environment = os.environ | {
            "HF_ENDPOINT": address if status else "http://127.0.0.1:9", "HF_HOME": str(here), "PYTHONPATH": str(ROOT)
        }  # fmt: skip
        found = subprocess.run(command, env=environment, cwd=here, capture_output=True, text=True, timeout=60)
    assert found.returncode == code
    said = [line for line in found.stderr.splitlines() if not line.startswith(("Usage: ", "Try ")) and line]
    assert len(said) == 2
    assert "INFO looking for owner/name on the Hugging Face hub" in said[0]
    assert said[1].startswith("Error: ")
    assert message in said[1]
    assert "or give the folder of a checkpoint on this machine" in said[1]


def test_the_log_says_how_images_are_cut_and_who_says_so(here: Path, model: str) -> None:
    command = SEGMENT.replace("MODEL", model).split()
    cut = "become 64 px, tiles chosen for each image (balanced), overlap 0.25 of 64 px (source: "
    assert f"how images are cut: windows of 200 px {cut}the checkpoint)" in noseam(*command).stderr
    assert f"how images are cut: windows of 90 px {cut}your options)" in noseam(*command, "--window", 90).stderr
    assert "overlap 0.25 of 512 px (source: no model)" in noseam("plan", "photos").stderr


def test_where_no_pair_can_be_compared_the_reasons_stand_instead_of_a_table(here: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (7, 7)).save(here / "photos" / name)
    result = noseam("evaluate", "photos", "truth", "--classes", "two.csv")
    assert result.exit_code == 3
    assert "mIoU" not in result.stdout
    assert "class " not in result.stdout
    lines = result.stdout.splitlines()
    assert [line.split(" has ")[0] for line in lines[:2]] == ["failed: photos/a.png", "failed: photos/b.png"]
    assert lines[2:] == ["0 images compared, 2 failed, 0 without partner; there are no scores"]
