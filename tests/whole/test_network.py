"""One command on all samples uses no network, changes no input, and accounts for every file; strace watches it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.models import checkpoint_folder
from tests.whole.test_samples import SAMPLES, digests, files_of
from tiler.grid.tiling import Tiling

MOST_SECONDS, MOST_BYTES = 250, 4 * 2**30
LOCAL = {"AF_UNIX", "AF_NETLINK"}
HOSTILE = {
    "wms.tif": "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/${z}</ServerUrl></Service></GDAL_WMS>",
    "vrt.tif": "<VRTDataset rasterXSize='9' rasterYSize='9'><VRTRasterBand dataType='Byte' band='1'><SimpleSource>"
    "<SourceFilename>/vsicurl/http://127.0.0.1:9/a.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>",
    "http:x.png": "",
    "s3:x.png": "",
}
# A process starts with the peak of the one that forked it, and other tests made that of pytest large.
PEAK = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as file:
    file.write(str(1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(ended)
"""

pytestmark = [
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample folder is not here"),
    pytest.mark.skipif(
        not (shutil.which("strace") and subprocess.run(["strace", "-qq", "true"], check=False).returncode == 0),
        reason="strace is not here, or may not trace: that no network is used was NOT tested",
    ),
]


def test_a_run_over_all_samples_keeps_to_itself(tmp_path: Path) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name, content in HOSTILE.items():
        (hostile / name).write_text(content)
    # GDAL would take this file for the overviews of the image beside it
    shutil.copy(hostile / "wms.tif", hostile / "a.jpg.ovr")
    shutil.copy(next(path for path in files_of("aerial") if path.suffix == ".jpg"), hostile / "a.jpg")
    inputs = [*files_of("drone", "aerial", "odd", "broken"), *(hostile / name for name in (*HOSTILE, "a.jpg"))]
    model = checkpoint_folder(tmp_path / "model", tiling=Tiling(512, 512, 0.25))
    before = digests(SAMPLES), digests(hostile)

    calls = tmp_path / "calls.txt"
    command = [sys.executable, "-m", "cli", "segment", *map(str, inputs), "--out", str(tmp_path / "out")]
    command += ["--model", str(model), "--window", "2048", "--input", "512"]
    watch = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-o", str(calls)]
    started = time.monotonic()
    with (tmp_path / "log.txt").open("w") as log:
        # runs in the folder, so that a relative name such as s3:x.png could be taken for a host
        told = [sys.executable, "-c", PEAK, str(tmp_path / "peak.txt"), *watch, *command]
        run = subprocess.run(told, cwd=hostile, env=_environment(), stderr=log, stdout=log, check=False)
    seconds = time.monotonic() - started

    log_text = (tmp_path / "log.txt").read_text()
    assert run.returncode == 3, log_text
    assert {*re.findall(r"\b(AF_\w+)", calls.read_text())} <= LOCAL
    assert (digests(SAMPLES), digests(hostile)) == before
    done, skipped, failed = map(int, re.findall(r"(\d+) done, (\d+) skipped, (\d+) failed", log_text)[-1])
    assert (done + skipped + failed, skipped) == (len(inputs), 0)
    assert all(f" failed: {hostile / name}: not an accepted image" in log_text for name in HOSTILE)
    assert f" done: {hostile / 'a.jpg'}: " in log_text
    assert seconds < MOST_SECONDS
    assert int((tmp_path / "peak.txt").read_text()) < MOST_BYTES


def _environment() -> dict[str, str]:
    """Return the environment of this process without what tests set for GDAL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "CPL_"))}
    return kept | {"PYTHONPATH": str(ROOT)}
