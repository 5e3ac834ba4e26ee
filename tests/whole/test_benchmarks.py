"""`benchmarks/gpu.py`, which is to run on a machine that is seldom at hand, goes through all its sections on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.bare import bare_python

SECTIONS = [
    "machine", "photos", "network", "files", "start", "labels", "peers", "tiles", "stitch", "training", "host",
    "compiled peer",
]  # fmt: skip


def measured(found: Path, *more: object, python: list[str] | None = None, **environment: str) -> dict[str, Any]:
    """Return what a miniature of the benchmark found, by section."""
    command = [*(python or [sys.executable]), "benchmarks/gpu.py", "--small", "--json", str(found), *map(str, more)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    sections: dict[str, Any] = json.loads(found.read_text())
    return sections


def test_every_section_measures_something(tmp_path: Path) -> None:
    """On a bare Python, in which noseam is not installed either, as on the machine that it is for."""
    python, environment = bare_python(tmp_path / "packages")
    found = measured(tmp_path / "R.json", python=python, **environment)
    assert list(found) == SECTIONS
    ended = {name: section["ended"] for name, section in found.items()}
    assert ended.pop("compiled peer") == "skipped: networks are compiled for CUDA only"
    assert set(ended.values()) == {"whole"}, ended
    rows = {name: {row["name"]: row["value"] for row in section["rows"]} for name, section in found.items()}
    said = [str(value) for section in rows.values() for value in section.values()]
    assert not [text for text in said if text.startswith("failed")]
    assert all(rows[name] for name in ended)
    assert rows["network"]["nano, noseam, fp32"] > 0
    assert rows["files"]["nano, 200 to 64"] > 0
    assert "network" in rows["files"]["nano, 200 to 64, seconds by stage"]
    assert rows["labels"]["bundled model, scene, bf16"] > 99
    assert rows["training"]["nano, batch 2, workers auto"] > 0
    assert rows["peers"]["nano, usual script, fp32"] > 0
    try:
        import monai  # type: ignore[import-not-found,unused-ignore] # noqa: F401
    except ImportError:
        assert rows["peers"]["MONAI"] == "skipped: monai is not installed"


def test_what_there_is_no_time_for_is_said(tmp_path: Path) -> None:
    found = measured(tmp_path / "R.json", "--only", "network", "host", "--budget", "6", "--folder", tmp_path / "kept")
    assert list(found) == ["machine", "photos", "network", "host"]
    assert "left out: no time is left" in {section["ended"] for section in found.values()}
    assert (tmp_path / "kept").exists()


@pytest.mark.gpu
def test_the_shortest_run_on_a_device(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    command = [sys.executable, "benchmarks/gpu.py", "--only", "stitch", "--json", str(tmp_path / "R.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "R.json").read_text())["stitch"]["ended"] == "whole"
