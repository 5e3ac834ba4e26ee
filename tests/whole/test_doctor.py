"""`noseam doctor` as a user runs it: on a machine that is well, and on one where every engine is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segment.record.hardware import count_gpus
from tests import ROOT
from tests.models import NEEDS_TORCH


def doctor(home: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HOME": str(home), "HF_HUB_OFFLINE": "1", "LOGNAME": "adalovelace"} | variables
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (variables.get("PYTHONPATH"), str(ROOT))))
    return subprocess.run([sys.executable, "-m", "cli", "-q", "doctor", *options], cwd=home, env=environment, text=True,
                          capture_output=True, timeout=250, check=False)  # fmt: skip


@NEEDS_TORCH
def test_a_machine_that_is_well(tmp_path: Path) -> None:
    home = tmp_path / "adalovelace"
    home.mkdir()
    cache = home / "cache" if not os.environ.get("NOSEAM_CACHE") else Path(os.environ["NOSEAM_CACHE"])
    ended = doctor(home, "--json-file", "doctor.json", NOSEAM_CACHE=str(cache))
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "adalovelace" not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
    assert "offline, because HF_HUB_OFFLINE=1" in " ".join(ended.stdout.split())
    assert "Segmenting works here." in ended.stdout
    found = json.loads((home / "doctor.json").read_text())
    assert found["works"] is True
    assert {fact["part"] for fact in found["facts"]} == {"program", "machine", "places"}
    assert [fact for fact in found["facts"] if fact["state"] == "bad"] == []
    engines = {(each["engine"], each["device"], each["precision"]): each for each in found["engines"]}
    reference, exact = engines["torch", "cpu", "fp32"], engines["openvino", "cpu", "fp32"]
    assert reference["agreement"] == 1.0
    assert exact["agreement"] > 0.999
    for each in found["engines"]:
        assert (each["state"], each["error"]) == ("ok", "")
        assert each["right"] > 0.95, "the bundled model knows such scenes"
        assert each["agreement"] > 0.99
        assert each["megapixels_per_second"] > 0
    assert sorted(path.name for path in home.iterdir()) == ["doctor.json"], "nothing is left behind"


@pytest.mark.gpu
def test_a_gpu_is_named_and_tried_in_every_precision(tmp_path: Path) -> None:
    if not count_gpus():
        pytest.skip("no CUDA device")
    ended = doctor(tmp_path, "--json")
    found = json.loads(ended.stdout)
    assert next(fact for fact in found["facts"] if fact["name"] == "cuda:0")["state"] == "ok"
    tried = [each for each in found["engines"] if each["device"] == "cuda:0"]
    assert [each["precision"] for each in tried] == ["fp16", "bf16", "tf32", "fp32"]
    assert [each for each in tried if each["state"] != "ok"] == []
    assert found["auto"] == "torch cuda:0 fp16"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_where_every_engine_is_broken_each_says_why_and_the_exit_code_is_1(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    for package, code in (
        ("openvino", "import os, signal; os.kill(os.getpid(), signal.SIGILL)"),
        ("torch", "raise ImportError('libtorch_cpu.so: cannot open shared object file')"),
    ):
        (broken / package).mkdir(parents=True)
        (broken / package / "__init__.py").write_text(code)
    (tmp_path / "no folder").touch()
    ended = doctor(tmp_path, "--json", PYTHONPATH=str(broken), NOSEAM_CACHE=str(tmp_path / "no folder"))
    assert ended.returncode == 1, ended.stderr
    found = json.loads(ended.stdout)
    assert found["works"] is False
    torch, openvino = found["engines"]
    assert (torch["state"], torch["engine"]) == ("bad", "torch")
    assert "libtorch_cpu.so: cannot open shared object file" in torch["error"]
    assert openvino["state"] == "bad"
    assert openvino["error"].startswith("its process was ended by SIGILL")
    cache = next(fact for fact in found["facts"] if fact["name"] == "cache")
    assert (cache["state"], cache["value"].startswith("~/no folder, ")) == ("look", True)
